"""The five steps as pure judgements: nothing that the backend says is believed by itself."""

from __future__ import annotations

import hashlib

import pytest

from ops_core.control.audit import canonical
from ops_core.split.asking import Asked
from ops_core.split.steps import (
    EXIT_CODES,
    Outcome,
    State,
    Verdict,
    judge_health,
    judge_live_cycle,
    judge_pull,
    judge_snapshot,
    judge_summary,
    verdict_of,
)

HEALTH = {"status": "OK", "emergency_stop": False, "execution_gate": "DRY_RUN", "problem": "", "missed": []}
SUMMARY = {"schema": "ops_summary_v1", "run_id": "r-1", "overall_status": "OK", "top_risks": [], "recorded": True}
RECEIPT = {
    "schema": "live_cycle_receipt_v1", "run_id": "r-2", "result": "OK", "decision": "HOLD", "reason": "", "next": "",
    "snapshot_ref": "live_cycle/r-2", "push": {"delivery_actual": "CONSOLE"}, "recorded": True,
}  # fmt: skip


def got(document=None, status=200, **more) -> Asked:
    """An answer."""
    return Asked(method="GET", path="/p?ref=x", status=status, document=document, **more)


def refusal(status, busy=False) -> Asked:
    """An error of our own server."""
    return got({"ok": False, "error": "no", "where": "", "allowed": "", "next": "do this"}, status, busy=busy)


def latest(document) -> Asked:
    """The answer about the latest one."""
    return got({**document, "status": "ready", "rows": [document]})


@pytest.mark.parametrize(
    ("told", "why", "bundle", "problem", "state"),
    [
        ({"outcome": "INSTALLED", "bundle_id": "b"}, "", "b", "", State.OK),
        ({"outcome": "UP_TO_DATE", "bundle_id": "b"}, "", "b", "", State.OK),
        ({"outcome": "INSTALLED", "bundle_id": "b", "history": "rewritten"}, "", "b", "", State.WARN),
        ({"outcome": "INSTALLED", "bundle_id": "b"}, "", "other", "", State.FAILED),
        ({"outcome": "INSTALLED", "bundle_id": "b"}, "", "b", "a file is missing", State.FAILED),
        ({"outcome": "UP_TO_DATE"}, "", "", "", State.FAILED),
        ({"outcome": "REFUSED", "code": "TAMPERED"}, "", "b", "", State.FAILED),
        ({"outcome": "REFUSED", "code": "HELD_BACK"}, "", "b", "", State.WARN),
        ({"outcome": "REFUSED", "code": "STALE"}, "", "b", "", State.WARN),
        ({"outcome": "REFUSED", "code": "STALE"}, "", "", "", State.FAILED),
        ({"outcome": "REFUSED", "code": "STALE"}, "", "b", "changed", State.FAILED),
        ({"outcome": "FAILED"}, "", "b", "", State.FAILED),
        ({"outcome": "SOMETHING"}, "", "b", "", State.FAILED),
        ({}, "", "b", "", State.FAILED),
        ({"error": "stopped", "exit_code": 2}, "", "b", "", State.BLOCKED),
        ({"error": "no producer", "exit_code": 64}, "", "b", "", State.FAILED),
        (None, "not done within 120 s", "b", "", State.FAILED),
        (None, "", "b", "", State.FAILED),
    ],
)
def test_the_pull_holds_where_a_whole_bundle_is_in_force(told, why, bundle, problem, state) -> None:
    """A refusal that was never meant to be taken leaves the day with what it has; all else ends it."""
    outcome = judge_pull(told, why, bundle, problem)
    assert (outcome.state, bool(outcome.seen)) == (state, True)


@pytest.mark.parametrize(
    ("asked", "state"),
    [
        (got(HEALTH), State.OK),
        (got({**HEALTH, "status": "WARN", "missed": ["a"]}), State.WARN),
        (got({**HEALTH, "status": "STOPPED"}), State.BLOCKED),
        (got({**HEALTH, "emergency_stop": True}), State.BLOCKED),
        (got({**HEALTH, "emergency_stop": None}), State.BLOCKED),
        (got({**HEALTH, "status": "STOPPED", "problem": "no store"}), State.FAILED),
        (got({"status": "OK"}), State.FAILED),
        (got({**HEALTH, "status": "fine"}), State.FAILED),
        (got({}), State.FAILED),
        (got(HEALTH, 500), State.FAILED),
        (got(HEALTH, 302), State.FAILED),
        (got(None, 200, excerpt="<html>"), State.FAILED),
        (got(HEALTH, problem="no whole answer within 1 s"), State.FAILED),
        (refusal(401), State.BLOCKED),
        (refusal(409), State.BLOCKED),
        (refusal(409, busy=True), State.FAILED),
        (refusal(503), State.FAILED),
        (got({"error": "no"}, 403), State.FAILED),
    ],
)
def test_the_backend_is_ours_and_not_stopped(asked, state) -> None:
    """Another service, a page, half an answer: FAILED. Our own refusal: BLOCKED."""
    assert judge_health(asked).state is state


