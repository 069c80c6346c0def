"""Ending works with everything that they started: real processes that do what they can to stay."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace

import pytest

from ops_core.control.running import processes
from ops_core.control.running.ending import ASKED, BY_ITSELF, GONE, KILLED, end_works
from ops_core.control.running.records import OpenWork
from tests.support import eventually

MARK = "0123456789abcdef:cycle-1"
ASK_S = 0.3
NOTICE_S = 0.05
READY = "open(sys.argv[1], 'a').write(f'{os.getpid()}\\n')\n"
START = "import os, signal, subprocess, sys, time\n"
STUBBORN = START + "for n in (1, 2, 15): signal.signal(n, signal.SIG_IGN)\n" + READY + "time.sleep(60)"
DAEMON = (
    START
    + """
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    for n in (1, 2, 15):
        signal.signal(n, signal.SIG_IGN)
    pids = open(sys.argv[1], 'a')
    pids.write(f'{os.getpid()}\\n')
    pids.close()
    os.closerange(0, 256)
    time.sleep(60)
os.wait()
"""
    + READY
    + "time.sleep(60)"
)
NAMELESS = (
    START
    + "child = subprocess.Popen(['sleep', '60'], env={}, start_new_session=True)\n"
    + "open(sys.argv[1], 'a').write(f'{child.pid}\\n')\n"
    + READY
    + "time.sleep(60)"
)
HOPPER = (
    START
    + READY
    + """
if os.fork():
    time.sleep(60)
for n in (1, 2, 15):
    signal.signal(n, signal.SIG_IGN)
os.setsid()
open(sys.argv[1], 'a').write('0\\n')
while not os.fork():
    time.sleep(0.002)
"""
)
KEEPERS = (
    START
    + READY
    + """
for n in (1, 2, 15):
    signal.signal(n, signal.SIG_IGN)
for _ in range(5):
    if os.fork() == 0:
        break
