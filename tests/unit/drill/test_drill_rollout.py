"""The agent that rolls releases out in the service stack, and the program that is asked about it: real processes."""

import os
import signal
import subprocess
import sys

import pytest
from support import eventually

from ops_core.drill.service_layout import INGEST, ROLLOUT_SCRIPT, ServiceLayout


@pytest.fixture
def place(tmp_path):
    """Two releases, the first in force, and the program beside its orders."""
    for name in ("v1", "v2"):
        (tmp_path / "releases" / name).mkdir(parents=True)
    (tmp_path / "releases" / "current").symlink_to("v1")
    folder = tmp_path / "rollout"
    folder.mkdir()
    (folder / "rollout.py").write_text(ROLLOUT_SCRIPT.read_text(encoding="utf-8"), encoding="utf-8")
    return tmp_path


def asked(place, verb: str) -> int:
    """The exit code of the program."""
    argv = [sys.executable, "-ISB", str(place / "rollout" / "rollout.py"), verb]
    return subprocess.run(argv, check=False, capture_output=True, timeout=30).returncode


@pytest.fixture
def agent(place):
    """The agent, running."""
    argv = [sys.executable, "-ISB", str(place / "rollout" / "rollout.py"), "agent", str(place / "releases" / "current")]
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
    yield process
    process.kill()
    process.wait()


def in_force(place) -> str:
    return (place / "releases" / "current").readlink().name


def test_an_order_is_carried_out_until_it_is_halted(place, agent):
    """The release is put in force, also against who puts another there; after a halt it stays as it is put."""
    link = place / "releases" / "current"
    assert asked(place, "running") == 1
    (place / "rollout" / "order").write_text("v2\n")
    eventually(lambda: in_force(place) == "v2" and asked(place, "running") == 0, "the agent does not do it")
    link.unlink()
    link.symlink_to("v1")
    eventually(lambda: in_force(place) == "v2", "the agent does not do it")
    assert asked(place, "halt") == 0
    assert asked(place, "running") == 1
    link.unlink()
    link.symlink_to("v1")
    assert asked(place, "resume") == 0
    eventually(lambda: in_force(place) == "v2", "the agent does not do it")
    assert agent.poll() is None


def test_a_release_that_is_not_there_is_not_put_in_force(place, agent):
    """The rollout is under way all the same: it waits for what it was ordered to roll out."""
    (place / "rollout" / "order").write_text("v3\n")
    eventually(lambda: asked(place, "running") == 0, "the agent does not do it")
    assert in_force(place) == "v1"
    assert agent.poll() is None


def test_a_halt_that_nobody_hears_fails(place, agent):
    """An agent that is stopped does not stop its rollout; once the halt is taken back, all is as before."""
    (place / "rollout" / "order").write_text("v2\n")
    eventually(lambda: asked(place, "running") == 0, "the agent does not do it")
    agent.send_signal(signal.SIGSTOP)
    assert asked(place, "halt") == 1
    assert asked(place, "running") == 0
    assert asked(place, "resume") == 0
    agent.send_signal(signal.SIGCONT)


def test_it_says_what_it_understands(place):
    """Anything else is a usage error, and changes nothing."""
    assert asked(place, "stop") == os.EX_USAGE
    assert sorted(file.name for file in (place / "rollout").iterdir()) == ["rollout.py"]


def test_a_stack_puts_its_rollout_back(tmp_path):
    """Orders are withdrawn, and a program that was broken is written anew, for its owner alone."""
    layout = ServiceLayout(tmp_path)
    layout.restore_rollout()
    program = layout.rollout_folder / "rollout.py"
    (layout.rollout_folder / "order").write_text("v2\n")
    (layout.rollout_folder / "halt").touch()
    program.write_text("#!/usr/bin/env no-such-python\n")
    layout.restore_rollout()
    assert [file.name for file in layout.rollout_folder.iterdir()] == ["rollout.py"]
    assert program.stat().st_mode & 0o777 == 0o700
    assert subprocess.run([program, "running"], check=False, timeout=30).returncode == 1
    assert INGEST in layout.SERVICES
