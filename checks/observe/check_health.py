"""Does every target answer, well and in time?"""

import pytest

from ops_core import HttpEvidence, Target, finding


@pytest.mark.observe
@finding("health.not_ok")
def check_health_answers_200(health: HttpEvidence) -> None:
    """The target answers its health endpoint with 200."""
    assert health.status == 200 and health.error is None, health.explain()


@pytest.mark.observe
@finding("health.slow")
def check_health_answers_in_time(health: HttpEvidence, target: Target) -> None:
    """The target answers its health endpoint within its health_latency_max_ms."""
    # An answer that never came is the business of the check above; there is no latency to judge.
    if health.status is not None:
        limit_ms = target.health_latency_max_ms
        assert health.elapsed_ms <= limit_ms, f"{health.explain()}; at most {limit_ms:g} ms are allowed"
