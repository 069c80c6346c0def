"""The guard: its word at the moment of use is the one that counts."""

import pytest

from ops_core.clock import SystemClock
from ops_core.control.service import ControlPlane
from ops_core.errors import EXIT_REFUSED
from ops_core.remediation.guard import Guard, GuardRefused


@pytest.fixture
def plane(tmp_path):
    plane = ControlPlane(tmp_path / "state" / "control.db", SystemClock(), actor="kim")
    plane.create()
    return plane


def release(plane, gate):
    plane.release("rehearsal")
    plane.set_gate(gate, "rehearsal")


@pytest.mark.parametrize(
    ("gate", "drill", "code"),
    [
        ("MOCK_ONLY", True, "allowed"),
        ("MOCK_ONLY", False, "mock_only"),
        ("DRY_RUN", True, "dry_run"),
        ("DRY_RUN", False, "dry_run"),
        ("REAL_ENABLED", False, "allowed"),
    ],
)
def test_the_gate_decides(plane, gate, drill, code):
    """MOCK_ONLY acts in drills only, DRY_RUN nowhere; what is said beforehand and at the moment of use is the same."""
    release(plane, gate)
    guard = Guard(plane, drill)
    assert guard.permission().code == code
    if code == "allowed":
        assert guard.check().allowed
        with guard.at_the_point_of_effect() as change:
            assert not change.state.stopped
    else:
        with pytest.raises(GuardRefused) as early:
            guard.check()
        with pytest.raises(GuardRefused) as late, guard.at_the_point_of_effect():
            pytest.fail("nothing may be done here")
        assert (early.value.code, late.value.code) == (code, code)
        assert late.value.exit_code == EXIT_REFUSED
        assert late.value.next_step


def test_a_stop_wins_over_every_gate(plane):
    """Engaged after the first answer, before the second: the second one counts, and nothing is changed."""
    release(plane, "REAL_ENABLED")
    guard = Guard(plane, drill=False)
    assert guard.check().allowed
    plane.engage("smoke in the server room")
    rows = len(plane.audit_rows())
    with pytest.raises(GuardRefused, match="smoke in the server room") as caught, guard.at_the_point_of_effect():
        pytest.fail("nothing may be done here")
    assert caught.value.code == "stopped"
    assert len(plane.audit_rows()) == rows


def test_a_latch_stops_too(plane):
    """A file beside the store is a stop, whoever made it."""
    release(plane, "MOCK_ONLY")
    guard = Guard(plane, drill=True)
    (plane.path.parent / "EMERGENCY_STOP").touch()
    with pytest.raises(GuardRefused), guard.at_the_point_of_effect():
        pytest.fail("nothing may be done here")
    assert guard.must_end()() != ""


def test_what_cannot_be_known_is_stopped(plane):
    """Without a readable store nothing is permitted, and what runs is ended."""
    release(plane, "MOCK_ONLY")
    guard = Guard(plane, drill=True)
    assert guard.must_end()() == ""
    plane.path.write_bytes(b"not a database at all")
    assert guard.permission().code == "stopped"
    assert "counts as engaged" in guard.must_end()()


def test_a_gate_that_closes_lets_a_step_finish(plane):
    """Half a step is worse than a whole one; only a stop ends what is under way."""
    release(plane, "MOCK_ONLY")
    guard = Guard(plane, drill=True)
    plane.set_gate("DRY_RUN", "enough")
    assert guard.must_end()() == ""
    plane.engage("stop")
    assert "stop" in guard.must_end()()
