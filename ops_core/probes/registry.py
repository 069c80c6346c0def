"""`@probe`: a function that looks becomes a session fixture that the plugin runs ahead of the checks.

The registry keeps every probe that was defined, with the file it stands in. Which one a check means is settled the way
pytest settles fixtures: the check's own module first, then the nearest `conftest.py`, then what ships with us.
"""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

import pytest

from ops_core.errors import UsageError
from ops_core.evidence import EvidenceRecord, ValueEvidence
from ops_core.targets import NAME, Target

F = TypeVar("F", bound=Callable[..., Any])

INSTRUMENTS = (
    *("command", "control", "deployments", "engine", "files", "http", "operations", "process"),
    *("redis", "secrets", "sql", "sse", "tls"),
)
ARGUMENTS = ("target", *INSTRUMENTS)
ATTEMPTS_MAX = 10
BUDGET_MAX_S = 3600.0


class Observer(Protocol):
    """What a probe's fixture asks for evidence; the plugin puts one into `config.stash`."""

    targets: dict[str, Target]

    def evidence_of(self, definition: ProbeDefinition, target: str | None) -> EvidenceRecord:
        """The record of that pair, waiting for it if need be."""


OBSERVER: pytest.StashKey[Observer] = pytest.StashKey()


@dataclass(frozen=True, kw_only=True)
class ProbeDefinition:
    """One probe as it was defined. Budgets are in seconds; `arguments` are the names the function asks for."""

    name: str
    function: Callable[..., Any]
    budget_s: float
    needs: tuple[str, ...]
    attempts: int
    until: Callable[[Any], bool]
    arguments: tuple[str, ...]
    is_async: bool
    file: Path
    line: int

    @property
    def per_target(self) -> bool:
        """Whether it is asked once per target; else once."""
        return "target" in self.arguments

    @property
    def where(self) -> str:
        return f"{self.file}:{self.line}"


class ProbeRegistry:
    """All probes defined so far in this process."""

    def __init__(self) -> None:
        self._by_name: dict[str, dict[Path, ProbeDefinition]] = {}

    def add(self, definition: ProbeDefinition) -> None:
        """Remember a probe; the same file defining it again replaces it.

        Raises:
            UsageError: the same file defines two probes of that name.
        """
        here = self._by_name.setdefault(definition.name, {})
        before = here.get(definition.file)
        if before is not None and before.line != definition.line:
            raise UsageError(
                f"the probe {definition.name!r} is defined twice",
                where=f"{before.where} and {definition.where}",
                next_step="give one of them another name",
            )
        here[definition.file] = definition

    def resolve(self, name: str, asked_from: Path) -> ProbeDefinition | None:
        """The probe that a check in the file `asked_from` means by `name`, if any."""
        candidates = self._by_name.get(name)
        if not candidates:
            return None
        asked_from = _real(asked_from)
        if asked_from in candidates:
            return candidates[asked_from]
        near: tuple[int, ProbeDefinition] | None = None
        for file, definition in candidates.items():
            if file.name == "conftest.py" and asked_from.is_relative_to(file.parent):
                depth = len(file.parents)
                if near is None or depth > near[0]:
                    near = (depth, definition)
        if near:
            return near[1]
        plugin = [
            d for file, d in candidates.items() if file.name != "conftest.py" and not file.name.startswith("check_")
        ]
        return plugin[-1] if plugin else None


@functools.cache
def _real(path: Path) -> Path:
    """The file itself: checks are often deployed behind a link to the release in force."""
    return path.resolve()


REGISTRY = ProbeRegistry()


def _looks_good(evidence: Any) -> bool:
    return bool(getattr(evidence, "ok", True))


