"""Who needs a token for what, from which state."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ops_core.api.authority import Act, at_rest, needs_token
from ops_core.control import model
from ops_core.control.model import ControlState

NOW = datetime(2026, 11, 30, 1, 0, tzinfo=UTC)
REST = model.release(model.initial("ann", NOW), "ready", "ann", NOW)


def opened() -> dict[str, ControlState]:
    """States in which something is prepared, and the one that is not known."""
    return {
        "gate": model.set_gate(REST, "REAL_ENABLED", "r", "ann", NOW),
        "sender": model.enable_sender(REST, "TELEGRAM_ONLY", "r", "ann", NOW),
        "unknown": model.unknown("the store is gone"),
    }


@pytest.mark.parametrize("act", [Act.RELEASE, Act.CYCLE, Act.FIRE])
def test_at_rest_nobody_is_asked_who_he_is(act: Act) -> None:
    """Releasing, a cycle and a live fire can lead to nothing then."""
    assert at_rest(REST, NOW)
    assert not needs_token(act, REST, NOW)
    assert not needs_token(act, model.engage(REST, "stop", "ann", NOW), NOW)


@pytest.mark.parametrize("name", ["gate", "sender", "unknown"])
@pytest.mark.parametrize("act", list(Act))
def test_where_something_is_prepared_every_act_needs_a_token(name: str, act: Act) -> None:
    """And where nothing is known."""
    assert needs_token(act, opened()[name], NOW)


@pytest.mark.parametrize("act", [Act.GATE, Act.WINDOW, Act.APPROVE, Act.SENDER, Act.ALERT])
def test_preparing_needs_a_token_always(act: Act) -> None:
    """At rest too."""
    assert needs_token(act, REST, NOW)


def test_what_ran_out_is_at_rest_again() -> None:
    """To the second: the end is the first instant that is free again."""
    state = opened()["gate"]
    end = state.gate_until
    assert end is not None
    assert needs_token(Act.RELEASE, state, end - timedelta(milliseconds=1))
    assert not needs_token(Act.RELEASE, state, end)


def test_mock_only_is_at_rest() -> None:
    """It acts on drills, and a drill is real to nobody."""
    assert at_rest(replace(REST, gate=model.Gate.MOCK_ONLY), NOW)
