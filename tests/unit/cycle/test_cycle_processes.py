"""Cycles in processes of their own: many at once, killed, ended by signals and by the emergency stop."""

from __future__ import annotations

import json
import signal
from datetime import UTC, datetime, timedelta

import pytest
from cycle_world import ENDLESS, World, ended, start, working

from ops_core.clock import SystemClock
from ops_core.control.running import engage_and_end
from ops_core.control.tickets import entries
from ops_core.cycle import records
from ops_core.cycle.run import CycleRunning
from ops_core.push import fire

pytestmark = pytest.mark.slow


def always_due() -> str:
    """A schedule whose slot has been due since a minute ago, and stays so for hours."""
    begun = datetime.now(UTC) - timedelta(minutes=1)
    return f'zone = "UTC"\nat = "{begun:%H:%M}"\ndays = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]\ngrace_minutes = 720'


@pytest.fixture
def world(tmp_path):
    return World(tmp_path, clock=SystemClock(), schedule=always_due())


def test_many_schedulers_run_a_slot_once(tmp_path, store_keys):
    """32 processes ask for the slot that is due: one runs it, all others get the very same receipt."""
    world = World(tmp_path, clock=SystemClock(), schedule=always_due(), store=store_keys)
    processes = [start(world, slot="now", authorised_to_fire=True) for _ in range(32)]
    results = [ended(process, 240) for process in processes]
    assert {code for code, _ in results} == {0}
    receipts = [receipt for _, receipt in results]
    assert sum(not receipt.pop("already_run", False) for receipt in receipts) == 1
    assert all(receipt == receipts[0] for receipt in receipts)
    assert world.rows() == {receipts[0]["run_id"]: "OK"}
    assert world.actions().count("outbox.added") == 1


def test_store_alone_settles_who_runs(tmp_path, store_keys):
    """Where nobody can wait for a turn, as between hosts, the store still lets one run the slot."""
    world = World(tmp_path, clock=SystemClock(), schedule=always_due(), store=store_keys)
    (world.settings.control_dir / ".cycle.lock").mkdir()
    results = [ended(process, 240) for process in [start(world, slot="now") for _ in range(6)]]
    assert len({receipt["run_id"] for _, receipt in results}) == 1
    assert list(world.rows().values()) == ["OK"]


def test_by_hand_one_runs_and_the_others_are_refused(world):
    """While one runs, another process is refused with exit code 2, and says which one runs."""
    first = start(world, ENDLESS)
    working(first)
    code, told = ended(start(world))
    assert (code, told["exit_code"]) == (2, 2)
    assert world.latest()["run_id"] in told["error"]
    with pytest.raises(CycleRunning):
        world.run()
    first.send_signal(signal.SIGTERM)
    ended(first)
    assert world.run()["result"] == "OK"


@pytest.mark.parametrize("slot", [None, "now"])
def test_killed_cycle_is_closed_by_the_next(tmp_path, store_keys, slot):
    """SIGKILL leaves an open run; the next cycle closes it as INTERRUPTED and goes on, a slot is not run again."""
    world = World(tmp_path, clock=SystemClock(), schedule=always_due(), store=store_keys)
    process = start(world, ENDLESS, slot=slot)
    working(process)
    process.kill()
    process.communicate()
    assert world.latest()["result"] == "OPEN"
    killed = world.latest()["run_id"]
    receipt = world.run(slot)
    if slot is None:
        assert receipt["result"] == "OK"
    else:
        assert (receipt["run_id"], receipt["result"], receipt["already_run"]) == (killed, "INTERRUPTED", True)
        assert "is gone" in receipt["cause"]
        assert world.run()["result"] == "OK"
    assert list(world.rows().values()) == ["INTERRUPTED", "OK"]
    with world.plane.snapshot() as found:
        closed = records.open_runs(found)
        results = [json.loads(one.line)["result"] for one in entries(found, "results")]
    assert (closed, results) == ((), ["INTERRUPTED", "OK"])
    assert world.actions().count("cycle.ended") == 2


