"""Children: bounded in time and output, ended with everything they started, and gone when whoever wanted them is."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ops_core.clock import SystemClock
from ops_core.drill.waiting import wait_until
from ops_core.remediation.child import OUTPUT_MAX_BYTES, run_child

CLOCK = SystemClock()
LONG_S = 60.0
# A parent that runs a child and can be killed: its argument is what the child does.
PARENT = "import sys; from ops_core.remediation.child import run_child; run_child(sys.argv[1:], timeout_s=60)"


def alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in {"Z", "X"}


def until(condition, what):
    wait_until(condition, CLOCK, 10.0, what)


def pids_in(path, count):
    until(lambda: path.exists() and len(path.read_text().split()) >= count, "the child did not start")
    return [int(word) for word in path.read_text().split()]


@pytest.mark.parametrize(
    ("argv", "code", "output"),
    [
        (("sh", "-c", "echo out; echo err >&2; exit 3"), 3, "out\nerr\n"),
        (("true",), 0, ""),
        (("sh", "-c", "kill -9 $$"), 137, ""),
        (("no-such-program",), 127, "no-such-program: No such file or directory\n"),
        (("/etc/passwd",), 126, "/etc/passwd: Permission denied\n"),
        (("printf", "%s", "a b;c $HOME"), 0, "a b;c $HOME"),
        (("cat",), 0, ""),
    ],
)
def test_how_it_ended_is_told(argv, code, output):
    """Exit code, signal, and what it printed; a missing program is an answer and not a crash. No shell, no input."""
    ended = run_child(argv, timeout_s=LONG_S)
    assert (ended.exit_code, ended.output, ended.why) == (code, output, "")


def test_it_runs_in_the_folder_it_is_given(tmp_path):
    """The root directory unless told otherwise, so that nothing lying around is mistaken for a program."""
    assert run_child(("pwd",), timeout_s=LONG_S).output == "/\n"
    assert run_child(("pwd",), timeout_s=LONG_S, cwd=tmp_path).output == f"{tmp_path}\n"


def test_a_child_that_takes_too_long_is_ended_with_all_it_started(tmp_path):
    """At the time limit its whole process group is killed, whatever signals it ignores."""
    script = f"trap '' TERM INT HUP; sleep 60 & echo $! >> {tmp_path}/pids; echo $$ >> {tmp_path}/pids; wait; sleep 60"
    ended = run_child(("sh", "-c", script), timeout_s=0.5)
    assert ended.why == "not done within 0.5 s"
    pids = pids_in(tmp_path / "pids", 2)
    until(lambda: not any(map(alive, pids)), "a child outlived its time")


def test_a_stop_reaches_a_child_that_is_under_way(tmp_path):
    """While it runs, the stop is asked for; its reason is why it was ended."""
    ended = run_child(
        ("sh", "-c", f"echo $$ > {tmp_path}/pids; sleep 60"),
        timeout_s=LONG_S,
        must_end=lambda: "pulled by kim" if (tmp_path / "pids").exists() else "",
    )
    assert ended.why == "pulled by kim"
    assert not alive(pids_in(tmp_path / "pids", 1)[0])


# Leaves its session, its parent, its descriptors and its environment.
DAEMON = """
import os, subprocess, sys
if os.fork() == 0:
    os.setsid()
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    child = subprocess.Popen(["sleep", "60"], env={}, **quiet)
    open(sys.argv[1], "a").write(str(child.pid))
    os._exit(0)
