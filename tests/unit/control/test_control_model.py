"""The pure part of the control plane."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_core.control import model
from ops_core.control.model import ControlState, Gate, Sender
from ops_core.errors import UsageError

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
RELEASED = model.release(model.initial("kim", NOW), "all well", "kim", NOW)


def test_nothing_set_yet_is_stopped_and_dry_run():
    """A state that nobody set permits nothing."""
    for state in (ControlState(), model.initial("kim", NOW), model.unknown("no store")):
        assert state.stopped
        assert state.gate is Gate.DRY_RUN
        assert not model.permission(state, drill=True, now=NOW).allowed


@pytest.mark.parametrize("gate", Gate)
@pytest.mark.parametrize("drill", [True, False])
def test_stop_wins_over_every_gate(gate, drill):
    """Whatever the gate, a stopped state refuses and says how to release."""
    state = model.engage(model.set_gate(RELEASED, gate, "live fire", "kim", NOW), "fire", "lee", NOW)
    found = model.permission(state, drill, NOW)
    assert (found.allowed, found.code) == (False, "stopped")
    assert found.next_step == "ops estop release --reason …"
    assert "fire" in found.reason


@pytest.mark.parametrize(
    ("gate", "drill", "code", "next_step"),
    [
        (Gate.DRY_RUN, True, "dry_run", "ops gate set MOCK_ONLY --reason …"),
        (Gate.DRY_RUN, False, "dry_run", "ops gate set REAL_ENABLED --reason … --for 60m"),
        (Gate.MOCK_ONLY, True, "allowed", ""),
        (Gate.MOCK_ONLY, False, "mock_only", "ops gate set REAL_ENABLED --reason … --for 60m"),
        (Gate.REAL_ENABLED, True, "allowed", ""),
        (Gate.REAL_ENABLED, False, "allowed", ""),
    ],
)
def test_gate_decides_what_may_be_touched(gate, drill, code, next_step):
    """Each gate permits what it says, and a refusal names the exact command that would change it."""
    found = model.permission(model.set_gate(RELEASED, gate, "r", "kim", NOW), drill, NOW)
    assert (found.code, found.next_step, found.allowed) == (code, next_step, code == "allowed")


def test_a_problem_refuses_even_where_a_state_says_released():
    """A state that could not be known is never permission, and its remedy is the next step."""
    state = replace(model.set_gate(RELEASED, Gate.REAL_ENABLED, "r", "kim", NOW), problem="damaged", remedy="look")
    found = model.permission(state, drill=True, now=NOW)
    assert (found.allowed, found.code, found.next_step) == (False, "stopped", "look")


def test_real_enabled_ends_at_its_end():
    """REAL_ENABLED holds in [start, end): not before (a clock set back), and not at the end itself."""
    state = model.set_gate(RELEASED, "REAL_ENABLED", "r", "kim", NOW)
    just = timedelta(milliseconds=1)
    assert model.effective_gate(state, NOW) is Gate.REAL_ENABLED
    assert model.effective_gate(state, NOW + HOUR - just) is Gate.REAL_ENABLED
    assert model.effective_gate(state, NOW + HOUR) is Gate.DRY_RUN
    assert model.effective_gate(state, NOW - just) is Gate.DRY_RUN
    refused = model.permission(state, drill=False, now=NOW + HOUR)
    assert refused.code == "dry_run"
    assert "until 2026-01-05T10:00:00.000Z" in refused.reason


@pytest.mark.parametrize("gate", [Gate.DRY_RUN, Gate.MOCK_ONLY])
def test_other_gates_do_not_expire_and_take_no_duration(gate):
    """Only acting for real ends by itself; a duration elsewhere is a mistake that is told."""
    state = model.set_gate(RELEASED, gate, "r", "kim", NOW)
    assert model.effective_gate(state, NOW + 1000 * HOUR) is gate
    with pytest.raises(UsageError, match="takes no duration"):
        model.set_gate(RELEASED, gate, "r", "kim", NOW, ttl_s=60)


@pytest.mark.parametrize("ttl_s", [0, -1, 8 * 3600 + 1, True, 60.0, float("nan")])
def test_real_enabled_takes_whole_seconds_up_to_eight_hours(ttl_s):
    """No duration beyond a shift, none that is no number of seconds."""
    with pytest.raises(UsageError, match="REAL_ENABLED cannot last"):
        model.set_gate(RELEASED, Gate.REAL_ENABLED, "r", "kim", NOW, ttl_s=ttl_s)


def test_longest_real_enabled_is_eight_hours():
    """The limit itself is allowed."""
    state = model.set_gate(RELEASED, Gate.REAL_ENABLED, "r", "kim", NOW, ttl_s=8 * 3600)
    assert state.gate_until == NOW + 8 * HOUR


@pytest.mark.parametrize("gate", ["REAL", "real_enabled", "", "DRY_RUN "])
def test_unknown_gate_names_the_known_ones(gate):
    """A gate that does not exist is a usage error."""
    with pytest.raises(UsageError) as caught:
        model.set_gate(RELEASED, gate, "r", "kim", NOW)
    assert caught.value.allowed == "MOCK_ONLY, DRY_RUN, REAL_ENABLED"


@pytest.mark.parametrize(
    "reason", ["", "  \t\n", "x" * 501, "a\nb", "a\x1b[2Jb", "a\x00b", "a\u2028b", "a\u202eb", "\ud800"]
)
def test_releasing_and_gates_need_a_fit_reason(reason):
    """No empty reason, none that is too long, none that could make a log say something else."""
    with pytest.raises(UsageError):
        model.release(model.initial("kim", NOW), reason, "kim", NOW)
    with pytest.raises(UsageError):
        model.set_gate(RELEASED, Gate.MOCK_ONLY, reason, "kim", NOW)


def test_reason_may_be_korean_with_emoji():
    """What people write is not refused, and stays as it was written."""
    reason = "상황 해제 👨‍👩‍👧"
    assert model.release(ControlState(), f" {reason} ", "kim", NOW).stop_reason == reason


@given(reason=st.text(max_size=3000), actor=st.text(max_size=300))
def test_engaging_never_refuses(reason, actor):
    """Any reason stops, and what is recorded of it is one line of bounded length."""
    state = model.engage(RELEASED, reason, actor, NOW)
    assert state.stopped
    assert 1 <= len(state.stop_reason) <= model.REASON_MAX_CHARS
    assert 1 <= len(state.stopped_by) <= model.ACTOR_MAX_CHARS
    assert state.stop_reason == model.required_reason(state.stop_reason, "test")
    assert model.from_values(state.as_dict(), 0) == state


def test_engaging_without_reason_says_engaged():
    """An empty reason has a default."""
    assert model.engage(RELEASED, " ", "kim", NOW).stop_reason == "engaged"


def test_releasing_leaves_the_gate_and_setting_the_gate_leaves_the_stop():
    """The two are independent."""
    gated = model.set_gate(model.initial("kim", NOW), Gate.REAL_ENABLED, "r", "lee", NOW)
    assert gated.stopped
    assert model.release(gated, "ok", "kim", NOW).gate is Gate.REAL_ENABLED


@given(
    gate=st.sampled_from(Gate),
    micros=st.integers(0, 10**9),
    ttl_s=st.integers(1, model.REAL_TTL_MAX_S),
    stopped=st.booleans(),
)
def test_state_survives_its_record(gate, micros, ttl_s, stopped):
    """What is recorded is what is read: instants are cut to the milliseconds that a record holds."""
    now = NOW + timedelta(microseconds=micros)
    ttl = {"ttl_s": ttl_s} if gate is Gate.REAL_ENABLED else {}
    state = model.set_gate(
        ControlState(stopped=stopped, stopped_at=NOW, sender=Sender(at=NOW)), gate, "r", "kim", now, **ttl
    )
    assert model.from_values(state.as_dict(), state.version) == state
    assert model.effective_gate(state, now) is gate


@pytest.mark.parametrize(
    "change",
    [
        {"stopped": 1},
        {"stopped": None},
        {"stopped": "false"},
        {"gate": "OPEN"},
        {"gate": None},
        {"gate": 7},
        {"gate_until": "2026-01-05T10:00:00.000Z"},
        {"gate": "REAL_ENABLED"},
        {"gate": "REAL_ENABLED", "gate_until": "2026-01-05T18:00:00.000Z"},
        {"gate": "REAL_ENABLED", "gate_until": "tomorrow"},
        {"gate": "REAL_ENABLED", "gate_until": "2026-01-05T10:00:00"},
        {"stop_reason": ""},
        {"stop_reason": 3},
        {"gate_by": None},
        {"stopped_at": None},
        {"stopped_at": 3},
        {"gate_at": None},
    ],
)
def test_values_that_no_transition_leaves_are_refused(change):
    """An unknown gate, an endless REAL_ENABLED, a missing time: a record like that is not believed."""
    with pytest.raises(ValueError, match=r"."):
        model.from_values({**RELEASED.as_dict(), **change}, 1)


def test_tidy_bounds_and_replaces():
    """An actor that is no name becomes one line, or the fallback."""
    assert model.tidy("a\tb\x00c", "?") == "a b c"
    assert model.tidy("\x1b", "?") == "?"
    assert len(model.tidy("x" * 10_000, "?")) == model.ACTOR_MAX_CHARS