open(sys.argv[1], 'a').write('0\\n')
while True:
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    os.waitpid(child, 0)
"""
)
ZOMBIE = (
    START
    + "child = subprocess.Popen(['true'])\nos.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)\n"
    + "open(sys.argv[1], 'a').write(f'{child.pid}\\n')\n"
    + READY
    + "time.sleep(60)"
)


def lines(path):
    return path.read_text().split() if path.exists() else []


def work_of(pid):
    found = processes.look_up(pid)
    return OpenWork(
        id="cycle-1",
        kind="cycle",
        host="here",
        boot_id=processes.boot_id(),
        pid=pid,
        ticks=found.ticks,
        begun_ticks=int(found.ticks),
        begun_at="",
    )


@contextmanager
def started(tmp_path, code, ready=1):
    """A process that bears the mark, once it and what it starts are there; it is ended whatever the test does."""
    argv = [sys.executable, "-c", code, str(tmp_path / "pids")]
    process = subprocess.Popen(argv, env={**os.environ, processes.MARK: f"outer:1,{MARK}"})
    try:
        eventually(lambda: len(lines(tmp_path / "pids")) >= ready, "it did not start")
        yield process
    finally:
        process.kill()
        process.wait()
        for pid in map(int, lines(tmp_path / "pids")):
            if MARK in processes.marks_of(pid):
                os.kill(pid, signal.SIGKILL)


def end(process, work=None, still_open=("cycle-1",)):
    found = {MARK: work or work_of(process.pid)}
    return end_works(found, ASK_S, still_open=lambda: still_open, notice_s=NOTICE_S)


def marked():
    return [one.pid for one in processes.newest_first() if MARK in processes.marks_of(one.pid)]


def ends(pid):
    found = processes.look_up(pid)
    return found is None or not processes.alive(found)


def test_who_ends_when_asked_is_not_killed(tmp_path):
    """SIGTERM comes first, and is enough for most."""
    with started(tmp_path, START + READY + "time.sleep(60)") as process:
        (one,), left = end(process)
        assert (one.how, one.pids, left) == (ASKED, (process.pid,), [])
        assert process.wait() == -signal.SIGTERM


def test_who_ignores_every_request_is_killed(tmp_path):
    """SIGTERM, SIGINT and SIGHUP ignored: SIGKILL it is."""
    with started(tmp_path, STUBBORN) as process:
        (one,), left = end(process)
        assert (one.how, left) == (KILLED, [])
        assert process.wait() == -signal.SIGKILL


@pytest.mark.parametrize(("code", "ready"), [(DAEMON, 2), (NAMELESS, 2)], ids=["daemon", "without environment"])
def test_leaving_the_session_or_the_environment_does_not_help(tmp_path, code, ready):
    """A daemon is found by its mark, and one without environment by who started it."""
    with started(tmp_path, code, ready) as process:
        pids = [int(pid) for pid in lines(tmp_path / "pids")]
        assert len(set(pids)) == 2
        ended, left = end(process)
        assert (len(ended), left) == (1, [])
        assert all(map(ends, pids))


@pytest.mark.parametrize("code", [HOPPER, KEEPERS], ids=["forks and ends without pause", "starts anew what dies"])
def test_who_starts_itself_anew_loses(tmp_path, code):
    """Whoever is stopped cannot fork: in the end nobody bears the mark."""
    with started(tmp_path, code, 2) as process:
        (one,), left = end(process)
        assert (one.how, left) == (KILLED, [])
        assert marked() == []


def test_a_zombie_has_ended(tmp_path):
    """What nobody waits for is no work that runs, and its pid is not waited for either."""
    with started(tmp_path, ZOMBIE, 2) as process:
        zombie = processes.look_up(int(lines(tmp_path / "pids")[0]))
        assert zombie is not None
        assert not processes.alive(zombie)
        ended, left = end(process)
        assert (ended[0].how, left) == (ASKED, [])


def test_the_pid_of_somebody_else_is_left_alone(tmp_path):
    """A pid was given to an innocent process meanwhile: the work is gone, and the innocent one lives."""
    del tmp_path
    innocent = subprocess.Popen(["sleep", "60"])
    try:
        work = replace(work_of(innocent.pid), ticks="1")
        (one,), left = end(innocent, work)
        assert (one.how, one.pids, left) == (GONE, (), [])
        assert innocent.poll() is None
    finally:
        innocent.kill()
        innocent.wait()


def test_a_signal_never_reaches_the_next_process_of_that_pid():
    """Who is addressed by pid and start is not confused with who has that pid now."""
    innocent = subprocess.Popen(["sleep", "60"])
    try:
        stale = replace(processes.look_up(innocent.pid), ticks="1")
        assert processes.send(stale, signal.SIGKILL) == ""
        assert not processes.alive(stale)
        assert innocent.poll() is None
    finally:
        innocent.kill()
        innocent.wait()


def test_who_has_said_that_it_ended_goes_on(tmp_path):
    """A process whose work is over may still write its report; what bears the mark of that work may not."""
    with started(tmp_path, DAEMON, 2) as process:
        plain = subprocess.Popen(["sleep", "60"])
        try:
            daemon = next(int(pid) for pid in lines(tmp_path / "pids") if int(pid) != process.pid)
            (one,), left = end(plain, still_open=())
            assert (one.how, left) == (KILLED, [])
            assert plain.poll() is None
            assert ends(daemon)
        finally:
            plain.kill()
            plain.wait()


def test_what_ran_before_the_work_is_not_the_works():
    """A process may have children that it started before; they are no part of what is to end."""
    before = subprocess.Popen(["sleep", "60"])
    try:
        me = replace(work_of(os.getpid()), begun_ticks=processes.ticks_now() + 1_000)
        ended, left = end(before, me)
        assert ended == []
        assert "this stop came from within it" in left[0].why
        assert before.poll() is None
    finally:
        before.kill()
        before.wait()


def test_a_stop_from_within_a_work_spares_itself_and_says_so():
    """Everything else of that work has ended; that the caller has not is told, and is not called complete."""
    environ = {**os.environ, processes.MARK: MARK}
    child = subprocess.Popen(["sleep", "60"], env=environ, start_new_session=True)
    try:
        ended, left = end(child, work_of(os.getpid()))
        assert ended == []
        assert "this stop came from within it" in left[0].why
        assert child.wait() == -signal.SIGTERM
    finally:
        child.kill()
        child.wait()


def test_a_work_that_ends_by_itself_is_not_signalled(tmp_path):
    """It gets a moment to notice the stop and to leave a clean record."""
    code = START + READY + "time.sleep(0.3)"
    with started(tmp_path, code) as process:
        found = end_works({MARK: work_of(process.pid)}, ASK_S, still_open=lambda: ("cycle-1",), notice_s=30.0)
        assert (found[0][0].how, found[0][0].pids, found[1]) == (BY_ITSELF, (), [])
        assert process.wait() == 0
