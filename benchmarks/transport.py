"""Which HTTP transport: the same targets asked in a dozen ways, at 12, 1,000 and 10,000, plain and over TLS.

Every run is a process of its own, the server another one. The server answers after 100 ms; at most a thousand requests
are in flight, as in an observation. All targets are healthy, so every answer that is not a 200 is a false failure.
"""

from __future__ import annotations

import json
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks import measure, places
from benchmarks.transport_client import WAYS

DELAY_MS = 100
IN_FLIGHT = 1000
LIMIT_S = 60.0
ORIGINS = 1000
# How often each size is asked, in proportion to the rounds asked for.
SIZES = {12: 3.0, 1000: 1.0, 10_000: 0.34}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One run: seconds until ready to ask, seconds and CPU for asking, answers, and whether the process ended well."""

    setup_s: float
    wall_s: float
    cpu_s: float
    good: int
    failures: dict[str, int]
    crashed: bool
    in_time: bool


def ask(python: Path, way: str, urls: list[str], ca: str | None) -> Asked:
    """Ask all `urls` in one way, in a process of its own."""
    order = json.dumps({"way": way, "urls": urls, "in_flight": IN_FLIGHT, "ca": ca})
    done = measure.run([python, "-m", "benchmarks.transport_client"], cwd=places.ROOT, stdin=order, timeout_s=LIMIT_S)
    line = next((one for one in done.output.splitlines() if one.startswith("{")), None)
    if line is None:
        if done.exit is not None:
            print(done.output, file=sys.stderr)
        return Asked(setup_s=0, wall_s=done.wall_s, cpu_s=done.cpu_s, good=0, failures={}, crashed=False, in_time=False)
    said = json.loads(line)
    outcomes = said["outcomes"]
    return Asked(
        setup_s=said["setup_s"],
        wall_s=said["wall_s"],
        cpu_s=said["cpu_s"],
        good=outcomes.pop("200", 0),
        failures=outcomes,
        crashed=done.exit != 0,
        in_time=True,
    )


def row(name: str, runs: list[Asked], count: int) -> list[str]:
    """One line of a table."""
    if not all(one.in_time for one in runs):
        return [name, "", f"> {LIMIT_S:.0f} s", "", "", ""]

    def middle(what: str) -> float:
        return statistics.median(getattr(one, what) for one in runs)

    walls = [one.wall_s for one in runs]
    kinds = sorted({kind for one in runs for kind in one.failures})
    false = statistics.median(count - one.good for one in runs)
    crashes = sum(one.crashed for one in runs)
    return [
        name,
        f"{middle('setup_s') * 1000:.0f} ms",
        f"{middle('wall_s'):.2f} s ({min(walls):.2f}-{max(walls):.2f})",
        f"{middle('cpu_s') / count * 1000:.2f} ms",
        f"{false:.0f} {' '.join(kinds)}".strip(),
        f"{crashes} of {len(runs)}",
    ]


def imports(python: Path, rounds: int) -> None:
    """What importing each library costs in a fresh process that has asyncio and ssl already."""
    code = "import asyncio, ssl, time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"
    ways = {
        name: lambda name=name: measure.run([python, "-c", code.format(name)], cwd=places.ROOT)
        for name in ("h11", "pyreqwest.client", "httpx", "httpx2", "aiohttp")
    }
    rows = []
    for name, runs in measure.in_turns(ways, rounds).items():
        millis = sorted(float(one.output) * 1000 for one in runs)
        rows.append([name, f"{statistics.median(millis):.0f} ms ({millis[0]:.0f}-{millis[-1]:.0f})"])
    print(measure.table("Imports, with asyncio and ssl loaded", ["library", "median (range)"], rows), flush=True)


def main(rounds: int, *, full: bool = False) -> None:
    """Print one table for each size and kind of connection; the largest size takes minutes and has to be asked for."""
    sizes = list(SIZES) if full else list(SIZES)[:-1]
    python = places.alternatives()
    ca, certificate, key = places.certificates()
    imports(python, rounds * 5)
    head = ["way", "ready after", "wall time, median (range)", "CPU per probe", "false failures", "crashed at exit"]
    for tls in (False, True):
        options = ["--delay-ms", str(DELAY_MS), "--origins", str(ORIGINS), "--addresses", str(places.ADDRESSES)]
        options += ["--tls", str(certificate), str(key)] if tls else []
        with places.server(*options, python=python) as origins:
            for count in sizes:
                urls = [f"{origins[number % ORIGINS]}/" for number in range(count)]
                results: dict[str, list[Asked]] = {way: [] for way in WAYS}
                for _ in range(max(1, round(rounds * SIZES[count]))):
                    for way, runs in results.items():
                        # What did not end in time once need not take the time again.
                        if not runs or runs[-1].in_time:
                            runs.append(ask(python, way, urls, str(ca) if tls else None))
                rows = [row(WAYS[way][0], runs, count) for way, runs in results.items()]
                print(measure.table(f"{count:,} targets, {'TLS' if tls else 'plain'}", head, rows), flush=True)
