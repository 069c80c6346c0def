"""Live fire: all eight preconditions or nothing, each asked again where it burns, and each message once at most."""

from __future__ import annotations

import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from bot_api import BotApi
from push_world import CHAT, TOKEN, PushWorld
from support import sampled

from ops_core.control.model.live_fire import NAMES
from ops_core.control.people import revoke_window
from ops_core.control.problems import StoreUnusable
from ops_core.push import add_message, latest, look, outbox, recover, regenerate_postmortem, withdraw
from ops_core.push import receipts as receipts_of

SATURDAY_ONLY = {"days": '"Sat"'}
LATE = {"opens": "17:00"}


def failing(receipt):
    return {one["name"] for one in receipt["preconditions"] if not one["ok"]}


def spoil(world: PushWorld, name: str) -> None:
    """Take one precondition away, by the act that would do so in life."""
    acts = {
        "gate_mode": lambda: world.plane.set_gate("DRY_RUN", "over"),
        "self_test": (world.root / "secrets" / "OTHER").unlink,
        "emergency_stop": lambda: world.plane.engage("smoke"),
        "outbox_messages": lambda: [withdraw(world.plane, one, "no") for one in world.messages()],
        "sender_enable": lambda: world.plane.disable_sender("over"),
        "window_active": lambda: revoke_window(world.plane, "over"),
        "weekday": lambda: world.configure(**SATURDAY_ONLY),
        "hours": lambda: world.configure(**LATE),
    }
    acts[name]()


@pytest.fixture(scope="module")
def server():
    """One server for all tests: its address is part of what is approved."""
    with BotApi() as server:
        yield server


@pytest.fixture
def bot(server):
    """The server with an empty ledger."""
    server.answers[:], server.connections = ["ok"], 0
    server.ledger.clear()
    return server


@pytest.fixture(scope="module")
def armed(tmp_path_factory, server):
    """A world in which a live fire may happen; tests get copies of it, down to the file of its store."""
    world = PushWorld(tmp_path_factory.mktemp("armed"), server.url)
    world.settle("hello", "second")
    world.arm()
    return world


@pytest.fixture
def ready(armed, bot, tmp_path):
    """A world of its own in which a live fire may happen."""
    return armed.copied(tmp_path)


def test_all_eight_let_every_message_out_once(ready, bot):
    """In their order, then it is locked down: sender off, window consumed; a second run is blocked."""
    receipt = ready.fire(actor="ann")
    assert (receipt["outcome"], receipt["actor"]) == ("FIRED", "ann")
    assert bot.texts == ["hello", "second"]
    assert ready.states() == ["SENT", "SENT"]
    state = ready.plane.state()
    assert (state.sender.enabled, state.window.status) == (False, "CONSUMED")
    assert receipt["lockdown"] == {"sender_enable": False, "window": "CONSUMED"}
    assert (receipt["sent"], receipt["failed"], receipt["unknown"], receipt["left"]) == (2, 0, 0, 0)
    assert ready.fire()["outcome"] == "BLOCKED"
    assert len(bot.ledger) == 2
    assert ready.plane.verify_chain().head_seq > receipt["checkpoint"]["seq"]


def test_records_name_no_secret_and_no_text(ready, bot):
    """Receipt, audit and store hold neither token nor chat, receipt and audit no text either."""
    receipt = ready.fire()
    told = json.dumps(receipt) + str(ready.plane.audit_rows())
    assert not any(secret in told for secret in (TOKEN, CHAT, "AAEx-made-up_token", "hello"))
    stored = (ready.root / "state-control" / "control.db").read_bytes()
    assert TOKEN.encode() not in stored
    assert CHAT.encode() not in stored


@pytest.mark.slow
@pytest.mark.parametrize("first", [True, False], ids=["gate REAL_ENABLED", "gate DRY_RUN"])
def test_of_all_combinations_only_the_whole_one_fires(armed, tmp_path, bot, first):
    """2^8 worlds, made by real acts: every refusal lists exactly what is missing, and nothing is burnt by asking."""
    fired = []
    worlds = itertools.product([True, False], repeat=7)
    for number, rest in enumerate(sampled(worlds, 0.1, always=lambda rest: rest.count(False) <= 1)):
        holds = dict(zip(NAMES, (first, *rest), strict=True))
        root = tmp_path / str(number)
        root.mkdir()
        world = armed.copied(root)
        # Some thousand acts, and nobody to look at their mirrors.
        world.mirrored = False
        world.configure()
        # The stop last: engaged, it would let nobody do the rest.
        for name in sorted((name for name in NAMES if not holds[name]), key="emergency_stop".__eq__):
            if name in {"weekday", "hours"}:
                continue
            spoil(world, name)
        closed = {**({} if holds["weekday"] else SATURDAY_ONLY), **({} if holds["hours"] else LATE)}
        world.configure(**closed)
        before, waiting = world.plane.state(), world.states()
        receipt = world.fire()
        expected = {name for name in NAMES if not holds[name]}
        if "outbox_messages" in expected:
            # An outbox that was emptied is also not the one that was approved.
            expected.add("window_active")
        assert failing(receipt) == expected, holds
        if expected:
            assert receipt["outcome"] == "BLOCKED"
            assert world.plane.state() == before
            assert world.states() == waiting
            assert all(name in receipt["reason"] for name in expected)
        else:
            fired.append(receipt)
    assert [receipt["outcome"] for receipt in fired] == (["FIRED"] if first else [])
    assert bot.texts == (["hello", "second"] if first else [])


