"""Healthy rounds on a real stack: a limit that healthy services break is caught, and nothing outlives the rounds."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ops_core.cli.drill_healthy import hold_healthy
from ops_core.content import content_dir
from ops_core.drill.healthy.places import EMBEDDED
from ops_core.drill.healthy.results import Ended, Outcome, read_healthy
from ops_core.drill.sessions import children, state
from tests.support import eventually

pytestmark = pytest.mark.slow
OPS = [sys.executable, "-c", "from ops_core.cli import run; run()"]
ROOT = Path(__file__).resolve().parents[2]
SECTION = (ROOT / "docs" / "drills.md").read_text(encoding="utf-8").split("\n## False alarms\n")[1].split("\n## ")[0]
SHOWN = re.findall(r"^```console\n\$ (ops [^\n]*)\n(.*?)^```", SECTION, re.DOTALL | re.MULTILINE)
ENOUGH = "health_latency_max_ms = 1000"


def labels(text: str) -> list[str]:
    """What the lines of an ending begin with, each once."""
    return list(dict.fromkeys(re.findall(r"^ ([a-z_]+) {2,}\S", text, re.MULTILINE)))


def started_by(pid: int) -> set[int]:
    """The processes that a process has started, and those that they have."""
    found = set(children(pid))
    return found.union(*map(started_by, found)) if found else found


def test_a_limit_that_healthy_services_break_is_a_false_alarm_under_stress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The check that calls them slow is named with its rate; the others stay good, and the exit code is 1."""
    shipped = (content_dir() / "ops.toml").read_text(encoding="utf-8")
    assert ENOUGH in shipped
    (tmp_path / "ops.toml").write_text(shipped.replace(ENOUGH, "health_latency_max_ms = 0.001"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    code = hold_healthy(rounds=2, stress=True, reports=tmp_path / "reports", lang="en", json=True, places=(EMBEDDED,))
    told = json.loads(capsys.readouterr().out)
    held = read_healthy(Path(told["files"][-1]))
    assert code == 1
    assert held.outcome is Outcome.FALSE_ALARMS
    worst, *others = held.checks
    assert (worst.check, worst.looks, worst.found, worst.unknown) == ("check_health_answers_in_time", 2, 2, 0)
    assert {(one.found, one.unknown) for one in others} == {(0, 0)}
    assert {(one.code, one.target) for look in held.looks for one in look.alarms} == {("health.slow", "core-api")}
    assert (held.busy, held.ended) == (held.cores, Ended.HELD.value)
    for look in held.looks:
        assert look.record is not None
        assert (Path(told["files"][-1]).parent / look.record).is_file()


def test_the_rounds_of_the_page_are_ended_by_whoever_asks(tmp_path: Path) -> None:
    """What came until then is written down as not brought to its end, and no process of it is left."""
    ((command, shown),) = SHOWN
    _, *words = shlex.split(command)
    scratch, drills = tmp_path / "scratch", tmp_path / "reports" / "drills"
    scratch.mkdir()
    environ = {key: value for key, value in os.environ.items() if not key.startswith("OPS_")}
    process = subprocess.Popen(
        [*OPS, *words],
        cwd=tmp_path,
        env={**environ, "TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        eventually(lambda: any(drills.glob("*/held/embedded/observe/*.json")), "nobody looks", 60)
        started = started_by(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    (path,) = drills.glob("*/healthy.json")
    held = read_healthy(path)
    assert (held.ended, held.outcome) == (Ended.INTERRUPTED.value, Outcome.UNFINISHED)
    assert path.with_name("healthy.md").is_file()
    assert set(labels(said)) < set(labels(shown))
    assert "healthy rounds" in said
    assert len(started) > len(os.sched_getaffinity(0))
    eventually(lambda: all(state(pid) in "XZ" for pid in started), "something of it still runs")
    assert list(scratch.iterdir()) == []
