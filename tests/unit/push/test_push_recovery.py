"""A live fire that is killed, wherever: locked down, nothing sent twice, nothing sent by whoever finds it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from bot_api import BotApi
from push_world import PushWorld
from support import ROOT, eventually

from ops_core.push import latest, recover

CHILD = Path(__file__).with_name("push_child.py")
# Where it is killed -> what has arrived, and what becomes of the two messages. Before the commit nothing has happened.
UNTOUCHED = ([], ["PENDING", "PENDING"])
PHASES = {
    ("judged", 1): UNTOUCHED,
    ("registered", 1): UNTOUCHED,
    ("burning", 1): UNTOUCHED,
    ("burnt", 1): ([], ["PENDING", "PENDING"]),
    ("claimed", 1): ([], ["UNKNOWN", "PENDING"]),
    ("sent", 1): (["hello"], ["UNKNOWN", "PENDING"]),
    ("recorded", 1): (["hello"], ["SENT", "PENDING"]),
    ("claimed", 2): (["hello"], ["SENT", "UNKNOWN"]),
    ("sent", 2): (["hello", "second"], ["SENT", "UNKNOWN"]),
    ("recorded", 2): (["hello", "second"], ["SENT", "SENT"]),
    ("closing", 1): (["hello", "second"], ["SENT", "SENT"]),
}


@pytest.fixture(scope="module")
def server():
    with BotApi() as server:
        yield server


@pytest.fixture
def bot(server):
    server.answers[:], server.connections = ["ok"], 0
    server.ledger.clear()
    server.reached.clear()
    return server


@pytest.fixture(scope="module")
def armed(tmp_path_factory, server):
    world = PushWorld(tmp_path_factory.mktemp("armed"), server.url, timeout_s=60.0)
    world.settle("hello", "second")
    world.arm()
    return world


@pytest.fixture
def ready(armed, bot, tmp_path):
    return armed.copied(tmp_path)


def start(world, phase="never", count=1):
    path = os.pathsep.join((str(ROOT), str(ROOT / "tests"), str(CHILD.parent)))
    argv = [sys.executable, str(CHILD), str(world.root), phase, str(count)]
    return subprocess.Popen(
        argv, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=world.root
    )


def end(child):
    out, err = child.communicate(timeout=120)
    assert not err, err.decode()
    return child.returncode, out


def assert_locked_down(world, states):
    state = world.plane.state()
    assert not state.sender.enabled
    assert state.window.status == "CONSUMED"
    assert world.states() == states
    world.plane.verify_chain()
    # Whoever tries again is refused: there is no window left.
    assert world.fire()["outcome"] == "BLOCKED"


@pytest.mark.slow
@pytest.mark.parametrize(("point", "expected"), PHASES.items(), ids=lambda v: f"{v[0]} {v[1]}")
def test_killed_at_any_point_it_is_locked_down_and_sends_nothing_twice(ready, bot, point, expected):
    """Before the burning commits nothing has happened; afterwards only what the server's own ledger holds was sent."""
    assert end(start(ready, *point))[0] == -signal.SIGKILL
    arrived, states = expected
    assert bot.texts == arrived
    if point[0] in {"judged", "registered", "burning"}:
        assert recover(ready.plane) == ()
        assert ready.states() == states
        assert ready.plane.state().window.status == "ACTIVE"
        assert ready.fire()["outcome"] == "FIRED"
        return
    (fire_id,) = recover(ready.plane)
    assert recover(ready.plane) == ()
    with ready.plane.snapshot() as found:
        receipt = latest(found)
    assert (receipt["fire_id"], receipt["outcome"]) == (fire_id, "INTERRUPTED")
    assert [one["state"] for one in receipt["messages"]] == states
    assert_locked_down(ready, states)
    assert bot.texts == arrived


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_while_the_server_has_the_message_it_is_unknown_for_good(ready, bot, number):
    """The server read it and had not answered: it arrived, nobody here knows, and it is not sent again."""
    bot.answers[:] = ["hold"]
    child = start(ready)
    assert bot.reached.wait(60)
    assert recover(ready.plane) == ()
    child.send_signal(number)
    assert end(child)[0] == -number
    assert ready.states() == ["SENDING", "PENDING"]
    assert len(recover(ready.plane)) == 1
    assert_locked_down(ready, ["UNKNOWN", "PENDING"])
    assert bot.texts == ["hello"]


@pytest.mark.slow
def test_an_emergency_stop_ends_a_live_fire_that_is_sending(ready, bot):
    """It acknowledges when the process has ended; what still waited never leaves."""
    from ops_core.clock import SystemClock
    from ops_core.control.opening import plane_of
    from ops_core.control.running import engage_and_end

    bot.answers[:] = ["hold"]
    child = start(ready)
    assert bot.reached.wait(60)
    told = engage_and_end(plane_of(ready.settings, SystemClock(), "kim"), "smoke", patience_s=0.5)
    assert told.complete
    assert [one.kind for one in told.ended] == ["live_fire"]
    end(child)
    eventually(lambda: child.poll() is not None, "the child has ended")
    recover(ready.plane)
    assert_locked_down(ready, ["UNKNOWN", "PENDING"])
    assert bot.texts == ["hello"]


def test_whoever_is_alive_is_not_recovered(ready, bot):
    """A run that goes on is left alone by everybody who looks."""
    seen = []
    receipt = ready.fire(pause=lambda at: seen.append(recover(ready.plane)))
    assert set(seen) == {()}
    assert receipt["outcome"] == "FIRED"


def test_a_run_that_was_taken_for_ended_sends_nothing_more(ready, bot):
    """Somebody recorded its work as ended: its next message is not claimed, and its result cannot be overwritten."""
    from ops_core.control import schema

    def taken_away(at):
        if at == "recorded":
            with ready.plane.transaction() as change:
                change.execute(schema.work.update().values(ended_at="2026-01-05T01:00:00.000Z"))
            recover(ready.plane)

    receipt = ready.fire(pause=taken_away)
    assert receipt["outcome"] == "INTERRUPTED"
    assert (bot.texts, ready.states()) == (["hello"], ["SENT", "PENDING"])


def test_a_result_that_cannot_be_recorded_is_unknown(ready, bot):
    """The store breaks while a message is under way: nobody says that it was sent, and nobody sends it again."""
    store = ready.root / "state-control" / "control.db"

    def broken(at):
        if at == "sent":
            store.chmod(0o644)

    with pytest.raises(Exception, match="0644"):
        ready.fire(pause=broken)
    store.chmod(0o600)
    from ops_core.control import schema

    with ready.plane.transaction() as change:
        # This very process, which ran it, is alive.
        change.execute(schema.work.update().values(ended_at="2026-01-05T01:00:00.000Z"))
    assert len(recover(ready.plane)) == 1
    assert_locked_down(ready, ["UNKNOWN", "PENDING"])
    assert bot.texts == ["hello"]


def test_recovering_locks_down_what_was_opened_since(ready, bot):
    """Nobody fires on a new window while an interrupted run has not been looked at."""
    from ops_core.control import schema

    with pytest.raises(RuntimeError):
        ready.fire(pause=fail_at)
    with ready.plane.transaction() as change:
        change.execute(schema.work.update().values(ended_at="2026-01-05T01:00:00.000Z"))
    ready.arm()
    receipt = ready.fire()
    assert receipt["outcome"] == "BLOCKED"
    state = ready.plane.state()
    assert (state.sender.enabled, state.window.status) == (False, "REVOKED")
    assert not bot.connections


def fail_at(at):
    if at == "burnt":
        raise RuntimeError("a defect of ours")
