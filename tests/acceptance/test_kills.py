"""Every act of the control plane is killed before each system call that changes something: what was acknowledged holds,
nothing is sent twice, and whoever comes next can go on.

A run takes some points of each act at random and prints its seed (KILLS_SEED=… takes the same again); `make kills` takes
all of them. What was sent is what the server read, whatever the store says.
"""

import contextlib
import json
import os
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from ops_core.clock import SystemClock
from ops_core.config import load_settings
from ops_core.control import mirrors
from ops_core.control.integrity.survey import read_integrity
from ops_core.control.model import Gate, WindowStatus
from ops_core.control.opening import plane_of
from ops_core.control.people import approve_window, keys_problem, request_window, sign
from ops_core.control.running import engage_and_end, open_works, processes
from ops_core.errors import Refused
from ops_core.push import fire, latest, messages, offer, recover
from tests.bot_api import BotApi
from tests.killing import Ready, ReadySite, heard_all, sample, working

pytestmark = pytest.mark.slow

CLOCK = SystemClock()
BODIES = ["the first", "the second", "the third"]
ALL = os.environ.get("KILLS") == "all"
SAMPLE = 5
PARTS = 8 if ALL else 1  # so that several processes share the points of one act
SEED = os.environ.get("KILLS_SEED") or secrets.token_hex(4)
WORK = """
import time
from pathlib import Path
from ops_core.clock import SystemClock
from ops_core.config import load_settings
from ops_core.control.opening import plane_of
from ops_core.control.running import registered
plane = plane_of(load_settings(Path("ops.toml").absolute(), environ={}), SystemClock(), "worker")
with registered(plane, "cycle", environ={}):
    print("ready", flush=True)
    while True:
        time.sleep(60)
"""
SENDS_FIRST = """
from ops_core.push import firing, outbox
begin = firing._begin
def sends_first(settings, plane, who, sender, *rest):
    with plane.snapshot() as found:
        sender.send(outbox.pending(found)[0].body)
    return begin(settings, plane, who, sender, *rest)
firing._begin = sends_first
"""
SAYS_FIRST = """
from ops_core.control import people, running
def says_first(real):
    def act(*given, **named):
        print('{"complete": true}', flush=True)
        return real(*given, **named)
    return act
people.approve_window = says_first(people.approve_window)
running.engage_and_end = says_first(running.engage_and_end)
"""
WRITES_IN_PLACE = """
from ops_core.control.integrity import looking
def in_place(root, name, data):
    with looking.path_of(root, name).open("wb") as file:
        file.write(data)
looking.put = in_place
"""
PUTS_BACK = """
from ops_core.push import outbox
settle = outbox.settle
def puts_back(change, message, fire, state, *rest):
    return settle(change, message, fire, "PENDING" if state == "UNKNOWN" else state, *rest)
outbox.settle = puts_back
"""


@dataclass
class Rig:
    """A process that forks, a server that keeps a ledger, and repositories at several points of their lives."""

    folder: object
    ready: Ready
    api: BotApi
    sites: dict = field(default_factory=dict)
    copies: int = 0

    def site(self, name):
        """The repository at that point, made once."""
        if name not in self.sites:
            self.sites[name] = getattr(self, f"_{name}")()
        return self.sites[name]

    def copy(self, name):
        self.copies += 1
        return self.site(name).copied(self.folder / f"copy-{self.copies}")

    def arrived(self):
        """What the server was told until now, by processes that are gone."""
        return heard_all(self.api)

    def _people(self):
        site = ReadySite(root=self.folder / "people", telegram_url=self.api.url, ready=self.ready).write()
        site.release()
        site.people()
        return site

    def _waiting(self):
        site = self.site("people").copied(self.folder / "waiting")
        for body in BODIES:
            site.ops("outbox", "add", "--text", body)
        site.ops("gate", "set", "REAL_ENABLED", "--reason", "weekly")
        return site

    def _one_key(self):
        site = self.site("waiting").copied(self.folder / "one_key")
        site.ops(*REQUEST)
        site.ops(*approval(site, "ben"))
        return site

    def _armed(self):
        site = self.site("one_key").copied(self.folder / "armed")
        site.ops(*approval(site, "cho"))
        site.ops("sender", "enable", "--channel", "TELEGRAM_ONLY", "--reason", "weekly")
        return site

    def _firing_cycle(self):
        site = self.site("armed").copied(self.folder / "firing_cycle")
        site.configure(live_fire=True)
        return site

    def _cut_off(self):
        """A live fire was killed when its second message had left."""
        counted = self.site("armed").copied(self.folder / "counted")
        points, _ = self.ready.points(counted, FIRE)
        site = self.site("armed").copied(self.folder / "cut_off")
        self.api.ledger.clear()
        sends = [point for point in points if '"chat_id' in point.text]
        assert self.ready.trace(site, FIRE, kill=points[sends[1].index + 1]).killed
        assert self.arrived() == BODIES[:2]
        return site


