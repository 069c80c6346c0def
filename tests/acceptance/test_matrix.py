"""The matrix with real processes: own faults and checks in it, a part of the shipped ones, kills and interruptions."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support import eventually, sampled

from ops_core.drill.faults import FAULTS
from ops_core.drill.matrix.grid import Mark, view_of
from ops_core.drill.matrix.results import load_run, newest_run
from ops_core.observation.record import read_observation

OPS = [sys.executable, "-c", "from ops_core.cli import run; run()"]
# A process, a configuration, a release, and what nothing heals.
ALWAYS = ("killed", "secret-missing", "bad-release", "incurable")


def environ() -> dict[str, str]:
    """Nothing of this process's own settings."""
    return {key: value for key, value in os.environ.items() if not key.startswith("OPS_")}


def ops(*args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*OPS, *args], cwd=cwd, env=environ(), capture_output=True, text=True, timeout=560)


def mentions(folder: Path) -> list[str]:
    """The command lines of processes that name a folder, their own working directory included."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdecimal() and int(process.name) != os.getpid():
            try:
                line = (process / "cmdline").read_bytes() + b" " + (process / "environ").read_bytes()
            except OSError:
                continue
            if os.fsencode(folder) in line:
                found.append(line[:200].decode("utf-8", "replace"))
    return found


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository as `ops init` makes it."""
    folder = tmp_path / "mine"
    done = ops("init", str(folder), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    return folder


def test_an_own_fault_and_an_own_check_appear_in_the_matrix(repository: Path) -> None:
    """One file each, as `ops init` writes them: the check judges every fault, and the fault makes it fail."""
    done = ops("drill", "--matrix", "--fault", "health-says-failing", "--fault", "killed", "--json", cwd=repository)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["figures"]["passed"] == 2
    folder = newest_run(repository / "reports")
    assert folder is not None
    run = load_run(folder)
    (grid,) = view_of(run).checks
    column = grid.columns.index("check_health_means_it")
    assert {line.fault: line.cells[column].mark for line in grid.lines} == {
        "health-says-failing": Mark.RAISED.value,
        "killed": Mark.GOOD.value,
    }
    own = next(result for result in run.results if result.fault == "health-says-failing")
    assert own.rows == ("health-says-otherwise-new-release",)
    assert [(one.name, one.verified) for one in own.remedied] == [("rollback_release", True)]
    assert own.record is not None
    assert read_observation(folder / own.record).findings[0].code == "health.says_otherwise"
    page = (folder / "matrix.html").read_text(encoding="utf-8")
    assert "health-says-failing" in page
    assert "check_health_means_it" in page
    assert "health-says-failing" in ops("drill", "list", cwd=repository).stdout


def test_a_check_that_sees_nothing_is_shown(repository: Path) -> None:
    """An own check that lost its assertion: the fault survives, the exit code says so, and the page names it."""
    check = repository / "checks" / "observe" / "check_health_means_it.py"
    check.write_text(check.read_text("utf-8").replace("assert status in WELL", "assert True or WELL"), "utf-8")
    done = ops("drill", "--matrix", "--fault", "health-says-failing", cwd=repository)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "health.says_otherwise was not found about core-api" in done.stdout
    folder = newest_run(repository / "reports")
    assert folder is not None
    (result,) = load_run(folder).results
    assert [one.code for one in result.missed] == ["health.says_otherwise"]
    assert result.restored


def test_a_part_of_the_catalogue_goes_as_promised(tmp_path: Path) -> None:
    """A few named faults and others drawn from SAMPLE_SEED; `make drills` holds all of them."""
    # Container engines take longer to start than everything else: they have tests of their own.
    quick = [fault.name for fault in FAULTS.values() if fault.driver != "container"]
    some = sampled(quick, 0.02, always=lambda name: name in ALWAYS) if os.environ.get("SAMPLE_SEED") else ALWAYS
    named = [word for name in some for word in ("--fault", name)]
    seed = os.environ.get("SAMPLE_SEED", "1")
    done = ops("drill", "--matrix", "--strict", "--seed", seed, *named, "--json", cwd=tmp_path)
    told = json.loads(done.stdout)
    assert done.returncode == 0, [[one["fault"], one["problems"], one["reason"]] for one in told["results"]]
    figures = told["figures"]
    assert (figures["passed"], figures["false_alarms"], figures["not_restored"]) == (len(some), 0, 0)
    assert told["seed"] == int(seed)


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_a_run_that_is_ended_leaves_nothing_running_and_goes_on(tmp_path: Path, number: signal.Signals) -> None:
    """Interrupted, asked to end or killed: all that was started ends, what came is kept, and the rest is held later."""
    faults = [word for name in ("killed", "soul-killed") for word in ("--fault", name)]
    argv = [*OPS, "drill", "--matrix", "--jobs", "2", *faults]
    process = subprocess.Popen(
        argv, cwd=tmp_path, env=environ(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    reports = tmp_path / "reports"
    eventually(lambda: newest_run(reports) is not None, "no run begins")
    folder = newest_run(reports)
    assert folder is not None
    eventually(
        lambda: any("injected" in log.read_text("utf-8") for log in folder.glob("held/*/drill.log")),
        "nothing is injected",
        60,
    )
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    eventually(lambda: mentions(folder) == [], "something of it still runs")
    if number is not signal.SIGKILL:
        assert process.returncode == 130
        assert f"--resume {folder.name}" in error
        assert "matrix.html" in {path.name for path in folder.iterdir()}
    assert load_run(folder).missing
    done = ops("drill", "--matrix", "--resume", "newest", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert newest_run(reports) == folder
    assert [result.status for result in load_run(folder).results] == ["passed"] * 2


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("--matrix", "--fault", "kiled"), 64, "did you mean 'killed'?"),
        (("--matrix", "--suite", "nope"), 64, "no fault is seen by a suite 'nope'"),
        (("--matrix", "--resume", "newest"), 64, "there is no matrix run 'newest'"),
        (("--matrix", "--resume", "newest", "--seed", "1"), 64, "holds what it set out to hold"),
        (("--matrix", "killed"), 64, "a matrix is held as a whole"),
        (("--matrix", "--coverage"), 64, "a matrix run is measured by itself"),
        (("killed", "--jobs", "2"), 64, "a matrix is held as a whole"),
        (("--matrix", "--jobs", "0"), 64, "greater than or equal to 1"),
        ((), 64, "nothing is said to be drilled"),
    ],
)
def test_what_cannot_be_done_is_said(tmp_path: Path, args: tuple[str, ...], code: int, said: str) -> None:
    """Usage errors in the house's form, and nothing is begun."""
    done = ops("drill", *args, cwd=tmp_path)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert not (tmp_path / "reports").exists()
