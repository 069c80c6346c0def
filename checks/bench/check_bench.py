"""Is the service as quick as it has to be, and as quick as it was?"""

import pytest

from ops_core import BenchEvidence, CannotLook, finding

# A machine has better and worse moments: slower is what takes half as long again, and some milliseconds more.
TOLERANCE = 1.5
TOLERANCE_MS = 10.0


def _measured(bench: BenchEvidence) -> tuple[float, float]:
    if bench.median_ms is None or bench.p95_ms is None or bench.failed:
        raise CannotLook(f"{bench.failed} of {bench.done} requests failed: {bench.failure}")
    return bench.median_ms, bench.p95_ms


@pytest.mark.bench
@finding("bench.slow")
def check_median(bench: BenchEvidence) -> None:
    """Half of the requests take no longer than bench_max_ms, or BENCH_FAIL_THRESHOLD_MS."""
    median_ms, _ = _measured(bench)
    assert median_ms <= bench.max_ms, f"{bench.explain()}; at most {bench.max_ms:g} ms ({bench.limits_from})"


@pytest.mark.bench
@finding("bench.p95_slow")
def check_p95(bench: BenchEvidence) -> None:
    """95 of 100 requests take no longer than bench_p95_max_ms, or BENCH_FAIL_P95_THRESHOLD_MS."""
    _, p95_ms = _measured(bench)
    assert p95_ms <= bench.p95_max_ms, f"{bench.explain()}; at most {bench.p95_max_ms:g} ms ({bench.limits_from})"


@pytest.mark.bench
@finding("bench.regressed")
def check_as_quick_as_before(bench: BenchEvidence) -> None:
    """Neither median nor p95 is half as slow again as the recorded baseline."""
    figures = _measured(bench)
    if bench.baseline_problem:
        raise CannotLook(bench.baseline_problem)
    if bench.baseline_median_ms is None or bench.baseline_p95_ms is None:
        pytest.skip(f"there is no baseline for {bench.profile}: ops bench --record")
    for now_ms, before_ms in zip(figures, (bench.baseline_median_ms, bench.baseline_p95_ms), strict=True):
        slower = now_ms > max(before_ms * TOLERANCE, before_ms + TOLERANCE_MS)
        assert not slower, f"{bench.explain()}; it was {before_ms:.1f} ms on {bench.baseline_at[:10]}"
