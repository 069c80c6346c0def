"""What was seen of the incidents that people handle: which are open, and who is owed an update."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ops_core.evidence.base import STRICT, Evidence


@dataclass(frozen=True, kw_only=True)
class OpenIncident:
    """One open incident. Times are ISO 8601 in UTC; `due_at` is empty where no update is owed any more."""

    __pydantic_config__: ClassVar[Any] = STRICT

    id: str
    severity: str
    title: str
    last_update_at: str
    due_at: str
    overdue: bool

    def explain(self) -> str:
        """In words: which, since when the update is due, and what to type."""
        due = "is owed no update" if not self.due_at else f"{'was' if self.overdue else 'is'} due by {self.due_at}"
        typed = f' (next: ops incident update {self.id} --text "…")' if self.overdue else ""
        return f"{self.id} {self.severity} {due}, last told {self.last_update_at}{typed}"


@dataclass(frozen=True, kw_only=True)
class IncidentsEvidence(Evidence):
    """The open incidents that people handle, at one instant, the oldest first."""

    seen_at: str
    incidents: tuple[OpenIncident, ...]

    @property
    def overdue(self) -> tuple[OpenIncident, ...]:
        """Those whose others wait for an update longer than was promised."""
        return tuple(one for one in self.incidents if one.overdue)

    def explain(self) -> str:
        if not self.incidents:
            return "no incident is open"
        late = self.overdue
        told = "; ".join(one.explain() for one in (late or self.incidents))
        return f"{len(self.incidents)} open, {len(late)} overdue: {told}"
