"""What people do with an incident: tell the others, answer the checklist, finish a phase, close it. Each act one event.

What may be done is `response`'s to say. It is asked again where somebody else was quicker, so nothing is ever recorded
that could not have been done at that moment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ops_core.clock import Clock
from ops_core.control.model import required_reason, tidy
from ops_core.control.service import ControlPlane
from ops_core.errors import Refused, UsageError
from ops_core.incident.events import Event, Kind, State
from ops_core.incident.fields import UPDATE_FIELDS
from ops_core.incident.looks import Look
from ops_core.incident.opening import TEXT_MAX_CHARS, Told, add, ended
from ops_core.incident.phases import Phase
from ops_core.incident.progress import History
from ops_core.incident.response import Response, check_answers
from ops_core.incident.severity import Scenario, Severity
from ops_core.incident.store import Incident, Incidents
from ops_core.incident.words import reason as given

ATTACHED_MAX = 50


@dataclass(frozen=True, kw_only=True)
class Saying:
    """What a person says in one update. Without a text it answers items only, and the cadence goes on."""

    text: str = ""
    severity: Severity | None = None
    scenario: Scenario | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[str, str] = field(default_factory=dict)


class Responses:
    """The incidents of one control store that people handle.

    Args:
        plane: the control plane.
        clock: tells when something happened.
        actor: who acts.
    """

    def __init__(self, plane: ControlPlane, clock: Clock, actor: str) -> None:
        self.incidents = Incidents(plane, clock, actor)
        self._actor = tidy(actor, "unknown")

    def get(self, incident_id: str) -> Response:
        """The response to an incident, as it is now.

        Raises:
            UsageError: there is no such incident, or the loop handles it.
            RecordError: what is recorded is damaged.
        """
        return self._response(self.incidents.get(incident_id), self.incidents.events(incident_id))

    def open_ones(self, profile: str) -> tuple[Response, ...]:
        """The open incidents of a profile that people handle, the oldest first."""
        return tuple(self.get(one.id) for one in self.incidents.open_of_people(profile))

    def update(self, incident_id: str, saying: Saying) -> Response:
        """Tell the others something, answer items, change the severity.

        Raises:
            UsageError: nothing is said, or something that nobody asks for; another severity without a text.
            Refused: the incident has ended.
            StoreUnusable: it cannot be recorded.
        """
        check_answers(saying.answers)
        text = tidy(saying.text, "", TEXT_MAX_CHARS)
        typed = f'ops incident update {incident_id} --text "…"'
        if not text and (saying.severity or saying.scenario or saying.fields):
            raise UsageError("an update needs a text: it tells the others, and why", where="--text", next_step=typed)
        if not text and not saying.answers:
            raise UsageError("the update says nothing", where="--text", next_step=typed)
        answers = {name: _fit(name, said) for name, said in saying.answers.items()}
        fields = {name: tidy(said, "", TEXT_MAX_CHARS) for name, said in saying.fields.items() if name in UPDATE_FIELDS}
        told: dict[str, Any] = {"answers": answers, "by": self._actor}
        kind = Kind.ANSWERED
        if text:
            kind = Kind.UPDATED
            told |= {
                "text": text,
                "severity": saying.severity.value if saying.severity else "",
                "scenario": saying.scenario.value if saying.scenario else "",
                "fields": {name: said for name, said in fields.items() if said},
            }
        return self._add(incident_id, lambda _response: [(kind, told)])

    def finish(self, incident_id: str, phase: Phase) -> Response:
        """Finish a phase; what it rests on is recorded with it.

        Raises:
            Refused: something in it is open, or another phase comes first, or the incident has ended.
            StoreUnusable: it cannot be recorded.
        """

        def told(response: Response) -> Sequence[Told]:
            response.check_finish(phase)
            answers = [
                {"item": found.item.name, "by": one.by, "text": dict(one.text), "cited": list(one.cited)}
                for found in response.items(phase)
                for one in found.answers
            ]
            return [(Kind.FINISHED, {"phase": phase.value, "answers": answers, "by": self._actor})]

        return self._add(incident_id, told)

    def close(self, incident_id: str, reason: str) -> Response:
        """Close an incident: recovered where that was verified, else closed for the reason that is given.

        Raises:
            UsageError: the reason is not fit for a record.
            Refused: the checklist is not done and there is no reason, or the incident has ended.
            StoreUnusable: it cannot be recorded.
        """
        fit = required_reason(reason, "closing", f'ops incident close {incident_id} --reason "…"') if reason else ""
        response = self.get(incident_id)
        if response.state is not State.OPEN:
            raise ended(response.incident)
        state = response.check_close(fit)
        # A conflict is told: whoever closes should have seen what was said last.
        self.incidents.close(incident_id, state, given("given", detail=fit) if fit else {})
        return self.get(incident_id)

    def look(self, incident_id: str, make: Callable[[str], Look]) -> Response:
        """Keep an observation as evidence of an incident.

        Args:
            incident_id: which one.
            make: given the label that the look is to have, returns it.

        Raises:
            Refused: there is nothing to keep, or it is kept already, or the incident has ended.
            StoreUnusable: it cannot be recorded.
        """

        def told(response: Response) -> Sequence[Told]:
            look = make(f"O{len(response.looks) + 1}")
            if any(look.run_id == one.run_id for one in response.looks):
                raise Refused(
                    "that observation is kept already",
                    where=f"incident {incident_id}",
                    next_step="look again: ops observe --suite service",
                )
            return [(Kind.LOOKED, {"look": look.to_json(), "by": self._actor})]

        return self._add(incident_id, told)

    def record(self, incident_id: str, kind: Kind, data: Mapping[str, Any]) -> Response:
        """Record that a document was written, or what became of an issue.

        Raises:
            StoreUnusable: it cannot be recorded.
        """
        return self._add(incident_id, lambda _response: [(kind, {**data, "by": self._actor})], late=True)

    def _add(self, incident_id: str, make: Callable[[Response], Sequence[Told]], *, late: bool = False) -> Response:
        def told(incident: Incident, events: Sequence[Event]) -> Sequence[Told]:
            response = self._response(incident, events)
            if response.state is not State.OPEN and not late:
                # Before anything else: what is open in a phase does not matter any more.
                raise ended(incident)
            return make(response)

        add(self.incidents, incident_id, told)
        return self.get(incident_id)

    def _response(self, incident: Incident, events: Sequence[Event]) -> Response:
        if not incident.of_people:
            raise UsageError(
                "the loop handles that incident, not people",
                where=f"incident {incident.id}",
                next_step=f'ops incident open --severity … --title "…" --attach {incident.id}',
            )
        runs = [event.data["run"] for event in events if event.kind is Kind.ATTACHED][:ATTACHED_MAX]
        histories = {run: History(self.incidents.events(run)) for run in dict.fromkeys(runs)}
        return Response(incident, events, histories)


def _fit(name: str, said: str) -> str:
    """An answer as it is recorded.

    Raises:
        UsageError: there is nothing in it.
    """
    fit = tidy(said, "", TEXT_MAX_CHARS)
    if not fit:
        raise UsageError(f"the answer to {name} is empty", where="--answer", allowed="text, or the word unknown")
    return fit