@dataclass
class Found:
    """A repository after a kill, as the next process finds it; it proves itself."""

    site: ReadySite

    def __post_init__(self):
        self.settings = load_settings(self.site.root / "ops.toml", environ={})
        self.plane = plane_of(self.settings, CLOCK, "later")
        self.plane.verify_chain()

    @property
    def window(self):
        return self.plane.state().window

    def messages(self):
        with self.plane.snapshot() as found:
            return {one.body: one for one in messages(found) if one.body in BODIES}

    def count(self, *actions):
        return sum(row.action in actions for row in self.plane.audit_rows())

    def untouched(self):
        """Nobody tampered with anything, neither before the next export nor after it."""
        for path in self.settings.state_dir.rglob("*.json"):
            with contextlib.suppress(FileNotFoundError):
                whole = path.read_text().endswith("}\n")
                assert whole, f"the mirror {path.name} is half written"
        assert read_integrity(self.settings, CLOCK).breaches == ()
        assert mirrors.export(self.plane, self.settings).problems == ()
        seen = read_integrity(self.settings, CLOCK)
        assert (seen.breaches, seen.pending) == ((), ())
        left = [path for folder in ("state", "reports") for path in (self.site.root / folder).rglob(".*.tmp")]
        assert left == []


def check_fire(rig, site, run, _work):
    """At most once by the server's ledger, and only from a window that is consumed; nothing is left SENDING."""
    arrived, found = list(rig.arrived()), Found(site)
    assert set(arrived) <= set(BODIES)
    assert max(Counter(arrived).values(), default=0) <= 1, f"arrived more than once: {arrived}"
    state = found.plane.state()
    burnt = state.window.status is WindowStatus.CONSUMED
    assert burnt or not arrived, "something arrived and the window is not consumed"
    assert burnt or state.window.status is WindowStatus.ACTIVE
    assert state.sender.enabled is not burnt
    told = run.acknowledged()
    if told is not None:
        with found.plane.snapshot() as there:
            assert latest(there)["outcome"] == "FIRED", "acknowledged, and not recorded"
        assert sorted(arrived) == sorted(BODIES)
    check_recovered(found, arrived)
    found.untouched()
    again = fire(found.settings, found.plane, authorised=True)
    if burnt:
        assert again["outcome"] == "BLOCKED"
        assert rig.arrived() == arrived, "sent again without a new window"
    else:
        assert (again["outcome"], rig.arrived()) == ("FIRED", BODIES)


def check_recovered(found, arrived):
    """What is cut off is completed once; what arrived is SENT or UNKNOWN, what waits has not arrived."""
    recover(found.plane)
    assert recover(found.plane) == ()
    states = {body: one.state for body, one in found.messages().items()}
    assert set(states) == set(BODIES)
    assert "SENDING" not in states.values()
    for body, state in states.items():
        if body in arrived:
            assert state in {"SENT", "UNKNOWN"}, f"{body} arrived and is {state}"
        else:
            assert state in {"PENDING", "UNKNOWN"}, f"{body} did not arrive and is {state}"
    assert list(states.values()).count("UNKNOWN") <= 1
    assert found.count("live_fire.begun") == found.count("live_fire.ended", "live_fire.interrupted")


def check_recovery(rig, site, run, _work):
    """However often it is interrupted: completed once, nothing sent, and a new window is needed."""
    found = Found(site)
    assert rig.arrived() == []
    if run.acknowledged() is not None:
        assert "SENDING" not in {one.state for one in found.messages().values()}
    check_recovered(found, BODIES[:2])
    assert found.count("live_fire.interrupted") == 1
    assert found.window.status is WindowStatus.CONSUMED
    found.untouched()
    assert fire(found.settings, found.plane, authorised=True)["outcome"] == "BLOCKED"
    assert rig.arrived() == []


