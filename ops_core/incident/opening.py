"""Opening an incident that people handle, whoever asks for it: a person who types, or an alert that arrives.

Of two that are asked for with the same key one is opened, and the other one gets to know it. Everything that follows is
an event behind it, added whatever others add meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from ops_core.clock import Clock, isoformat, parse_instant
from ops_core.config import Settings
from ops_core.control.model import NOBODY, REASON_MAX_CHARS, tidy
from ops_core.control.problems import StoreConflict
from ops_core.control.service import ControlPlane
from ops_core.errors import Refused, UsageError
from ops_core.incident.events import AFTERWARDS, Event, Kind, State
from ops_core.incident.looks import Look
from ops_core.incident.severity import Scenario, Severity
from ops_core.incident.store import Incident, Incidents

BY_HAND = "hand"
TITLE_MAX_CHARS = 200
TEXT_MAX_CHARS = 2000
AFFECTED_MAX = 50
TRIES_MAX = 20
SHOW = "ops incident show {id}"

Told = tuple[Kind, Mapping[str, Any]]


def open_incident(
    settings: Settings,
    plane: ControlPlane,
    clock: Clock,
    *,
    title: str,
    severity: Severity,
    scenario: Scenario | None,
    source: str,
    key: str,
    affected: Sequence[str],
    version: str,
    actor: str,
    started_at: datetime | None = None,
    look: Look | None = None,
    cited: Mapping[str, Sequence[str]] | None = None,
) -> Incident:
    """Open an incident that people handle; where one of that key is open already, that one.

    Args:
        settings: the profile.
        plane: the control plane; its store is made (stopped) where it is missing.
        clock: tells when it was opened.
        title: what is wrong, in one line.
        severity: how severe it is thought to be.
        scenario: what kind of trouble, if that is known.
        source: who asked for it: `hand`, `alert`, …
        key: what tells it from others, such as an alert's group; empty: it is like no other.
        affected: endpoints or targets; none, where nobody knows yet.
        version: the version that is affected; empty, where nobody knows yet.
        actor: who is named in the audit chain.
        started_at: when the trouble began, if that is known.
        look: the observation that the rest is taken from; its label is O1.
        cited: which evidence `affected`, `version` and `started_at` rest on, with O1 in front; else on the opening.

    Raises:
        UsageError: there is no title in it.
        StoreUnusable: it cannot be recorded.
    """
    plane.create()
    fit = tidy(title, "", TITLE_MAX_CHARS)
    if not fit:
        raise UsageError(
            "an incident needs a title", where="title", allowed=f"one line of 1 to {TITLE_MAX_CHARS} characters"
        )
    told = {
        "title": fit,
        "severity": severity.value,
        "scenario": scenario.value if scenario else "",
        "source": tidy(source, BY_HAND),
        "affected": [name for name in (tidy(one, "") for one in affected) if name][:AFFECTED_MAX],
        "version": tidy(version, ""),
        "started_at": isoformat(started_at) if started_at else "",
        "look": look.to_json() if look else None,
        "cited": {name: list(ids) for name, ids in (cited or {}).items()},
        "by": tidy(actor, NOBODY),
    }
    incident, _ = Incidents(plane, clock, actor).declare(settings, tidy(key, "", REASON_MAX_CHARS), told)
    return incident


def note(
    plane: ControlPlane,
    clock: Clock,
    incident_id: str,
    text: str,
    *,
    actor: str,
    source: str = BY_HAND,
    cleared: bool = False,
    url: str = "",
) -> None:
    """Record something about an incident that is no update of ours, such as what an alert said later.

    Args:
        plane: the control plane.
        clock: tells when.
        incident_id: which one; it may have ended.
        text: what is to be recorded.
        actor: who is named in the audit chain.
        source: who says so.
        cleared: whether it says that the alert has cleared: that answers an item of the checklist.
        url: where more is to be read.

    Raises:
        UsageError: there is no such incident.
        StoreUnusable: it cannot be recorded.
    """
    told = {"text": tidy(text, "-", TEXT_MAX_CHARS), "source": tidy(source, BY_HAND), "cleared": cleared}
    data = {**told, "url": tidy(url, "", REASON_MAX_CHARS), "by": tidy(actor, NOBODY)}
    add(Incidents(plane, clock, actor), incident_id, lambda _incident, _events: [(Kind.NOTED, data)])


def attach(plane: ControlPlane, clock: Clock, incident_id: str, run: str, *, actor: str) -> None:
    """Attach what the loop did, an incident of its own, to one that people handle: its evidence answers theirs.

    Raises:
        UsageError: there is no such incident, or the loop's is none of the loop's or of another profile.
        Refused: the people's incident has ended.
        StoreUnusable: it cannot be recorded.
    """
    incidents = Incidents(plane, clock, actor)
    found = incidents.get(run)

    def told(incident: Incident, events: Sequence[Event]) -> list[Told]:
        if found.of_people or found.profile != incident.profile:
            raise UsageError(
                f"{run} cannot be attached",
                where=f"incident {incident.id}",
                allowed=f"an incident of `ops incident run` in profile {incident.profile}",
                next_step="ops incident list",
            )
        known = any(event.kind is Kind.ATTACHED and event.data["run"] == run for event in events)
        return [] if known else [(Kind.ATTACHED, {"run": run, "by": tidy(actor, NOBODY)})]

    add(incidents, incident_id, told)


def add(
    incidents: Incidents, incident_id: str, make: Callable[[Incident, Sequence[Event]], Sequence[Told]]
) -> Sequence[Event]:
    """Add events that follow from those that are there, whatever others add meanwhile; returns all of them.

    Args:
        incidents: where they are kept.
        incident_id: which one.
        make: told the incident and its events, returns what is to be added; called again where somebody was quicker.

    Raises:
        UsageError: there is no such incident.
        Refused: it has ended, and what is to be added is not for afterwards.
        StoreUnusable: it cannot be recorded.
    """
    for _ in range(TRIES_MAX):
        incident = incidents.get(incident_id)
        events = incidents.events(incident_id)
        told = make(incident, events)
        late = next((kind for kind, _ in told if kind not in AFTERWARDS), None)
        if incident.state is not State.OPEN and late is not None:
            raise ended(incident)
        try:
            incidents.append_all(incident_id, told)
        except StoreConflict:
            continue
        return incidents.events(incident_id) if told else events
    raise StoreConflict(
        "others change the incident all the time", where=f"incident {incident_id}", next_step="try again"
    )


def ended(incident: Incident) -> Refused:
    """What is said to whoever wants to go on with an incident that has ended."""
    return Refused(
        f"the incident has ended: {incident.state.value}",
        where=f"incident {incident.id}",
        next_step='ops incident open --severity … --title "…"',
    )


def instant(text: str, where: str) -> datetime:
    """The instant that a person typed.

    Raises:
        UsageError: it is none.
    """
    try:
        return parse_instant(text)
    except (ValueError, OverflowError):
        raise UsageError(
            f"{text[:40]!a} is not an instant", where=where, allowed="ISO 8601 with a zone: 2026-01-04T09:05:00Z"
        ) from None