def test_killed_while_firing_is_told_so(world):
    """Killed between burning and sending: the next receipt names the fire, and nothing is sent again."""
    code = """
import os, signal
import ops_core.push.firing as firing
firing._send_all = lambda run: os.kill(os.getpid(), signal.SIGKILL)
from ops_core.cycle.__main__ import main
sys.exit(main())
"""
    always = '[profiles.default.trading]\nopens = "00:00"\ncloses = "24:00"\ndays = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]'
    world.configure(cycle=f"live_fire = true\n{always}", schedule=always_due())
    world.arm()
    process = start(world, code, authorised_to_fire=True)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    killed = world.latest()["run_id"]
    receipt = world.run(authorised_to_fire=True)
    assert receipt["result"] == "WINDOW_NOT_ACTIVE"
    assert world.plane.state().window.status == "CONSUMED"
    assert world.plane.state().sender.enabled is False
    shown = world.root / "reports" / "ops" / "daily" / "snapshots" / f"ops_run_{killed}.json"
    step = json.loads(shown.read_text())["live_fire_step"]
    assert (step["attempted"], step["result"]) == (True, "INTERRUPTED")
    assert step["fire_id"]


def test_killed_cycle_does_not_claim_the_fire_of_another(world):
    """Somebody fires by hand after a cycle was killed: the receipt of the cycle does not say that it did."""
    always = '[profiles.default.trading]\nopens = "00:00"\ncloses = "24:00"\ndays = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]'
    world.configure(cycle=f"live_fire = true\n{always}", schedule=always_due())
    process = start(world, ENDLESS, authorised_to_fire=True)
    working(process)
    process.kill()
    process.communicate()
    killed = world.latest()["run_id"]
    world.arm()
    assert fire(world.settings, world.plane, authorised=True)["window_id"]
    world.run()
    shown = world.root / "reports" / "ops" / "daily" / "snapshots" / f"ops_run_{killed}.json"
    step = json.loads(shown.read_text())["live_fire_step"]
    assert (step["attempted"], step["fire_id"]) == (False, None)


def test_emergency_stop_ends_a_running_cycle(world):
    """The stop is acknowledged when the cycle has ended, and the cycle says STOPPED, by whom and why."""
    process = start(world, ENDLESS)
    working(process)
    acknowledged = engage_and_end(world.plane, "smoke in the room")
    assert acknowledged.complete
    # Acknowledged is ended: nothing has to be waited for.
    receipt = world.latest()
    assert receipt["result"] == "STOPPED"
    assert "smoke in the room" in receipt["cause"]
    code, told = ended(process)
    assert (code, told) == (2, receipt)
    assert [step["state"] for step in receipt["steps"]][4:] == ["failed", "not_reached"]


@pytest.mark.parametrize(("number", "name"), [(signal.SIGTERM, "SIGTERM"), (signal.SIGINT, "SIGINT")])
def test_signals_end_a_cycle_with_a_receipt(world, number, name):
    """Ended from outside it leaves INTERRUPTED and exit code 3, not an open run."""
    process = start(world, ENDLESS)
    working(process)
    process.send_signal(number)
    code, receipt = ended(process)
    assert (code, receipt["result"]) == (3, "INTERRUPTED")
    assert name in receipt["cause"]
    assert world.latest() == receipt


def test_budget_ends_what_hangs(world):
    """A preflight that never returns is cut off at the end of the budget: TIMED_OUT, exit code 3."""
    world.configure(cycle="budget_s = 3.0", schedule=always_due())
    code, receipt = ended(start(world, ENDLESS))
    assert (code, receipt["result"]) == (3, "TIMED_OUT")
    assert "the budget of 3 s is spent" in receipt["cause"]


@pytest.mark.parametrize(
    "request_text",
    [
        "",
        "[]",
        "{",
        '{"config": 1, "actor": "x"}',
        '{"config": "x"}',
        '{"config": "x", "actor": "y", "more": 1}',
        "[" * 9999,
        '{"a": "' + "x" * 70_000 + '"}',
    ],
    ids=lambda text: text[:12],
)
def test_what_is_no_request_is_told(world, request_text):
    """Whatever comes on stdin: JSON with what is wrong, exit code 64, no traceback."""
    world.request_text = lambda **_: request_text
    code, told = ended(start(world))
    assert (code, told["exit_code"]) == (64, 64)
    assert world.rows() == {}
