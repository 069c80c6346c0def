"""Cycles at a real store: each outcome for real, and gone once its cause is."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from bot_api import BotApi
from cycle_world import SLOT, World

from ops_core.control.contracts import accept
from ops_core.control.people import revoke_operator, revoke_window
from ops_core.control.tickets import entries
from ops_core.cycle.run import CycleRunning
from ops_core.errors import Refused, UsageError
from ops_core.push import add_message, messages
from ops_core.push import latest as latest_fire


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def tickets(world, journal):
    with world.plane.snapshot() as found:
        return [json.loads(one.line) for one in entries(found, journal)]


def states(receipt):
    return [step["state"] for step in receipt["steps"]]


def test_good_cycle_leaves_a_receipt_a_message_and_tickets(world):
    """In the safe modes nothing real happens: OK, a message that waits, everything in the store and in the mirrors."""
    receipt = world.run()
    assert (receipt["result"], receipt["slot"], receipt["remedy"]) == ("OK", None, "")
    assert states(receipt) == ["ok", "ok", "not_needed", "not_needed", "ok", "ok"]
    assert receipt["observed_modes"] == {
        "emergency_stop": False,
        "execution_gate": "DRY_RUN",
        "delivery_policy": "CONSOLE_ONLY",
        "real_sender_enable": False,
        "external_send": "FORBIDDEN",
    }
    assert receipt["live_fire_step"]["attempted"] is False
    assert receipt["live_fire_step"]["reason"] == "not configured: cycle.live_fire is false"
    assert world.latest() == receipt
    assert receipt["checkpoint"]["seq"] < world.plane.audit_rows()[-1].seq
    with world.plane.snapshot() as found:
        (message,) = messages(found)
    assert (message.id, message.state, message.created_by) == (receipt["daily_message"]["id"], "PENDING", "cycle")
    assert receipt["run_id"] in message.body
    assert [one["run_id"] for one in tickets(world, "requests")] == [receipt["run_id"]]
    assert [one["result"] for one in tickets(world, "results")] == ["OK"]
    shown = json.loads((world.root / "reports" / "ops" / "daily" / "ops_report_latest.json").read_text())
    assert shown["run_id"] == receipt["run_id"]


def test_stopped_until_released(world):
    """An engaged stop is an outcome with a receipt; nothing is looked at behind it, and once released the cycle runs."""
    world.plane.engage("a bad feeling")
    receipt = world.run()
    assert receipt["result"] == "STOPPED"
    assert receipt["observed_modes"]["emergency_stop"] is True
    assert states(receipt) == ["failed", *["not_reached"] * 5]
    assert "a bad feeling" in receipt["cause"]
    assert "ops estop release" in receipt["remedy"]
    assert "a bad feeling" in receipt["live_fire_step"]["reason"]
    world.plane.release("it passed")
    assert world.run()["result"] == "OK"
    assert list(world.rows().values()) == ["STOPPED", "OK"]


def test_latch_alone_stops(world):
    """The file beside the store stops a cycle as well as the store does."""
    latch = world.settings.control_dir / "EMERGENCY_STOP"
    latch.touch()
    assert world.run()["result"] == "STOPPED"
    latch.unlink()
    assert world.run()["result"] == "OK"


def test_without_a_store_it_is_stopped_and_nothing_is_kept(tmp_path):
    """A store that is missing counts as stopped; the receipt says that nothing could keep it."""
    world = World(tmp_path, settle=False)
    receipt = world.run()
    assert (receipt["result"], receipt["recorded"]) == ("STOPPED", False)
    assert not world.settings.control_store.exists()


def test_preflight_names_everything_that_is_missing(world):
    """Modules and files, each with what to type, in receipt and ticket; once they are there the cycle runs."""
    files = [world.root / name for name in ("prices.csv", "empty.csv", "folder")]
    files[1].touch()
    files[2].mkdir()
    needs = f'needs_modules = ["json", "no_such_module", "no_such.inner"]\nneeds_files = {json.dumps(list(map(str, files)))}'
    world.configure(cycle=needs)
    receipt = world.run()
    assert receipt["result"] == "PREFLIGHT_FAIL"
    assert states(receipt) == ["ok", "ok", "not_needed", "not_needed", "failed", "not_reached"]
    told = "\n".join(one["what"] for one in receipt["preflight"])
    for word in (
        "module no_such_module ",
        "module no_such.inner ",
        "prices.csv is not there",
        "empty.csv is empty",
        "is not a file",
    ):
        assert word in told
    assert len(receipt["preflight"]) == 5
    assert all(one["next"] for one in receipt["preflight"])
    (ticket,) = tickets(world, "preflight")
    assert (ticket["run_id"], ticket["missing"]) == (receipt["run_id"], receipt["preflight"])
    (mirror,) = (world.root / "reports" / "tickets" / "preflight").glob("*.json")
    assert receipt["run_id"] in mirror.read_text()
    for file in files[:2]:
        file.write_text("1")
    world.configure(cycle=f'needs_modules = ["json"]\nneeds_files = {json.dumps(list(map(str, files[:2])))}')
    assert world.run()["result"] == "OK"


def test_what_the_allowlist_does_not_name_is_refused(world):
    """Another request type, or an allowlist that nobody accepted, is a violation; nothing is added to the outbox."""
    receipt = world.run(request_types=("OPS_CYCLE", "REBALANCE"))
    assert receipt["result"] == "ALLOWLIST_VIOLATION"
    assert "REBALANCE" in receipt["cause"]
    allowed = json.loads(world.allowlist.read_text())
    world.allowlist.write_text(json.dumps({**allowed, "request_types": ["OPS_CYCLE", "LIVE_FIRE", "REBALANCE"]}))
    assert world.run(request_types=("REBALANCE",))["result"] == "ALLOWLIST_VIOLATION"
    accept(world.plane, world.settings, "agreed")
    assert world.run(request_types=("REBALANCE",))["result"] == "OK"
    with world.plane.snapshot() as found:
        assert len(messages(found)) == 1


@pytest.mark.parametrize("types", [(), ("",), ("A", "A"), ("A\nB",), ("A" * 65,), tuple(map(str, range(21)))])
def test_unfit_request_types_are_a_mistake(world, types):
    """What could not stand in a record is told, and leaves no receipt."""
    with pytest.raises(UsageError):
        world.run(request_types=types)
    assert world.rows() == {}


def test_real_gate_needs_an_active_window(world):
    """Under REAL_ENABLED: no window, one with a key too few, then an active one; and none again once the gate is shut."""
    world.people()
    world.run()
    world.plane.set_gate("REAL_ENABLED", "weekly")
    none = world.run()
    assert (none["result"], states(none)[2]) == ("WINDOW_NOT_ACTIVE", "failed")
    assert "no window was requested" in none["cause"]
    world.request("bob")
    assert "REQUESTED, 1 of 2 keys" in world.run()["cause"]
    revoke_window(world.plane, "not today")
    assert "REVOKED" in world.run()["cause"]
    world.request("bob", "cho")
    good = world.run()
    assert (good["result"], states(good)) == ("OK", ["ok"] * 6)
    assert good["daily_message"]["id"] is None
    assert "window is open" in good["daily_message"]["reason"]
    world.clock.elapsed_s += 3601
    world.plane.set_gate("REAL_ENABLED", "again")
    assert "EXPIRED" in world.run()["cause"]
    world.plane.set_gate("DRY_RUN", "enough")
    assert world.run()["result"] == "OK"


def test_approvals_that_do_not_prove_themselves_fail_step_four(world):
    """A key that was revoked after its approval: the window is ACTIVE, its approvals are not good any more."""
    world.arm()
    revoke_operator(world.plane, "bob")
    receipt = world.run()
    assert receipt["result"] == "WINDOW_NOT_ACTIVE"
    assert states(receipt)[2:4] == ["ok", "failed"]
    assert "bob" in receipt["cause"]


def test_gate_that_ran_out_is_a_warning(world):
    """REAL_ENABLED that does not hold any more is told; the cycle runs as in DRY_RUN."""
    world.plane.set_gate("REAL_ENABLED", "weekly", ttl_s=60)
    world.clock.elapsed_s += 60
    receipt = world.run()
    assert receipt["result"] == "WARN"
    assert "REAL_ENABLED ran out" in receipt["cause"]


@pytest.mark.parametrize(
    ("gate", "authorised", "reason"),
    [
        ("DRY_RUN", True, "the gate is DRY_RUN"),
        ("MOCK_ONLY", True, "the gate is MOCK_ONLY"),
        ("REAL_ENABLED", False, "not authorised"),
    ],
)
def test_live_fire_is_tried_only_where_all_allows_it(world, gate, authorised, reason):
    """Gate and authority stand before it; the reason says which."""
    world.configure(cycle="live_fire = true")
    world.arm()
    if gate != "REAL_ENABLED":
        world.plane.set_gate(gate, "safe")
    fire = world.run(authorised_to_fire=authorised)["live_fire_step"]
    assert (fire["attempted"], fire["fire_id"]) == (False, None)
    assert fire["reason"].startswith(reason)


def test_blocked_live_fire_is_a_warning_and_burns_nothing(world):
    """A precondition is missing: WARN with the reason, the window stays, no message is added to what was approved."""
    world.configure(cycle="live_fire = true")
    world.arm()
    world.plane.disable_sender("not yet")
    receipt = world.run(authorised_to_fire=True)
    assert (receipt["result"], receipt["live_fire_step"]["result"]) == ("WARN", "BLOCKED")
    assert "sender_enable" in receipt["live_fire_step"]["reason"]
    assert world.plane.state().window.status == "ACTIVE"
    assert receipt["daily_message"]["id"] is None


def test_live_fire_is_cut_off_between_two_messages(world, monkeypatch):
    """The budget ends during a live fire: what was sent stays sent, the rest waits, everything is locked down."""
    import ops_core.cycle.work as cycle_work
    from ops_core.cycle.cutting import CutOffError
    from ops_core.cycle.sequence import Outcome

    def between(_job, phase):
        if phase == "recorded":
            raise CutOffError(Outcome.TIMED_OUT, "the budget is spent")

    with BotApi() as bot:
        world.configure(cycle="live_fire = true", url=bot.url)
        add_message(world.plane, "the first")
        world.arm()
        monkeypatch.setattr(cycle_work, "_between", between)
        receipt = world.run(authorised_to_fire=True)
    assert bot.texts == ["the first"]
    assert (receipt["result"], receipt["live_fire_step"]["attempted"]) == ("TIMED_OUT", True)
    with world.plane.snapshot() as found:
        assert latest_fire(found)["outcome"] == "INTERRUPTED"
        assert [message.state for message in messages(found)] == ["PENDING", "SENT"]
    state = world.plane.state()
    assert (state.window.status, state.sender.enabled) == ("CONSUMED", False)


def test_live_fire_in_a_cycle(world):
    """Everything in place: fired once, and afterwards the daily message is added to what waits."""
    with BotApi() as bot:
        world.configure(cycle="live_fire = true", url=bot.url)
        world.arm()
        receipt = world.run(authorised_to_fire=True)
    assert (receipt["result"], bot.texts) == ("OK", ["weekly report"])
    assert receipt["live_fire_step"]["result"] == "FIRED"
    assert receipt["live_fire_step"]["reason"]
    assert receipt["daily_message"]["id"]


def test_spent_budget_times_out(world):
    """A budget that is over before the work begins: TIMED_OUT with what was done, and no message."""
    world.configure(cycle="budget_s = 0.001")
    ticks = iter(range(10_000))
    world.clock.monotonic = lambda: float(next(ticks))
    receipt = world.run()
    assert receipt["result"] == "TIMED_OUT"
    assert "0.001 s" in receipt["cause"]
    assert "done until then" in receipt["cause"]
    assert "budget_s" in receipt["remedy"]
    world.configure()
    assert world.run()["result"] == "OK"


def test_slot_is_run_once(world):
    """Asked again, by now or by its key, the slot gives the same receipt; a cycle by hand runs each time."""
    first = world.run("now")
    assert (first["slot"], first["result"]) == (SLOT, "OK")
    for asked in ("now", SLOT):
        world.clock.elapsed_s += 60
        again = world.run(asked)
        assert again.pop("already_run") is True
        assert again == first
    assert world.run()["run_id"] != first["run_id"]
    world.clock.elapsed_s += 86400 - 120
    assert world.run(SLOT)["run_id"] == first["run_id"]
    assert world.run("now")["slot"] == "2026-01-06T09:05+09:00[Asia/Seoul]"


@pytest.mark.parametrize("slot", ["now", SLOT, "tomorrow", "x" * 9999])
def test_slot_that_is_not_due_is_refused_with_the_next(world, slot):
    """Outside of a slot's window nothing is run for it, and the next one is named."""
    world.clock.elapsed_s = 30 * 60.0
    with pytest.raises(Refused, match=r"2026-01-06T09:05\+09:00"):
        world.run(slot)
    assert world.rows() == {}


