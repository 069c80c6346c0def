"""An issue about an incident, for those who were not there: its text, and making it, once at most.

Making one is a real effect, whatever the profile: the stop has to be released and the gate at REAL_ENABLED in the
transaction that arms it. Armed counts as begun: whoever finds it armed and not ended cannot know whether the issue is
there, calls it UNKNOWN, and makes none. Only what certainly was not made may be tried again, by a person.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from ops_core.clock import Clock
from ops_core.config import Settings, known_secrets
from ops_core.control.model import tidy
from ops_core.control.service import ControlPlane
from ops_core.errors import Refused, UsageError
from ops_core.incident.documents import issue_view
from ops_core.incident.events import Kind, State
from ops_core.incident.files import rendered, rendered_issue
from ops_core.incident.handling import Responses
from ops_core.incident.opening import add
from ops_core.incident.store import Incident, Incidents
from ops_core.incident.timeline import view_of
from ops_core.probes.instruments.redact import Redactor
from ops_core.push.issues import IssueMaker, issue_maker
from ops_core.push.results import Delivered, NotDelivered
from ops_core.remediation.guard import Guard
from ops_core.report.render import RESPONSE_ISSUE

ARMED, CREATED, FAILED, UNKNOWN = "armed", "created", "failed", "unknown"
TITLE_MAX_CHARS = 200
BODY_MAX_CHARS = 60_000  # GitHub takes 65536
URL_MAX_CHARS = 500
INTERRUPTED = "the program that made it ended before it knew: look whether the issue is there"


@dataclass(frozen=True, kw_only=True)
class Issue:
    """What an issue says, and what became of it: state and detail are empty where none was tried."""

    incident: str
    title: str
    body: str
    state: str = ""
    detail: str = ""


def issue_of(
    settings: Settings, plane: ControlPlane, clock: Clock, incident_id: str, lang: str, warn: Callable[[str], None]
) -> Issue:
    """The issue about an incident, of people or of the loop, as it would be made now.

    Raises:
        UsageError: there is no such incident.
        OpsError: it cannot be read or written down.
    """
    incidents = Incidents(plane, clock, plane.actor)
    incident = incidents.get(incident_id)
    events = incidents.events(incident_id)
    if incident.of_people:
        response = Responses(plane, clock, plane.actor).get(incident_id)
        title = f"{response.severity.value}: {response.title}"
        body = rendered(settings, issue_view(response), RESPONSE_ISSUE, lang, warn)
    else:
        view = view_of(incident, events, incidents.steps(incident_id), lang)
        codes = ", ".join(dict.fromkeys(finding.code for finding in view.findings)) or incident_id
        title = f"Incident {incident_id}: {codes}"
        body = rendered_issue(settings, view, lang, warn)
    redact = Redactor(known_secrets(settings).values()).text
    last = _last(incidents, incident_id)
    return Issue(
        incident=incident_id,
        title=tidy(redact(title), incident_id, TITLE_MAX_CHARS),
        body=redact(body)[:BODY_MAX_CHARS],
        state=str(last.get("state", "")),
        detail=str(last.get("detail", "")),
    )


def create_issue(settings: Settings, plane: ControlPlane, clock: Clock, issue: Issue) -> Issue:
    """Make the issue, if that is permitted and none was made before.

    Raises:
        UsageError: no repository or no token is named.
        Refused: not permitted; or one was made, or may have been; or the loop is still at the incident.
        StoreUnusable: it cannot be recorded, so it is not made.
    """
    maker = issue_maker(settings)
    guard = Guard(plane, drill=False)
    incidents = Incidents(plane, clock, plane.actor)
    with ExitStack() as stack:
        guard.check()
        guard.begin_work(stack)
        _arm(incidents, guard, issue, maker)
        result = maker.create(issue.title, issue.body)
        state = CREATED if isinstance(result, Delivered) else FAILED if isinstance(result, NotDelivered) else UNKNOWN
        return _ended(incidents, issue, state, result.detail)


def say_created(plane: ControlPlane, clock: Clock, issue: Issue, url: str) -> Issue:
    """Record that a person looked, and that the issue is there.

    Raises:
        UsageError: that is no address.
        Refused: one is known already.
    """
    fit = tidy(url, "", URL_MAX_CHARS)
    if not fit.startswith(("http://", "https://")) or " " in fit:
        raise UsageError(f"{url[:60]!a} is no address", where="--created", allowed="http:// or https://")
    incidents = Incidents(plane, clock, plane.actor)
    _refuse_while_the_loop_is_at_it(incidents.get(issue.incident))
    if issue.state == CREATED:
        raise _made(issue.incident, issue.detail)
    return _ended(incidents, issue, CREATED, fit)


def _arm(incidents: Incidents, guard: Guard, issue: Issue, maker: IssueMaker) -> None:
    """Record that it is about to be made, in the transaction that permits it; nobody else can have armed it then."""
    incident = incidents.get(issue.incident)
    _refuse_while_the_loop_is_at_it(incident)
    last = _last(incidents, issue.incident)
    state, detail = last.get("state", ""), str(last.get("detail", ""))
    if state == CREATED:
        raise _made(issue.incident, detail)
    if state == ARMED:
        _ended(incidents, issue, UNKNOWN, INTERRUPTED)
    if state in {ARMED, UNKNOWN}:
        raise Refused(
            "an issue may have been made already, so none is made by itself",
            where=f"incident {issue.incident}",
            allowed=f"a look at {maker.repository} by a person",
            next_step=f"ops incident issue {issue.incident} --created URL, or make it by hand",
        )
    with guard.at_the_point_of_effect() as change:
        told = {"state": ARMED, "detail": maker.repository, "by": guard.plane.actor}
        incidents.add_event(change, issue.incident, Kind.ISSUE, told, incidents.now())
    incidents.added(issue.incident)


def _ended(incidents: Incidents, issue: Issue, state: str, detail: str) -> Issue:
    told = {"state": state, "detail": detail, "by": incidents.actor}
    add(incidents, issue.incident, lambda _incident, _events: [(Kind.ISSUE, told)])
    return Issue(incident=issue.incident, title=issue.title, body=issue.body, state=state, detail=detail)


def _last(incidents: Incidents, incident_id: str) -> dict[str, Any]:
    """What was recorded last about an issue. Also what an arming is added behind: nobody can slip in between."""
    told = [event.data for event in incidents.events(incident_id) if event.kind is Kind.ISSUE]
    return dict(told[-1]) if told else {}


def _refuse_while_the_loop_is_at_it(incident: Incident) -> None:
    if not incident.of_people and incident.state is State.OPEN:
        raise Refused(
            "the incident has not ended yet",
            where=f"incident {incident.id}",
            next_step=f"wait for it, or ops incident resume {incident.id}",
        )


def _made(incident_id: str, detail: str) -> Refused:
    return Refused(
        "an issue was made already", where=f"incident {incident_id}: {detail}", allowed="one for each incident"
    )