FLIPS = [name for name in NAMES if name not in {"weekday", "hours"}]


@pytest.mark.parametrize("phase", ["judged", "registered"])
@pytest.mark.parametrize("name", FLIPS)
def test_what_is_lost_after_the_first_judgement_is_noticed_where_it_burns(ready, bot, phase, name):
    """Nothing is burnt, nothing leaves, and the receipt names what was lost."""
    receipt = ready.fire(pause=lambda at: spoil(ready, name) if at == phase else None)
    assert receipt["outcome"] == "BLOCKED"
    assert name in failing(receipt)
    assert not bot.connections
    assert "SENDING" not in ready.states()
    assert ready.plane.state().window.status in {"ACTIVE", "REVOKED"}
    assert "live_fire.begun" not in ready.actions()


@pytest.mark.parametrize("phase", ["judged", "registered"])
@pytest.mark.parametrize(("hours", "name"), [(8, "hours"), (24 * 5, "weekday")])
def test_time_that_passes_after_the_first_judgement_is_noticed(ready, bot, phase, hours, name):
    """Six in the evening, or Saturday: the clock is asked again in the transaction."""
    receipt = ready.fire(pause=lambda at: ready.clock.sleep(hours * 3600) if at == phase else None)
    assert receipt["outcome"] == "BLOCKED"
    assert name in failing(receipt)
    assert not bot.connections


@pytest.mark.parametrize("change", ["message", "allowlist", "chat", "latch"])
def test_what_was_approved_is_what_is_sent_or_nothing(ready, bot, change):
    """Another message, allowlist or chat between the judgement and the burning; or somebody types touch."""
    acts = {
        "message": lambda: add_message(ready.plane, "not approved"),
        "allowlist": lambda: (ready.root / "contracts" / "execution_allowlist_v1.json").write_text("{}"),
        "chat": lambda: ready.secret("BOT_CHAT", "-42"),
        "latch": (ready.root / "state-control" / "EMERGENCY_STOP").touch,
    }
    receipt = ready.fire(pause=lambda at: acts[change]() if at == "registered" else None)
    assert failing(receipt) == {"emergency_stop" if change == "latch" else "window_active"}
    assert not bot.connections


ENDINGS = {
    "stop": (lambda world: world.plane.engage("smoke"), "emergency stop"),
    "latch": (lambda world: (world.root / "state-control" / "EMERGENCY_STOP").touch(), "emergency stop"),
    "gate": (lambda world: world.plane.set_gate("DRY_RUN", "over"), "the gate is DRY_RUN"),
    "gate runs out": (lambda world: world.clock.sleep(3601), "the gate is DRY_RUN"),
    "evening": (
        lambda world: (world.plane.set_gate("REAL_ENABLED", "long", ttl_s=8 * 3600), world.clock.sleep(28_000)),
        "18:00",
    ),
}


@pytest.mark.parametrize("phase", ["burnt", "recorded"])
@pytest.mark.parametrize("name", [name for name in ENDINGS if name != "evening"])
def test_what_ends_a_run_between_two_messages(ready, bot, phase, name):
    """What was not begun still waits, and it stays locked down."""
    act, why = ENDINGS[name]
    receipt = ready.fire(pause=lambda at: act(ready) if at == phase else None)
    sent = int(phase == "recorded")
    assert receipt["outcome"] == "STOPPED"
    assert why in receipt["reason"]
    assert bot.texts == ["hello", "second"][:sent]
    assert ready.states() == [*["SENT"] * sent, *["PENDING"] * (2 - sent)]
    assert receipt["left"] == 2 - sent
    assert receipt["lockdown"] == {"sender_enable": False, "window": "CONSUMED"}
    assert not ready.plane.state().sender.enabled


