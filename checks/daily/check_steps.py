"""The daily checklist: six steps in strict order. The first that fails ends it; those behind it are not reached."""

import pytest

from ops_core import DailyEvidence, finding

GATES = {"MOCK_ONLY", "DRY_RUN", "REAL_ENABLED"}
GOOD = {"OK", "WARN"}
REAL = "REAL_ENABLED"


def stop_problem(daily: DailyEvidence) -> str:
    """Why step 1 fails; empty where it does not."""
    return daily.stopped


def gate_problem(daily: DailyEvidence) -> str:
    """Why step 2 fails."""
    return "" if daily.gate in GATES else f"the gate is {daily.gate}"


def window_problem(daily: DailyEvidence) -> str:
    """Why step 3 fails, where it is needed. A window that this cycle's own live fire used was active."""
    if daily.gate != REAL or daily.window == "ACTIVE" or daily.window_used:
        return ""
    return "no window was requested" if daily.window == "NONE" else f"the window is {daily.window}"


def approvals_problem(daily: DailyEvidence) -> str:
    """Why step 4 fails, where it is needed."""
    if daily.gate != REAL:
        return ""
    if daily.keys < daily.keys_needed:
        return f"{daily.keys} of {daily.keys_needed} keys given"
    return daily.keys_problem


def cycle_problem(daily: DailyEvidence) -> str:
    """Why step 5 fails."""
    if daily.due_slot and not daily.due_run:
        return f"the slot {daily.due_slot} is due and nobody has run it yet: ops daily"
    if daily.missed:
        return f"nobody ran {', '.join(daily.missed[-3:])} ({len(daily.missed)} missed since {daily.begun_at})"
    if not daily.run_id:
        return "no cycle has run yet: ops daily"
    if not daily.result or daily.result == "OPEN":
        how = "is still running" if daily.alive else "began and did not end: its process is gone"
        return f"the cycle {daily.run_id} {how}"
    return ""


def result_problem(daily: DailyEvidence) -> str:
    """Why step 6 fails."""
    return "" if daily.result in GOOD else f"the cycle {daily.run_id} ended as {daily.result}: {daily.cause}"


STEPS = (stop_problem, gate_problem, window_problem, approvals_problem, cycle_problem, result_problem)


def judge(daily: DailyEvidence, number: int) -> None:
    """Judge a step by the evidence alone, so that it does not matter which steps ran before it, or where."""
    for before in range(1, number):
        problem = STEPS[before - 1](daily)
        if problem:
            pytest.skip(f"not reached: step {before}: {problem}")
    if number in {3, 4} and daily.gate != REAL:
        pytest.skip(f"not needed: the gate is {daily.gate}")
    problem = STEPS[number - 1](daily)
    assert not problem, problem


@pytest.mark.daily
@pytest.mark.step(1)
@finding("daily.stopped")
def check_emergency_stop_is_released(daily: DailyEvidence) -> None:
    """The emergency stop is released; where it cannot be read it counts as engaged."""
    judge(daily, 1)


@pytest.mark.daily
@pytest.mark.step(2)
@finding("daily.gate")
def check_gate_is_known(daily: DailyEvidence) -> None:
    """The gate is MOCK_ONLY, DRY_RUN or REAL_ENABLED."""
    judge(daily, 2)


@pytest.mark.daily
@pytest.mark.step(3)
@finding("daily.window")
def check_window_is_active(daily: DailyEvidence) -> None:
    """Under REAL_ENABLED, a window is ACTIVE."""
    judge(daily, 3)


@pytest.mark.daily
@pytest.mark.step(4)
@finding("daily.approvals")
def check_window_is_approved(daily: DailyEvidence) -> None:
    """Under REAL_ENABLED, two keys are given and prove themselves."""
    judge(daily, 4)


@pytest.mark.daily
@pytest.mark.step(5)
@finding("daily.cycle")
def check_cycle_has_run(daily: DailyEvidence) -> None:
    """The cycle that was due has run to its end, and none was missed since the one before."""
    judge(daily, 5)


@pytest.mark.daily
@pytest.mark.step(6)
@finding("daily.result")
def check_result_is_good(daily: DailyEvidence) -> None:
    """The latest cycle ended as OK or WARN."""
    judge(daily, 6)