def probe(
    *,
    budget_s: float,
    needs: str | tuple[str, ...] = (),
    attempts: int = 1,
    until: Callable[[Any], bool] | None = None,
) -> Callable[[F], F]:
    """Make a function a probe: a session fixture whose value is what the function saw.

    The function, async or not, names what it wants: `target`, and any of the instruments `http`, `sse`, `process`,
    `command`, `files`, `sql`, `redis`, `tls`, `engine`, `secrets`, `control`, `deployments`, `operations`.
    With `target` it is asked once for each target that has all it `needs`; without, once. It returns an `Evidence`, or
    a JSON value. It must not judge.

    Args:
        budget_s: seconds it may take in all, retries included.
        needs: fields or variables a target must set for this probe to apply.
        attempts: how often it may look; a further look is taken when the last one raised or `until` said no.
        until: whether an answer needs no further look. Default: the evidence's own `ok`.

    Raises:
        UsageError: the definition cannot work; the message says why and where.
    """

    def register(function: F) -> F:
        definition = _define(function, budget_s, (needs,) if isinstance(needs, str) else tuple(needs), attempts, until)
        REGISTRY.add(definition)

        def evidence(request: pytest.FixtureRequest) -> Any:
            __tracebackhide__ = True
            return _evidence_for(definition, request)

        evidence.__doc__ = function.__doc__
        evidence.__module__ = function.__module__
        fixture: Any = pytest.fixture(scope="session", name=definition.name)(evidence)
        # To the type checker a probe stays the function it was; pytest finds the fixture under its name.
        return cast("F", fixture)

    return register


def _define(
    function: Callable[..., Any],
    budget_s: float,
    needs: tuple[str, ...],
    attempts: int,
    until: Callable[[Any], bool] | None,
) -> ProbeDefinition:
    code = inspect.unwrap(function).__code__
    name = function.__name__
    where = f"{code.co_filename}:{code.co_firstlineno}, probe {name}"
    if not NAME.fullmatch(name):
        raise UsageError(f"{name!r} is not a probe name", where=where)
    if not 0 < budget_s <= BUDGET_MAX_S:
        raise UsageError(
            f"budget_s={budget_s!r}", where=where, allowed=f"more than 0, at most {BUDGET_MAX_S:.0f} seconds"
        )
    if not 1 <= attempts <= ATTEMPTS_MAX:
        raise UsageError(f"attempts={attempts!r}", where=where, allowed=f"1 to {ATTEMPTS_MAX}")
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        raise UsageError("a probe returns its evidence, it does not yield", where=where)
    arguments = tuple(inspect.signature(function).parameters)
    for argument in arguments:
        if argument not in ARGUMENTS:
            close = difflib.get_close_matches(argument, ARGUMENTS, n=1)
            raise UsageError(
                f"a probe cannot be given {argument!r}",
                where=where,
                allowed=", ".join(ARGUMENTS),
                next_step=f"did you mean {close[0]!r}?" if close else "import helpers of your own where you use them",
            )
    if needs and "target" not in arguments:
        raise UsageError("a probe that needs something of a target must ask for `target`", where=where)
    return ProbeDefinition(
        name=name,
        function=function,
        budget_s=float(budget_s),
        needs=needs,
        attempts=attempts,
        until=until or _looks_good,
        arguments=arguments,
        is_async=inspect.iscoroutinefunction(inspect.unwrap(function)),
        file=Path(code.co_filename).resolve(),
        line=code.co_firstlineno,
    )


class NotSeen(pytest.fail.Exception):  # type: ignore[name-defined,misc]  # made at run time; public all the same
    """There is no evidence to judge. In the set-up of a check pytest itself says `error` to it; elsewhere we do."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, pytrace=False)


def _evidence_for(definition: ProbeDefinition, request: pytest.FixtureRequest) -> Any:
    __tracebackhide__ = True
    observer = request.config.stash.get(OBSERVER, None)
    if observer is None:
        raise NotSeen(
            f"the probe {definition.name!r} runs in operational runs only: name the checks folder or a suite's marker"
        )
    target = getattr(request, "param", None) if definition.per_target else None
    if definition.per_target and target is None:
        raise NotSeen(f"the probe {definition.name!r} must be an argument of the check, not asked for by name")
    record = observer.evidence_of(definition, target)
    if not record.seen:
        raise NotSeen(f"not seen: {record.reason}")
    return record.evidence.value if isinstance(record.evidence, ValueEvidence) else record.evidence
