"""Incidents in the control store: events, steps, and the one row that says what an incident is.

Each function is one transaction. An event is added only behind the last one that we know of, so that of two programs
that take themselves for the one in charge only one can go on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, exists, insert, not_, or_, select, update

from ops_core.clock import Clock, isoformat, new_run_id
from ops_core.config import Settings
from ops_core.control import schema
from ops_core.control.checkpoint import as_line, checkpoint_here
from ops_core.control.problems import StoreConflict
from ops_core.control.service import ControlPlane
from ops_core.control.store import Transaction
from ops_core.errors import RecordError, UsageError
from ops_core.incident.looks import Look
from ops_core.incident.progress import Event, Kind, State
from ops_core.remediation.plan import Plan, shown
from ops_core.remediation.runner import StepState

_INCIDENT, _EVENT, _STEP = schema.incident, schema.incident_event, schema.step
_SELECT = select(
    _INCIDENT.c.id,
    _INCIDENT.c.opened_at,
    _INCIDENT.c.state,
    _INCIDENT.c.profile,
    _INCIDENT.c.suite,
    _INCIDENT.c.version,
    _INCIDENT.c.data,
)
STEPS_PER_ATTEMPT = 100
LISTED_MAX = 1000
# What the audit chain tells of, by the kind of the event; the rest is in the incident.
AUDITED: Mapping[Kind, str] = {
    Kind.OPENED: "incident.opened",
    Kind.PLANNED: "incident.planned",
    Kind.REFUSED: "incident.refused",
    Kind.ARMED: "step.armed",
    Kind.INTERRUPTED: "incident.interrupted",
    Kind.CLOSED: "incident.closed",
    Kind.DECLARED: "incident.declared",
    Kind.UPDATED: "incident.updated",
    Kind.ANSWERED: "incident.answered",
    Kind.FINISHED: "incident.phase_finished",
    Kind.NOTED: "incident.noted",
    Kind.ATTACHED: "incident.attached",
    Kind.LOOKED: "incident.looked",
    Kind.REPORTED: "incident.reported",
    Kind.ISSUE: "incident.issue",
    Kind.CHANGELOG: "incident.changelog",
}
# The suite of incidents that people handle: the loop never looks for it, since a suite has a name.
OF_PEOPLE = ""


@dataclass(frozen=True, kw_only=True)
class Incident:
    """An incident as its row has it."""

    id: str
    opened_at: str
    state: State
    profile: str
    suite: str
    version: int
    data: Mapping[str, Any]

    @property
    def of_people(self) -> bool:
        """Whether people handle it, not the loop."""
        return self.suite == OF_PEOPLE


@dataclass(frozen=True, kw_only=True)
class StepRow:
    """A step as it is recorded."""

    attempt: int
    phase: str
    index: int
    state: StepState
    armed_at: str | None
    ended_at: str | None
    data: Mapping[str, Any]


class Incidents:
    """The incidents of one control store.

    Args:
        plane: the control plane.
        clock: tells when something happened.
        actor: who is named in the audit chain.
    """

    def __init__(self, plane: ControlPlane, clock: Clock, actor: str) -> None:
        self._plane = plane
        self._clock = clock
        self._actor = actor
        self._last: dict[str, int] = {}

    def open(self, settings: Settings, suite: str, look: Look, data: Mapping[str, Any]) -> Incident:
        """Open an incident on what a look found.

        Raises:
            StoreUnusable: it cannot be recorded.
        """
        now = self._clock.now()
        row = self._row(settings, suite, data, now)
        with self._plane.transaction() as change:
            self._insert(change, row)
            self.add_event(change, row.id, Kind.OPENED, {"look": look.to_json()}, now)
        self.added(row.id)
        return row

    def declare(self, settings: Settings, key: str, told: Mapping[str, Any]) -> tuple[Incident, bool]:
        """Open an incident that people handle, unless one of that key is open; and whether it was opened.

        Args:
            settings: the profile.
            key: of two incidents with the same key one is open at a time; empty: it is like no other.
            told: what it is about, as its first event keeps it.

        Raises:
            StoreUnusable: it cannot be recorded.
        """
        with self._plane.transaction() as change:
            if key:
                for found in self._open_of_people(change, settings.profile):
                    if found.data.get("key") == key:
                        return found, False
            now = self._clock.now()
            row = self._row(settings, OF_PEOPLE, {"key": key}, now)
            self._insert(change, row)
            self.add_event(change, row.id, Kind.DECLARED, told, now)
        self.added(row.id)
        return row, True

    def open_of_people(self, profile: str) -> tuple[Incident, ...]:
        """The open incidents that people handle, the oldest first."""
        with self._plane.snapshot() as found:
            return self._open_of_people(found, profile)

    def append(self, incident: str, kind: Kind, data: Mapping[str, Any]) -> None:
        """Record that something happened.

        Raises:
            StoreUnusable: it cannot be recorded.
        """
        self.append_all(incident, [(kind, data)])

    def append_all(self, incident: str, told: Sequence[tuple[Kind, Mapping[str, Any]]]) -> None:
        """Record several things that happened, all of them or none.

        Raises:
            StoreConflict: somebody else added something since the events were read.
            StoreUnusable: they cannot be recorded.
        """
        if not told:
            return
        last = self._last.get(incident, 0)
        try:
            with self._plane.transaction() as change:
                for kind, data in told:
                    self.add_event(change, incident, kind, data, self._clock.now())
                    self.added(incident)
        except BaseException:
            self._last[incident] = last
            raise

    def plan(self, incident: str, plan: Plan, data: Mapping[str, Any]) -> None:
        """Record a plan with all its steps, those of the way back included."""
        number = int(data["attempt"])
        with self._plane.transaction() as change:
            told = {**data, "plan": plan.to_json(), "digest": plan.digest}
            self.add_event(change, incident, Kind.PLANNED, told, self._clock.now())
            for phase, steps in (("apply", plan.steps), ("undo", plan.undo)):
                for index, step in enumerate(steps):
                    change.execute(
                        insert(schema.step).values(
                            incident_id=incident,
                            plan_digest=plan.digest,
                            phase=phase,
                            idx=number * STEPS_PER_ATTEMPT + index,
                            state=StepState.PLANNED.value,
                            data=as_text({"command": shown(step.argv), "mark": {}, "armings": []}),
                        )
                    )
        self.added(incident)

    def close(self, incident: str, state: State, why: Mapping[str, Any]) -> None:
        """End an incident, once.

        Raises:
            StoreConflict: it has ended already.
        """
        with self._plane.transaction() as change:
            done = change.execute(
                update(_INCIDENT)
                .where(_INCIDENT.c.id == incident, _INCIDENT.c.state == State.OPEN.value)
                .values(state=state.value)
            )
            if done.rowcount != 1:
                raise StoreConflict("the incident has ended already", where=f"incident {incident}")
            data = {"state": state.value, "reason": dict(why), "checkpoint": as_line(checkpoint_here(change))}
            self.add_event(change, incident, Kind.CLOSED, data, self._clock.now())
        self.added(incident)

    def get(self, incident: str) -> Incident:
        """The incident of that id.

        Raises:
            UsageError: there is none.
        """
        with self._plane.snapshot() as found:
            row = found.execute(_SELECT.where(_INCIDENT.c.id == incident)).one_or_none()
        if row is None:
            raise UsageError(
                f"there is no incident {incident!r}", where=str(self._plane.path), next_step="ops incident list"
            )
        return _incident(row)

    def listed(self, profile: str | None = None) -> tuple[Incident, ...]:
        """The incidents there are, of one profile if named, the latest first, at most a thousand."""
        with self._plane.snapshot() as found:
            wanted = _SELECT if profile is None else _SELECT.where(_INCIDENT.c.profile == profile)
            latest_first = wanted.order_by(_INCIDENT.c.opened_at.desc(), _INCIDENT.c.id.desc())
            rows = found.execute(latest_first.limit(LISTED_MAX)).all()
        return tuple(_incident(row) for row in rows)

    def unfinished(self, profile: str, suite: str) -> tuple[Incident, ...]:
        """Incidents of a profile and suite that are open, or whose reports were not written, the oldest first."""
        with self._plane.snapshot() as found:
            filed = exists().where(_EVENT.c.incident_id == _INCIDENT.c.id, _EVENT.c.kind == Kind.FILED.value)
            rows = found.execute(
                _SELECT.where(
                    _INCIDENT.c.profile == profile,
                    _INCIDENT.c.suite == suite,
                    or_(_INCIDENT.c.state == State.OPEN.value, not_(filed)),
                ).order_by(_INCIDENT.c.opened_at, _INCIDENT.c.id)
            ).all()
        return tuple(_incident(row) for row in rows)

    def events(self, incident: str) -> tuple[Event, ...]:
        """Everything that happened, in order.

        Raises:
            RecordError: an event is damaged or missing.
        """
        with self._plane.snapshot() as found:
            rows = found.execute(
                select(_EVENT.c.seq, _EVENT.c.at, _EVENT.c.kind, _EVENT.c.data)
                .where(_EVENT.c.incident_id == incident)
                .order_by(_EVENT.c.seq)
            ).all()
        events = []
        for number, (seq, at, kind, data) in enumerate(rows, start=1):
            where = f"incident {incident}, event {number}"
            if seq != number:
                raise RecordError("an event of the incident is missing", where=where)
            if kind not in set(Kind):
                raise RecordError(f"an event of the incident is of an unknown kind {kind!r}", where=where)
            events.append(Event(seq=seq, at=at, kind=Kind(kind), data=as_table(data, where)))
        self._last[incident] = len(events)
        return tuple(events)

    def steps(self, incident: str) -> tuple[StepRow, ...]:
        """The steps of all attempts, in the order of the attempts, those of the way back behind the others."""
        with self._plane.snapshot() as found:
            rows = found.execute(
                select(_STEP.c.phase, _STEP.c.idx, _STEP.c.state, _STEP.c.armed_at, _STEP.c.ended_at, _STEP.c.data)
                .where(_STEP.c.incident_id == incident)
                .order_by(_STEP.c.idx // STEPS_PER_ATTEMPT, _STEP.c.phase, _STEP.c.idx)
            ).all()
        return tuple(
            StepRow(
                attempt=idx // STEPS_PER_ATTEMPT,
                phase=phase,
                index=idx % STEPS_PER_ATTEMPT,
                state=StepState(state),
                armed_at=armed_at,
                ended_at=ended_at,
                data=as_table(data, f"incident {incident}, step {idx}"),
            )
            for phase, idx, state, armed_at, ended_at, data in rows
        )

    @staticmethod
    def _row(settings: Settings, suite: str, data: Mapping[str, Any], now: datetime) -> Incident:
        return Incident(
            id=new_run_id(now),
            opened_at=isoformat(now),
            state=State.OPEN,
            profile=settings.profile,
            suite=suite,
            version=0,
            data={"drill": settings.drill, "targets": [target.name for target in settings.targets], **data},
        )

    @staticmethod
    def _insert(change: Transaction, row: Incident) -> None:
        values = {"id": row.id, "opened_at": row.opened_at, "state": row.state.value, "profile": row.profile}
        change.execute(
            insert(schema.incident).values(**values, suite=row.suite, version=row.version, data=as_text(row.data))
        )

    @staticmethod
    def _open_of_people(found: Transaction, profile: str) -> tuple[Incident, ...]:
        of_people = (_INCIDENT.c.suite == OF_PEOPLE, _INCIDENT.c.state == State.OPEN.value)
        wanted = _SELECT.where(_INCIDENT.c.profile == profile, *of_people)
        rows = found.execute(wanted.order_by(_INCIDENT.c.opened_at, _INCIDENT.c.id)).all()
        return tuple(_incident(row) for row in rows)

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Change the store, whatever the stop and the gate say: for records."""
        return self._plane.transaction()

    def snapshot(self) -> AbstractContextManager[Transaction]:
        """Read the store as it is at one instant."""
        return self._plane.snapshot()

    @property
    def actor(self) -> str:
        """Who is named in the audit chain."""
        return self._actor

    def now(self) -> datetime:
        """The time that records get."""
        return self._clock.now()

    def add_event(self, change: Transaction, incident: str, kind: Kind, data: Mapping[str, Any], at: datetime) -> None:
        """Add an event within a transaction of the caller.

        Raises:
            StoreConflict: somebody else added one meanwhile.
        """
        last = self._last.get(incident, 0)
        done = change.execute(
            update(_INCIDENT).where(_INCIDENT.c.id == incident, _INCIDENT.c.version == last).values(version=last + 1)
        )
        if done.rowcount != 1:
            raise StoreConflict("the incident was changed by somebody else", where=f"incident {incident}")
        change.execute(
            insert(_EVENT).values(
                incident_id=incident, seq=last + 1, at=isoformat(at), kind=kind.value, data=as_text(data)
            )
        )
        if kind in AUDITED:
            short = {key: value for key, value in data.items() if key not in {"look", "plan"}}
            change.audit(at=at, actor=self._actor, action=AUDITED[kind], subject=incident, detail=short)

    def added(self, incident: str) -> None:
        """The transaction of the last `add_event` was committed."""
        self._last[incident] = self._last.get(incident, 0) + 1


def _incident(row: Row[*tuple[Any, ...]]) -> Incident:
    where = f"incident {row[0]}"
    if row[2] not in set(State):
        raise RecordError(f"the incident is in an unknown state {row[2]!r}", where=where)
    return Incident(
        id=row[0],
        opened_at=row[1],
        state=State(row[2]),
        profile=row[3],
        suite=row[4],
        version=row[5],
        data=as_table(row[6], where),
    )


def as_text(value: Mapping[str, Any]) -> str:
    """JSON values as they are stored."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def as_table(text: str, where: str) -> dict[str, Any]:
    """The JSON values that `as_text` stored.

    Raises:
        RecordError: they are damaged.
    """
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise RecordError("what is recorded is damaged", where=where)
    return value
