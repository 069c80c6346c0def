"""Takes alerts: opens the incident they belong to, notes what they say later, keeps in mind what is to be looked at.

The audit chain is the memory: an alert has a row when it is taken and another one when it is told to be over. So
whatever is sent again changes nothing, whoever sends it and however often. Over is noted, and nothing follows from it:
a person closes an incident.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from sqlalchemy import select

from ops_core.clock import Clock
from ops_core.config import Settings, known_secrets
from ops_core.content import content_dir
from ops_core.control import schema
from ops_core.control.model import why_stopped
from ops_core.control.problems import StoreConflict
from ops_core.control.service import ControlPlane
from ops_core.control.store import Transaction
from ops_core.incident.alerts import SOURCE, Alert, Notification, Wanted, began_at, title_of, wanted_by
from ops_core.incident.events import Kind
from ops_core.incident.opening import TRIES_MAX, open_incident
from ops_core.incident.severity import Severity
from ops_core.incident.store import Incident, Incidents

TAKEN, OVER = "alert.taken", "alert.over"
LOOK_WANTED, LOOK_BEGUN, LOOK_ENDED = "alert.look_wanted", "alert.look_begun", "alert.look_ended"
ROWS_MAX = 2000
SCHEMA = "alerts_taken_v1"
QUEUED, WAITS, OFF, NONE = "queued", "waits", "off", "none"
STOPPED = "the look waits: the emergency stop is engaged"
STRAY = "what is over was never told to have begun: it belongs to no incident"

Found = TypeVar("Found")


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What became of a notification.

    Attributes:
        incident: the id of the incident that it belongs to; empty where there is none.
        opened: whether it was opened just now.
        firing: how many alerts were new.
        over: how many were told to be over for the first time.
        known: how many were known already, and changed nothing.
        left_out: how many more the sender says that there are.
        look: `queued`, `waits` (the emergency stop is engaged), `off` (not configured), `none` (nothing to look at).
        notes: what else there is to say.
    """

    incident: str = ""
    opened: bool = False
    firing: int = 0
    over: int = 0
    known: int = 0
    left_out: int = 0
    look: str = NONE
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """As JSON values; `status` is `taken`, or `known` where nothing was new."""
        return {
            "schema": SCHEMA,
            "status": "taken" if self.firing or self.over else "known",
            "incident": self.incident or None,
            "opened": self.opened,
            "firing": self.firing,
            "resolved": self.over,
            "known": self.known,
            "left_out": self.left_out,
            "look": self.look,
            "notes": list(self.notes),
        }


def take(settings: Settings, plane: ControlPlane, clock: Clock, told: Notification, *, actor: str) -> Taken:
    """Take what a monitoring system has sent. Sending it again, or parts of it, changes nothing.

    Args:
        settings: the profile.
        plane: its control plane.
        clock: tells when.
        told: what was sent.
        actor: who is named in the audit chain.

    Raises:
        StoreUnusable: it cannot be recorded; it should be sent again.
    """
    told = _redacted(settings, told)
    taking = _Taking(told=told, incidents=Incidents(plane, clock, actor), actor=actor, look=settings.alerts.observe)
    with plane.snapshot() as found:
        begun, over = taking.fresh(found)
        belongs = taking.taken(found)
    incident, wanted = None, None
    if begun:
        wanted = wanted_by(
            begun,
            targets=[target.name for target in settings.targets],
            suites=suites_of(settings),
            suite=settings.alerts.suite,
            severity=Severity(settings.alerts.severity),
        )
        incident = open_incident(
            settings,
            plane,
            clock,
            title=title_of(begun),
            severity=wanted.severity,
            scenario=None,
            source=SOURCE,
            key=told.key,
            affected=wanted.targets,
            version="",
            actor=actor,
            started_at=began_at(begun),
        )
        begun = taking.record_begun(incident, begun, wanted)
    cleared = taking.record_over(over, [one for one in belongs.values() if one])
    stopped = bool(why_stopped(plane.state()))
    looking = bool(begun) and taking.look
    return Taken(
        incident=incident.id if incident else next((one for one in reversed(belongs.values()) if one), ""),
        opened=bool(incident and begun and not incident.version),
        firing=len(begun),
        over=len(cleared),
        known=len(told.alerts) - len(begun) - len(cleared),
        left_out=told.left_out,
        look=(WAITS if stopped else QUEUED) if looking else OFF if begun else NONE,
        notes=(
            *(wanted.unknown if wanted and begun else ()),
            *((STOPPED,) if looking and stopped else ()),
            *((STRAY,) if "" in cleared else ()),
        ),
    )


