"""Works in the store: none begins while stopped, each is ended before a stop is acknowledged, and all is recorded."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from sqlalchemy import select, update

from ops_core.clock import ManualClock, SystemClock
from ops_core.control import files, schema
from ops_core.control.problems import StoreUnusable
from ops_core.control.running import (
    Work,
    WorkEnded,
    end_all,
    engage_and_end,
    open_works,
    processes,
    registered,
    registry,
    stopping,
)
from ops_core.control.service import ControlPlane
from ops_core.errors import Refused
from tests.support import eventually

PATIENCE_S = 0.3
WORKER = """
import os, subprocess, sys, time
from pathlib import Path
from ops_core.clock import SystemClock
from ops_core.control.running import registered
from ops_core.control.service import ControlPlane
from ops_core.errors import Refused
plane = ControlPlane(Path(sys.argv[1]), SystemClock(), actor="worker")
try:
    with registered(plane, "cycle") as work:
        quiet = {{"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}}
        child = subprocess.Popen(["sleep", "60"], env=work.environ, **quiet)
        print(os.getpid(), child.pid, work.id, flush=True)
        {body}
except Refused as error:
    print("refused", error.what, flush=True)
"""
NOTICES = "while not work.must_end(): time.sleep(0.02)"
HANGS = "time.sleep(60)"


@pytest.fixture
def plane(tmp_path):
    """A released control plane on the machine's clock."""
    plane = ControlPlane(tmp_path / "state" / "control.db", SystemClock(), actor="kim")
    plane.create()
    plane.release("tested")
    return plane


@contextmanager
def worker(plane, body):
    """A process at work, with a child in a session of its own."""
    code = WORKER.format(body=body)
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(plane.path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    child = 0
    try:
        pid, child, name = process.stdout.readline().split()
        assert int(pid) == process.pid
        yield process, int(child), name
    finally:
        process.kill()
        process.communicate()
        if child and not gone(int(child)):
            os.kill(int(child), signal.SIGKILL)


def gone(pid):
    found = processes.look_up(pid)
    return found is None or not processes.alive(found)


def row_of(plane, name):
    with plane.snapshot() as found:
        return dict(found.execute(select(schema.work).where(schema.work.c.id == name)).mappings().one())


def change_row(plane, name, **values):
    with plane.transaction() as change:
        change.execute(update(schema.work).where(schema.work.c.id == name).values(**values))


def actions(plane):
    return [row.action for row in plane.audit_rows()]


def test_a_work_is_entered_and_closed(plane):
    """While it runs the store knows who it is; afterwards how it ended. Both are in the audit."""
    with registered(plane, "cycle", environ={"A": "1"}) as work:
        (entry,) = open_works(plane)
        assert (entry.id, entry.pid, entry.kind) == (work.id, os.getpid(), "cycle")
        assert work.environ == {"A": "1", "OPS_WORK": work.mark}
        assert work.must_end() == ""
    assert open_works(plane) == ()
    assert row_of(plane, work.id)["ended_how"] == registry.DONE
    assert actions(plane)[-2:] == ["work.begun", "work.ended"]


def test_an_error_closes_it_too(plane):
    """Whatever ends a work, it is recorded, and the error passes."""
    with pytest.raises(ZeroDivisionError), registered(plane, "cycle") as work:
        raise ZeroDivisionError
    assert row_of(plane, work.id)["ended_how"] == registry.FAILED


def test_a_work_within_a_work_bears_both_marks(plane):
    """What a cycle's remediation starts belongs to both."""
    with registered(plane, "cycle", environ={}) as outer, registered(plane, "remediation", environ=outer.environ) as it:
        assert it.environ["OPS_WORK"] == f"{outer.mark},{it.mark}"


@pytest.mark.parametrize("how", ["store", "latch", "missing"])
def test_none_begins_while_stopped(plane, how):
    """The store, the latch and a store that is not there stop alike; nothing is entered."""
    if how == "store":
        plane.engage("pulled")
    elif how == "latch":
        files.write_latch(plane.path, "pulled", "kim", plane.clock.now())
    else:
        plane.path.unlink()
    with pytest.raises((Refused, StoreUnusable)), registered(plane, "cycle"):
        pytest.fail("it began")
    if how != "missing":
        assert open_works(plane) == ()


def test_a_latch_that_comes_while_it_is_entered_is_seen(plane, monkeypatch):
    """Whoever pulled the latch may have read the store before the entry: so the latch is looked for once more."""
    entered = registry._insert

    def insert(*args):
        entered(*args)
        files.write_latch(plane.path, "pulled meanwhile", "kim", plane.clock.now())

    monkeypatch.setattr(registry, "_insert", insert)
    with pytest.raises(Refused, match="pulled meanwhile"), registered(plane, "cycle"):
        pytest.fail("it began")
    assert open_works(plane) == ()


def test_a_work_is_told_to_end(plane):
    """By the store and by the latch; and once told, a release does not call it back."""
    with registered(plane, "cycle") as work:
        plane.engage("pulled by kim")
        eventually(lambda: "pulled by kim" in work.must_end(), "it was not told")
        plane.release("a mistake")
        assert "pulled by kim" in work.must_end()
    with registered(plane, "cycle") as work:
        files.write_latch(plane.path, "latched by lee", "lee", plane.clock.now())
        eventually(lambda: "latched by lee" in work.must_end(), "it was not told")


def test_being_asked_often_is_cheap(plane, monkeypatch):
    """The store is not opened each time that a work asks."""
    asked = []
    monkeypatch.setattr(Work, "ask", lambda work: asked.append(work) or "")
    with registered(plane, "cycle") as work:
        for _ in range(10_000):
            work.must_end()
        assert len(asked) < 100


def test_a_work_that_was_taken_for_ended_is_told(plane):
    """It went on although the store says that it had ended: that is no success."""
    with pytest.raises(WorkEnded), registered(plane, "cycle") as work:
        change_row(plane, work.id, ended_at="2026-01-05T09:00:00.000Z", ended_how="stopped: killed")


def test_a_work_that_notices_leaves_a_clean_record(plane):
    """It ends itself and first what it started; the stop has nothing left to signal."""
    with worker(plane, NOTICES) as (process, child, name):
        found = engage_and_end(plane, "pulled", patience_s=30.0)
        assert found.complete
        # It may have noticed so soon that nothing was left to be ended when the stop looked for works.
        assert [one.id for one in found.ended] in ([name], [])
        assert gone(child)
        assert row_of(plane, name)["ended_how"] == registry.STOPPED
        assert process.wait() == 0


def test_a_work_that_does_not_notice_is_ended(plane):
    """With what it started, in whatever session; the acknowledgement says so, and so do the store and its audit."""
    with worker(plane, HANGS) as (process, child, name):
        said = []
        found = engage_and_end(plane, "pulled", "lee", patience_s=PATIENCE_S, say=said.append)
        assert (found.complete, found.state.stopped, found.state.stopped_by) == (True, True, "lee")
        assert gone(process.pid)
        assert gone(child)
        assert said == ["stopped: pulled", "ending 1 running work…"]
    assert row_of(plane, name)["ended_how"].startswith("stopped: ended when asked")
    last = plane.audit_rows()[-1]
    assert (last.action, last.actor, last.data["complete"]) == ("stop.acknowledged", "lee", True)
    assert [one["id"] for one in last.data["ended"]] == [name]
    assert not files.latch_path(plane.path).exists()


def test_nothing_to_end(plane):
    """A stop with nothing running is complete, and says so."""
    found = engage_and_end(plane, "pulled")
    assert (found.complete, found.ended, found.left) == (True, (), ())
    assert plane.state().stopped


def test_a_crashed_work_is_found_gone_and_its_child_ended(plane):
    """A work that was killed left an open entry: what it started bears the mark still."""
    with worker(plane, HANGS) as (process, child, name):
        process.kill()
        process.wait()
        assert not gone(child)
        found = engage_and_end(plane, "pulled", patience_s=PATIENCE_S)
        assert found.complete
        assert gone(child)
    assert row_of(plane, name)["ended_at"] is not None


def test_a_work_of_another_host_is_not_acknowledged(plane):
    """It cannot be ended from here: it is told, with what to do, and stays open until it says itself that it ended."""
    with registered(plane, "cycle") as work:
        change_row(plane, work.id, host="elsewhere", boot_id="another boot")
        found = engage_and_end(plane, "pulled", patience_s=0.1)
        assert (found.complete, found.ended) == (False, ())
        assert "host elsewhere" in found.left[0].why
        assert found.left[0].next_step == "on elsewhere: ops estop engage"
        assert row_of(plane, work.id)["ended_at"] is None


def test_a_work_of_an_earlier_boot_is_gone(plane):
    """No process survives a boot, whoever has its pid now."""
    innocent = subprocess.Popen(["sleep", "60"])
    try:
        with worker(plane, HANGS) as (_, _, name):
            change_row(plane, name, boot_id="an earlier boot", pid=innocent.pid)
            found = engage_and_end(plane, "pulled", patience_s=PATIENCE_S)
            assert [one.how for one in found.ended] == [stopping.STARTED_ANEW]
            assert found.complete
        assert innocent.poll() is None
    finally:
        innocent.kill()
        innocent.wait()


@pytest.mark.parametrize("harm", ["damaged", "gone", "locked"])
def test_without_a_store_works_are_found_and_ended(plane, harm):
    """The latch stops, and the descriptor that a work holds tells who it is."""
    with worker(plane, HANGS) as (process, child, name):
        holder = None
        if harm == "damaged":
            plane.path.write_bytes(b"no store" * 1000)
        elif harm == "gone":
            plane.path.unlink()
        else:
            holder = sqlite3.connect(plane.path, isolation_level=None)
            holder.execute("BEGIN EXCLUSIVE")
        try:
            found = engage_and_end(plane, "pulled", patience_s=PATIENCE_S)
        finally:
            if holder is not None:
                holder.close()
        assert found.complete
        assert [one.id for one in found.ended] == [name]
        assert gone(process.pid)
        assert gone(child)
        assert files.read_latch(plane.path).reason == "pulled"


def test_without_a_store_what_an_ended_work_left_is_told_and_not_killed(plane):
    """A service that a remediation started is its result: with nobody to tell, a person decides."""
    with registered(plane, "cycle") as work:
        service = subprocess.Popen(["sleep", "60"], env=work.environ, start_new_session=True)
    try:
        plane.path.write_bytes(b"no store" * 1000)
        found = engage_and_end(plane, "pulled", patience_s=PATIENCE_S)
        assert not found.complete
        assert [(one.id, one.pids) for one in found.left] == [(work.id, (service.pid,))]
        assert service.poll() is None
    finally:
        service.kill()
        service.wait()


def test_what_an_ended_work_left_running_is_not_looked_for(plane):
    """With a store that says that the work has ended, its result is left alone."""
    with registered(plane, "cycle") as work:
        service = subprocess.Popen(["sleep", "60"], env=work.environ, start_new_session=True)
    try:
        assert engage_and_end(plane, "pulled", patience_s=PATIENCE_S).complete
        assert service.poll() is None
    finally:
        service.kill()
        service.wait()


def test_the_latch_stops_before_the_store_is_asked(plane, monkeypatch):
    """However long the store takes, something durable stops already; once the store has it, one release suffices."""
    seen = []
    engage = ControlPlane.engage

    def slow(self, *args, **kwargs):
        seen.append(files.read_latch(plane.path).reason)
        return engage(self, *args, **kwargs)

    monkeypatch.setattr(ControlPlane, "engage", slow)
    engage_and_end(plane, "pulled")
    assert seen == ["pulled"]
    assert files.read_latch(plane.path) is None
    plane.release("tested")
    assert not plane.state().stopped


def test_a_latch_of_somebody_else_stays(plane):
    """What a person put there by hand is not taken away by a stop that comes after it."""
    files.latch_path(plane.path).touch()
    engage_and_end(plane, "pulled")
    assert files.latch_path(plane.path).exists()


def test_an_interruption_leaves_it_stopped(plane, monkeypatch):
    """Ctrl-C while the latch is written: the store is engaged all the same."""

    def interrupted(*_args):
        raise KeyboardInterrupt

    monkeypatch.setattr(files, "write_latch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        engage_and_end(plane, "pulled")
    assert plane.state().stopped


def test_ending_by_itself_engages_nothing(plane):
    """`end_all` ends what runs; whether it is stopped is another question."""
    with worker(plane, HANGS) as (process, _, name):
        found = end_all(plane, plane.clock, PATIENCE_S)
        assert [one.id for one in found.ended] == [name]
        assert gone(process.pid)
    assert not plane.state().stopped


@pytest.mark.parametrize("by", ["the whole stop", "the store alone"])
def test_a_stop_holds_though_no_time_has_passed(tmp_path, by):
    """Between its latch and its entry in the store no millisecond need go by: it is no less a stop of the store's."""
    clock = ManualClock(datetime(2026, 1, 5, tzinfo=UTC))
    plane = ControlPlane(tmp_path / "state" / "control.db", clock, actor="kim")
    plane.create()
    plane.release("tested")
    if by == "the whole stop":
        assert engage_and_end(plane, "now").state.stopped
    else:
        files.write_latch(plane.path, "now", "kim", clock.now())
        assert plane.engage("now").stopped
        files.remove_latch(plane.path, files.read_latch(plane.path))
    with plane.snapshot() as found:
        assert found.state.stopped
    assert plane.state().stopped
