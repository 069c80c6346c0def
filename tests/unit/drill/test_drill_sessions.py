"""Finding and ending the processes of a session."""

import os
import signal
import subprocess
import sys

import pytest

from ops_core.clock import SystemClock
from ops_core.drill import sessions
from ops_core.drill.waiting import wait_until

SLEEPER = """
import subprocess, sys, time
subprocess.Popen([sys.executable, *sys.argv[1:]])
print("up", flush=True)
time.sleep(60)
"""


@pytest.fixture
def session(tmp_path):
    """A process that leads a session, with a child, both with `tmp_path` among their arguments."""
    child = ["-c", "import time; time.sleep(60)", str(tmp_path)]
    leader = subprocess.Popen(
        [sys.executable, "-c", SLEEPER, *child], stdout=subprocess.PIPE, start_new_session=True, text=True
    )
    leader.stdout.readline()
    wait_until(lambda: len(sessions.members(leader.pid, tmp_path)) == 2, SystemClock(), 10, "no child")
    yield leader
    sessions.send(leader.pid, tmp_path, signal.SIGKILL)
    leader.wait()
    leader.stdout.close()


def test_a_session_is_found_and_ended(session, tmp_path):
    """A signal reaches the leader and its children; zombies do not count as living."""
    assert session.pid in sessions.members(session.pid, tmp_path)
    assert sessions.send(session.pid, tmp_path, signal.SIGKILL) == 2
    wait_until(lambda: not sessions.members(session.pid, tmp_path), SystemClock(), 10, "they live")


def test_processes_without_the_mark_are_strangers(session, tmp_path):
    """A session number alone is not enough to be sent a signal."""
    assert sessions.send(session.pid, tmp_path / "elsewhere", signal.SIGKILL) == 0
    assert session.poll() is None


def test_a_stopped_process_is_seen_as_stopped(session):
    """The kernel's word for a process: T while stopped, X when there is none."""
    os.kill(session.pid, signal.SIGSTOP)
    wait_until(lambda: sessions.state(session.pid) == "T", SystemClock(), 10, "not stopped")
    os.kill(session.pid, signal.SIGCONT)
    wait_until(lambda: sessions.state(session.pid) != "T", SystemClock(), 10, "still stopped")
    assert sessions.state(2**22 + 1) == "X"


def test_handlers_are_seen():
    """A process handles the signals it installed handlers for, and no others."""
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        assert sessions.handles(os.getpid(), signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert not sessions.handles(os.getpid(), signal.SIGUSR1)
    assert not sessions.handles(2**22 + 1, signal.SIGUSR1)