def test_the_end_of_trading_hours_ends_a_run(tmp_path, bot):
    """Eighteen o'clock is too late, also for the second message."""
    world = PushWorld(tmp_path, bot.url)
    world.settle("hello", "second")
    world.open_window(8 * 3600)
    world.plane.set_gate("REAL_ENABLED", "weekly", ttl_s=8 * 3600)
    world.clock.sleep(8 * 3600 - 1800)
    world.plane.enable_sender("TELEGRAM_ONLY", "weekly")
    world.plane.set_gate("REAL_ENABLED", "weekly")
    receipt = world.fire(pause=lambda at: world.clock.sleep(1800) if at == "recorded" else None)
    assert (receipt["outcome"], bot.texts) == ("STOPPED", ["hello"])
    assert "18:00" in receipt["reason"]


@pytest.mark.parametrize("name", ["sender_enable", "self_test"])
def test_what_is_burnt_or_read_is_not_asked_again(ready, bot, name):
    """The sender is off since the burning, the secrets were read: neither ends a run that has begun."""
    receipt = ready.fire(pause=lambda at: spoil(ready, name) if at == "burnt" else None)
    assert receipt["outcome"] == "FIRED"
    assert bot.texts == ["hello", "second"]


def test_a_message_that_is_withdrawn_in_time_does_not_leave(ready, bot):
    """The others do; the receipt tells."""
    second = next(iter(ready.messages()))
    receipt = ready.fire(pause=lambda at: withdraw(ready.plane, second, "no") if at == "burnt" else None)
    assert (receipt["outcome"], bot.texts) == ("PARTIAL", ["hello"])
    assert ready.states() == ["SENT", "WITHDRAWN"]


ANSWERS = {
    ("ok", "400"): ("PARTIAL", ["SENT", "FAILED"]),
    ("400", "ok"): ("PARTIAL", ["FAILED", "SENT"]),
    ("400", "400"): ("FAILED", ["FAILED", "FAILED"]),
    ("429",): ("FAILED", ["FAILED", "PENDING"]),
    ("401",): ("FAILED", ["FAILED", "PENDING"]),
    ("500",): ("PARTIAL", ["UNKNOWN", "PENDING"]),
    ("cut_before",): ("PARTIAL", ["UNKNOWN", "PENDING"]),
    ("cut_after",): ("PARTIAL", ["UNKNOWN", "PENDING"]),
    ("ok", "garbage"): ("PARTIAL", ["SENT", "UNKNOWN"]),
    ("redirect",): ("PARTIAL", ["UNKNOWN", "PENDING"]),
}


@pytest.mark.parametrize(("answers", "expected"), ANSWERS.items(), ids=lambda v: str(v[0]))
def test_what_becomes_of_messages_is_recorded_and_never_repeated(ready, bot, answers, expected):
    """A way out that fails ends the run, a message that is refused does not; another run finds it locked down."""
    bot.answers = [*answers]
    receipt = ready.fire()
    outcome, states = expected
    assert (receipt["outcome"], ready.states()) == (outcome, states)
    assert [one["state"] for one in receipt["messages"]] == states
    assert all(one["detail"] for one in receipt["messages"] if one["state"] != "PENDING")
    arrived = len(bot.ledger)
    assert ready.fire()["outcome"] == "BLOCKED"
    assert len(bot.ledger) == arrived == len(set(bot.texts))


def test_what_is_left_needs_a_window_of_its_own(ready, bot):
    """Approved anew, it leaves with the next live fire; what was sent or is unknown does not."""
    bot.answers = ["500", "ok"]
    ready.fire()
    ready.arm()
    assert ready.fire()["outcome"] == "FIRED"
    assert bot.texts == ["hello", "second"]
    assert ready.states() == ["UNKNOWN", "SENT"]


def test_who_may_not_fire_is_told_and_recorded(ready, bot):
    """All eight hold, and still nothing happens."""
    receipt = ready.fire(authorised=False, actor="mallory")
    assert (receipt["outcome"], failing(receipt)) == ("BLOCKED", set())
    assert "may not fire" in receipt["reason"]
    assert not bot.connections
    assert ready.plane.state().window.status == "ACTIVE"
    assert ready.fire()["outcome"] == "FIRED"


