"""The six steps as a pure function: the first that fails decides, those behind it are not reached, whatever was seen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_core.control.model import Gate
from ops_core.cycle.sequence import (
    EXIT_CODES,
    NAMES,
    SEEN_MAX_CHARS,
    FireStep,
    Modes,
    Outcome,
    StepState,
    Work,
    barrier,
    judge,
)
from ops_core.cycle.texts import REMEDIES, remedy_of

CUTS = (None, Outcome.STOPPED, Outcome.TIMED_OUT, Outcome.INTERRUPTED)
texts = st.tuples() | st.tuples(st.text(min_size=1, max_size=20))
all_modes = st.builds(
    Modes,
    stopped=st.sampled_from(["", "the emergency stop is engaged: x"]),
    gate=st.sampled_from(Gate),
    gate_ran_out=st.booleans(),
    window=st.sampled_from(["NONE", "REQUESTED", "ACTIVE", "CONSUMED", "EXPIRED", "REVOKED"]),
    window_left_s=st.integers(0, 100),
    keys=st.integers(0, 2),
    keys_problem=st.sampled_from(["", "the key of ann was revoked"]),
)
all_work = st.builds(
    Work,
    missing=texts,
    request_problems=texts,
    notes=texts,
    done=texts,
    cut=st.sampled_from(CUTS),
    cut_reason=st.just("r"),
)


def expected(modes: Modes, work: Work, missed: tuple[str, ...]) -> tuple[Outcome, int]:
    """The outcome and the number of the failing step (0: none), written down case by case."""
    if modes.stopped:
        return Outcome.STOPPED, 1
    if modes.gate is Gate.REAL_ENABLED and modes.window != "ACTIVE":
        return Outcome.WINDOW_NOT_ACTIVE, 3
    if modes.gate is Gate.REAL_ENABLED and (modes.keys < 2 or modes.keys_problem):
        return Outcome.WINDOW_NOT_ACTIVE, 4
    if work.missing:
        return Outcome.PREFLIGHT_FAIL, 5
    if work.request_problems:
        return Outcome.ALLOWLIST_VIOLATION, 5
    if work.cut is not None:
        return work.cut, 5
    return (Outcome.WARN if modes.gate_ran_out or work.notes or missed else Outcome.OK), 0


@given(modes=all_modes, work=all_work, missed=texts)
def test_first_failure_decides(modes, work, missed):
    """Six steps in order, one failure at most, nothing reached behind it, and the outcome of that step."""
    judged = judge(modes, work, missed)
    outcome, failing = expected(modes, work, missed)
    assert judged.outcome is outcome
    assert [step.number for step in judged.steps] == [1, 2, 3, 4, 5, 6]
    assert tuple(step.name for step in judged.steps) == NAMES
    states = [step.state for step in judged.steps]
    assert [number for number, state in enumerate(states, 1) if state is StepState.FAILED] == (
        [failing] if failing else []
    )
    for number, state in enumerate(states, 1):
        assert (state is StepState.NOT_REACHED) == (0 < failing < number)
    assert judged.cause
    assert all(step.seen for step in judged.steps)
    needed = [state is not StepState.NOT_NEEDED for state in states[2:4]]
    if failing != 1:
        assert needed == [modes.gate is Gate.REAL_ENABLED] * 2


@given(modes=all_modes, work=all_work)
def test_work_begins_only_where_nothing_stands_before_it(modes, work):
    """What is asked before the work is what the receipt says afterwards."""
    before = barrier(modes)
    outcome, failing = expected(modes, work, ())
    assert before == (outcome if 0 < failing < 5 else None)


@given(modes=all_modes, work=all_work, missed=texts)
def test_nothing_failed_is_done_or_warned(modes, work, missed):
    """OK exactly where no step warns; the exit code is 0 exactly where no step failed."""
    judged = judge(modes, work, missed)
    states = {step.state for step in judged.steps}
    assert (judged.outcome is Outcome.OK) == (not states & {StepState.WARN, StepState.FAILED})
    assert (EXIT_CODES[judged.outcome] == 0) == (StepState.FAILED not in states)


@pytest.mark.parametrize("outcome", Outcome)
def test_each_outcome_has_an_exit_code_and_a_remedy(outcome):
    """Every outcome but OK says what to type."""
    assert EXIT_CODES[outcome] in {0, 2, 3}
    assert bool(REMEDIES[outcome]) == (outcome is not Outcome.OK)
    if outcome is not Outcome.OK:
        assert "ops " in remedy_of(outcome)


def test_long_texts_are_cut():
    """A step says no more than fits into a record."""
    work = Work(missing=tuple(f"the file {number} is not there" for number in range(1000)))
    judged = judge(Modes(stopped="", gate=Gate.DRY_RUN), work)
    assert len(judged.steps[4].seen) <= SEEN_MAX_CHARS + 2
    assert judged.cause == judged.steps[4].seen


def test_live_fire_step_always_has_a_reason():
    """Also where nothing was tried."""
    assert FireStep().as_dict() == {
        "attempted": False,
        "result": "NOT_ATTEMPTED",
        "reason": "not reached",
        "fire_id": None,
    }
