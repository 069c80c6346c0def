"""From events to the view: whatever happened, the view holds together, cites evidence, and reads in both languages."""

import dataclasses
import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from incident_histories import histories, plan_of
from incident_world import AT, look, render_all

from ops_core.incident.progress import Event, Kind, State
from ops_core.incident.store import Incident, StepRow
from ops_core.incident.timeline import figures, view_of
from ops_core.incident.words import reason
from ops_core.remediation.runner import StepState
from ops_core.report.model import IncidentView

relaxed = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)
few = settings(relaxed, max_examples=15)
INCIDENT = Incident(
    id="20260105T090000Z-abc123",
    opened_at=AT,
    state=State.OPEN,
    profile="default",
    suite="observe",
    version=1,
    data={"drill": True, "targets": ["web", "api"], "injected_at": None, "fault": ""},
)


@relaxed
@given(histories(), st.sampled_from(["en", "ko"]))
def test_every_part_of_every_history_makes_a_view_that_holds(simulation, lang):
    """At every moment of an incident it can be shown: the view validates and survives being stored."""
    for count in range(1, len(simulation.events) + 1):
        view = view_of(simulation.incident, simulation.events[:count], simulation.rows, lang)
        if view.state == "recovered":
            # That a recovery is verified is the loop's business; these looks are drawn at random.
            continue
        view.validate()
        assert IncidentView.from_json(json.loads(json.dumps(view.to_json()))) == view


@few
@given(histories())
def test_every_history_can_be_reported(simulation):
    """Every report renders in every language, and every statement in it cites evidence."""
    view = view_of(simulation.incident, simulation.events, simulation.rows)
    observations = (*view.observations[:-1], dataclasses.replace(view.observations[-1], purpose="verification"))
    assert all(render_all(dataclasses.replace(view, observations=observations)))


@relaxed
@given(histories())
def test_a_view_says_nothing_that_did_not_happen(simulation):
    """Steps and their outcomes are those recorded; a recovery is told only where there was one."""
    view = view_of(simulation.incident, simulation.events, simulation.rows)
    kinds = {entry.kind for entry in view.timeline}
    assert ("recovered" in kinds) == (view.state == "recovered")
    assert bool(view.resolution) <= (view.state == "recovered")
    begun = any(event.kind is Kind.ARMED for event in simulation.events)
    assert (view.acted_at is not None) == begun
    assert any(step.outcome in {"done", "failed", "armed"} for step in view.plan_steps) == begun
    assert ("interrupted" in kinds) >= any(event.kind is Kind.INTERRUPTED for event in simulation.events)


def at(second):
    return AT.replace("00.000", f"{second:02}.000")


def handled():
    """An incident from injection to recovery, one second between any two things."""
    bad = look(bad=[("guard.open", "web")], facts=[("web", ("config.unproven",))], at=at(2))
    plan = plan_of("rollback_config", "web", undo=True)
    about = {"attempt": 1, "decision": 0, "target": "web", "remediation": "rollback_config"}
    decision = {
        "target": "web",
        "row_id": "guard-open",
        "where": "decisions.toml:7",
        "severity": "critical",
        "findings": ["guard.open"],
        "given": [],
        "attributed": [],
        "evidence": ["O1:guard[web]"],
        "cause": {"en": "because", "ko": "이유"},
        "action": {"en": "act", "ko": "조치"},
        "candidates": ["rollback_config"],
    }
    step = {"attempt": 1, "phase": "apply", "index": 0, "command": "mv a b"}
    good = dataclasses.replace(look("O2", at=at(7)), purpose="verification")
    parts = [
        (2, Kind.OPENED, {"look": dataclasses.replace(bad, started_at=at(1)).to_json()}),
        (3, Kind.DECIDED, {"decisions": [decision]}),
        (4, Kind.PLANNED, {**about, "plan": plan.to_json(), "digest": plan.digest}),
        (4, Kind.PERMITTED, {"attempt": 1, "code": "allowed", "reason": "it may", "next": ""}),
        (5, Kind.ARMED, {**step, "again": ""}),
        (6, Kind.STEP, {**step, "state": "done", "detail": "", "elapsed_s": 1.0}),
        (6, Kind.ACTED, {"attempt": 1}),
        (7, Kind.OBSERVED, {"look": good.to_json()}),
        (8, Kind.CLOSED, {"state": "recovered", "reason": {}}),
    ]
    events = [Event(seq=n, at=at(s), kind=kind, data=data) for n, (s, kind, data) in enumerate(parts, start=1)]
    row = StepRow(
        attempt=1,
        phase="apply",
        index=0,
        state=StepState.DONE,
        armed_at=at(5),
        ended_at=at(6),
        data={"command": "mv a b", "detail": "", "elapsed_s": 1.0},
    )
    incident = dataclasses.replace(INCIDENT, data={**INCIDENT.data, "injected_at": at(0), "fault": "secret-missing"})
    return incident, events, [row]


def test_the_figures_count_from_the_finding():
    """Detection counts from the injection where it is known, everything else from the finding."""
    incident, events, rows = handled()
    found = figures(view_of(incident, events, rows))
    assert dataclasses.astuple(found) == (2.0, 1.0, 3.0, 6.0, 6.0)
    unknown_start = dataclasses.replace(incident, data=INCIDENT.data)
    assert figures(view_of(unknown_start, events, rows)).detected_s == 1.0
    assert figures(view_of(incident, events[:2], [])).recovered_s is None


def test_the_timeline_tells_everything_in_order():
    """From the injection to the verified recovery, each entry with its evidence."""
    incident, events, rows = handled()
    view = view_of(incident, events, rows)
    assert [entry.kind for entry in view.timeline] == [
        "injected",
        "opened",
        "detected",
        "decided",
        "planned",
        "permitted",
        "armed",
        "step",
        "acted",
        "verified",
        "recovered",
    ]
    assert view.timeline[0].params == {"fault": "secret-missing"}
    assert view.timeline[7].evidence == ("S1",)
    assert view.timeline[-1].evidence == ("O2",)
    assert (view.row_where, view.cause["ko"], view.facts) == ("decisions.toml:7", "이유", ("config.unproven",))
    assert view.resolution == {"en": "do rollback_config", "ko": "하기"}
    assert view.prevention[0]["ko"].startswith("구성을 적용하기 전에")
    assert all(render_all(view))


def test_what_a_guard_refused_was_not_done():
    """Steps of a plan that was refused are shown as refused, and there is no way back to speak of."""
    incident, events, rows = handled()
    refused = Event(
        seq=4, at=at(4), kind=Kind.REFUSED, data={"attempt": 1, "code": "dry_run", "reason": "no", "next": ""}
    )
    closed = Event(seq=5, at=at(5), kind=Kind.CLOSED, data={"state": "refused", "reason": reason("guard", detail="no")})
    planned = [dataclasses.replace(rows[0], state=StepState.PLANNED)]
    view = view_of(incident, [*events[:3], refused, closed], planned)
    assert [step.outcome for step in view.plan_steps] == ["refused"]
    assert view.undo is None
    assert view.state == "refused"
    assert view.resolution == {}
    assert all(render_all(view))


def test_the_beginning_of_an_incident_reads_the_same_for_ever():
    """The log's first line is made again after a crash, from the first events: it must not change by what follows."""
    incident, events, rows = handled()
    assert view_of(incident, events[:2], []) == view_of(incident, events[:2], rows)
