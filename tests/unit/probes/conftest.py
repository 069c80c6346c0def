"""What the tests of instruments share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hostile import Behaviour, HostileServer
from postgresql import Server, common_folder, shared_server

from ops_core.config import Settings, load_settings
from ops_core.evidence import ControlEvidence
from ops_core.probes import bench, foundations, liveness, metrics, payload, request_id, required_secrets, schema
from ops_core.probes.instruments import ASYNCHRONOUS, Synchronous, instrument
from ops_core.probes.instruments.context import LastGood, Lookout
from ops_core.probes.instruments.redact import Redactor
from ops_core.probes.instruments.transport import TlsContexts
from ops_core.probes.registry import REGISTRY
from ops_core.targets import Target

SECRET = "correct-horse-battery"
# To import them is what registers the probes that `look` finds by their names.
PROBES = (bench, foundations, liveness, metrics, payload, request_id, required_secrets, schema)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "ops.toml").write_text("[profiles.default.targets.one]\n[profiles.default.secrets.OWN]\nfile = 'own'\n")
    (tmp_path / "own").write_text(SECRET + "\n")
    return load_settings(tmp_path / "ops.toml", environ={})


@pytest.fixture
def lookout(settings: Settings) -> Lookout:
    return Lookout(
        settings=settings,
        redact=Redactor([SECRET]),
        tls=TlsContexts(None),
        now=time.monotonic,
        read_control=lambda: ControlEvidence(store="x", stopped=False, stop_reason="", gate="DRY_RUN"),
        read_last_good=lambda _: LastGood(release="v1"),
    )


@pytest.fixture
def serve() -> Iterator[Callable[[Behaviour], HostileServer]]:
    servers = []

    def start(behaviour: Behaviour) -> HostileServer:
        servers.append(HostileServer(behaviour))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def look(tmp_path: Path) -> Callable[..., Any]:
    """Let a shipped probe look at a target, with the real instruments: `look(name, secrets, **fields of the target)`."""

    def ask(name: str, secrets: Mapping[str, str] | None = None, **fields: Any) -> Any:
        text = "[profiles.default.targets.one]\n"
        for secret, value in (secrets or {}).items():
            (tmp_path / secret).write_text(value)
            text += f"[profiles.default.secrets.{secret}]\nfile = '{secret}'\n"
        (tmp_path / "looked.toml").write_text(f"{fields.pop('profile', '')}{text}")
        lookout = Lookout(
            settings=load_settings(tmp_path / "looked.toml", environ={}),
            redact=Redactor(list((secrets or {}).values())),
            tls=TlsContexts(fields.pop("ca_file", None)),
            now=time.monotonic,
            read_control=lambda: ControlEvidence(store="x", stopped=False, stop_reason="", gate="DRY_RUN"),
            read_last_good=lambda _: LastGood(schema="0001"),
        )
        definition = REGISTRY.resolve(name, Path(__file__))
        assert definition is not None, name
        given: dict[str, Any] = {"target": Target(name="one", **fields)}
        for wanted in definition.arguments:
            if wanted not in given:
                given[wanted] = made = instrument(wanted, lookout)
                if wanted in ASYNCHRONOUS and not definition.is_async:
                    given[wanted] = Synchronous(made, lambda make: asyncio.run(make()))
        given = {wanted: given[wanted] for wanted in definition.arguments}
        return asyncio.run(definition.function(**given)) if definition.is_async else definition.function(**given)

    return ask


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with shared_server(common_folder(tmp_path_factory)) as server:
        yield server
