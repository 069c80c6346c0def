"""What the suite `daily` sees, and how its steps judge that."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest
from cycle_world import SLOT, World
from hypothesis import given
from hypothesis import strategies as st

from ops_core.content import content_dir
from ops_core.cycle.reading import read_daily
from ops_core.errors import CannotLook
from ops_core.evidence import DailyEvidence


def load(path: Path):
    spec = importlib.util.spec_from_file_location("checks_daily_steps", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


STEPS = load(content_dir() / "checks" / "daily" / "check_steps.py")
CHECKS = (
    STEPS.check_emergency_stop_is_released,
    STEPS.check_gate_is_known,
    STEPS.check_window_is_active,
    STEPS.check_window_is_approved,
    STEPS.check_cycle_has_run,
    STEPS.check_result_is_good,
)
evidence = st.builds(
    DailyEvidence,
    stopped=st.sampled_from(["", "engaged"]),
    gate=st.sampled_from(["MOCK_ONLY", "DRY_RUN", "REAL_ENABLED", "UNKNOWN"]),
    window=st.sampled_from(["NONE", "REQUESTED", "ACTIVE", "CONSUMED"]),
    window_used=st.booleans(),
    keys=st.integers(0, 2),
    keys_problem=st.sampled_from(["", "revoked"]),
    due_slot=st.sampled_from(["", SLOT]),
    due_run=st.booleans(),
    missed=st.sampled_from([(), (SLOT,)]),
    run_id=st.sampled_from(["", "20260105T000500Z-000007"]),
    result=st.sampled_from(["OK", "WARN", "OPEN", "STOPPED", "TIMED_OUT", ""]),
    alive=st.booleans(),
)


def judged(daily):
    """What each of the six checks says: good, bad, or why it was skipped."""
    told = []
    for check in CHECKS:
        try:
            check(daily)
        except AssertionError as error:
            told.append(f"bad: {error}")
        except pytest.skip.Exception as skipped:
            told.append(str(skipped.msg))
        else:
            told.append("good")
    return told


@given(daily=evidence)
def test_first_bad_step_ends_the_checklist(daily):
    """One bad step at most, all behind it not reached, each judged from the evidence alone."""
    told = judged(daily)
    bad = [number for number, said in enumerate(told, 1) if said.startswith("bad")]
    assert len(bad) <= 1
    for number, said in enumerate(told, 1):
        assert said.startswith("not reached: step") == bool(bad and number > bad[0])
        needless = number in {3, 4} and daily.gate != "REAL_ENABLED" and not (bad and bad[0] < number)
        assert said.startswith("not needed") == needless
    if daily.stopped:
        assert bad == [1]
    if not bad:
        assert daily.result in {"OK", "WARN"}
        assert daily.run_id
        assert not daily.missed


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def see(world):
    return read_daily(world.settings, world.clock)


def test_checklist_before_and_after_the_cycle(world):
    """Due and not run is bad, run is good; killed or missed is bad again."""
    before = see(world)
    assert (before.due_slot, before.due_run, before.run_id) == (SLOT, False, "")
    assert judged(before)[4].startswith(f"bad: the slot {SLOT} is due")
    receipt = world.run("now")
    after = see(world)
    assert (after.run_id, after.result, after.due_run) == (receipt["run_id"], "OK", True)
    assert judged(after) == [
        "good",
        "good",
        "not needed: the gate is DRY_RUN",
        "not needed: the gate is DRY_RUN",
        "good",
        "good",
    ]
    world.clock.elapsed_s += 2 * 86400 - 3600
    assert "nobody ran 2026-01-06" in judged(see(world))[4]


def test_stop_and_missing_store_end_it_at_step_one(world):
    """The latch, the store's stop, or no store at all: step 1 is bad and nothing else is judged."""
    world.run()
    world.plane.engage("smoke")
    assert judged(see(world))[0] == "bad: the emergency stop is engaged: smoke"
    world.settings.control_store.unlink()
    told = judged(see(world))
    assert told[0].startswith("bad: the emergency stop counts as engaged")
    assert all(said.startswith("not reached: step 1") for said in told[1:])


def test_result_that_is_not_good_is_bad(world):
    """A cycle that found the stop engaged is not good after the release, until one ran that is."""
    world.plane.engage("smoke")
    world.run("now")
    world.plane.release("gone")
    world.clock.elapsed_s += 3600
    assert "ended as STOPPED" in judged(see(world))[5]
    world.run()
    assert judged(see(world))[5] == "good"


def test_real_gate_asks_for_window_and_approvals(world):
    """Under REAL_ENABLED steps 3 and 4 are judged."""
    world.arm()
    world.run()
    world.clock.elapsed_s += 1800
    assert judged(see(world))[2:4] == ["good", "good"]
    assert "keys given" in judged(replace(see(world), keys=1))[3]


def test_a_gate_that_was_set_later_than_now_is_not_known(world):
    """Where the clock was put back nobody can tell which gate is in force; set again, it is known again."""
    world.run()
    world.plane.set_gate("DRY_RUN", "ahead")
    world.clock.elapsed_s -= 1
    assert judged(see(world))[1] == "bad: the gate is UNKNOWN"
    world.plane.set_gate("DRY_RUN", "the safe one")
    assert judged(see(world))[1] == "good"


def test_used_window_counts_only_with_its_fire():
    """A window that the cycle's own live fire consumed was active; any other consumed one is not."""
    daily = DailyEvidence(stopped="", gate="REAL_ENABLED", window="CONSUMED", keys=2, run_id="r", result="OK")
    assert judged(daily)[2] == "bad: the window is CONSUMED"
    assert judged(replace(daily, window_used=True)) == ["good"] * 6


def test_schedule_that_cannot_be_followed_is_not_seen(world):
    """A zone that this machine does not know: nobody can tell what was due, so it is not seen."""
    world.configure(schedule='zone = "Nowhere/Atlantis"')
    with pytest.raises(CannotLook):
        see(world)