def check_approval(rig, site, run, _work):
    """One key or two, never an ACTIVE window with fewer; acknowledged is recorded; the key can still be given."""
    found = Found(site)
    keys = len(found.window.approvals)
    assert keys in {1, 2}
    assert (found.window.status is WindowStatus.ACTIVE) is (keys == 2)
    assert run.acknowledged() is None or keys == 2, "acknowledged, and not recorded"
    found.untouched()
    signature = sign(site.key("cho"), found.window.permit_digest)
    with pytest.raises(Refused) if keys == 2 else contextlib.nullcontext():
        approve_window(found.plane, operator="cho", signature=signature)
    with found.plane.snapshot() as there:
        assert keys_problem(there, found.window, CLOCK.now()) == ""
    assert found.window.status is WindowStatus.ACTIVE
    assert found.count("window.approved") == 2
    found.untouched()


def check_request(rig, site, run, _work):
    """A window that waits for its keys, or none; and then there is one."""
    found = Found(site)
    asked = found.window is not None
    assert not asked or (found.window.status, found.window.approvals) == (WindowStatus.REQUESTED, ())
    assert run.acknowledged() is None or asked, "acknowledged, and not recorded"
    found.untouched()
    with pytest.raises(Refused) if asked else contextlib.nullcontext():
        request_window(
            found.plane,
            lambda there: offer(there, found.settings, "again"),
            operator="ann",
            reason="again",
            duration_s=600,
        )
    assert found.count("window.requested") == 1
    assert found.window.status is WindowStatus.REQUESTED
    found.untouched()


def check_stop(rig, site, run, work):
    """Acknowledged is stopped, with nothing left; a second stop works, and so does the release after it."""
    found, told = Found(site), run.acknowledged()
    stopped = found.plane.state().stopped
    assert told is None or stopped, "acknowledged, and not stopped"
    assert "stopped:" not in run.told.err or stopped, "said to be stopped, and not stopped"
    assert told is None or gone(work), "acknowledged, and the work still runs"
    found.untouched()
    again = engage_and_end(found.plane, "again")
    assert (again.complete, found.plane.state().stopped, gone(work)) == (True, True, True)
    assert open_works(found.plane) == ()
    found.untouched()
    found.plane.release("over")
    assert not found.plane.state().stopped
    found.untouched()


def gone(pid):
    found = processes.look_up(pid)
    return found is None or not processes.alive(found)


def check_export(rig, site, run, _work):
    """The gate before or after; mirrors whole, and nobody is suspected of what a crash did."""
    found = Found(site)
    gate = found.plane.state().gate
    assert gate in {Gate.DRY_RUN, Gate.MOCK_ONLY}
    assert run.acknowledged() is None or gate is Gate.MOCK_ONLY, "acknowledged, and not recorded"
    found.untouched()
    assert json.loads((found.settings.state_dir / "execution_gate.json").read_text())["mode"] == gate.value


def check_cycle(rig, site, run, _work):
    """The next cycle closes the one that was cut off, and runs; each left one daily message at most."""
    found, told = Found(site), run.acknowledged()
    begun = found.count("cycle.begun")
    if told is not None:
        assert latest_cycle(found)["run_id"] == told["run_id"], "acknowledged, and not recorded"
        assert found.count("cycle.ended") == 1
    found.untouched()
    again = json.loads(site.ops("cycle", "--json").out)
    assert again["result"] == "OK"
    assert found.count("cycle.begun") == found.count("cycle.ended") == begun + 1
    with found.plane.snapshot() as there:
        daily = Counter(one.body.splitlines()[0] for one in messages(there))
    assert max(daily.values()) == 1
    assert len(daily) <= begun + 1
    found.untouched()


def latest_cycle(found):
    from ops_core.cycle import records

    with found.plane.snapshot() as there:
        return records.latest(there)


def check_firing_cycle(rig, site, run, _work):
    """As for a live fire, whatever the cycle could still tell of it."""
    told = run.acknowledged()
    assert told is None or told["live_fire_step"]["result"] == "FIRED"
    check_fire(rig, site, run, None)


FIRE = ("live-fire", "run", "--json")
REQUEST = ("window", "request", "--reason", "weekly", "--for", "60m", "--key", "keys/ann.pem", "--json")


def approval(site, person):
    digest = site.ops("window", "status", "--json").json()["window"]["permit_digest"]
    return ("approve", "--key", f"keys/{person}.pem", "--digest", digest, "--json")


@dataclass(frozen=True)
class Act:
    """A command, the point of its repository's life at which it is typed, and what must hold after it was killed."""

    site: str
    words: Callable
    check: Callable
    work: str = ""


