"""Waiting for a condition."""

from datetime import UTC, datetime

import pytest

from ops_core.clock import ManualClock
from ops_core.drill.waiting import Overdue, wait_until


def make_clock():
    """A clock that moves when slept on."""
    return ManualClock(datetime(2026, 1, 4, 9, 5, tzinfo=UTC))


def test_a_condition_that_holds_is_not_waited_for():
    """A condition that holds already costs no time."""
    clock = make_clock()
    wait_until(lambda: True, clock, 5.0, "it does not happen")
    assert clock.elapsed_s == 0


def test_waiting_ends_when_the_condition_comes_to_hold():
    """Waiting ends at the first look that finds the condition true."""
    clock = make_clock()
    wait_until(lambda: clock.elapsed_s >= 1.0, clock, 5.0, "it does not happen")
    assert 1.0 <= clock.elapsed_s < 1.1


def test_a_condition_that_never_holds_is_given_up():
    """After the limit it says what did not happen, and where to look."""
    clock = make_clock()
    with pytest.raises(Overdue) as caught:
        wait_until(lambda: False, clock, 5.0, "core does not answer", where="/w/logs")
    assert str(caught.value) == "core does not answer within 5 seconds\n  where    /w/logs"
    assert 5.0 <= clock.elapsed_s < 5.1
