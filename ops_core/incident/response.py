"""What people do about an incident, understood from its events. Pure: the same events and time, the same answer.

A response has a severity, which may change, updates at the cadence of that severity, and the checklist of `phases`. An
item is answered by what was seen or done (`answering`), or by a person's own words, which are kept apart from it. A
phase is finished when nothing in it is open, and only when those before it are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ops_core.clock import parse_instant
from ops_core.errors import RecordError, Refused, UsageError
from ops_core.incident.answering import Answer, Basis, Seen, answers_of, label_of, unknown
from ops_core.incident.events import Event, Kind, State
from ops_core.incident.fields import REPORT_FIELDS
from ops_core.incident.looks import Look
from ops_core.incident.phases import ITEMS, Item, Phase, items_of, typed
from ops_core.incident.progress import History
from ops_core.incident.severity import Owed, Scenario, Severity, owed
from ops_core.incident.store import Incident

PERSON = "person"
ANSWERABLE = (*ITEMS, *REPORT_FIELDS)


@dataclass(frozen=True, kw_only=True)
class Update:
    """What the others were told. `fields` holds what this update says anew."""

    seq: int
    at: str
    by: str
    text: str
    severity: Severity
    fields: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class ItemState:
    """An item of the checklist with its answers, those by evidence first."""

    item: Item
    answers: tuple[Answer, ...]

    @property
    def open(self) -> bool:
        """Whether nobody and nothing has answered it."""
        return not self.answers


class Response:
    """One incident that people handle.

    Args:
        incident: its row.
        events: everything that happened, in order.
        runs: what the loop did, by the ids of the incidents that were attached.

    Raises:
        RecordError: the events are damaged.
    """

    def __init__(self, incident: Incident, events: Sequence[Event], runs: Mapping[str, History]) -> None:
        self.incident = incident
        self.events = tuple(events)
        self.updates: list[Update] = []
        self.finished: dict[Phase, Event] = {}
        self.words: dict[str, list[Event]] = {}
        self.end: Event | None = None
        self.issue: Event | None = None
        self.attached: list[str] = []
        self.looks: list[Look] = []
        self._fields: dict[str, tuple[str, int]] = {}
        self._runs = runs
        try:
            self._declared(self.events[0])
            for event in self.events[1:]:
                self._take(event)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            where = f"incident {incident.id}"
            raise RecordError(
                f"the incident's events are damaged: {type(error).__name__}: {error}", where=where
            ) from None

    # -- what it is ----------------------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """What it is, or came to."""
        return State(self.end.data["state"]) if self.end else State.OPEN

    @property
    def phase(self) -> Phase | None:
        """The first phase that is not finished; None where all are."""
        return next((phase for phase in Phase if phase not in self.finished), None)

    @property
    def owed(self) -> Owed | None:
        """The update that is due next; None where recovery is finished, or the incident has ended."""
        if self.end is not None or Phase.RECOVER in self.finished:
            return None
        return owed(self.severity, parse_instant(self.updates[-1].at if self.updates else self.events[0].at))

    @property
    def basis(self) -> Basis:
        """What answers can rest on: our own looks, those of the runs that were attached, and what was recorded."""
        seen = [Seen(look=look, prefix="") for look in self.looks]
        histories = []
        for number, run in enumerate(self.attached, start=1):
            history = self._runs.get(run)
            if history is not None:
                histories.append((number, history))
                seen += [Seen(look=look, prefix=label_of(number, look.label)) for look in history.looks]
        return Basis(
            affected=self.affected,
            version=self.version,
            started_at=self.started_at,
            cited=self.cited,
            opened=self.events[0],
            seen=tuple(sorted(seen, key=lambda one: parse_instant(one.look.finished_at))),
            runs=tuple(histories),
            events=self.events,
        )

    def field(self, name: str) -> tuple[str, tuple[str, ...]]:
        """The latest that an update says under that name, and the event that says it; nothing where none does."""
        text, seq = self._fields.get(name, ("", 0))
        return text, ((f"E{seq}",) if seq else ())

    def said(self, name: str) -> tuple[Answer, ...]:
        """What people said about an item, or a field of the report: the latest."""
        told = [
            Answer(by=PERSON, text={"en": event.data["answers"][name]}, cited=(f"E{event.seq}",), at=event.at)
            for event in self.words.get(name, [])
        ]
        return tuple(told[-1:])

    def answers(self, name: str) -> tuple[Answer, ...]:
        """What answers an item or a field of the report: evidence first, then what a person said."""
        return self._answers(name, self.basis)

    def items(self, phase: Phase) -> tuple[ItemState, ...]:
        """The items of a phase, with their answers."""
        basis = self.basis
        asked = items_of(phase, self.scenario)
        return tuple(ItemState(item=item, answers=self._answers(item.name, basis)) for item in asked)

    def open_items(self, phase: Phase) -> tuple[Item, ...]:
        """What is still to be answered in a phase."""
        return tuple(found.item for found in self.items(phase) if found.open)

    # -- what may be done ----------------------------------------------------------------------------------------

    def check_finish(self, phase: Phase) -> None:
        """Refuse to finish a phase that is not the next one, or has something open in it.

        Raises:
            Refused: it cannot be finished now; the message says why and what to type.
        """
        where = f"incident {self.incident.id}"
        if phase in self.finished:
            raise Refused(f"the phase {phase.value} is finished already", where=where)
        current = self.phase
        if phase is not current:
            assert current is not None  # noqa: S101 - this phase at least is not finished
            raise Refused(
                f"the phase {current.value} comes first",
                where=where,
                next_step=f"ops incident phase {self.incident.id} --finish {current.value}",
            )
        left = self.open_items(phase)
        if left:
            raise Refused(
                f"the phase {phase.value} has open items: {', '.join(item.name for item in left)}",
                where=where,
                allowed="every item answered, by evidence or by a person",
                next_step=typed(left[0], self.incident.id),
            )

    def check_close(self, reason: str) -> State:
        """The state in which it may be closed now.

        Raises:
            Refused: the checklist is not done, and there is no reason to close it all the same.
        """
        current = self.phase
        if current is not None and not reason:
            left = ", ".join(item.name for item in self.open_items(current)) or "nothing"
            raise Refused(
                f"the checklist is not done: the phase {current.value} is not finished (open: {left})",
                where=f"incident {self.incident.id}",
                allowed="a finished checklist, or a reason",
                next_step=f'ops incident close {self.incident.id} --reason "…"',
            )
        return State.RECOVERED if Phase.RECOVER in self.finished else State.CLOSED

    # -- understanding -------------------------------------------------------------------------------------------

    def _answers(self, name: str, basis: Basis) -> tuple[Answer, ...]:
        found, said = tuple(answers_of(name, basis)), self.said(name)
        if name == "verified" and said:
            # What somebody said before a look that found trouble says nothing about now.
            last = basis.seen[-1].look if basis.seen else None
            if last is not None and not last.healthy and parse_instant(said[0].at) < parse_instant(last.finished_at):
                said = ()
        return (*found, *said)

    def _declared(self, event: Event) -> None:
        if event.kind is not Kind.DECLARED:
            raise ValueError("it was never opened")
        data = event.data
        self.title = str(data["title"])
        self.severity = Severity(data["severity"])
        self.scenario = Scenario(data["scenario"]) if data["scenario"] else None
        self.source = str(data["source"])
        self.affected: tuple[str, ...] = tuple(data["affected"])
        self.version = str(data["version"])
        self.started_at = str(data["started_at"])
        self.look: Look | None = Look.from_json(data["look"]) if data["look"] else None
        self.looks += [self.look] if self.look else []
        self.cited: Mapping[str, Sequence[str]] = data["cited"]
        if self.started_at:
            parse_instant(self.started_at)

    def _take(self, event: Event) -> None:
        data = event.data
        if event.kind is Kind.UPDATED:
            self._updated(event)
        elif event.kind is Kind.ANSWERED:
            self._answered(event)
        elif event.kind is Kind.FINISHED:
            self.finished[Phase(data["phase"])] = event
        elif event.kind is Kind.ATTACHED:
            self.attached.append(data["run"])
        elif event.kind is Kind.LOOKED:
            self.looks.append(Look.from_json(data["look"]))
        elif event.kind is Kind.ISSUE:
            self.issue = event
        elif event.kind is Kind.CLOSED:
            State(data["state"])
            self.end = event

    def _updated(self, event: Event) -> None:
        data = event.data
        if data["severity"]:
            self.severity = Severity(data["severity"])
        if data["scenario"]:
            self.scenario = Scenario(data["scenario"])
        for name, text in data["fields"].items():
            self._fields[name] = (text, event.seq)
        self._answered(event)
        self.updates.append(
            Update(
                seq=event.seq,
                at=event.at,
                by=str(data["by"]),
                text=str(data["text"]),
                severity=self.severity,
                fields=dict(data["fields"]),
            )
        )

    def _answered(self, event: Event) -> None:
        for name, text in event.data["answers"].items():
            if not unknown(text):
                self.words.setdefault(name, []).append(event)


def check_answers(answers: Mapping[str, Any]) -> None:
    """Refuse an answer to what nobody asks.

    Raises:
        UsageError: naming it, and what is asked.
    """
    for name in answers:
        if name not in ANSWERABLE:
            raise UsageError(f"nobody asks for {name[:40]!a}", where="--answer", allowed=", ".join(ANSWERABLE))
