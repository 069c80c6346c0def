"""An incident that people handle, as its documents tell it: plain frozen data in which every statement cites something.

What a person said is cited by its event (E3), what was seen by its evidence (O1:ready[ingest]), what the loop did by
its attempt (R101): all of them are in the document's own table of evidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ops_core.errors import RecordError
from ops_core.report.model import EvidenceView, ObservationView
from ops_core.report.seen import Text
from ops_core.report.strict import decode, encode

SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One thing that is said, and what it rests on."""

    text: Text
    evidence: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Line:
    """What is said under one label. Empty: nothing is known yet."""

    label: Text
    statements: tuple[Statement, ...]


@dataclass(frozen=True, kw_only=True)
class Part:
    """One section of a scenario report; the name chooses its heading."""

    name: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, kw_only=True)
class ToldAt:
    """One event of the timeline."""

    at: str
    by: str
    text: Text
    evidence: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ResponseView:
    """An incident that people handle. Times are ISO 8601 with a zone; what is empty is not known.

    `owed_at` is when the next update is overdue; empty where none is owed. `update` is the text of the update that the
    document tells, with its number; `fields` what it has to say for its severity. `parts` are the sections of the
    scenario's report, in their order.
    """

    schema: int
    id: str
    profile: str
    drill: bool
    title: str
    severity: str
    meaning: Text
    scenario: str
    heading: Text
    state: Text
    opened_at: str
    phase: Text
    cadence_min: int
    owed_at: str
    number: int
    told_at: str
    by: str
    update: tuple[Statement, ...]
    triage: tuple[Line, ...]
    fields: tuple[Line, ...]
    parts: tuple[Part, ...]
    prevention: tuple[Text, ...]
    timeline: tuple[ToldAt, ...]
    observations: tuple[ObservationView, ...]
    evidence: tuple[EvidenceView, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        """Every id that may be cited."""
        return (*(look.label for look in self.observations), *(one.id for one in self.evidence))

    @classmethod
    def from_json(cls, value: object, where: str = "incident") -> ResponseView:
        """The view that `to_json` was called on.

        Raises:
            RecordError: it is not such a record.
        """
        view = decode(cls, value, where)
        if view.schema != SCHEMA:
            raise RecordError(f"schema {view.schema} is not known here", where="schema", allowed=str(SCHEMA))
        return view

    def to_json(self) -> dict[str, Any]:
        """A plain JSON object; `from_json` makes an equal view of it."""
        encoded: dict[str, Any] = encode(self)
        return encoded
