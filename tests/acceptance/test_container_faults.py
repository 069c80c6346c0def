"""Every fault of a container on an engine of its own: found, decided, remedied or left to a person, and taken back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support import eventually, need_program, sampled

from ops_core.clock import SystemClock
from ops_core.drill import container_engine
from ops_core.drill.catalogue.container import CONTAINER
from ops_core.drill.fault import Fault
from ops_core.drill.rehearse import rehearse

pytestmark = pytest.mark.slow
_STARTS = """
import sys
from pathlib import Path
from ops_core.drill.container_stack import ContainerStack
stack = ContainerStack(Path(sys.argv[1]))
stack.start()
print(stack.engine.path, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _machine() -> None:
    """A machine on which an engine can be started."""
    if os.geteuid() != 0:
        pytest.skip("a container engine needs root")
    for name in container_engine.PROGRAMS:
        need_program(name)


@pytest.mark.parametrize(
    "fault", sampled(CONTAINER, 0.1, always=lambda one: one.name == "image-not-to-blame"), ids=lambda f: f.name
)
def test_each_fault_of_a_container_is_dealt_with(fault: Fault, tmp_path: Path) -> None:
    """It ends as the catalogue says, by the remedy meant for it, and the stack is as before."""
    told: list[str] = []
    rehearsal = rehearse(fault, reports_dir=tmp_path, clock=SystemClock(), say=told.append)
    assert rehearsal.problems == (), "\n".join(told)
    assert (rehearsal.state, rehearsal.restored) == (fault.ends, True)


def test_nothing_of_an_engine_outlives_a_killed_owner(tmp_path: Path) -> None:
    """Killed with SIGKILL, it leaves no process, no mount and no folder."""
    with subprocess.Popen(
        [sys.executable, "-P", "-c", _STARTS, str(tmp_path / "w")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as owner:
        assert owner.stdout is not None
        folder = Path(owner.stdout.readline().strip()).parent
        assert container_engine.processes_of(folder)
        os.killpg(owner.pid, signal.SIGKILL)
    eventually(lambda: not folder.exists(), "the folder is gone", limit_s=60)
    assert container_engine.processes_of(folder) == []
    assert f"{folder}/" not in Path("/proc/self/mounts").read_text()