def test_refusals_are_recorded_once_a_minute_and_do_not_pile_up(world, monkeypatch):
    """Who asks again and again is told the same; the store keeps the newest refusals, the audit all that it recorded."""
    monkeypatch.setattr(receipts_of, "BLOCKED_KEPT", 3)
    world.settle("hello")
    first = world.fire()
    rows = len(world.plane.audit_rows())
    assert world.fire() == first
    assert len(world.plane.audit_rows()) == rows
    assert world.fire(actor="somebody else")["fire_id"] != first["fire_id"]
    for _ in range(5):
        world.clock.sleep(60)
        world.fire()
    with world.plane.snapshot() as found:
        kept = found.execute(receipts_of.schema.fire.select()).all()
        assert latest(found)["begun_at"].startswith("2026-01-05T01:05")
    assert len(kept) == 3
    assert world.actions().count("live_fire.blocked") == 7


def test_without_a_store_everything_is_missing_that_it_would_know(world):
    """There is an answer all the same, and nothing to record it in."""
    receipt = world.fire()
    assert receipt["outcome"] == "BLOCKED"
    assert {"emergency_stop", "gate_mode", "sender_enable", "window_active", "outbox_messages"} <= failing(receipt)
    assert not (world.root / "state-control" / "control.db").exists()


def test_a_receipt_that_was_edited_is_not_believed(ready, bot):
    """The audit holds its digest."""
    ready.fire()
    with ready.plane.transaction() as change:
        change.execute(receipts_of.schema.fire.update().values(receipt='{"outcome": "FIRED", "sent": 7}'))
    with ready.plane.snapshot() as found, pytest.raises(Exception, match="not the one that was recorded"):
        latest(found)


def test_the_console_is_a_way_out_too(tmp_path, bot, capsys):
    """A profile without a bot fires to the console, under the same conditions."""
    world = PushWorld(tmp_path, bot.url)
    text = (tmp_path / "ops.toml").read_text()
    (tmp_path / "ops.toml").write_text(text.replace('telegram_chat = "BOT_CHAT"\n', ""))
    from ops_core.config import load_settings

    world.settings = load_settings(tmp_path / "ops.toml", environ={})
    world.settle("hello")
    world.open_window()
    world.plane.set_gate("REAL_ENABLED", "weekly")
    world.plane.enable_sender("CONSOLE_ONLY", "weekly")
    receipt = world.fire()
    assert (receipt["outcome"], receipt["channel"], receipt["observed_modes"]["external_send"]) == (
        "FIRED",
        "CONSOLE_ONLY",
        "FORBIDDEN",
    )
    assert json.loads(capsys.readouterr().err)["message"] == "hello"


def test_looking_burns_nothing(ready):
    """The judgement for people leaves the store as it is."""
    rows = ready.plane.audit_rows()
    assert not look(ready.settings, ready.plane).missing
    ready.clock.sleep(timedelta(hours=9).total_seconds())
    assert {one.name for one in look(ready.settings, ready.plane).missing} >= {"window_active", "hours"}
    assert ready.plane.audit_rows() == rows
    assert outbox.PENDING in ready.states()


def test_of_many_at_once_one_fires_on_every_kind_of_store(armed_anywhere, bot):
    """Whoever loses burns nothing and sends nothing; refused, or told that others use the store."""
    world = armed_anywhere

    def one(_):
        try:
            return world.fire()["outcome"]
        except StoreUnusable:
            return "BUSY"

    with ThreadPoolExecutor(6) as pool:
        outcomes = sorted(pool.map(one, range(6)))
    assert outcomes.count("FIRED") == 1
    assert set(outcomes) <= {"FIRED", "BLOCKED", "BUSY"}
    assert bot.texts == ["hello", "second"]
    assert world.plane.state().window.status == "CONSUMED"
    assert world.plane.verify_chain().rows == len(world.actions())


def test_a_fire_is_completed_on_every_kind_of_store(armed_anywhere, bot):
    """Cut off after the burning, it is found and completed, and its postmortem can be written."""

    def cut(at):
        if at == "claimed":
            raise RuntimeError("a defect of ours")

    world = armed_anywhere
    with pytest.raises(RuntimeError):
        world.fire(pause=cut)
    assert len(recover(world.plane)) == 1
    assert world.states() == ["UNKNOWN", "PENDING"]
    document = regenerate_postmortem(world.settings, world.plane)
    assert document["outcome"] == "INTERRUPTED"
    assert "look into the chat" in document["markdown"]
    assert not bot.connections


def test_clock_that_is_put_back_does_not_open_what_ran_out(armed_anywhere, bot):
    """Something is recorded after the window's end, then the clock is put back: the window stays shut."""
    world = armed_anywhere
    world.clock.elapsed_s += 9 * 3600
    world.plane.mark_good("web", "release", "v1", "0" * 64)
    world.clock.elapsed_s -= 9 * 3600
    receipt = world.fire()
    assert (receipt["outcome"], failing(receipt)) == ("BLOCKED", {"window_active"})
    assert not bot.texts