os.wait()
"""


@pytest.mark.parametrize("stop", [True, False])
def test_a_stop_also_ends_what_the_child_left_to_itself(tmp_path, stop):
    """A daemon without anything that tells whose it is: the stop ends it. A time limit is no reason to."""
    pids = tmp_path / "pids"
    script = f"{sys.executable} -c '{DAEMON}' {pids}; sleep 60"
    ended = run_child(
        ("sh", "-c", script),
        timeout_s=LONG_S if stop else 2.0,
        must_end=lambda: "pulled" if stop and pids.exists() and pids.read_text() else "",
    )
    assert ended.why == ("pulled" if stop else "not done within 2 s")
    (daemon,) = pids_in(pids, 1)
    assert alive(daemon) is not stop
    if not stop:
        os.kill(daemon, signal.SIGKILL)


def test_a_killed_parent_takes_its_child_along(tmp_path):
    """SIGKILL leaves the parent no chance to clean up, and still neither the child nor what it started is left."""
    script = f"trap '' TERM; sleep 60 & echo $! >> {tmp_path}/pids; echo $$ >> {tmp_path}/pids; wait; sleep 60"
    parent = subprocess.Popen([sys.executable, "-c", PARENT, "sh", "-c", script])
    pids = pids_in(tmp_path / "pids", 2)
    parent.kill()
    parent.wait()
    until(lambda: not any(map(alive, pids)), "a child outlived its parent")


def test_a_lock_that_is_handed_down_outlives_the_parent_no_longer_than_the_child(tmp_path):
    """Who gets the lock after a kill knows that no step runs any more; the command itself does not inherit it."""
    script = (
        "import fcntl, os, sys; from ops_core.remediation.child import run_child\n"
        "lock = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT); fcntl.flock(lock, fcntl.LOCK_EX)\n"
        "run_child(sys.argv[2:], timeout_s=60, hold=lock)"
    )
    lock, pids = tmp_path / "lock", tmp_path / "pids"
    child = f"trap '' TERM; echo $$ > {pids}; ls -l /proc/$$/fd > {tmp_path}/fds; touch {tmp_path}/ready; sleep 60"
    parent = subprocess.Popen([sys.executable, "-c", script, str(lock), "sh", "-c", child])
    until((tmp_path / "ready").exists, "the child did not start")
    assert str(lock) not in (tmp_path / "fds").read_text()
    parent.kill()
    parent.wait()
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert not alive(int(pids.read_text()))


def test_what_is_left_in_the_background_does_not_hold_us_up(tmp_path):
    """A command that starts a service and ends is done, though the service holds its output open."""
    script = f"sleep 60 & echo $! > {tmp_path}/pids; echo started"
    begun = time.monotonic()
    ended = run_child(("sh", "-c", script), timeout_s=LONG_S)
    assert (ended.exit_code, ended.output) == (0, "started\n")
    assert time.monotonic() - begun < LONG_S / 2
    service = pids_in(tmp_path / "pids", 1)[0]
    assert alive(service)
    os.kill(service, signal.SIGKILL)


def test_only_the_end_of_what_it_prints_is_kept():
    """A command that never stops printing costs no memory and does not block."""
    ended = run_child(("sh", "-c", "yes | head -c 3000000; echo end"), timeout_s=LONG_S)
    assert len(ended.output) == OUTPUT_MAX_BYTES
    assert ended.output.endswith("y\nend\n")


def test_an_exception_ends_the_child(tmp_path):
    """Whatever interrupts us while we wait, the child does not run on."""

    def interrupt():
        if (tmp_path / "pids").exists():
            raise KeyboardInterrupt
        return ""

    with pytest.raises(KeyboardInterrupt):
        run_child(("sh", "-c", f"echo $$ > {tmp_path}/pids; sleep 60"), timeout_s=LONG_S, must_end=interrupt)
    assert not alive(pids_in(tmp_path / "pids", 1)[0])


def test_it_works_from_a_thread_that_waits():
    """The child is tied to the thread that started it, and that thread waits for it."""
    found = []
    thread = threading.Thread(target=lambda: found.append(run_child(("sh", "-c", "exit 4"), timeout_s=LONG_S)))
    thread.start()
    thread.join()
    assert found[0].exit_code == 4


@pytest.mark.parametrize(
    ("line", "limit_s"),
    [
        ("(setsid sh -c 'echo $$ > {pids}; exec sleep 60' &) ; while [ ! -s {pids} ]; do :; done", LONG_S),
        ("(setsid sh -c 'echo $$ > {pids}; exec sleep 60' &) ; while [ ! -s {pids} ]; do :; done; sleep 60", 0.5),
    ],
    ids=["ends by itself", "takes too long"],
)
def test_what_is_to_leave_nothing_leaves_nothing(tmp_path, line, limit_s):
    """Asked for that, a command's background is gone when it is, also in a session of its own; else it stays."""
    path = tmp_path / "pids"
    run_child(("sh", "-c", line.format(pids=path)), timeout_s=limit_s, leave_nothing=True)
    (left,) = pids_in(path, 1)
    assert not alive(left)
