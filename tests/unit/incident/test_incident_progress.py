"""What comes next: pure, always coming to an end, and never the same remediation twice."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from incident_histories import FINAL, NOW, histories, plan_of
from incident_world import AT, look

from ops_core.budget import RECOVER_S
from ops_core.errors import RecordError
from ops_core.incident.progress import LOOKS_MAX, Act, Event, History, Kind, State
from ops_core.incident.words import reason

relaxed = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)


def events(*parts):
    """A history: each part is a kind and its data."""
    return [Event(seq=n, at=AT, kind=kind, data=data) for n, (kind, data) in enumerate(parts, start=1)]


def opened(**changes):
    return Kind.OPENED, {"look": look(**{"bad": [("guard.open", "web")], **changes}).to_json()}


def decided(*candidates, target="web"):
    decision = {
        "target": target,
        "row_id": "r",
        "candidates": list(candidates),
        "evidence": [],
        "findings": ["guard.open"],
    }
    return Kind.DECIDED, {"decisions": [decision]}


def planned(number=1, remediation="restart_service", *, undo=False):
    plan = plan_of(remediation, "web", undo=undo)
    about = {"attempt": number, "decision": 0, "target": "web", "remediation": remediation}
    return Kind.PLANNED, {**about, "plan": plan.to_json(), "digest": plan.digest}


def armed(number=1):
    return Kind.ARMED, {"attempt": number, "phase": "apply", "index": 0, "again": "", "command": "x"}


def following(*parts, now=NOW, **options):
    return History(events(*parts)).next(now, **options)


@relaxed
@given(histories())
def test_every_incident_comes_to_an_end(simulation):
    """Whatever the world answers and however often it is interrupted: a final state, filed once."""
    history = History(simulation.events)
    assert history.state in FINAL
    assert history.filed
    assert history.next(NOW).act is Act.NOTHING
    assert len(history.looks) <= LOOKS_MAX + 1
    assert sum(event.kind is Kind.CLOSED for event in history.events) == 1


@relaxed
@given(histories())
def test_nothing_is_begun_twice(simulation):
    """A remediation that was begun for a target is never planned for it again in the same incident."""
    begun = [(one.target, one.remediation) for one in History(simulation.events).attempts if one.armed]
    assert len(begun) == len(set(begun))


@relaxed
@given(histories())
def test_recovered_means_seen_healthy_at_the_end(simulation):
    """The last look is one at everything, and nothing in it is bad but a gate that was opened for what was done."""
    history = History(simulation.events)
    if history.state is State.RECOVERED:
        last = history.looks[-1]
        assert last.whole
        assert last.healthy or {(bad.code, bad.target) for bad in last.bad} == {("gate.real_enabled", None)}
        assert not last.unseen


@relaxed
@given(histories(remediate=False))
def test_looking_only_never_plans(simulation):
    """Without remediation nothing is planned, permitted or armed."""
    assert not {event.kind for event in simulation.events} & {Kind.PLANNED, Kind.PERMITTED, Kind.ARMED}
    assert History(simulation.events).state in {State.ESCALATED, State.RECOVERED}


@relaxed
@given(histories())
def test_an_answer_depends_on_nothing_but_the_events(simulation):
    """Asked again, also by another program, the answer is the same: going on after a crash is going on."""
    for count in range(1, len(simulation.events) + 1, 3):
        part = simulation.events[:count]
        assert History(part).next(NOW) == History(part).next(NOW)


def test_the_way_of_an_incident():
    """Decide, plan, permit, apply, verify, look at everything, close, file."""
    look_good = Kind.OBSERVED, {"look": look("O2", whole=False).to_json(), "attempt": 1}
    parts = [opened(), decided("restart_service"), planned(), (Kind.PERMITTED, {"attempt": 1}), armed()]
    parts += [(Kind.ACTED, {"attempt": 1}), look_good, (Kind.VERIFIED, {"attempt": 1, "good": True})]
    parts += [(Kind.OBSERVED, {"look": look("O3").to_json()}), (Kind.CLOSED, {"state": "recovered", "reason": {}})]
    expected = {1: Act.DECIDE, 2: Act.PLAN, 3: Act.PERMIT, 4: Act.APPLY, 5: Act.APPLY, 6: Act.VERIFY, 7: Act.VERIFY}
    expected |= {8: Act.OBSERVE, 9: Act.CLOSE, 10: Act.FILE}
    assert {count: following(*parts[:count]).act for count in expected} == expected


def test_ten_minutes_are_the_limit():
    """At the tenth minute nothing new is begun any more; what was begun is still brought to its end."""
    late = NOW + timedelta(seconds=RECOVER_S)
    begun = [opened(), decided("restart_service"), planned(), (Kind.PERMITTED, {"attempt": 1}), armed()]
    assert following(*begun[:2], now=late - timedelta(seconds=1)).act is Act.PLAN
    closing = following(*begun[:2], now=late)
    assert (closing.act, closing.state, closing.reason["key"]) == (Act.CLOSE, State.ESCALATED, "time_over")
    assert following(*begun, now=late).act is Act.APPLY


def test_without_candidates_a_person_is_called():
    """Where the table names no remediation, none is tried."""
    closing = following(opened(), decided())
    assert (closing.state, closing.reason["key"]) == (State.ESCALATED, "no_remediation")


def test_the_next_candidate_follows_the_one_that_could_not_be_planned():
    """A plan that was refused is no reason to give up."""
    refused = (
        Kind.UNPLANNED,
        {"attempt": 1, "decision": 0, "target": "web", "remediation": "rollback_config", "reason": "x"},
    )
    following_one = following(opened(), decided("rollback_config", "restart_service"), refused)
    assert (following_one.act, following_one.remediation) == (Act.PLAN, "restart_service")
    closing = following(opened(), decided("rollback_config"), refused)
    assert closing.reason["key"] == "nothing_left"


@pytest.mark.parametrize(
    ("result", "begun", "undo", "expected"),
    [
        ("failed", True, True, Act.UNDO),
        ("failed", True, False, Act.OBSERVE),
        ("unknown", True, True, State.ESCALATED),
        ("stopped", True, True, State.INTERRUPTED),
        ("refused", False, True, State.REFUSED),
        ("refused", True, True, State.ESCALATED),
    ],
)
def test_what_follows_a_plan_that_was_not_carried_out(result, begun, undo, expected):
    """Failed: back. Not to be told, stopped, or refused half-way: a person, and nothing else is touched."""
    parts = [opened(), decided("restart_service"), planned(undo=undo), (Kind.PERMITTED, {"attempt": 1})]
    parts += [armed()] if begun else []
    found = following(*parts, (Kind.UNACTED, {"attempt": 1, "result": result, "reason": "x"}))
    assert expected in {found.act, found.state}


def test_what_was_seen_before_an_interruption_is_seen_again():
    """Nothing was begun: look again. Something was begun: finish it."""
    interrupted = Kind.INTERRUPTED, {"reason": reason("crashed")}
    parts = [opened(), decided("restart_service"), planned(), (Kind.PERMITTED, {"attempt": 1})]
    for count in range(1, 5):
        assert following(*parts[:count], interrupted).act is Act.OBSERVE
    assert following(*parts, armed(), interrupted).act is Act.APPLY


def test_three_rounds_are_enough():
    """When three rounds of changes did not do it, a fourth is not tried."""
    verbs = ("a_verb", "b_verb", "c_verb", "d_verb")
    parts = [opened()]
    for number, verb in enumerate(verbs[:3], start=1):
        parts += [decided(*verbs), planned(number, verb), (Kind.PERMITTED, {"attempt": number}), armed(number)]
        parts += [(Kind.ACTED, {"attempt": number}), (Kind.VERIFIED, {"attempt": number, "good": True})]
        parts += [(Kind.OBSERVED, {"look": look(f"O{number + 1}", bad=[("guard.open", "web")]).to_json()})]
    closing = following(*parts)
    assert (closing.state, closing.reason["key"]) == (State.ESCALATED, "rounds_over")


def test_a_long_list_of_findings_is_cut():
    """A reason is a sentence, also with a thousand targets."""
    bad = [("guard.open", f"t{number}") for number in range(100)]
    closing = following(opened(bad=bad), decided())
    assert closing.reason["params"]["codes"].endswith("(+80)")


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [(Kind.DECIDED, {"decisions": []})],
        [opened(), (Kind.PERMITTED, {"attempt": 1})],
        [opened(), (Kind.DECIDED, {})],
        [opened(), decided(), planned(number=2)],
        [opened(), (Kind.CLOSED, {"state": "great", "reason": {}})],
        [opened(), (Kind.CLOSED, {"state": "recovered", "reason": {}}), decided()],
        [(Kind.OPENED, {"look": {"label": "O1"}})],
    ],
)
def test_events_that_cannot_have_happened_are_refused(parts):
    """A damaged record never becomes an action."""
    with pytest.raises(RecordError):
        History(events(*parts))
