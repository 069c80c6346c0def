"""What is looked at, how far it is, and what the loop that runs it may ask of whoever keeps the answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from ops_core.budget import ChargedClock
from ops_core.evidence import Evidence, EvidenceRecord, evidence_id
from ops_core.probes.instruments.context import Lookout
from ops_core.probes.registry import ProbeDefinition
from ops_core.targets import Target


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A probe and the target it is asked about (None: none in particular)."""

    definition: ProbeDefinition
    target: Target | None
    budget_s: float

    @property
    def id(self) -> str:
        """The id of the evidence: `probe[target]`."""
        return evidence_id(self.definition.name, self.target.name if self.target else None)


# Evidence and its facts, fit for a record.
Seen = tuple[Evidence, tuple[str, ...]]


@dataclass(kw_only=True)
class Look:
    """The state of one pair while the engine works on it."""

    pair: Pair
    lookout: Lookout
    started_at: str = ""
    started: float = 0.0
    charged_from: float = 0.0
    attempts: int = 0
    last: Seen | None = None
    record: EvidenceRecord | None = None
    running: bool = False
    cancel: Callable[[], object] = field(default=lambda: None)


class Keeper(Protocol):
    """Gives out looks and takes their answers; each is answered once, whoever comes first."""

    charged: ChargedClock

    def next_look(self) -> Look | None:
        """The next pair to be looked at, if there is a free place."""

    def answer_seen(self, look: Look, value: Any) -> None:
        """The probe returned."""

    def keep(self, look: Look, value: Any) -> None:
        """What an attempt saw that is not the last one."""

    def answer_unseen(self, look: Look, reason: str, where: str = "") -> None:
        """The probe could not look."""

    def answer_error(self, look: Look, error: BaseException) -> None:
        """The probe raised."""

    def budget_spent(self, look: Look) -> None:
        """The budget of a look is over."""

    def on_loop(self, look: Look, make: Callable[[], Any]) -> Any:
        """Run a coroutine for a plain probe, while the probe's own thread waits for it."""
