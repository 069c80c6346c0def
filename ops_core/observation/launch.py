"""Runs a suite as the operator would: `python -m pytest … -m SUITE` in a process of its own.

A process of its own keeps what we operate on apart from what operates, can be ended with everything it started, and
makes the verification of a remediation literally the same as the observation that found the trouble.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ops_core.config import Settings
from ops_core.content import content_dir
from ops_core.errors import OpsError, UsageError
from ops_core.observation.record import Observation, read_observation

GRACE_S = 15.0
END_GRACE_S = 5.0
OUTPUT_MAX_BYTES = 1 << 20
SHOWN_LINES = 15
ALLOW_READY_DEGRADED = "--allow-ready-degraded"


class ObservationFailed(OpsError):
    """The suite could not be run to an end that left a record."""


@dataclass(frozen=True, kw_only=True)
class Launched:
    """A finished run: its record, and what pytest printed and returned."""

    observation: Observation
    path: Path
    exit_code: int
    output: str


def suite_paths(settings: Settings, suite: str) -> tuple[Path, ...]:
    """The folders that hold a suite: the shipped one and the user's own.

    Raises:
        UsageError: neither exists.
    """
    own, shipped = settings.root / "checks", content_dir() / "checks"
    known = {folder.name for root in (own, shipped) if root.is_dir() for folder in root.iterdir() if folder.is_dir()}
    if suite not in known or not suite.isidentifier():
        allowed = ", ".join(sorted(name for name in known if name.isidentifier() and name[0] != "_"))
        raise UsageError(
            f"there is no suite {suite!r}", where=str(own), allowed=allowed or "none", next_step="ops init"
        )
    folders = [own] if own.is_dir() else []
    if suite in settings.suites and (shipped / suite).is_dir() and shipped.resolve() != own.resolve():
        folders.append(shipped / suite)
    return tuple(folders)


def command_line(settings: Settings, suite: str, record: Path, extra: Sequence[str] = ()) -> list[str]:
    """The argument list that runs a suite and writes its record to `record`."""
    return [
        sys.executable,
        "-m",
        "pytest",
        *map(str, suite_paths(settings, suite)),
        "-m",
        suite,
        f"--rootdir={settings.root}",
        "-p",
        "no:cacheprovider",
        f"--ops-config={settings.path}",
        f"--profile={settings.profile}",
        f"--ops-record={record}",
        *extra,
    ]


def observe(
    settings: Settings,
    *,
    suite: str,
    record: Path,
    only: Sequence[str] = (),
    replay: Path | None = None,
    lang: str | None = None,
    quiet: bool = True,
    options: Sequence[str] = (),
) -> Launched:
    """Run a suite to its end and read its record.

    Args:
        settings: the profile to look at.
        suite: the suite's name, which is its marker.
        record: where the report goes.
        only: checks to run, by node id as recorded; empty runs the suite. The folders must be those of the suite.
        replay: judge this recording instead of looking.
        lang: language of the verdict.
        quiet: capture what pytest prints instead of showing it.
        options: further options for pytest, such as `ALLOW_READY_DEGRADED`.

    Raises:
        ObservationFailed: pytest ended without a record, or did not end in time.
    """
    extra = [part for one in only for part in ("--ops-only", one)]
    if lang:
        extra.append(f"--ops-lang={lang}")
    if replay is not None:
        extra.append(f"--replay={replay.absolute()}")
    argv = command_line(settings, suite, record, [*extra, *options])
    # What lies there from an earlier run must not be taken for what this one saw.
    record.unlink(missing_ok=True)
    limit_s = settings.budgets.total_s + GRACE_S
    # A file, not a pipe: a pipe ends only when everything that was started with it has ended.
    with tempfile.TemporaryFile() as told:
        ended = _run(argv, settings.root, told if quiet else None, limit_s)
        output = _tail(told)
    if not record.is_file():
        raise ObservationFailed(
            f"the suite {suite!r} left no record ({ended})\n{_last_lines(output)}".rstrip(), where=" ".join(argv)
        )
    return Launched(observation=read_observation(record), path=record, exit_code=ended.code, output=output)


@dataclass(frozen=True, kw_only=True)
class _Ended:
    """How a run ended: with an exit code of its own, or because it was too late."""

    code: int
    too_late_s: float | None = None

    def __str__(self) -> str:
        if self.too_late_s is not None:
            return f"it did not end within {self.too_late_s:g} s"
        return f"pytest ended with {self.code}"


def _run(argv: Sequence[str], cwd: Path, told: IO[bytes] | None, limit_s: float) -> _Ended:
    process = subprocess.Popen(
        argv,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=told,
        stderr=subprocess.STDOUT if told else None,
        start_new_session=told is not None,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    too_late_s = None
    try:
        process.wait(limit_s)
    except subprocess.TimeoutExpired:
        too_late_s = limit_s
    finally:
        # Also when we are interrupted: it gets the time to write down what it has seen.
        _end(process, own_group=told is not None)
    return _Ended(code=process.returncode, too_late_s=too_late_s)


def _end(process: subprocess.Popen[bytes], *, own_group: bool) -> None:
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(END_GRACE_S)
    if own_group:
        # Whatever it started goes with it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    elif process.poll() is None:
        process.kill()
    process.wait()


def _tail(told: IO[bytes]) -> str:
    told.seek(max(0, told.seek(0, os.SEEK_END) - OUTPUT_MAX_BYTES))
    return told.read().decode("utf-8", "replace")


def _last_lines(output: str) -> str:
    return "\n".join(output.strip().splitlines()[-SHOWN_LINES:])
