"""How does the service do, by its own measures? Only what was counted while we looked is judged as bad.

Counters are since the start of the process: what went wrong an hour ago stays in them. So where no request came while
we looked, good figures since the start are good, and bad ones are told but not judged.
"""

import pytest

from ops_core import CannotLook, MetricsEvidence, Target, finding


def _of_now(metrics: MetricsEvidence, *, good: bool) -> None:
    if not good and metrics.per_s is None:
        pytest.skip(f"no request came while looking, so this is not of now: {metrics.explain()}")


@pytest.mark.service
@finding("errors.rate_high")
def check_error_rate(metrics: MetricsEvidence, target: Target) -> None:
    """Of the requests, no more than error_rate_max end with a server error."""
    if metrics.requests is None:
        raise CannotLook("; ".join(metrics.missing) or "requests are not counted")
    rate = metrics.error_rate
    good = rate is None or rate <= target.error_rate_max
    _of_now(metrics, good=good)
    assert good, f"{metrics.explain()}; at most {target.error_rate_max:.2%} may fail"


@pytest.mark.service
@finding("latency.p95_high")
def check_latency_p95(metrics: MetricsEvidence, target: Target) -> None:
    """95 of 100 requests take no longer than latency_p95_max_ms."""
    if metrics.p95_ms is None and metrics.missing:
        raise CannotLook("; ".join(metrics.missing))
    limit_ms = target.latency_p95_max_ms
    # Of a value beyond the largest bucket only that limit is known: on it, the true value lies above.
    good = (
        metrics.p95_ms is None or metrics.p95_ms < limit_ms or (metrics.p95_ms == limit_ms and not metrics.p95_is_more)
    )
    _of_now(metrics, good=good)
    assert good, f"{metrics.explain()}; at most {limit_ms:g} ms are allowed"


@pytest.mark.service
@finding("traffic.none")
def check_requests_come(metrics: MetricsEvidence, target: Target) -> None:
    """Where requests are expected all the time, some have come since the service was started."""
    if not target.traffic_expected:
        pytest.skip("no traffic is expected of it (traffic_expected)")
    if metrics.requests_since_start is None:
        raise CannotLook("; ".join(metrics.missing) or "requests are not counted")
    assert metrics.requests_since_start > 0, f"{metrics.explain()}; nobody has asked since it was started"
