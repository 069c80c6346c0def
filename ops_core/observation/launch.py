"""Runs a suite as the operator would: `python -m pytest … -m SUITE` in a process of its own.

A process of its own keeps what we operate on apart from what operates, can be ended with everything it started, and
makes the verification of a remediation literally the same as the observation that found the trouble.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ops_core.config import Settings
from ops_core.content import content_dir
from ops_core.errors import OpsError, UsageError
from ops_core.observation.record import Observation, read_observation

GRACE_S = 15.0


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

    Raises:
        ObservationFailed: pytest ended without a record, or did not end in time.
    """
    extra = [part for one in only for part in ("--ops-only", one)]
    if lang:
        extra.append(f"--ops-lang={lang}")
    if replay is not None:
        extra.append(f"--replay={replay.absolute()}")
    argv = command_line(settings, suite, record, extra)
    limit_s = settings.budgets.total_s + GRACE_S
    process = subprocess.Popen(
        argv,
        cwd=settings.root,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if quiet else None,
        stderr=subprocess.STDOUT if quiet else None,
        text=True,
        errors="replace",
        start_new_session=quiet,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        output, _ = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        output = ""
        raise ObservationFailed(f"the suite {suite!r} did not end within {limit_s:g} s", where=" ".join(argv)) from None
    finally:
        if process.poll() is None:
            _end(process, group=quiet)
    if not record.is_file():
        tail = "\n".join((output or "").strip().splitlines()[-15:])
        raise ObservationFailed(
            f"the suite {suite!r} left no record (pytest ended with {process.returncode})\n{tail}".rstrip(),
            where=" ".join(argv),
        )
    return Launched(
        observation=read_observation(record), path=record, exit_code=process.returncode, output=output or ""
    )


def _end(process: subprocess.Popen[str], *, group: bool) -> None:
    if group:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