def test_stopped_slot_stays_run(world):
    """A slot that found the stop engaged has its receipt; after the release it is run by hand."""
    world.plane.engage("wait")
    assert world.run("now")["result"] == "STOPPED"
    world.plane.release("go")
    assert world.run("now")["result"] == "STOPPED"
    assert world.run()["result"] == "OK"


def test_missed_slots_are_noticed_once(world):
    """Three days nobody came: the next receipt names their slots and warns; the one after does not."""
    world.run("now")
    world.clock.elapsed_s += timedelta(days=4).total_seconds()
    receipt = world.run("now")
    assert receipt["result"] == "WARN"
    assert [slot[:10] for slot in receipt["missed"]] == ["2026-01-06", "2026-01-07", "2026-01-08"]
    assert "missed before: 2026-01-06" in receipt["cause"]
    world.clock.elapsed_s += 60
    assert world.run()["result"] == "OK"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("zone", "at", "days"),
    [
        ("America/New_York", "02:30", ("2026-03-08", "2026-11-01")),
        ("Europe/Berlin", "02:30", ("2026-03-29", "2026-10-25")),
        ("Australia/Lord_Howe", "02:15", ("2026-04-05", "2026-10-04")),
    ],
)
def test_changed_clocks_neither_skip_nor_double_a_slot(tmp_path, zone, at, days):
    """Around both changes, asked every 25 minutes: each local day has exactly one cycle."""
    from datetime import UTC, date, datetime

    schedule = f'zone = "{zone}"\nat = "{at}"\ndays = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]'
    for day in map(date.fromisoformat, days):
        world = World(tmp_path / str(day), schedule=schedule)
        world.clock.instant = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(days=1)
        ran = set()
        for step in range(3 * 24 * 60 // 25):
            world.clock.elapsed_s = step * 1500.0
            try:
                receipt = world.run("now")
            except Refused:
                continue
            ran.add((receipt["run_id"], receipt["slot"]))
        assert len(ran) == len({slot for _, slot in ran}) == 3, ran


def test_defect_in_the_work_still_leaves_a_receipt(world, monkeypatch):
    """An error that nobody foresaw: INTERRUPTED, with its kind and not its text; the next cycle runs."""
    import ops_core.cycle.work as cycle_work

    def broken(*_):
        raise ValueError("a text that may hold a secret")

    with monkeypatch.context() as patch:
        patch.setattr(cycle_work, "look", broken)
        receipt = world.run()
    assert receipt["result"] == "INTERRUPTED"
    assert "ValueError" in receipt["cause"]
    assert "secret" not in json.dumps(receipt)
    assert world.run()["result"] == "OK"


def test_second_cycle_is_refused_while_one_runs(world, monkeypatch):
    """From within a running cycle: another by hand is refused and told which one runs."""
    import ops_core.cycle.work as cycle_work

    refused = []

    def look(*_):
        with pytest.raises(CycleRunning) as info:
            world.run()
        refused.append(info.value)
        return ()

    monkeypatch.setattr(cycle_work, "look", look)
    receipt = world.run()
    assert receipt["result"] == "OK"
    assert receipt["run_id"] in refused[0].what
    assert refused[0].exit_code == 2
