"""A small operations repository in a temporary folder, and real `pytest` runs in it: what the plugin's tests work with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops_core.observation.record import Judgement, Observation, read_observation
from ops_core.verdict import Judged

# Long after anything in these tests should have ended by itself; only a hang gets here.
HARD_LIMIT_S = 90.0
GRACE_S = 5.0


def clean_environment(**more: str) -> dict[str, str]:
    """This process's environment without what would change how a run of pytest in it behaves."""
    dropped = ("PYTEST_", "OPS_", "COV_", "COLUMNS", "FORCE_COLOR", "PYTHONDONTWRITEBYTECODE", "NO_COLOR")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return {**kept, "COLUMNS": "200", **more}


@dataclass(frozen=True)
class Ran:
    """A run of pytest that has ended."""

    exit_code: int
    output: str
    project: Project

    newest_record: Path | None = None

    @property
    def record_path(self) -> Path:
        """The record of this run: the newest when it had ended."""
        assert self.newest_record is not None, f"no record was left\n{self.output}"
        return self.newest_record

    @property
    def observation(self) -> Observation:
        """The record, read the way the rest of the product reads it."""
        return read_observation(self.record_path)

    @property
    def report(self) -> dict[str, Any]:
        """The whole report file."""
        return json.loads(self.record_path.read_text())

    def judgement(self, check: str, target: str | None = None) -> Judgement:
        """The judgement of one check about one target."""
        found = [j for j in self.observation.judgements if j.check == check and j.target == target]
        assert len(found) == 1, f"{check}[{target}]: {len(found)} judgements\n{self.output}"
        return found[0]

    def judged(self, check: str | None = None) -> dict[str | None, Judged]:
        """What was judged, by target (of one check) or by check."""
        if check is None:
            return {j.check: j.judged for j in self.observation.judgements}
        return {j.target: j.judged for j in self.observation.judgements if j.check == check}


class Project:
    """A folder with `ops.toml` and `checks/`. Targets are given by their fields, as TOML values are written."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.targets: dict[str, dict[str, Any]] = {}
        self.suites: tuple[str, ...] = ()
        self.budgets: dict[str, float] = {}
        self.profile: dict[str, Any] = {}
        self.tables = ""

    def target(self, name: str, **fields: Any) -> Project:
        """Add a target."""
        self.targets[name] = fields
        return self

    def write(self, name: str, text: str) -> Path:
        """Write a file of the project, dedented."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"))
        return path

    def check(self, text: str, name: str = "checks/observe/check_own.py") -> Path:
        """Write a file of checks, with the usual imports above."""
        head = """\
            from __future__ import annotations
            import asyncio, json, os, sys, threading, time
            from dataclasses import dataclass
            import pytest
            from ops_core import CannotLook, Evidence, HttpEvidence, Target, finding, probe
        """
        return self.write(name, textwrap.dedent(head) + textwrap.dedent(text))

    def configure(self) -> Path:
        """Write `ops.toml`."""
        lines = [f"suites = {json.dumps(list(self.suites))}", "[profiles.default]"]
        lines += [f"{key} = {_toml(value)}" for key, value in self.profile.items()]
        total = {"total_s": 20, **{k: v for k, v in self.budgets.items() if k in {"total_s", "in_flight_max"}}}
        probes = {k: v for k, v in self.budgets.items() if k not in total}
        lines += ["[profiles.default.budgets]", *(f"{name} = {value}" for name, value in total.items())]
        lines += ["[profiles.default.budgets.probes]", *(f"{name} = {value}" for name, value in probes.items())]
        for name, fields in (self.targets or {"nothing": {}}).items():
            lines.append(f'[profiles.default.targets."{name}"]')
            lines += [f"{key} = {_toml(value)}" for key, value in fields.items()]
        path = self.root / "ops.toml"
        path.write_text("\n".join(lines) + "\n" + textwrap.dedent(self.tables))
        return path

    def start(self, *arguments: str, configure: bool = True, **environment: str) -> subprocess.Popen[str]:
        """Start pytest in the project, in a process group of its own."""
        if configure:
            self.configure()
        # pytest removes what earlier runs left in the common folder, and that may be a great deal.
        temporary = self.root / "tmp"
        temporary.mkdir(exist_ok=True)
        environment.setdefault("PYTEST_DEBUG_TEMPROOT", str(temporary))
        return subprocess.Popen(
            [sys.executable, "-m", "pytest", *arguments],
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=clean_environment(**environment),
            start_new_session=True,
        )

    def run(self, *arguments: str, limit_s: float = HARD_LIMIT_S, configure: bool = True, **environment: str) -> Ran:
        """Run pytest in the project until it ends by itself; default `checks/ -m observe`."""
        process = self.start(*(arguments or ("checks/", "-m", "observe")), configure=configure, **environment)
        return self.ended(process, limit_s=limit_s)

    def ended(self, process: subprocess.Popen[str], limit_s: float = HARD_LIMIT_S) -> Ran:
        """Wait for a run that was started."""
        try:
            output, _ = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            kill_group(process)
            output, _ = process.communicate()
            raise AssertionError(f"pytest did not end by itself within {limit_s} s\n{output}") from None
        finally:
            kill_group(process)
        assert process.returncode is not None
        records = [path for path in self.root.glob("reports/*/*.json") if path.name != "latest.json"]
        newest = max(records, key=lambda path: path.stat().st_mtime_ns, default=None)
        return Ran(exit_code=process.returncode, output=output, project=self, newest_record=newest)


def kill_group(process: subprocess.Popen[str]) -> None:
    """End whatever a run may have left."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(k)} = {_toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, Path):
        return json.dumps(str(value))
    return json.dumps(value)
