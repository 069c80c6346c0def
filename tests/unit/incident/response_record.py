"""An incident that people handle, as events without a store."""

from __future__ import annotations

from datetime import UTC, datetime

from ops_core.clock import isoformat
from ops_core.incident.events import Event, Kind, State
from ops_core.incident.response import Response
from ops_core.incident.store import Incident

START = datetime(2026, 1, 5, 9, tzinfo=UTC)


class Record:
    """The events of one incident, as the store would keep them."""

    def __init__(self, **changes):
        self.now = START
        self.events = []
        told = {
            "title": "orders fail",
            "severity": "SEV-2",
            "scenario": "",
            "source": "hand",
            "affected": [],
            "version": "",
            "started_at": "",
            "look": None,
            "cited": {},
        }
        self.add(Kind.DECLARED, {**told, **changes})

    def add(self, kind, data):
        self.events.append(Event(seq=len(self.events) + 1, at=isoformat(self.now), kind=kind, data=data))

    def update(self, text="still at it", severity="", scenario="", fields=None, answers=None):
        data = {"text": text, "severity": severity, "scenario": scenario, "by": "kim"}
        self.add(Kind.UPDATED, {**data, "fields": fields or {}, "answers": answers or {}})

    def answer(self, **answers):
        self.add(Kind.ANSWERED, {"answers": answers, "by": "kim"})

    @property
    def response(self):
        row = Incident(
            id="20260105T090000Z-3f9a1c",
            opened_at=isoformat(START),
            state=State.OPEN,
            profile="default",
            suite="",
            version=len(self.events),
            data={},
        )
        return Response(row, self.events, {})