@pytest.mark.parametrize(("judge", "document"), [(judge_summary, SUMMARY), (judge_live_cycle, RECEIPT)])
def test_what_was_made_is_the_latest_and_is_in_our_record(judge, document) -> None:
    """Three tellings of one run; where any differs from the others, the step fails."""
    other = {**document, "run_id": "r-9"}
    assert judge(got(document), latest(document), document).state is State.OK
    for made, last, recorded in (
        (got(document), latest(other), document),
        (got(document), got({"status": "no_data", "rows": []}), document),
        (got(document), got({"status": "no_data", "rows": [{}]}), document),
        (got(document), got({"rows": 7}), document),
        (got(document), latest(document), other),
        (got(document), latest(document), None),
        (got({**document, "schema": "x"}), latest(document), document),
        (got({**document, "run_id": 7}), latest(document), document),
        (got({}), latest(document), document),
        (got(document), got(None, 200), document),
    ):
        assert judge(made, last, recorded).state is State.FAILED
    unrecorded = {**document, "recorded": False}
    assert judge(got(unrecorded), latest(unrecorded), None).state is State.BLOCKED


def summed(overall, *risks, **more) -> Outcome:
    """What a proven summary comes to."""
    listed = [{"code": code, "weighs": weighs} for code, weighs in risks]
    told = {**SUMMARY, "overall_status": overall, "top_risks": listed, **more}
    return judge_summary(got(told), latest(told), told)


def test_a_summary_that_says_fail_lets_the_live_cycle_run_and_the_day_end_badly() -> None:
    """But for what that very live cycle puts right; a stop ends the day at once."""
    assert summed("OK").state is State.OK
    assert summed("WARN", ("BUNDLE_STALE", "WARN")) == Outcome(
        state=State.WARN, seen="overall WARN  BUNDLE_STALE", next_step="ops summary latest"
    )
    assert summed("BLOCKED", ("EMERGENCY_STOP", "BLOCKED")).state is State.BLOCKED
    assert summed("MAYBE").state is State.FAILED
    own = summed("FAIL", ("LIVE_CYCLE_FAILED", "FAIL"), ("BUNDLE_STALE", "WARN"))
    assert (own.state, own.alarm) == (State.WARN, "")
    for grave in (
        summed("FAIL", ("LIVE_CYCLE_FAILED", "FAIL"), ("INTEGRITY", "FAIL")),
        summed("FAIL", ("LIVE_CYCLE_FAILED", "FAIL"), more_risks=1),
        summed("FAIL"),
    ):
        assert (grave.state, bool(grave.alarm)) == (State.WARN, True)


@pytest.mark.parametrize(
    ("result", "state"),
    [("OK", State.OK), ("WARN", State.WARN), ("BLOCKED", State.BLOCKED), ("FAILED", State.FAILED), ("?", State.FAILED)],
)
def test_the_live_cycle_ends_the_step_as_it_ended(result, state) -> None:
    """A word that nobody knows is no good word."""
    told = {**RECEIPT, "result": result}
    assert judge_live_cycle(got(told), latest(told), told).state is state


def test_the_reference_leads_to_exactly_that_receipt() -> None:
    """Another content, digest, reference or shape: FAILED."""
    digest = hashlib.sha256(canonical(RECEIPT).encode()).hexdigest()
    good = {"schema": "snapshot_v1", "ref": "live_cycle/r-2", "content": RECEIPT, "sha256": digest}
    assert judge_snapshot(got(good), RECEIPT).state is State.OK
    for changes in (
        {"content": {**RECEIPT, "decision": "SELL"}}, {"sha256": "0" * 64}, {"ref": "live_cycle/r-1"}, {"schema": "x"},
    ):  # fmt: skip
        assert judge_snapshot(got({**good, **changes}), RECEIPT).state is State.FAILED
    assert judge_snapshot(refusal(404), RECEIPT).state is State.FAILED


def test_the_verdict_is_the_first_end_then_the_alarm_then_the_warnings() -> None:
    """COMPLETED only where nothing at all was told; each verdict has its exit code."""
    ok, warn = Outcome(state=State.OK, seen=""), Outcome(state=State.WARN, seen="w")
    alarm = Outcome(state=State.WARN, seen="w", alarm="a")
    blocked, failed = Outcome(state=State.BLOCKED, seen="b"), Outcome(state=State.FAILED, seen="f")
    not_reached = Outcome(state=State.NOT_REACHED, seen="")
    assert verdict_of([ok] * 5) == (Verdict.COMPLETED, "all five steps")
    assert verdict_of([ok, warn, ok, ok, ok]) == (Verdict.WARN, "backend: w")
    assert verdict_of([ok, ok, alarm, ok, ok]) == (Verdict.FAILED, "a")
    assert verdict_of([ok, warn, alarm, blocked, not_reached]) == (Verdict.BLOCKED, "live cycle: b")
    assert verdict_of([failed, *[not_reached] * 4]) == (Verdict.FAILED, "pull: f")
    assert [EXIT_CODES[one] for one in Verdict] == [0, 0, 2, 3]