def pending(found: Transaction) -> list[tuple[str, str]]:
    """The incidents that are to be looked at, each with the suite; what was asked for first comes first.

    A look that has begun answers what was asked for before it, not what is asked for while it is under way.
    """
    last = _latest(found, (LOOK_WANTED, LOOK_BEGUN))
    return [(incident, suite) for incident, (action, suite) in last.items() if action == LOOK_WANTED]


def cut_off(found: Transaction) -> list[str]:
    """The incidents whose look has begun and not ended: for whoever knows that nobody is at it."""
    last = _latest(found, (LOOK_BEGUN, LOOK_ENDED))
    return [incident for incident, (action, _suite) in last.items() if action == LOOK_BEGUN]


def suites_of(settings: Settings) -> tuple[str, ...]:
    """The suites that can be run here: those of the profile's own folder, and the shipped ones that are switched on."""
    own = settings.root / "checks"
    mine = {folder.name for folder in own.iterdir() if folder.is_dir()} if own.is_dir() else set()
    shipped = {name for name in settings.suites if (content_dir() / "checks" / name).is_dir()}
    return tuple(sorted(name for name in mine | shipped if name.isidentifier() and name[0] != "_"))


def _redacted(settings: Settings, told: Notification) -> Notification:
    """The same, with what its alerts say freed of every secret that is known here."""
    from ops_core.probes.instruments.redact import Redactor

    clean = Redactor(known_secrets(settings).values()).text
    return replace(told, alerts=tuple(replace(one, summary=clean(one.summary)) for one in told.alerts))


