"""Many processes want the same thing at once, again and again: one of them gets it, and the server's ledger agrees.

The processes are forked once and stand at a line before each round. A run takes a few rounds, `make races` fifty.
"""

import contextlib
import json
import os
import random
import secrets
import signal
import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import pytest

from ops_core.clock import SystemClock, new_run_id
from ops_core.config import load_settings
from ops_core.control.model import Channel, Gate, WindowStatus
from ops_core.control.opening import plane_of
from ops_core.control.people import add_operator, approve_window, keys_problem, request_window, revoke_window, sign
from ops_core.control.running import open_works
from ops_core.push import add_message, fire, messages, offer, recover, withdraw
from tests.bot_api import BotApi
from tests.killing import Ready, ReadySite, heard_all
from tests.postgresql import PASSWORD, common_folder, new_schema, shared_server

pytestmark = pytest.mark.slow

CLOCK = SystemClock()
RACERS = 32
FIRERS = 4
ALL = os.environ.get("RACES") == "all"
SMALL_ROUNDS = 50 if ALL else 2
SEED = os.environ.get("RACES_SEED") or secrets.token_hex(4)
LINE_S = 0.02
HELD_S = 0.5
PATIENCE_S = 120.0
PEOPLE = ("ann", "ben", "cho", "dan")
RACER = """
import json, socket, time
from pathlib import Path
from ops_core.clock import SystemClock
from ops_core.config import load_settings
from ops_core.control.opening import plane_of
from ops_core.control.people import approve_window
from ops_core.control.running import engage_and_end
from ops_core.errors import OpsError
from ops_core.push import fire

settings = load_settings(Path("ops.toml").absolute(), environ={})
plane = plane_of(settings, SystemClock(), "racer")
line = socket.create_connection(("127.0.0.1", PORT))
asked, answers = line.makefile("r"), line.makefile("w")

def note(phase):
    if phase == "claimed":
        with open("sends", "a") as file:
            file.write(f"{time.monotonic()}\\n")

def act(told):
    if told["act"] == "fire":
        return {"outcome": fire(settings, plane, authorised=True, pause=note)["outcome"]}
    if told["act"] == "approve":
        approve_window(plane, operator=told["name"], signature=told["signature"])
        return {"outcome": "APPROVED"}
    return {"outcome": "STOPPED" if engage_and_end(plane, "race").complete else "LEFT"}

print("ready", file=answers, flush=True)
for asking in asked:
    told = json.loads(asking)
    time.sleep(max(0.0, told["at"] - time.monotonic()))
    try:
        heard = act(told)
    except OpsError as error:
        heard = {"outcome": type(error).__name__, "what": error.what}
    print(json.dumps({**heard, "at": time.monotonic()}), file=answers, flush=True)
"""
SENDS_FIRST = """
from ops_core.push import firing, outbox
begin = firing._begin
def sends_first(settings, plane, who, sender, *rest):
    with plane.snapshot() as found:
        waiting = outbox.pending(found)
    if waiting:
        sender.send(waiting[0].body)
    return begin(settings, plane, who, sender, *rest)
firing._begin = sends_first
"""


@dataclass
class Racer:
    """A process at the line."""

    pid: int
    connection: socket.socket

    def __post_init__(self):
        self.connection.settimeout(PATIENCE_S)
        self.answers = self.connection.makefile("r")
        assert self.answers.readline() == "ready\n"

    def tell(self, told):
        self.connection.sendall((json.dumps(told) + "\n").encode())

    def heard(self):
        """What it heard; that it was killed, if it was."""
        line = self.answers.readline()
        return json.loads(line) if line.endswith("\n") else {"outcome": "KILLED"}

    def close(self):
        self.answers.close()
        self.connection.close()


@dataclass
class Racers:
    """Processes that act at the same instant, for `with`."""

    ready: Ready
    site: ReadySite
    count: int
    code: str = ""
    racers: list = field(default_factory=list)

    def __enter__(self):
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=self.count)
        self._listener.settimeout(PATIENCE_S)
        for _ in range(self.count):
            self.racers.append(self._new())
        return self

    def __exit__(self, *_):
        self._listener.close()
        for racer in self.racers:
            racer.close()
            with contextlib.suppress(ProcessLookupError):
                os.kill(racer.pid, signal.SIGKILL)
            self.ready.ask(do="wait", pid=racer.pid)

    def race(self, acts):
        """What each heard; an act may begin `late_s` seconds after the others. The killed are replaced."""
        at = time.monotonic() + LINE_S
        running = self.racers[: len(acts)]
        for racer, act in zip(running, acts, strict=True):
            racer.tell({**act, "at": at + act.get("late_s", 0.0)})
        heard = [racer.heard() for racer in running]
        for number, one in enumerate(heard):
            if one["outcome"] == "KILLED":
                self.racers[number].close()
                self.ready.ask(do="wait", pid=self.racers[number].pid)
                self.racers[number] = self._new()
        return heard

    def _new(self):
        port = self._listener.getsockname()[1]
        code = self.code + RACER.replace("PORT", str(port))
        pid = self.ready.start(self.site, None, code=code, name="racer", go=True)
        return Racer(pid, self._listener.accept()[0])


