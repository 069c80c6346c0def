"""A game day with real faults: none is lost unless it is, nothing outlives it, and what it leaves verifies."""

from __future__ import annotations

import itertools
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support import eventually

from ops_core.clock import SystemClock
from ops_core.drill.fault import Fault
from ops_core.drill.faults import FAULTS
from ops_core.drill.gameday.plan import drawn_from, planned
from ops_core.drill.gameday.progress import DayTeller
from ops_core.drill.gameday.results import Ended, Fate, Outcome, read_day
from ops_core.drill.gameday.running import begin_day, hold_day

OPS = [sys.executable, "-c", "from ops_core.cli import run; run()"]
ROOT = Path(__file__).resolve().parents[2]
SECTION = (ROOT / "docs" / "drills.md").read_text(encoding="utf-8").split("\n## Game day\n")[1].split("\n## ")[0]
SHOWN = re.findall(r"^```console\n\$ (ops [^\n]*)\n(.*?)^```", SECTION, re.DOTALL | re.MULTILINE)
CLOCK = SystemClock()


def environ() -> dict[str, str]:
    """Nothing of this process's own settings."""
    return {key: value for key, value in os.environ.items() if not key.startswith("OPS_")}


def labels(text: str) -> list[str]:
    """What the lines of an ending begin with, each once."""
    return list(dict.fromkeys(re.findall(r"^ ([A-Za-z]+) {2,}\S", text, re.MULTILINE)))


def of_a_drill(folder: Path) -> list[str]:
    """Processes in whose command line, environment or working directory a folder occurs."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdecimal() and int(process.name) != os.getpid():
            try:
                told = (process / "cmdline").read_bytes() + b" " + (process / "environ").read_bytes()
            except OSError:
                continue
            if os.fsencode(folder) in told:
                found.append(told[:200].decode("utf-8", "replace"))
    return found


def said_by(folder: Path) -> str:
    """The log of a game day; empty where it has none yet."""
    log = folder / "gameday.log"
    return log.read_text("utf-8") if log.exists() else ""


@pytest.mark.slow
def test_a_short_game_day_goes_as_the_page_shows_after_two_that_were_ended(tmp_path: Path) -> None:
    """Asked to end, or killed: nothing runs on. The next one begins anew, loses nothing, and verifies afterwards."""
    (command, shown), *_ = SHOWN
    _, *words = shlex.split(command.replace("10m", "3s"))
    drills, scratch = tmp_path / "reports" / "drills", tmp_path / "scratch"
    scratch.mkdir()
    for number in (signal.SIGTERM, signal.SIGKILL):
        before = set(drills.glob("*"))
        process = subprocess.Popen(
            [*OPS, *words, "--seed", "6"],
            cwd=tmp_path,
            env={**environ(), "TMPDIR": str(scratch)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            eventually(lambda before=before: len(set(drills.glob("*")) - before) == 1, "no game day begins")
            (folder,) = set(drills.glob("*")) - before
            eventually(lambda folder=folder: "injected" in said_by(folder), "no fault is injected", 60)
        finally:
            process.send_signal(number)
            code = process.wait(60)
        eventually(lambda: of_a_drill(scratch) == [], "something of it still runs", 30)
        if number is signal.SIGTERM:
            assert code == 130
            day = read_day(folder / "gameday.json")
            assert (day.ended, day.injected[-1].fate) == (Ended.INTERRUPTED.value, Fate.INTERRUPTED.value)
            assert list(scratch.iterdir()) == []
    done = subprocess.run(
        [*OPS, *words, "--seed", "6"], cwd=tmp_path, env=environ(), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert labels(done.stdout) == labels(shown)
    assert done.stdout.splitlines()[-1] == shown.splitlines()[-1]
    folder = max(drills.glob("*"))
    day = read_day(folder / "gameday.json")
    assert day.outcome is Outcome.NONE_LOST
    assert [one.fault for one in day.injected] == list(
        itertools.islice(planned(drawn_from(FAULTS.values()), 6), len(day.injected))
    )
    assert {one.incident for one in day.injected} == {
        path.parent.name for path in folder.glob("held/incidents/*/incident.json")
    }
    verified = subprocess.run(
        [*OPS, "audit", "verify", "--export", str(folder / "audit-1.jsonl"), "--json"],
        cwd=tmp_path,
        env=environ(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert day.verified is not None
    assert json.loads(verified.stdout)["rows"] == day.verified.audit_rows


@pytest.mark.slow
def test_a_fault_that_nobody_notices_is_lost(tmp_path: Path) -> None:
    """A fault that no check sees opens no incident: it is lost, and that is a failure. It is withdrawn all the same."""
    unseen = Fault(
        name="unseen",
        description={"en": "a file that nobody looks at"},
        findings=("health.not_ok",),
        remediation=None,
        do=lambda stack, _: (stack.work_dir / "logs" / "unseen").touch(),
        holds=lambda stack, _: (stack.work_dir / "logs" / "unseen").exists(),
        undo=lambda stack, _: (stack.work_dir / "logs" / "unseen").unlink(missing_ok=True),
    )
    # This one brings an incident of people along, which is not what the loop made of it.
    faults = {one.name: one for one in (unseen, FAULTS["update-forgotten"])}
    begun = begin_day(faults, reports_dir=tmp_path, seed=1, duration_s=60, clock=CLOCK)
    said: list[str] = []
    teller = DayTeller(said.append, CLOCK, 0)
    day = hold_day(begun, faults, root=None, clock=CLOCK, progress=teller, lang="en", at_most=2)
    lines = {one.fault: one for one in day.injected}
    lost, told = lines["unseen"], lines["update-forgotten"]
    assert (lost.fate, lost.why, lost.incident) == (Fate.LOST.value, "no incident was opened", None)
    assert lost.restored
    assert (told.fate, told.found) == (Fate.ESCALATED.value, ("incident.update_overdue",))
    assert day.unexplained == ()
    assert day.outcome is Outcome.LOST
    assert day.verified is not None
    assert (day.verified.incidents, day.verified.problems) == (1, ())
    assert "unseen" in "".join(said)
