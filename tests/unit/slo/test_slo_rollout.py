"""A rollout runs while the budget is known not to be spent, behind stop and gate, and a stop ends it whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from slo_world import World, minutes, utc
from support import eventually

from ops_core.config import SecretSource
from ops_core.errors import Refused, UsageError
from ops_core.remediation.guard import Guard
from ops_core.slo.availability import BudgetState
from ops_core.slo.rollout import BudgetRefused, roll_out, rulings

NOW = utc("2026-11-10 12:00")


def watched(root, now, *, bad_minutes=0):
    """Two hours of looks before `now`, of which `shop` was bad for so many minutes; the budget is for one day."""
    world = World(root, now, zone="UTC", slo="observation_valid_s = 86400\nbudget_days = 1")
    world.look(now - timedelta(days=1), shop="good", search="good")
    world.look(now - minutes(60), shop="bad" if bad_minutes else "good", search="good")
    world.look(now - minutes(60 - bad_minutes), shop="good", search="good")
    world.plane.release("rehearsal")
    world.plane.set_gate("MOCK_ONLY", "rehearsal")
    return world


def run(world, *argv, **more):
    fields = {"folder": world.root, "timeout_s": 60.0, **more}
    return roll_out(world.settings, world.plane, world.clock, argv or ("touch", "rolled-out"), **fields)


def audited(world):
    """(action, detail) of what was recorded about rollouts."""
    rows = [(row.action, json.loads(row.detail)) for row in world.plane.audit_rows()]
    return [one for one in rows if one[0].startswith("rollout.")]


def done(world):
    return (world.root / "rolled-out").exists()


def test_a_rollout_runs_while_the_budget_lasts(tmp_path):
    """86.4 s of a day are allowed and 60 were bad: it runs where it was called, and the record says on what figures."""
    world = watched(tmp_path, NOW, bad_minutes=1)
    found = run(world)
    assert found.ended.exit_code == 0
    assert done(world)
    (begun, told), (ended, outcome) = audited(world)
    assert (begun, ended, outcome["exit_code"]) == ("rollout.begun", "rollout.ended", 0)
    assert told["argv"] == "touch rolled-out"
    assert told["budgets"][0]["spent_s"] == 60
    assert told["budgets"][0]["allowed_s"] == 86.4
    assert told["budgets"][0]["left_ratio"] == pytest.approx(26.4 / 86.4, abs=1e-6)


def test_a_spent_budget_refuses(tmp_path):
    """120 s were bad of 86.4: nothing runs, the refusal has the figures and is recorded; what is not touched goes on."""
    world = watched(tmp_path, NOW, bad_minutes=2)
    with pytest.raises(BudgetRefused) as caught:
        run(world)
    assert caught.value.exit_code == 2
    assert caught.value.what == (
        "the error budget of shop is spent: 120 s were bad of 86 s that 99.9 % of 1 days allow"
    )
    assert "--override" in caught.value.next_step
    assert not done(world)
    assert [action for action, _ in audited(world)] == ["rollout.refused"]
    assert run(world, targets=["search"]).ended.exit_code == 0


def test_without_a_target_there_is_no_budget(tmp_path):
    """Nothing is known to be left where nothing is looked at."""
    world = watched(tmp_path, NOW)
    world.settings = replace(world.settings, targets=())
    with pytest.raises(UsageError, match="no target"):
        run(world)
    assert not done(world)


def test_a_budget_that_nobody_knows_refuses(tmp_path):
    """Without observations nothing is left to spend: unknown is not good."""
    world = World(tmp_path, NOW, zone="UTC")
    world.plane.release("rehearsal")
    world.plane.set_gate("MOCK_ONLY", "rehearsal")
    with pytest.raises(BudgetRefused) as caught:
        run(world, targets=["shop"])
    assert (
        caught.value.what == "the error budget of shop is unknown: nobody knows: 100.0 % of 30 days were not observed"
    )
    assert [one.state for one in caught.value.rulings] == [BudgetState.UNKNOWN]
    assert not done(world)


def test_an_override_needs_a_reason_and_is_recorded(tmp_path):
    """With one it runs, and the record says that it did although the budget was spent."""
    world = watched(tmp_path, NOW, bad_minutes=2)
    with pytest.raises(UsageError):
        run(world, override=True, reason=" ")
    found = run(world, override=True, reason="the repair itself")
    assert found.overridden
    assert done(world)
    told = audited(world)[0][1]
    assert (told["override"], told["reason"]) == (True, "the repair itself")


@pytest.mark.parametrize(("stop", "gate"), [(True, "MOCK_ONLY"), (False, "DRY_RUN")])
def test_no_override_passes_the_guard(tmp_path, stop, gate):
    """An engaged stop and a closed gate refuse whatever the budget says and whatever reason is given."""
    world = watched(tmp_path, NOW)
    world.plane.set_gate(gate, "rehearsal")
    if stop:
        world.plane.engage("rehearsal")
    with pytest.raises(Refused):
        run(world, override=True, reason="now")
    assert not done(world)
    assert audited(world) == []
    assert not [row for row in world.plane.audit_rows() if row.action == "work.begun"]


def test_the_guard_is_asked_once_more_at_the_point_of_effect(tmp_path, monkeypatch):
    """A gate that closes after the first question still refuses; what was registered is taken back."""
    world = watched(tmp_path, NOW)
    world.plane.set_gate("DRY_RUN", "rehearsal")
    monkeypatch.setattr(Guard, "check", lambda _self: None)
    with pytest.raises(Refused):
        run(world)
    assert not done(world)
    assert audited(world) == []
    assert world.plane.audit_rows()[-1].action == "work.ended"


def test_a_target_that_there_is_not_is_refused(tmp_path):
    """A misspelt name must not mean another budget."""
    world = watched(tmp_path, NOW)
    with pytest.raises(UsageError):
        run(world, targets=["shpo"])
    assert [one.target for one in rulings(world.settings, world.plane, world.clock, ["search", "search"])] == ["search"]


@pytest.mark.parametrize("argv", [[""], ["x" * 5000], ["a\0b"], ["x"] * 300])
def test_what_is_no_command_is_refused(tmp_path, argv):
    """Before anything is looked at."""
    with pytest.raises(UsageError):
        run(World(tmp_path, NOW, zone="UTC"), *argv)


def test_a_command_that_fails_or_is_missing_is_told_and_recorded(tmp_path):
    """Its exit code and what it printed; a program that is not there is 127."""
    world = watched(tmp_path, NOW)
    found = run(world, "sh", "-c", "echo oops; exit 7")
    assert (found.ended.exit_code, found.ended.output, found.stopped) == (7, "oops\n", False)
    assert run(world, "no-such-program").ended.exit_code == 127
    assert run(world, "sleep", "60", timeout_s=0.1).ended.why == "not done within 0.1 s"
    assert [told["exit_code"] for action, told in audited(world) if action == "rollout.ended"][:2] == [7, 127]


def test_secrets_do_not_reach_the_record(tmp_path, monkeypatch):
    """The command gets its argument; the audit does not."""
    world = watched(tmp_path, NOW)
    monkeypatch.setenv("DEPLOY_TOKEN", "very-secret-token")
    world.settings = replace(world.settings, secrets={"DEPLOY_TOKEN": SecretSource()})
    found = run(world, "echo", "very-secret-token")
    assert found.ended.output == "very-secret-token\n"
    assert "very-secret-token" not in json.dumps(audited(world))


def test_an_emergency_stop_ends_it_with_what_it_started(tmp_path):
    """`ops rollout` is a work: the stop is acknowledged when it has ended, and it exits as refused."""
    world = watched(tmp_path, datetime.now(UTC))
    ops = [sys.executable, "-m", "ops_core.cli"]
    script = "sleep 600 & echo $! > started; wait"
    rollout = subprocess.Popen(
        [*ops, "rollout", "--json", "--", "sh", "-c", script], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    with rollout:
        started = tmp_path / "started"
        eventually(lambda: started.exists() and started.read_text().strip() != "", "the rollout began")
        stopped = subprocess.run([*ops, "estop", "engage", "--json"], cwd=tmp_path, capture_output=True, text=True)
        told = json.loads(stopped.stdout)
        assert told["complete"] is True
        assert [one["kind"] for one in told["ended"]] == ["rollout"]
        out, _ = rollout.communicate(timeout=30)
    assert rollout.returncode == 2
    assert "emergency stop" in json.loads(out)["why"]
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text()), 0)
    assert audited(world)[-1][0] == "rollout.ended"
