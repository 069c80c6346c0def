"""Reads the incidents of the control store as figures need them. Trouble that has two incidents is one.

What the loop handled on behalf of people (an alert, or somebody who attached it) is part of theirs: it was found when
the first of the two was, and if the loop repaired it, nobody had to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from ops_core.clock import Clock, parse_instant
from ops_core.config import Settings
from ops_core.control.service import ControlPlane
from ops_core.errors import OpsError, RecordError
from ops_core.incident.events import Event, Kind, State
from ops_core.incident.looks import Look
from ops_core.incident.progress import History
from ops_core.incident.store import LISTED_MAX, Incident, Incidents
from ops_core.slo.recovery import Happened, is_security

READER = "slo"
NAMED_MAX = 20
# An incident is opened right after the look that found it; one that people attached may be older than theirs.
AROUND = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Told:
    """The incidents that were read; `problem` says why not all of them could be, and is empty where all were."""

    incidents: tuple[Happened, ...]
    damaged: int = 0
    named: tuple[str, ...] = ()
    problem: str = ""


def read_incidents(settings: Settings, plane: ControlPlane, clock: Clock, start: datetime, end: datetime) -> Told:
    """The incidents of a profile that bear on `[start, end)`. Never raises for the store's sake: it says so instead."""
    incidents = Incidents(plane, clock, READER)
    try:
        listed = incidents.listed(settings.profile)
        near = [one for one in listed if start - AROUND <= parse_instant(one.opened_at) < end + AROUND]
        found: dict[str, Happened] = {}
        attached: dict[str, list[str]] = {}
        named = []
        for one in near:
            try:
                events = incidents.events(one.id)
                found[one.id] = happened_of(one, events)
                attached[one.id] = [str(e.data["run"]) for e in events if e.kind is Kind.ATTACHED]
            except (RecordError, KeyError, ValueError, TypeError) as error:
                named.append(f"{one.id}: {error.what if isinstance(error, RecordError) else type(error).__name__}")
    except (OpsError, ValueError) as error:
        return Told(incidents=(), problem=error.what if isinstance(error, OpsError) else str(error))
    problem = ""
    if len(listed) == LISTED_MAX and parse_instant(listed[-1].opened_at) >= start:
        problem = f"only the latest {LISTED_MAX} incidents were read"
    elif named:
        problem = f"{len(named)} incidents cannot be read"
    return Told(incidents=merged(found, attached), damaged=len(named), named=tuple(named[:NAMED_MAX]), problem=problem)


def happened_of(incident: Incident, events: Sequence[Event]) -> Happened:
    """One incident as figures need it.

    Raises:
        RecordError: its events are damaged.
    """
    return _of_people(incident, events) if incident.of_people else _of_loop(incident, events)


def merged(found: Mapping[str, Happened], attached: Mapping[str, Iterable[str]]) -> tuple[Happened, ...]:
    """Incidents with those of the loop that are attached to them made one."""
    taken: set[str] = set()
    whole = []
    for name, one in found.items():
        runs = [found[run] for run in attached.get(name, ()) if run in found]
        taken.update(run.id for run in runs)
        whole.append(_with(one, runs) if runs else one)
    return tuple(one for one in whole if one.id not in taken)


def _with(one: Happened, runs: Sequence[Happened]) -> Happened:
    detected_at = min(one.detected_at, *(run.detected_at for run in runs))
    repaired = [run.recovered_at for run in runs if run.recovered_at is not None]
    return replace(
        one,
        # What a person says, or an alert, is better than the beginning of some look.
        began_at=min(one.began_at, detected_at) if one.began_known else min(run.began_at for run in runs),
        began_known=one.began_known or any(run.began_known for run in runs),
        detected_at=detected_at,
        recovered_at=max(repaired) if repaired else one.recovered_at,
        automatic=bool(repaired),
        security=one.security or any(run.security for run in runs),
        targets=tuple(dict.fromkeys([*one.targets, *(target for run in runs for target in run.targets)])),
    )


def _of_loop(incident: Incident, events: Sequence[Event]) -> Happened:
    history = History(events)
    first = history.rounds[0].look
    injected_at = incident.data.get("injected_at")
    recovered = history.end is not None and history.state is State.RECOVERED
    ended_at = _instant(history.end.at) if history.end else None
    bad = [one for look in history.looks for one in look.bad]
    return Happened(
        id=incident.id,
        began_at=_instant(injected_at or first.started_at),
        began_known=bool(injected_at),
        detected_at=_instant(first.finished_at),
        recovered_at=ended_at if recovered else None,
        ended_at=ended_at,
        state=history.state.value,
        automatic=recovered,
        security=is_security(one.code for one in bad),
        drill=bool(incident.data.get("drill")),
        targets=tuple(dict.fromkeys(one.target for one in bad if one.target)),
    )


def _of_people(incident: Incident, events: Sequence[Event]) -> Happened:
    declared = next((event for event in events if event.kind is Kind.DECLARED), None)
    if declared is None:
        raise RecordError("the incident's events are damaged: it was never opened", where=incident.id)
    end = next((event for event in events if event.kind is Kind.CLOSED), None)
    state = State(end.data["state"]) if end else State.OPEN
    detected_at = _instant(declared.at)
    began_at = _instant(declared.data["started_at"]) if declared.data.get("started_at") else detected_at
    ended_at = _instant(end.at) if end else None
    look = Look.from_json(declared.data["look"]) if declared.data.get("look") else None
    return Happened(
        id=incident.id,
        began_at=began_at,
        began_known=bool(declared.data.get("started_at")),
        detected_at=detected_at,
        recovered_at=ended_at if state is State.RECOVERED else None,
        ended_at=ended_at,
        state=state.value,
        security=is_security(bad.code for bad in look.bad) if look else False,
        drill=bool(incident.data.get("drill")),
        targets=tuple(str(one) for one in declared.data.get("affected", ())),
    )


def _instant(value: Any) -> datetime:
    if not isinstance(value, str):
        raise RecordError("the incident's events are damaged: a time is missing")
    return parse_instant(value)
