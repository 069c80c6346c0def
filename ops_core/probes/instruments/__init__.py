"""How to reach a system. `instrument(name, lookout)` makes the one that a probe asked for by an argument's name."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from ops_core.config import SecretMissing, read_secret
from ops_core.errors import CannotLook
from ops_core.evidence import ControlEvidence, DeploymentEvidence, Evidence
from ops_core.probes.instruments.context import Lookout
from ops_core.targets import Target

# Those whose methods have to be awaited; the others are the same for every probe.
ASYNCHRONOUS = frozenset({"command", "engine", "http", "process", "redis", "sql", "sse", "tls"})

# Those that open what they look at with a secret.
WITH_SECRETS = frozenset({"redis", "sql"})


class Secrets(Mapping[str, str]):
    """The values of named secrets, for use in a request. They are redacted from whatever gets recorded."""

    def __init__(self, lookout: Lookout) -> None:
        self._lookout = lookout

    def __getitem__(self, name: str) -> str:
        try:
            return read_secret(self._lookout.settings, name)
        except SecretMissing as missing:
            raise CannotLook(missing.what, where=missing.where, next_step=missing.next_step) from None

    def __iter__(self) -> Any:
        return iter(self._lookout.settings.secrets)

    def __len__(self) -> int:
        return len(self._lookout.settings.secrets)


class ControlInstrument:
    """Reads the control plane's state; never changes it."""

    def __init__(self, lookout: Lookout) -> None:
        self._lookout = lookout

    def state(self) -> ControlEvidence:
        """Emergency stop and gate. A state that is missing or unreadable counts as stopped."""
        settings = self._lookout.settings
        self._lookout.actions.append(
            {"instrument": "control", "store": settings.control_url or str(settings.control_store)}
        )
        return self._lookout.read_control()


class OperationsInstrument:
    """Reads what the operations have recorded about themselves; never changes it."""

    def __init__(self, lookout: Lookout) -> None:
        self._lookout = lookout

    def see(self, what: str) -> Evidence:
        """The recorded state of that name, such as "daily".

        Raises:
            CannotLook: there is nothing of that name, or it cannot be read.
        """
        self._lookout.actions.append({"instrument": "operations", "what": what})
        return self._lookout.read_operations(what)


class DeploymentInstrument:
    """Reads which release and configuration are in force, and which were last seen good."""

    def __init__(self, lookout: Lookout) -> None:
        self._lookout = lookout

    def of(self, target: Target) -> DeploymentEvidence:
        """What a target's release and configuration links point to."""
        good = self._lookout.read_last_good(target.name)
        release, release_exists = _link(target.release_link)
        config, config_exists = _link(target.config_link)
        self._lookout.actions.append({"instrument": "deployments", "target": target.name})
        return DeploymentEvidence(
            release=release,
            release_exists=release_exists,
            release_good=good.release,
            config=config,
            config_exists=config_exists,
            config_good=good.config,
        )

    def good_schema(self, target: Target) -> str | None:
        """The revision of a target's schema that was last seen good."""
        return self._lookout.read_last_good(target.name).schema


def _link(path: Path | None) -> tuple[str | None, bool]:
    """A link's version name and whether that version exists. A target without such a link has nothing missing."""
    if path is None:
        return None, True
    try:
        return path.readlink().name, path.exists()
    except OSError:
        return None, path.exists()


def instrument(name: str, lookout: Lookout) -> Any:
    """The instrument of that name for one probe."""
    light: dict[str, Callable[[Lookout], Any]] = {
        "secrets": Secrets,
        "control": ControlInstrument,
        "deployments": DeploymentInstrument,
        "operations": OperationsInstrument,
    }
    if name in light:
        return light[name](lookout)
    # The others are imported when a probe asks for them: some bring a client library along.
    module = importlib.import_module(f"{__name__}.{name}")
    make = getattr(module, f"{name.capitalize()}Instrument")
    return make(lookout, Secrets(lookout)) if name in WITH_SECRETS else make(lookout)


class Synchronous:
    """An instrument for a probe that is a plain function: its coroutines run on the event loop while the thread waits.

    Args:
        instrument: the instrument as async probes get it.
        on_loop: runs the coroutine that its argument makes, and waits for what it returns.
    """

    def __init__(self, instrument: Any, on_loop: Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]) -> None:
        self._instrument = instrument
        self._on_loop = on_loop

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._instrument, name)
        if not inspect.iscoroutinefunction(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._on_loop(lambda: found(*args, **kwargs))

        return call