@dataclass
class World:
    """A repository that can fire, and people with keys."""

    site: ReadySite
    api: BotApi

    def __post_init__(self):
        self.settings = load_settings(self.site.root / "ops.toml", environ={})
        self.plane = plane_of(self.settings, CLOCK, "kim")
        self.plane.create()
        self.plane.release("ready")
        (self.site.root / "keys").mkdir(mode=0o700)
        for name in PEOPLE:
            add_operator(self.plane, name, key_file=self.site.key(name), scopes=["window", "approve"])

    @property
    def window(self):
        return self.plane.state().window

    def request(self, *bodies):
        """Messages, and a window for them that waits for its keys; everything else that a fire needs."""
        self.api.ledger.clear()
        for body in bodies:
            add_message(self.plane, body)
        run_id = new_run_id(CLOCK.now(), secrets.token_hex(3))
        request_window(
            self.plane,
            lambda found: offer(found, self.settings, run_id),
            operator="ann",
            reason="race",
            duration_s=3600,
        )
        self.plane.set_gate(Gate.REAL_ENABLED, "race")
        self.plane.enable_sender(Channel.TELEGRAM_ONLY, "race")

    def signature(self, name):
        return sign(self.site.key(name), self.window.permit_digest)

    def approve(self, *names):
        for name in names:
            approve_window(self.plane, operator=name, signature=self.signature(name))

    def arrived(self):
        """What the server was told; whoever told it has heard the answer, or is gone."""
        return heard_all(self.api)

    def count(self, *actions):
        return sum(row.action in actions for row in self.plane.audit_rows())

    def states(self):
        with self.plane.snapshot() as found:
            return {one.body: one.state for one in messages(found)}


@pytest.fixture(scope="module")
def ready():
    with Ready() as ready:
        yield ready


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with shared_server(common_folder(tmp_path_factory)) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def world(request, ready, tmp_path):
    """A store in a file, and one in a database."""
    with BotApi() as api:
        site = ReadySite(root=tmp_path / "site", telegram_url=api.url, ready=ready).write()
        if request.param == "postgresql":
            in_database(site, request.getfixturevalue("server"))
        yield World(site, api)


def in_database(site, server):
    secret = site.root / "secrets" / "DATABASE"
    secret.write_text(PASSWORD)
    secret.chmod(0o600)
    place = f'control_url = "{server.url(new_schema(server))}"\ncontrol_password = "DATABASE"\n'
    text = (site.root / "ops.toml").read_text()
    text = text.replace('control_dir = "control"\n', f'control_dir = "control"\n{place}')
    text = text.replace("BOT_CHAT = {", 'DATABASE = { file = "secrets/DATABASE" }\nBOT_CHAT = {')
    (site.root / "ops.toml").write_text(text)


def fire_round(world, racers, body):
    """One window, as many fires as there are racers; what they heard."""
    world.request(body)
    world.approve("ben", "cho")
    heard = Counter(one["outcome"] for one in racers.race([{"act": "fire"}] * racers.count))
    assert world.arrived() == [body], f"arrived: {world.arrived()}"
    assert heard["FIRED"] == 1
    # Whoever waits for the store in vain has burnt nothing either.
    assert set(heard) <= {"FIRED", "BLOCKED", "StoreBusy"}
    state = world.plane.state()
    assert (state.window.status, state.sender.enabled) == (WindowStatus.CONSUMED, False)
    assert world.states()[body] == "SENT"
    return heard


def test_one_window_is_won_by_one_process(world, ready):
    """Of 32 processes that fire on one window, exactly one does, round by round."""
    # In a database a round takes three times as long.
    rounds, heard = 50 if ALL else 1 if world.plane.location.url else 2, Counter()
    with Racers(ready, world.site, RACERS) as racers:
        for number in range(rounds):
            heard += fire_round(world, racers, f"round {number}")
    print(f"{rounds} rounds of {RACERS} processes: {dict(heard)}")
    assert heard["FIRED"] == world.count("live_fire.begun") == world.count("live_fire.ended") == rounds
    assert heard.total() == rounds * RACERS
    assert open_works(world.plane) == ()
    assert world.plane.verify_chain()


