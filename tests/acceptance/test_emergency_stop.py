"""The emergency stop as a person pulls it: real works in real processes, and after the acknowledgement nothing acts."""

import json
import os
import random
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from ops_core.clock import SystemClock
from ops_core.config import load_settings
from ops_core.control import files
from ops_core.control.running import open_works, processes
from ops_core.control.service import ControlPlane
from ops_core.incident.loop import incident_view, list_incidents
from ops_core.incident.store import Incidents
from ops_core.remediation.runner import StepState
from tests.support import eventually

pytestmark = pytest.mark.slow

OPS = [sys.executable, "-c", "from ops_core.cli import run; run()"]
CLOCK = SystemClock()
SEED = 20260105
KILLS = 4
WORKERS = 4
RELEASES = 40
PREAMBLE = """
import os, subprocess, sys, time
from pathlib import Path
from ops_core.clock import SystemClock
from ops_core.control.running import registered
from ops_core.control.service import ControlPlane
from ops_core.errors import OpsError
root = Path(sys.argv[1])
plane = ControlPlane(root / "state-control" / "control.db", SystemClock(), actor="worker", busy_timeout_s=30)
def note(name):
    with (root / name).open("a") as file:
        file.write(f"{os.getpid()}\\n")
"""
# Stays deaf to every request, with a daemon that has left its session and closed all its descriptors.
DEAF = (
    PREAMBLE
    + """
import signal
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
DAEMON = '''
import os, sys, time
os.setsid()
if os.fork():
    os._exit(0)
open(sys.argv[1], "a").write(f"{os.getpid()}\\\\n")
os.closerange(0, 256)
time.sleep(120)
'''
with registered(plane, "cycle") as work:
    subprocess.run([sys.executable, "-c", DAEMON, str(root / "daemons")], env=work.environ, check=True)
    note("ready")
    time.sleep(120)
"""
)
# Begins one work after the other; what it does it does without asking again.
BUSY = (
    PREAMBLE
    + """
while True:
    try:
        with registered(plane, "cycle"):
            for _ in range(3):
                note("effects")
                time.sleep(0.01)
    except OpsError:
        note("refusals")
        time.sleep(0.05)
"""
)
INCIDENT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from incident_world import ShiftedClock, World
from ops_core.config import load_settings
from ops_core.control.service import ControlPlane
root = Path(sys.argv[1])
hang = "echo start >> web/effects; echo $$ >> pids; trap '' TERM; (setsid sleep 120 & echo $! >> pids; wait)"
if sys.argv[3] == "first":
    world = World(root)
    world.permit()
    world.crash()
    world.change_target(start_argv=("sh", "-c", hang))
else:
    world = World.__new__(World)
    world.root, world.clock, world.said, world.looks, world.script = root, ShiftedClock(), [], 0, []
    world.settings = load_settings(root / "ops.toml", environ={})
    world.plane = ControlPlane(world.settings.control_store, world.clock, actor="kim")
print(world.run().outcome)
"""


@pytest.fixture
def root(tmp_path):
    """A repository whose emergency stop is released."""
    (tmp_path / "ops.toml").write_text("[profiles.default.targets.web]\nhealth_url = 'http://127.0.0.1:9/'\n")
    plane = plane_of(tmp_path)
    plane.create()
    plane.release("tested")
    return tmp_path


def plane_of(root):
    store = load_settings(root / "ops.toml", environ={}).control_store
    assert store == root / "state-control" / "control.db"
    return ControlPlane(store, CLOCK, actor="test", busy_timeout_s=30)


def environ():
    return {name: value for name, value in os.environ.items() if not name.startswith("OPS_")}


def ops(*args, cwd):
    return subprocess.run([*OPS, *args], cwd=cwd, env=environ(), capture_output=True, text=True, timeout=120)


def begun(*args, cwd):
    return subprocess.Popen(
        [*OPS, *args], cwd=cwd, env=environ(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def python(stack, code, root, *args):
    """A process of the test, which does not outlive it."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(root), *map(str, args)],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    stack.callback(process.stdout.close)
    stack.callback(process.wait)
    stack.callback(process.kill)
    stack.callback(end_daemons, root)
    return process


