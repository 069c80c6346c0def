"""Deadlines, and the account of who spent the time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ops_core.budget import ChargedClock, Deadline

times = st.floats(0, 1000, allow_nan=False)
steps = st.lists(st.tuples(st.floats(0, 5, allow_nan=False), st.booleans()), max_size=50)
INTERVAL_S, TOLERANCE_S = 0.02, 0.005


@given(times, times, times)
def test_a_deadline_is_half_open(start: float, budget: float, later: float) -> None:
    """At the instant itself it has passed; what remains is never negative."""
    deadline = Deadline.after(start, budget)
    assert deadline.passed(start + budget)
    assert deadline.remaining_s(start + budget) == 0.0
    assert deadline.remaining_s(later) >= 0.0
    assert deadline.passed(later) == (deadline.remaining_s(later) == 0.0)


@given(times, steps)
def test_charged_time_never_goes_back_and_never_runs_ahead(start: float, moves: list[tuple[float, bool]]) -> None:
    """Whatever the heartbeat does, readings are monotone and no more than real time has passed."""
    clock = ChargedClock(start, INTERVAL_S, TOLERANCE_S)
    now = last = start
    for step, tick in moves:
        now += step
        if tick:
            clock.tick(now)
        reading = clock.read(now)
        assert reading >= last - 1e-9
        assert reading - start <= now - start + 1e-9
        last = reading


@given(times, st.lists(st.floats(0, 5, allow_nan=False), max_size=50))
def test_between_two_heartbeats_no_more_than_one_interval_is_charged(start: float, gaps: list[float]) -> None:
    """A stall, however long, costs a target no more than a heartbeat and the tolerance."""
    clock = ChargedClock(start, INTERVAL_S, TOLERANCE_S)
    now = start
    for gap in gaps:
        before = clock.read(now)
        now += gap
        clock.tick(now)
        assert clock.read(now) - before <= INTERVAL_S + TOLERANCE_S + 1e-9


def test_time_stands_still_while_the_loop_is_stalled() -> None:
    """Without a heartbeat the reading stops."""
    clock = ChargedClock(10.0, INTERVAL_S, TOLERANCE_S)
    assert clock.read(11.0) == clock.read(99.0) == 10.0 + INTERVAL_S + TOLERANCE_S


def test_a_regular_heartbeat_charges_all_of_the_time() -> None:
    """On an idle machine charged time is real time."""
    clock = ChargedClock(0.0, INTERVAL_S, TOLERANCE_S)
    for beat in range(1, 101):
        clock.tick(beat * INTERVAL_S)
    assert abs(clock.read(2.0) - 2.0) < 1e-9


def test_a_reading_from_before_the_last_heartbeat_takes_nothing_back() -> None:
    """Other threads read with a time they took a moment ago."""
    clock = ChargedClock(0.0, INTERVAL_S, TOLERANCE_S)
    clock.tick(0.02)
    assert clock.read(0.01) == clock.read(0.02)
    clock.tick(0.01)
    assert clock.read(0.02) == 0.02
