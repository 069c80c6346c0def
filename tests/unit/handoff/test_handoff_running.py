"""What runs for a hand-off: one act at a time, programs that are bounded and gone, logs without half a secret."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support import eventually

from ops_core.clock import ManualClock, SystemClock
from ops_core.config import load_settings
from ops_core.errors import OpsError
from ops_core.handoff import child, lock
from ops_core.handoff.git_run import environment
from ops_core.handoff.steps import _log
from ops_core.operations import ProducerStep
from ops_core.remediation.child import OUTPUT_MAX_BYTES, Ended

ENV = {"PATH": os.environ["PATH"]}


def run(*argv, **options):
    told = {"budget_s": 30.0, "env": ENV, "cwd": Path("/"), **options}
    return child.run(argv, **told)


def test_one_act_at_a_time_and_the_second_is_told_who_works(tmp_path):
    """The turn is held until its holder is done; whoever waits long enough is refused, and knows for whom."""
    clock = SystemClock()
    with lock.claimed(tmp_path / "handoff", clock):
        waiting = ManualClock(clock.now())
        with (
            pytest.raises(lock.HandoffBusy, match=f"process {os.getpid()}") as caught,
            lock.claimed(tmp_path / "handoff", waiting),
        ):
            pass
        assert caught.value.exit_code == 2
        assert waiting.monotonic() >= lock.PATIENCE_S
    with lock.claimed(tmp_path / "handoff", clock):
        pass
    (tmp_path / "file").write_text("")
    with pytest.raises(OpsError, match="there can be no lock"), lock.claimed(tmp_path / "file", clock):
        pass


@pytest.mark.parametrize("leashed", [True, False])
def test_a_program_is_fed_and_heard(leashed):
    """What goes in comes out, more than a pipe holds, and what it complains about is kept apart."""
    data = os.urandom(300_000)
    said = run("sh", "-c", "cat; echo oh >&2; exit 3", stdin=data, limit_bytes=400_000, leashed=leashed)
    assert (said.out == data, said.err, said.exit_code, said.good) == (True, "oh\n", 3, False)


@pytest.mark.parametrize("leashed", [True, False])
def test_one_that_says_too_much_is_ended(leashed):
    """No more is kept than was asked for, and an endless answer has an end."""
    said = run("yes", limit_bytes=1000, leashed=leashed)
    assert (len(said.out), said.cut, said.good) == (1000, True, False)


@pytest.mark.parametrize("leashed", [True, False])
def test_one_that_takes_too_long_or_has_to_end_is_ended(leashed):
    """The budget and whoever is asked end it, with its process group; the reason is told."""
    line = "sh -c 'exec sleep 60' & echo $!; wait"
    slow = run("sh", "-c", line, budget_s=0.4, leashed=leashed)
    assert (slow.why, slow.good) == ("not done within 0.4 s", False)
    stopped = run("sh", "-c", line, must_end=lambda: "stop", leashed=leashed)
    assert stopped.why == "stop"
    eventually(lambda: not alive(int(slow.out)), "its child is gone")


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


def test_what_is_leashed_is_gone_when_we_are(tmp_path):
    """Killed outright, we leave nothing behind, and the turn is free."""
    program = (
        "import sys; from pathlib import Path; from ops_core.handoff import child, lock;"
        "from ops_core.clock import SystemClock\n"
        "with lock.claimed(Path(sys.argv[1]), SystemClock()) as hold:\n"
        "    child.run(['sh', '-c', 'echo $$ > ' + sys.argv[1] + '/pid; exec sleep 60'], budget_s=60.0,"
        " env={'PATH': '/usr/bin:/bin'}, cwd=Path('/'), hold=hold)"
    )
    us = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)])
    pid = tmp_path / "pid"
    eventually(lambda: pid.exists() and bool(pid.read_text().strip()), "it runs")
    us.send_signal(signal.SIGKILL)
    us.wait()
    eventually(lambda: not alive(int(pid.read_text())), "it is gone")
    with lock.claimed(tmp_path, SystemClock()):
        pass


def test_a_line_whose_beginning_is_gone_is_not_in_the_log():
    """Of a long output the end is kept; the first line of it may be half a secret, which nobody would find."""
    step = ProducerStep(name="backtest", argv=("true",))
    output = "half-a-secret\n" + "x" * (OUTPUT_MAX_BYTES - len("half-a-secret\n"))
    ended = Ended(exit_code=0, why="", output=output, elapsed_s=1.0)
    assert "half-a-secret" not in _log(step, ended, "now", "", str)
    short = Ended(exit_code=0, why="", output="all of it", elapsed_s=1.0)
    assert _log(step, short, "now", "", str).endswith("all of it")


def test_nothing_in_the_environment_names_another_repository_or_the_key(tmp_path, monkeypatch):
    """Of git's variables only those that say how to reach a remote are passed on; the signing key is not."""
    (tmp_path / "ops.toml").write_text(
        '[profiles.default.targets.api]\nhealth_url = "http://127.0.0.1:9/h"\n'
        '[profiles.default.handoff]\nsigning_key = "HANDOFF_KEY"\n'
        '[profiles.default.secrets.HANDOFF_KEY]\nenv = "THE_KEY"\n'
    )
    names = (
        "GIT_DIR",
        "GIT_INDEX_FILE",
        "GIT_CONFIG_COUNT",
        "GIT_EXTERNAL_DIFF",
        "GIT_SSH_COMMAND",
        "THE_KEY",
        "OTHER",
    )
    for name in names:
        monkeypatch.setenv(name, "x")
    told = environment(load_settings(tmp_path / "ops.toml", "default", {}))
    assert {name for name in names if name in told} == {"GIT_SSH_COMMAND", "OTHER"}
    assert (told["GIT_TERMINAL_PROMPT"], told["LC_ALL"]) == ("0", "C")
    assert "ext" not in told["GIT_ALLOW_PROTOCOL"].split(":")