def end_daemons(root):
    for pid in map(int, lines(root / "daemons")):
        if processes.marks_of(pid):
            os.kill(pid, signal.SIGKILL)


def lines(path):
    return path.read_text().split() if path.exists() else []


def gone(pid):
    found = processes.look_up(pid)
    return found is None or not processes.alive(found)


def test_engaging_ends_the_deaf_and_what_they_left_behind(root):
    """Two works that hear nothing, with daemons: all are gone when `ops` answers, and the answer says so."""
    with ExitStack() as stack:
        for _ in range(2):
            python(stack, DEAF, root)
        eventually(lambda: (len(lines(root / "ready")), len(lines(root / "daemons"))) == (2, 2), "they did not begin")
        shown = ops("estop", "status", "--json", cwd=root)
        assert [one["kind"] for one in json.loads(shown.stdout)["running"]] == ["cycle", "cycle"]
        done = ops("estop", "engage", "--reason", "smoke", cwd=root)
        assert done.returncode == 0, done.stdout + done.stderr
        assert all(gone(int(pid)) for pid in lines(root / "ready") + lines(root / "daemons"))
        assert done.stdout.splitlines()[:2] == ["stopped: smoke", "ending 2 running works…"]
        assert "emergency stop  ENGAGED, everything that ran has ended (2)" in done.stdout
        assert open_works(plane_of(root)) == ()
        again = ops("estop", "engage", "--json", cwd=root)
        assert (again.returncode, json.loads(again.stdout)["ended"]) == (0, [])


def test_what_is_left_is_told_with_its_way_out(root):
    """A work of another host: exit 3, and what to type there."""
    from sqlalchemy import update

    from ops_core.control import schema

    with ExitStack() as stack:
        process = python(stack, DEAF, root)
        eventually(lambda: len(lines(root / "ready")) == 1, "it did not begin")
        with plane_of(root).transaction() as change:
            change.execute(update(schema.work).values(host="elsewhere", boot_id="another"))
        done = ops("estop", "engage", cwd=root)
        assert done.returncode == 3
        assert "NOT ENDED: it runs on host elsewhere" in done.stdout
        assert "on elsewhere: ops estop engage" in done.stdout
        assert "not everything has ended (1 left)" in done.stdout
        assert process.poll() is None


def test_after_the_acknowledgement_nothing_acts(root):
    """Works that begin and act without pause: not one effect comes after `ops` has answered."""
    with ExitStack() as stack:
        for _ in range(WORKERS):
            python(stack, BUSY, root)
        eventually(lambda: len(set(lines(root / "effects"))) == WORKERS, "they did not act")
        done = ops("estop", "engage", cwd=root)
        acted = len(lines(root / "effects"))
        assert done.returncode == 0, done.stdout + done.stderr
        # Somebody of the next generation tries all the same, and is refused.
        python(stack, BUSY, root)
        refused = len(lines(root / "refusals"))
        eventually(lambda: len(lines(root / "refusals")) > refused + 3, "nobody tried")
        assert len(lines(root / "effects")) == acted


