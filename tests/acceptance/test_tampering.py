"""Whatever is changed behind the program's back is found and has no effect; a crash is never taken for that.

Here some hundred changes and crashes, from a seed that is printed; `make tampering` makes thousands.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from unittest import mock

import pytest
from mirrored import World
from support import ROOT
from tampering import Missed, Tamperer, calm, injected_crashes

from ops_core.control import mirrors
from ops_core.control.integrity import planning
from ops_core.control.integrity.comparing import EQUAL, Judgement

CHANGES = int(os.environ.get("OPS_TAMPERING_CHANGES", "210"))
CRASHES = int(os.environ.get("OPS_TAMPERING_CRASHES", "40"))
KILLS = int(os.environ.get("OPS_TAMPERING_KILLS", "12"))
SEED = int(os.environ.get("OPS_TAMPERING_SEED", str(datetime.now(UTC).toordinal())))
# Each begins with a world of its own: in a long history looking takes its time.
CHUNK, CHUNK_CRASHES = 210, 40

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in memory where there is one: thousands of commits are about order here, not about disks."""
    memory = Path("/dev/shm")
    where = memory if memory.is_dir() and os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="tampering-", dir=where) as made:
        yield Path(made)


@pytest.mark.parametrize("number", range(-(-CHANGES // CHUNK)))
def test_what_is_changed_behind_the_programs_back_is_found_and_has_no_effect(
    folder: Path, capsys: pytest.CaptureFixture[str], number: int
) -> None:
    """Random changes of mirrors, tickets, logs, contracts, tables and histories: all found, none effective."""
    seed = SEED + number
    with capsys.disabled():
        print(f"\nOPS_TAMPERING_SEED={seed}")
    tamperer = Tamperer(folder, seed)
    while sum(tamperer.counts.values()) < CHUNK:
        tamperer.round()
        if tamperer.random.random() < 0.1:
            tamperer.settle()
    with capsys.disabled():
        print(f"{sum(tamperer.counts.values())} changes found: {tamperer.counts}")
    assert set(tamperer.counts) == {"mirrors", "tickets", "logs", "contracts", "chain", "store"}


@pytest.mark.parametrize("number", range(-(-CRASHES // CHUNK_CRASHES)))
def test_a_crash_is_never_taken_for_tampering(folder: Path, capsys: pytest.CaptureFixture[str], number: int) -> None:
    """Dying at any call that leaves a trace, also during the repair of the crash before: nobody is accused."""
    seed = SEED + number
    died = injected_crashes(folder, seed, CHUNK_CRASHES)
    with capsys.disabled():
        print(f"\n{died} injected crashes, OPS_TAMPERING_SEED={seed}")
    assert died > CHUNK_CRASHES // 4


def test_the_harness_finds_what_does_not_look(folder: Path) -> None:
    """Where mirrors are not compared, the random changes say so: they are able to fail."""
    tamperer, blind = Tamperer(folder, SEED), Judgement(path="", state=EQUAL)
    with mock.patch.object(planning, "judge", return_value=blind), pytest.raises(Missed, match="was not found"):
        tamperer.one("mirrors", lambda: _forge(folder))


def test_the_harness_finds_an_export_that_notes_nothing_before_it_writes(folder: Path) -> None:
    """Where the export does not say what it is about to write, the crashes say so: they are able to fail."""
    with mock.patch.object(mirrors, "_note_intent"), pytest.raises(Missed):
        injected_crashes(folder, SEED, 500)


def _forge(folder: Path) -> tuple[str, str]:
    (folder / "state" / "execution_gate.json").write_text("{}")
    return "state/execution_gate.json", "forged"


def test_a_killed_process_is_never_taken_for_tampering(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A process that changes and exports is killed at random moments: nobody is accused, and all comes right."""
    chance = random.Random(SEED)
    argv = [sys.executable, str(ROOT / "tests" / "tampering.py"), str(folder), str(SEED)]
    # It imports what the tests import.
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        world = World.opened(folder)
        for number in range(KILLS):
            parent.stdin.write("go\n")
            parent.stdin.flush()
            child = int(parent.stdout.readline())
            _let_it_work(chance.uniform(0.005, 0.4))
            os.kill(child, 9)
            assert parent.stdout.readline() == "gone\n"
            world.clock.sleep(86_400.0)
            calm(world, f"kill {number}")
        parent.stdin.close()
    assert parent.returncode == 0
    with capsys.disabled():
        print(f"\n{KILLS} kills, seed {SEED}")


def _let_it_work(seconds: float) -> None:
    """The moment of a kill is a matter of time, not of a condition."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        os.sched_yield()