@dataclass(frozen=True, kw_only=True)
class _Taking:
    """One notification on its way into the record; `look` says whether a look follows."""

    told: Notification
    incidents: Incidents
    actor: str
    look: bool

    def fresh(self, found: Transaction) -> tuple[list[Alert], list[Alert]]:
        """Those that fire and those that are over, as far as nobody has told that before; each once."""
        each = {(self.told.mark(alert), alert.firing): alert for alert in self.told.alerts}
        taken, over = self.taken(found), self._rows(found, OVER)
        begun = [one for (mark, firing), one in each.items() if firing and mark not in taken]
        return begun, [one for (mark, firing), one in each.items() if not firing and mark not in over]

    def taken(self, found: Transaction) -> dict[str, str]:
        """By the mark of an alert that was taken the incident that it belongs to."""
        return self._rows(found, TAKEN)

    def record_begun(self, incident: Incident, begun: Sequence[Alert], wanted: Wanted) -> list[Alert]:
        """Record alerts as taken, all at once; returns those that nobody else has recorded meanwhile."""

        def within(change: Transaction) -> list[Alert]:
            taken = self.taken(change)
            fresh = [alert for alert in begun if self.told.mark(alert) not in taken]
            if not fresh:
                return []
            for alert in fresh:
                self._audit(change, TAKEN, alert, incident.id)
            more = [f"more alerts of the same group: {title_of(fresh)}"] if incident.version else []
            left = self.told.left_out
            more += [*wanted.unknown, *([f"the sender left out {left} more alerts of the group"] if left else [])]
            for text in more:
                self._note(change, incident.id, text)
            if self.look:
                detail = {"suite": wanted.suite}
                now = self.incidents.now()
                change.audit(at=now, actor=self.actor, action=LOOK_WANTED, subject=incident.id, detail=detail)
            return fresh

        return self._recorded([incident.id], within)

    def record_over(self, over: Sequence[Alert], belongs: Iterable[str]) -> list[str]:
        """Note that alerts are over: for each that nobody else has noted meanwhile its incident, or an empty text."""

        def within(change: Transaction) -> list[str]:
            done, taken = self._rows(change, OVER), self.taken(change)
            marked = [(alert, self.told.mark(alert)) for alert in over]
            fresh = [(alert, taken.get(mark, "")) for alert, mark in marked if mark not in done]
            for alert, incident in fresh:
                self._audit(change, OVER, alert, incident)
            for incident in dict.fromkeys(one for _, one in fresh if one):
                text = f"over, as the sender says: {title_of([alert for alert, one in fresh if one == incident])}"
                self._note(change, incident, text, cleared=not _still_firing(change, incident))
            return [incident for _, incident in fresh]

        return self._recorded(list(dict.fromkeys(belongs)), within) if over else []

    def _recorded(self, incidents: Sequence[str], within: Callable[[Transaction], Found]) -> Found:
        for _ in range(TRIES_MAX):
            for incident in incidents:
                self.incidents.events(incident)
            try:
                with self.incidents.transaction() as change:
                    return within(change)
            except StoreConflict:
                continue
        raise StoreConflict("others change the incident all the time", where=self.told.key, next_step="send it again")

    def _audit(self, change: Transaction, action: str, alert: Alert, incident: str) -> None:
        detail = {"incident": incident, "name": alert.name, "starts_at": alert.starts_at, "group": self.told.key}
        mark = self.told.mark(alert)
        change.audit(at=self.incidents.now(), actor=self.actor, action=action, subject=mark, detail=detail)

    def _note(self, change: Transaction, incident: str, text: str, *, cleared: bool = False) -> None:
        data = {"text": text, "source": SOURCE, "cleared": cleared, "url": ""}
        self.incidents.add_event(change, incident, Kind.NOTED, data, self.incidents.now())
        self.incidents.added(incident)

    def _rows(self, found: Transaction, action: str) -> dict[str, str]:
        """By the mark of an alert the incident that it belongs to, for those that have such a row."""
        audit, marks = schema.audit, {self.told.mark(alert) for alert in self.told.alerts}
        wanted = select(audit.c.subject, audit.c.detail).where(audit.c.action == action, audit.c.subject.in_(marks))
        rows = found.execute(wanted.order_by(audit.c.seq)).all()
        return {row.subject: str(json.loads(row.detail)["incident"]) for row in rows}


def _still_firing(found: Transaction, incident: str) -> bool:
    """Whether an alert that was taken for the incident is not over as far as was told."""
    audit = schema.audit
    wanted = select(audit.c.action, audit.c.subject, audit.c.detail).where(
        audit.c.action.in_([TAKEN, OVER]), audit.c.detail.contains(incident, autoescape=True)
    )
    marks: dict[str, set[str]] = {TAKEN: set(), OVER: set()}
    for row in found.execute(wanted.order_by(audit.c.seq.desc()).limit(ROWS_MAX)):
        marks[row.action].add(row.subject)
    return bool(marks[TAKEN] - marks[OVER])


def _latest(found: Transaction, actions: Sequence[str]) -> dict[str, tuple[str, str]]:
    """By incident the last of these that was recorded about its look, and the suite, in the order of the record."""
    audit = schema.audit
    wanted = select(audit.c.action, audit.c.subject, audit.c.detail).where(audit.c.action.in_(actions))
    told: dict[str, tuple[str, str]] = {}
    for row in found.execute(wanted.order_by(audit.c.seq.desc()).limit(ROWS_MAX)):
        told.setdefault(row.subject, (row.action, str(json.loads(row.detail).get("suite", ""))))
    return dict(reversed(told.items()))