ACTS = {
    "live_fire": Act("armed", lambda _: FIRE, check_fire),
    "recovery": Act("cut_off", lambda _: ("live-fire", "status", "--json"), check_recovery),
    "request": Act("waiting", lambda _: REQUEST, check_request),
    "approval": Act("one_key", lambda site: approval(site, "cho"), check_approval),
    "stop": Act("people", lambda _: ("estop", "engage", "--reason", "smoke", "--json"), check_stop, WORK),
    "export": Act("people", lambda _: ("gate", "set", "MOCK_ONLY", "--reason", "quiet", "--json"), check_export),
    "cycle": Act("people", lambda _: ("cycle", "--json"), check_cycle),
    "firing_cycle": Act("firing_cycle", lambda _: ("cycle", "--json"), check_firing_cycle),
}


def points_of(rig, act, code=""):
    """All points of an act."""
    site = rig.copy(act.site)
    with working(rig.ready, site, act.work) if act.work else contextlib.nullcontext():
        found, done = rig.ready.points(site, act.words(site), code)
    assert done.told.code in {0, 2}, done.told
    rig.arrived()
    site.remove()
    return found


def kill(rig, act, point, code=""):
    """Kill the act at one point of a copy, and check what is left; whether it was killed."""
    site = rig.copy(act.site)
    words = act.words(site)
    with working(rig.ready, site, act.work) if act.work else contextlib.nullcontext() as work:
        rig.api.ledger.clear()
        run = rig.ready.trace(site, words, code=code, kill=point)
        act.check(rig, site, run, work)
    site.remove()
    return run.killed


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    with Ready() as ready, BotApi() as api:
        yield Rig(folder=tmp_path_factory.mktemp("kills"), ready=ready, api=api)


def test_a_kill_comes_before_its_call(rig):
    """What was called before is there, what is called at the point is not, and the process is gone."""
    site, code = rig.copy("people"), "import os; os.mkdir('one'); os.mkdir('two'); os.mkdir('three')"
    points, done = rig.ready.points(site, None, code)
    assert (done.killed, [one.name for one in points]) == (False, ["mkdir", "mkdir", "mkdir", "exit_group"])
    for one in ("one", "two", "three"):
        (site.root / one).rmdir()
    assert rig.ready.trace(site, None, code=code, kill=points[1]).killed
    assert [(site.root / one).exists() for one in ("one", "two", "three")] == [True, False, False]
    site.remove()


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", ACTS)
def test_killed_anywhere_nothing_acknowledged_is_lost_and_nothing_is_done_twice(rig, name, part):
    """Before each system call that changes something, and not at all: the invariants of the act hold."""
    act = ACTS[name]
    points = points_of(rig, act)
    chosen = points[part::PARTS] if ALL else sample(points, SAMPLE, f"{SEED} {name}")
    problems, kills = [], 0
    for point in [*chosen, None]:
        try:
            kills += kill(rig, act, point)
        except Exception as error:  # noqa: BLE001 - whatever fails after a kill is told with its point
            problems.append(f"{point}: {type(error).__name__}: {error}")
    print(
        f"{name}: killed {kills} times at {len(chosen)} of {len(points)} points, {len(problems)} problems, seed {SEED}"
    )
    assert problems == []
    assert kills >= len(chosen) * 9 // 10


@pytest.mark.parametrize(
    ("name", "code", "after", "caught"),
    [
        ("live_fire", SENDS_FIRST, '"chat_id', "the window is not consumed"),
        ("approval", SAYS_FIRST, "1, ", "acknowledged, and not recorded"),
        ("stop", SAYS_FIRST, "1, ", "acknowledged, and not stopped"),
        ("export", WRITES_IN_PLACE, 'execution_gate.json", O_WRONLY', "is half written"),
        ("recovery", PUTS_BACK, "", "arrived and is PENDING"),
    ],
    ids=["sends-first", "approves-late", "stops-late", "writes-in-place", "puts-back"],
)
def test_a_planted_mistake_is_caught(rig, name, code, after, caught):
    """The harness finds what it is there for: an act that does things in the wrong order fails its check."""
    act = ACTS[name]
    point = None
    if after:
        points = points_of(rig, act, code)
        first = next(one.index for one in points if after in one.text)
        point = points[first + 1]
    with pytest.raises(AssertionError, match=caught):
        kill(rig, act, point, code)