def test_a_remediation_is_ended_within_its_step(tmp_path):
    """The step and what it started are gone, its record is honest, and the incident can be gone on with."""
    folder = Path(__file__).parents[1] / "unit" / "incident"
    with ExitStack() as stack:
        process = python(stack, INCIDENT, tmp_path, folder, "first")
        eventually(lambda: len(lines(tmp_path / "pids")) == 2, "the step did not begin")
        done = ops("estop", "engage", "--reason", "smoke", cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        assert all(gone(int(pid)) for pid in lines(tmp_path / "pids"))
        assert process.wait() == 0
    settings = load_settings(tmp_path / "ops.toml", environ={})
    plane = ControlPlane(settings.control_store, CLOCK, actor="test")
    (incident,) = list_incidents(plane, CLOCK)
    assert incident_view(settings, plane, CLOCK, incident.id).state == "interrupted"
    states = {row.state for row in Incidents(plane, CLOCK, "test").steps(incident.id)}
    assert StepState.UNKNOWN in states
    assert StepState.ARMED not in states
    assert open_works(plane) == ()
    plane.release("looked into")
    plane.set_gate("MOCK_ONLY", "a drill")
    with ExitStack() as stack:
        again = python(stack, INCIDENT, tmp_path, folder, "again")
        assert again.stdout.read().split() == ["recovered"]


def test_a_killed_engaging_leaves_it_stopped(root):
    """SIGKILL or Ctrl-C at random moments after it said so: it is stopped, and the next one ends what is left."""
    chance = random.Random(SEED)
    plane = plane_of(root)
    for number in range(KILLS):
        with ExitStack() as stack:
            python(stack, DEAF, root)
            eventually(lambda seen=number: len(lines(root / "ready")) == seen + 1, "it did not begin")
            process = begun("estop", "engage", cwd=root)
            first = process.stdout.readline()
            assert first.startswith("stopped: ")
            interrupted = number % 2 == 1
            try:
                process.wait(chance.uniform(0.0, 1.0))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGINT if interrupted else signal.SIGKILL)
            said = process.communicate()
            assert "Traceback" not in said[1]
            assert plane.state().stopped
            done = ops("estop", "engage", cwd=root)
            assert done.returncode == 0, done.stdout + done.stderr
            assert all(gone(int(pid)) for pid in lines(root / "ready") + lines(root / "daemons"))
        assert ops("estop", "release", "--reason", "next", cwd=root).returncode == 0
    plane.verify_chain()


def test_killed_before_it_said_anything_it_is_stopped_or_nothing_happened(root):
    """From its start on, at random moments: the store is whole, and what was said holds."""
    chance = random.Random(SEED)
    plane = plane_of(root)
    for _ in range(KILLS):
        process = begun("estop", "engage", "--reason", "pulled", cwd=root)
        try:
            process.wait(chance.uniform(0.0, 1.5))
        except subprocess.TimeoutExpired:
            process.kill()
        said, _ = process.communicate()
        state = plane.state()
        assert state.problem == ""
        if said:
            assert (state.stopped, state.stop_reason) == (True, "pulled")
        assert ops("estop", "release", "--reason", "next", cwd=root).returncode == 0
    plane.verify_chain()


def test_an_engaging_gets_through_a_crowd_of_releases(root):
    """Forty release at once, one engages: whoever came later counts, and the one that engaged was never turned away."""
    code = (
        PREAMBLE
        + """
sys.stdin.readline()
for number in range(3):
    try:
        plane.release(f"crowd {os.getpid()} {number}")
    except OpsError:
        pass
print("done", flush=True)
"""
    )
    plane = plane_of(root)
    with ExitStack() as stack:
        crowd = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", code, str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
            )
            for _ in range(RELEASES)
        ]
        for process in crowd:
            process.stdin.write("\n")
            process.stdin.flush()
        done = ops("estop", "engage", "--reason", "pulled", cwd=root)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.startswith("stopped: pulled")
        for process in crowd:
            process.communicate()
    state = plane.state()
    rows = plane.audit_rows()
    changes = [row for row in rows if row.action in {"stop.engaged", "stop.released"}]
    latch = files.read_latch(plane.path)
    if latch is None:
        # It is in the store, and whatever came after it came after it.
        assert "stop.engaged" in [row.action for row in changes]
        assert state.stopped == (changes[-1].action == "stop.engaged")
    else:
        assert (state.stopped, latch.reason) == (True, "pulled")
    plane.verify_chain()
