"""How quick is the service when it is asked a few times on purpose: a bounded number of requests, one after the other?

`BENCH_PROFILE` names what is compared, `BENCH_FAIL_THRESHOLD_MS` and `BENCH_FAIL_P95_THRESHOLD_MS` stand in for the
limits of `ops.toml`. The probe ends by itself before its budget does, with as many requests as there was time for.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ops_core.errors import CannotLook
from ops_core.evidence import BenchEvidence
from ops_core.probes.instruments.files import FilesInstrument
from ops_core.probes.registry import probe
from ops_core.targets import NAME, Target

BUDGET_S = 30.0
ASKING_S = 25.0
PROFILE_VARIABLE = "BENCH_PROFILE"
MEDIAN_VARIABLE = "BENCH_FAIL_THRESHOLD_MS"
P95_VARIABLE = "BENCH_FAIL_P95_THRESHOLD_MS"
PROFILE_DEFAULT = "default"
FOLDER = "bench"
LIMIT_MAX_MS = 3_600_000.0


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits in force, who set them, and under which name a baseline is kept."""

    profile: str
    max_ms: float
    p95_max_ms: float
    set_by: str


@probe(budget_s=BUDGET_S, needs="bench_url")
def bench(target: Target, http: Any, files: FilesInstrument) -> BenchEvidence:
    """GET the address again and again, each time on a fresh connection, and note how long each answer takes."""
    import statistics

    limits = limits_of(target, os.environ)
    times_ms: list[float] = []
    done, failed, failure = 0, 0, ""
    until = time.monotonic() + ASKING_S
    while done < target.bench_requests and time.monotonic() < until:
        answer = http.get(target.bench_url)
        done += 1
        if answer.error is None and answer.status is not None and 200 <= answer.status < 300:
            times_ms.append(answer.elapsed_ms)
        else:
            failed += 1
            failure = failure or answer.explain()
    before, problem = _baseline(files, target, limits.profile)
    return BenchEvidence(
        url=str(target.bench_url),
        profile=limits.profile,
        wanted=target.bench_requests,
        done=done,
        failed=failed,
        failure=failure,
        median_ms=round(statistics.median(times_ms), 3) if times_ms else None,
        p95_ms=round(p95_of(times_ms), 3) if times_ms else None,
        max_ms=limits.max_ms,
        p95_max_ms=limits.p95_max_ms,
        limits_from=limits.set_by,
        baseline_median_ms=before.get("median_ms"),
        baseline_p95_ms=before.get("p95_ms"),
        baseline_at=str(before.get("at", "")),
        baseline_problem=problem,
    )


def limits_of(target: Target, environ: Mapping[str, str]) -> Limits:
    """The limits for a target: of the environment where it sets any, else of `ops.toml`.

    Raises:
        CannotLook: a variable cannot be used.
    """
    profile = environ.get(PROFILE_VARIABLE, "") or PROFILE_DEFAULT
    if not NAME.fullmatch(profile):
        raise CannotLook(f"{PROFILE_VARIABLE} is no name", allowed="letters, digits, dot, dash and underscore")
    of_median = _limit(environ, MEDIAN_VARIABLE)
    of_p95 = _limit(environ, P95_VARIABLE)
    named = [name for name, value in ((MEDIAN_VARIABLE, of_median), (P95_VARIABLE, of_p95)) if value is not None]
    return Limits(
        profile=profile,
        max_ms=target.bench_max_ms if of_median is None else of_median,
        p95_max_ms=target.bench_p95_max_ms if of_p95 is None else of_p95,
        set_by=" and ".join(named) or "ops.toml",
    )


def p95_of(times_ms: Sequence[float]) -> float:
    """The value that 95 of 100 do not exceed: the nearest rank, never one in between that nobody measured."""
    ordered = sorted(times_ms)
    return ordered[max(0, math.ceil(0.95 * len(ordered)) - 1)]


def baseline_name(target: str, profile: str) -> str:
    """The file, below the reports, in which the figures of a target are kept for comparison."""
    return f"{FOLDER}/{profile}-{target}-baseline.json"


def _limit(environ: Mapping[str, str], name: str) -> float | None:
    text = environ.get(name, "").strip()
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= LIMIT_MAX_MS:
        raise CannotLook(f"{name}={text[:40]!r} is no limit", allowed="milliseconds: more than 0, at most 3600000")
    return value


def _baseline(files: FilesInstrument, target: Target, profile: str) -> tuple[dict[str, Any], str]:
    """What was recorded before, and why it cannot be used; both empty where nothing was."""
    path = files.report(baseline_name(target.name, profile))
    if not path.exists():
        return {}, ""
    try:
        said = json.loads(files.read(path))
    except CannotLook as error:
        return {}, f"the baseline cannot be read: {error.what}"
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict) or not all(_is_time(said.get(name)) for name in ("median_ms", "p95_ms")):
        return {}, f"the baseline {path.name} is damaged: record it anew (ops bench --record)"
    return dict(said), ""


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0
