"""What became of a fault, held against what the catalogue promises."""

import dataclasses
from datetime import UTC, datetime

import pytest

from ops_core.drill.faults import FAULTS
from ops_core.drill.matrix.results import Decided, Remedied
from ops_core.drill.promised import Dealt, differences, judge
from ops_core.incident.loop import IncidentOutcome
from ops_core.observation.record import Judgement, Observation
from ops_core.verdict import Judged, Verdict

AT = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
KILLED = FAULTS["killed"]
BY_RESTART = Dealt(
    decisions=(Decided(target="core-api", row="process-not-running", remediation="restart_service"),),
    remedied=(Remedied(name="restart_service", target="core-api", applied=True, verified=True, undone=False),),
)


def seen(*found, unknown=(), facts=None) -> Observation:
    """A look that found these (code, target) pairs."""
    pairs = [(pair, Judged.BAD) for pair in found] + [(pair, Judged.UNKNOWN) for pair in unknown]
    return Observation(
        run_id="20260701T120000Z-000001",
        suite="observe",
        profile="embedded",
        drill=True,
        gate="MOCK_ONLY",
        stopped=False,
        stop_reason="",
        started_at="2026-07-01T12:00:00Z",
        finished_at="2026-07-01T12:00:01Z",
        total_s=60,
        used_s=1,
        targets=(),
        evidence=(),
        verdict=Verdict.UNHEALTHY if found else Verdict.HEALTHY,
        judgements=tuple(
            Judgement(
                nodeid=f"checks::{code}[{target}]",
                check=f"check_{code}",
                suite="observe",
                finding=code,
                target=target,
                judged=judged,
            )
            for (code, target), judged in pairs
        ),
    )


DOWN = (("process.not_running", "core-api"), ("health.not_ok", "core-api"))


def held(fault=KILLED, look=None, *, dealt=BY_RESTART, end="recovered", healed=True, changed=(), refusal=""):
    """The rehearsal, without the view that only reports need."""
    outcome = IncidentOutcome(outcome=end, exit_code=0, observation=look or seen(*DOWN))
    return judge(fault, outcome, dealt, AT, healed=healed, healthy_record=None, changed=changed, refusal=refusal)


def test_a_runbook_that_keeps_its_promises_has_no_problem():
    """What was found, decided and done is told as data."""
    done = held()
    assert done.problems == ()
    assert done.missed == done.false_alarms == ()
    assert [(one.code, one.target) for one in done.expected] == list(DOWN)
    assert done.rows == ("process-not-running",)
    assert done.restored
    assert (done.state, done.remedied[0].name) == ("recovered", "restart_service")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"look": seen(DOWN[0])}, "health.not_ok was not found about core-api"),
        ({"look": seen(*DOWN, ("health.not_ok", "dashboard"))}, "findings about what was not broken: dashboard"),
        ({"look": seen(*DOWN, ("gate.real_enabled", None))}, "findings about what was not broken: control plane"),
        ({"dealt": Dealt()}, "the row process-not-running did not match; these did: none"),
        (
            {"dealt": Dealt(decisions=BY_RESTART.decisions)},
            "restart_service was decided on, and not begun",
        ),
        (
            {
                "dealt": dataclasses.replace(
                    BY_RESTART, remedied=(dataclasses.replace(BY_RESTART.remedied[0], verified=False),)
                )
            },
            "restart_service did not help",
        ),
        ({"end": "escalated"}, "the end was escalated, not recovered"),
        ({"healed": False}, "it was called recovered while the fault was still in force"),
        ({"changed": ("a is b, and was c",)}, "not as before once it was withdrawn: a is b, and was c"),
    ],
)
def test_each_broken_promise_is_told(changes, problem):
    """Missed, alarmed for nothing, decided otherwise, not helped, ended otherwise, not put back."""
    assert problem in held(**changes).problems


def test_what_must_not_be_found_is_a_false_alarm():
    """A finding about the very target is one, too, where the catalogue excludes it."""
    fault = dataclasses.replace(KILLED, absent=("stream.silent",))
    done = held(fault, seen(*DOWN, ("stream.silent", "core-api")))
    assert done.problems == ("stream.silent was found, and must not be",)
    assert [one.code for one in done.false_alarms] == ["stream.silent"]


def test_what_cannot_be_seen_has_to_be_said():
    """A check that judges what nobody can see is wrong."""
    fault = dataclasses.replace(KILLED, unseen=("guard.open",))
    assert held(fault, seen(*DOWN, unknown=[("guard.open", "core-api")])).problems == ()
    assert held(fault).problems == ("guard.open was judged, though it could not be seen",)


def test_where_a_person_has_to_act_a_machine_must_not():
    """A fault without remediation ends escalated, and nothing is begun."""
    fault = dataclasses.replace(KILLED, remediation=None, row=None)
    assert held(fault, dealt=Dealt(), end="escalated", healed=False).problems == ()
    assert held(fault, end="escalated").problems == ("restart_service was begun, where a person has to act",)
    # What follows for others is promised, and allows nothing else.
    assert held(dataclasses.replace(fault, then=("enter_degraded_mode",)), end="escalated").problems == (
        "the remedy was restart_service, not enter_degraded_mode",
        "restart_service was begun, where a person has to act",
    )
    assert held(dataclasses.replace(fault, then=("restart_service",)), end="escalated").problems == ()


def test_what_has_to_be_refused_is_refused():
    """Where a fault is proven by its refusal alone, nothing else can stand for it."""
    fault = dataclasses.replace(KILLED, findings=(), row=None, remediation=None, end="healthy", refused=lambda *_: "")
    assert held(fault, seen(), dealt=Dealt(), end="healthy").problems == ("nothing says that it was refused",)
    assert held(fault, seen(), dealt=Dealt(), end="healthy", refusal="401").problems == ()


def test_what_does_not_help_has_to_be_taken_back():
    """A fault that says so is not satisfied with a remediation that stays."""
    fault = dataclasses.replace(KILLED, curable=False, undone=True)
    back = dataclasses.replace(BY_RESTART.remedied[0], verified=False, undone=True)
    assert held(fault, dealt=dataclasses.replace(BY_RESTART, remedied=(back,)), end="escalated").problems == ()
    stays = held(fault, end="escalated").problems
    assert stays == ("restart_service was not taken back; these were: none",)


def test_what_nobody_noticed_is_a_failed_rehearsal_and_no_error():
    """Everything that was expected is missed, and what was seen is there all the same."""
    done = held(look=seen(), dealt=Dealt(), end="healthy", healed=False)
    assert [one.code for one in done.missed] == ["process.not_running", "health.not_ok"]
    assert done.shown is None
    assert "the end was healthy, not recovered" in done.problems
    assert done.as_dict()["incident"] is None


def test_differences_are_told_with_what_was_before():
    """What is gone, what came, what changed."""
    assert differences({"a": "1", "b": "2"}, {"a": "1", "b": "3", "c": "4"}) == [
        "b is 3, and was 2",
        "c is 4, and was nothing",
    ]
    assert differences({"a": "1"}, {}) == ["a is nothing, and was 1"]
