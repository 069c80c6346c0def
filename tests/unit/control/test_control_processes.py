"""The control store under real processes: at once, and killed."""

import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from ops_core.clock import SystemClock
from ops_core.control.model import Gate
from ops_core.control.reading import read_control
from ops_core.control.service import ControlPlane

ROOT = Path(__file__).parents[3]
PREAMBLE = """
import os, sys
from pathlib import Path
from ops_core.clock import SystemClock
from ops_core.control.service import ControlPlane
from ops_core.errors import OpsError
path, name = Path(sys.argv[1]), sys.argv[2]
plane = ControlPlane(path, SystemClock(), actor=name, busy_timeout_s=30)
"""
CREATE = PREAMBLE + "sys.stdin.readline(); print(plane.create().stopped, flush=True)"
CHANGE = (
    PREAMBLE
    + """
sys.stdin.readline()
for number in range(int(sys.argv[3])):
    reason = f"{name}-{number}"
    try:
        if number % 3 == 0:
            state = plane.engage(reason)
        elif number % 3 == 1:
            state = plane.release(reason)
        else:
            state = plane.set_gate("MOCK_ONLY", reason)
    except OpsError as error:
        print("no", error.what, flush=True)
    else:
        print("yes", state.version, reason, flush=True)
"""
)
WRITE = (
    PREAMBLE
    + """
number = 0
while True:
    state = (plane.engage if number % 2 else plane.release)(f"r{number}")
    print(state.version, state.stopped, f"r{number}", flush=True)
    number += 1
"""
)
DIE_WRITING = (
    PREAMBLE
    + """
import signal
from sqlalchemy import text
with plane.transaction() as change:
    change.execute(text("PRAGMA cache_size = 1"))
    for number in range(200):
        change.audit(at=SystemClock().now(), actor=name, action="a.b", detail={"text": "x" * 2000})
    os.kill(os.getpid(), signal.SIGKILL)
"""
)


def start(code, *argv):
    """A process of its own that runs this code."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, argv)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def all_at_once(processes):
    """Let processes that wait for a line begin together, and return what each said."""
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    said = []
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert (process.returncode, err) == (0, "")
        said.append(out.splitlines())
    return said


def test_processes_that_create_at_once_share_one_store(store_path):
    """Everybody succeeds, there is one first row, and no half-made file is left over."""
    said = all_at_once([start(CREATE, store_path, f"p{number}") for number in range(6)])
    assert said == [["True"]] * 6
    plane = ControlPlane(store_path, SystemClock())
    assert [row.action for row in plane.audit_rows()] == ["store.created"]
    assert [path.name for path in store_path.parent.iterdir()] == ["control.db"]


@pytest.mark.slow
def test_processes_that_change_at_once_lose_nothing(store_path):
    """Every acknowledged change has its row and its own version, and no row is there that nobody acknowledged."""
    plane = ControlPlane(store_path, SystemClock(), actor="kim")
    plane.create()
    said = all_at_once([start(CHANGE, store_path, f"p{number}", 15) for number in range(4)])
    acknowledged = [line.split(" ", 2)[1:] for lines in said for line in lines if line.startswith("yes ")]
    assert len(acknowledged) == 60, said
    rows = plane.audit_rows()[1:]
    recorded = {}
    for row in rows:
        state = row.data["state"]
        recorded[str(state["version"])] = state["gate_reason" if row.action == "gate.set" else "stop_reason"]
    assert dict(acknowledged) == recorded
    assert len(rows) == 60
    assert plane.verify_chain().rows == 61
    assert plane.state().version == 60


@pytest.mark.slow
def test_a_writer_killed_at_any_moment_loses_nothing_it_acknowledged(store_path):
    """Twenty times SIGKILL in mid-work: readable at once or stopped, openable, the chain whole, no promise broken."""
    plane = ControlPlane(store_path, SystemClock(), actor="kim")
    plane.create()
    chance = random.Random(20260105)
    for _ in range(20):
        rows_before = len(plane.audit_rows())
        process = start(WRITE, store_path, "writer")
        said = [process.stdout.readline().split() for _ in range(chance.randint(1, 8))]
        process.send_signal(signal.SIGKILL)
        rest, err = process.communicate(timeout=60)
        assert err == ""
        said += [line.split() for line in rest.split("\n")[:-1]]
        seen = read_control(store_path, SystemClock().now())
        check = plane.verify_chain()
        states = [row.data["state"] for row in plane.audit_rows()[rows_before:]]
        recorded = [[str(s["version"]), str(s["stopped"]), s["stop_reason"]] for s in states]
        assert recorded[: len(said)] == said
        assert len(recorded) <= len(said) + 1
        assert check.rows == rows_before + len(recorded)
        assert seen.stopped == plane.state().stopped or (seen.stopped and seen.problem)
    # A journal that was still empty when its writer died is no change; SQLite clears it away with the next one.
    plane.engage("done")
    assert [path.name for path in store_path.parent.iterdir()] == ["control.db"]


def test_a_change_cut_off_on_its_way_to_the_disk_is_undone(store_path):
    """With half of a change in the file: looking says stopped and why; opening for writing undoes it."""
    plane = ControlPlane(store_path, SystemClock(), actor="kim")
    plane.create()
    plane.release("ok")
    plane.set_gate(Gate.MOCK_ONLY, "r")
    before = plane.audit_rows()
    process = start(DIE_WRITING, store_path, "writer")
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert Path(f"{store_path}-journal").exists()
    seen = read_control(store_path, SystemClock().now())
    assert seen.stopped
    assert "interrupted" in seen.problem
    assert "ops estop status" in seen.problem
    assert plane.permission(drill=True).allowed
    assert plane.audit_rows() == before
    assert not Path(f"{store_path}-journal").exists()
    assert not read_control(store_path, SystemClock().now()).stopped


def test_a_killed_creator_leaves_no_half_made_store(store_path):
    """Whoever dies while making the store leaves nothing under its name; the next one makes it."""
    code = PREAMBLE + (
        "import signal\nfrom ops_core.control import store\n"
        "store.os.link = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\nplane.create()"
    )
    process = start(code, store_path, "maker")
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert not store_path.exists()
    plane = ControlPlane(store_path, SystemClock(), actor="kim")
    assert plane.state().stopped
    assert plane.create().stopped
    assert plane.verify_chain().rows == 1


def test_the_database_file_is_what_sqlite_itself_calls_whole(plane, store_path):
    """The stronger check that opening leaves out for its cost agrees, foreign keys included."""
    plane.mark_good("core", "release", "v1", "0" * 64)
    connection = sqlite3.connect(store_path)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    finally:
        connection.close()