def test_who_sends_before_the_burning_is_caught(world, ready):
    """The harness finds what it is there for: processes that send first arrive more than once."""
    with (
        Racers(ready, world.site, FIRERS, SENDS_FIRST) as racers,
        pytest.raises(AssertionError, match="arrived: "),
    ):
        fire_round(world, racers, "once")


def test_who_has_burnt_waits_for_others(world):
    """A fire whose window is burnt is not given up because others hold the store for longer than its asker waits."""
    world.request("once")
    world.approve("ben", "cho")
    held = threading.Event()

    def hold():
        with world.plane.transaction():
            held.set()
            CLOCK.sleep(HELD_S)

    holder = threading.Thread(target=hold)

    def pause(phase):
        if phase == "burnt":
            holder.start()
            assert held.wait(PATIENCE_S)

    receipt = fire(world.settings, world.plane.impatient(0.0), authorised=True, pause=pause)
    holder.join(PATIENCE_S)
    assert (receipt["outcome"], world.arrived()) == ("FIRED", ["once"])


def test_the_last_key_is_given_once(world, ready):
    """Of two people who give the last key at once, one does; the window has two keys, and they prove themselves."""
    with Racers(ready, world.site, 2) as racers:
        for number in range(SMALL_ROUNDS):
            world.request(f"round {number}")
            world.approve("ben")
            heard = racers.race(
                [{"act": "approve", "name": name, "signature": world.signature(name)} for name in ("cho", "dan")]
            )
            assert sorted(one["outcome"] for one in heard) == ["APPROVED", "Refused"], heard
            assert (world.window.status, len(world.window.approvals)) == (WindowStatus.ACTIVE, 2)
            with world.plane.snapshot() as found:
                assert keys_problem(found, world.window, CLOCK.now()) == ""
            revoke_window(world.plane, "next round")
            clear(world)
    assert world.count("window.approved") == 2 * SMALL_ROUNDS


def test_after_the_stop_is_acknowledged_nothing_is_sent(world, ready):
    """A stop among fires: the window is untouched, or consumed; no message begins to leave after the acknowledgement."""
    rng, ways, late_s = random.Random(SEED), Counter(), 0.5
    with Racers(ready, world.site, FIRERS + 1) as racers:
        for number in range(SMALL_ROUNDS):
            bodies = [f"round {number}, message {one}" for one in range(5)]
            world.request(*bodies)
            world.approve("ben", "cho")
            notes = world.site.root / "sends"
            notes.write_text("")
            stop = {"act": "engage", "late_s": rng.uniform(0.0, late_s)}
            heard = racers.race([*[{"act": "fire"}] * FIRERS, stop])
            acknowledged, arrived = heard[-1], world.arrived()
            assert acknowledged["outcome"] == "STOPPED", heard
            assert all(float(line) < acknowledged["at"] for line in notes.read_text().split()), f"seed {SEED}"
            recover(world.plane)
            way = check_stopped(world, bodies, arrived)
            ways[way] += 1
            # How long a fire takes depends on the machine: the stops look for its middle.
            late_s *= {"not burnt": 1.5, "all sent": 0.6}.get(way, 1.0)
            world.plane.release("next round")
            if world.window.status is WindowStatus.ACTIVE:
                revoke_window(world.plane, "next round")
            clear(world)
    print(f"seed {SEED}: {dict(ways)}")
    assert len(ways) > 1 or not ALL
    assert world.plane.verify_chain()


def check_stopped(world, bodies, arrived):
    """What the stop left; in a word, how far the fire had come."""
    state, states = world.plane.state(), world.states()
    assert state.stopped
    assert max(Counter(arrived).values(), default=0) <= 1
    assert all(states[body] in {"SENT", "UNKNOWN"} for body in arrived), states
    assert not {"SENDING", "FAILED"} & {states[body] for body in bodies}
    if state.window.status is WindowStatus.ACTIVE:
        assert arrived == []
        return "not burnt"
    assert (state.window.status, state.sender.enabled) == (WindowStatus.CONSUMED, False)
    return "all sent" if len(arrived) == len(bodies) else "cut"


def clear(world):
    """Take back what waits: the next round has messages of its own."""
    with world.plane.snapshot() as found:
        waiting = [one.id for one in messages(found) if one.state == "PENDING"]
    for one in waiting:
        withdraw(world.plane, one, "next round")
