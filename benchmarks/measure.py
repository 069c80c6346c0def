"""Timing other processes fairly: the ways take turns (A B A B …), medians are compared, nothing is asserted."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_LEFT_OUT = ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "COVERAGE_PROCESS_START")


@dataclass(frozen=True, kw_only=True)
class Run:
    """One finished process: seconds on the clock, seconds of CPU (children included), exit status, what it printed.

    A process that did not end within its limit has the exit status None, and the limit as its time.
    """

    wall_s: float
    cpu_s: float
    exit: int | None
    output: str


def environ(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a measured process: ours, without what changes how Python or pytest starts."""
    kept = {k: v for k, v in os.environ.items() if k not in _LEFT_OUT and not k.startswith(("OPS_", "PYTEST_"))}
    return {**kept, **(more or {})}


def run(
    argv: Sequence[str | Path],
    *,
    cwd: Path,
    more: Mapping[str, str] | None = None,
    stdin: str | None = None,
    timeout_s: float = 120.0,
) -> Run:
    """Run a program to its end, at most `timeout_s` seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    process = subprocess.Popen(
        [str(one) for one in argv],
        cwd=cwd,
        env=environ(more),
        stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    try:
        output, _ = process.communicate(stdin, timeout=timeout_s)
        status: int | None = process.returncode
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
        status = None
    wall_s = time.monotonic() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(wall_s=wall_s, cpu_s=cpu_s, exit=status, output=output)


def in_turns(ways: Mapping[str, Callable[[], Run]], rounds: int, *, warm: bool = True) -> dict[str, list[Run]]:
    """All ways, one after the other, `rounds` times over; a first round that does not count fills the caches."""
    results: dict[str, list[Run]] = {name: [] for name in ways}
    if warm:
        for way in ways.values():
            way()
    for _ in range(rounds):
        for name, way in ways.items():
            results[name].append(way())
    return results


def median(runs: Sequence[Run], what: str = "wall_s") -> float:
    """The median of one of the figures."""
    return statistics.median(getattr(one, what) for one in runs)


def paired_ratio(runs: Sequence[Run], base: Sequence[Run]) -> float:
    """The median of the ratios of runs that stood next to each other, so that a slow minute counts on both sides."""
    return statistics.median(one.wall_s / other.wall_s for one, other in zip(runs, base, strict=True))


def seconds(runs: Sequence[Run]) -> str:
    """Median and range of the wall time, in one cell."""
    walls = sorted(one.wall_s for one in runs)
    if any(one.exit is None for one in runs):
        return f"> {walls[0]:.0f} s"
    return f"{statistics.median(walls):.3f} s ({walls[0]:.3f}-{walls[-1]:.3f})"


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns also line up on a terminal."""
    cells = [list(head), *[list(row) for row in rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]

    def line(row: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if not column else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join("-" * (width + 1) + ("-" if not column else ":") for column, width in enumerate(widths)) + "|"
    return "\n".join([f"### {title}", "", line(cells[0]), rule, *map(line, cells[1:]), ""])
