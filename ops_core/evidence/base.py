"""The base of what a probe returns, and the envelope in which an observation keeps it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, ClassVar

from ops_core.errors import UsageError

# How pydantic is to read a record back: a field that we do not know means that the record is not ours.
STRICT: dict[str, str] = {"extra": "forbid"}


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Base of everything a probe may return.

    A user's own evidence is a frozen dataclass that derives from this one; its fields must be JSON values, other
    dataclasses, or tuples of them, so that a recorded observation can be judged again.
    """

    __pydantic_config__: ClassVar[Any] = STRICT
    kinds: ClassVar[dict[str, type[Evidence]]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        before = Evidence.kinds.get(cls.__name__)
        if before is not None and _file_of(before) != _file_of(cls):
            # Records tell evidence apart by its name: another class of that name would read what this one wrote.
            raise UsageError(
                f"there is evidence called {cls.__name__!r} already",
                where=f"{_file_of(cls)}; the other one stands in {_file_of(before)}",
                next_step="give it another name",
            )
        Evidence.kinds[cls.__name__] = cls

    @property
    def ok(self) -> bool:
        """Whether a retry would be pointless. It steers `@probe(attempts=…)` only: judging is the checks' work."""
        return True

    @property
    def facts(self) -> tuple[str, ...]:
        """Codes of what was seen that is neither good nor bad in itself but steers the decision."""
        return ()

    def explain(self) -> str:
        """One line that says what was seen, for the message of a failing check."""
        return repr(self)


@dataclass(frozen=True, kw_only=True)
class ValueEvidence(Evidence):
    """Evidence of a probe that returned a plain JSON value."""

    value: Any

    def explain(self) -> str:
        return f"saw {self.value!r}"


@dataclass(frozen=True, kw_only=True)
class EvidenceRecord:
    """The envelope of one (probe, target) pair in an observation.

    `id` is `probe[target]`, or the probe's name where it looks at no target. `seen` is False when the probe could not
    look; `reason` then says why in one line, and `actions` holds what it had done until then.
    """

    __pydantic_config__: ClassVar[Any] = STRICT

    id: str
    probe: str
    target: str | None
    seen: bool
    kind: str | None
    evidence: Evidence | None
    reason: str = ""
    where: str = ""
    started_at: str = ""
    elapsed_s: float = 0.0
    charged_s: float = 0.0
    budget_s: float = 0.0
    attempts: int = 1
    facts: tuple[str, ...] = ()
    actions: tuple[dict[str, Any], ...] = ()


def evidence_id(probe: str, target: str | None) -> str:
    """`health[core-api]`, or `control` for a probe that looks at no target."""
    return probe if target is None else f"{probe}[{target}]"


def _file_of(cls: type) -> str:
    return str(getattr(sys.modules.get(cls.__module__), "__file__", None) or cls.__module__)
