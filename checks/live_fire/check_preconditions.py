"""The eight preconditions of a live fire: where all of them pass, `ops live-fire run` sends what was approved."""

import pytest

from ops_core import CannotLook, LiveFireEvidence, finding


@pytest.mark.live_fire
@finding("live_fire.gate_mode")
def check_gate_is_real_enabled(live_fire: LiveFireEvidence) -> None:
    """The gate stands at REAL_ENABLED, and has not run out."""
    assert known(live_fire).holds("gate_mode"), live_fire.explain_one("gate_mode")


@pytest.mark.live_fire
@finding("live_fire.self_test")
def check_self_test_passes(live_fire: LiveFireEvidence) -> None:
    """Every secret that the profile names has a value that is kept to itself."""
    assert live_fire.holds("self_test"), live_fire.explain_one("self_test")


@pytest.mark.live_fire
@finding("live_fire.emergency_stop")
def check_emergency_stop_is_released(live_fire: LiveFireEvidence) -> None:
    """The emergency stop is released; a control store that cannot be read counts as engaged."""
    assert live_fire.holds("emergency_stop"), live_fire.explain_one("emergency_stop")


@pytest.mark.live_fire
@finding("live_fire.outbox_messages")
def check_outbox_holds_a_message(live_fire: LiveFireEvidence) -> None:
    """At least one message waits to leave."""
    assert known(live_fire).holds("outbox_messages"), live_fire.explain_one("outbox_messages")


@pytest.mark.live_fire
@finding("live_fire.sender_enable")
def check_sender_is_enabled(live_fire: LiveFireEvidence) -> None:
    """The sender is switched on, and has not run out."""
    assert known(live_fire).holds("sender_enable"), live_fire.explain_one("sender_enable")


@pytest.mark.live_fire
@finding("live_fire.window_active")
def check_window_permits_what_would_be_sent(live_fire: LiveFireEvidence) -> None:
    """A window is open, two people have given their keys, and what they approved is what would be sent."""
    assert known(live_fire).holds("window_active"), live_fire.explain_one("window_active")


@pytest.mark.live_fire
@finding("live_fire.weekday")
def check_today_is_a_trading_day(live_fire: LiveFireEvidence) -> None:
    """Today is a trading day."""
    assert live_fire.holds("weekday"), live_fire.explain_one("weekday")


@pytest.mark.live_fire
@finding("live_fire.hours")
def check_it_is_within_trading_hours(live_fire: LiveFireEvidence) -> None:
    """It is within trading hours."""
    assert live_fire.holds("hours"), live_fire.explain_one("hours")


def known(seen: LiveFireEvidence) -> LiveFireEvidence:
    """What the store was asked for, if it could be read: otherwise nothing was seen to be missing."""
    if seen.problem:
        raise CannotLook(seen.problem)
    return seen
