"""Is the service alive and ready, and does a request keep its id?"""

import pytest

from ops_core import CannotLook, HttpEvidence, ReadyEvidence, RequestIdEvidence, finding


@pytest.mark.service
@finding("live.not_ok")
def check_service_is_alive(live: HttpEvidence) -> None:
    """The liveness address answers 200."""
    assert live.status == 200 and live.error is None, live.explain()


@pytest.mark.service
@finding("ready.not_ok")
def check_service_is_ready(ready: ReadyEvidence) -> None:
    """The readiness address answers 200, or 503 with the documented word that the service works with less."""
    assert ready.ready or ready.degraded, ready.explain()


@pytest.mark.service
@finding("ready.degraded")
def check_service_is_not_degraded(ready: ReadyEvidence, allow_ready_degraded: bool) -> None:
    """The service does not have to work with less, unless that is allowed at the moment (--allow-ready-degraded)."""
    if ready.answer.status is None:
        raise CannotLook(f"there was no answer that could say so: {ready.answer.explain()}")
    assert allow_ready_degraded or not ready.degraded, ready.explain()


@pytest.mark.service
@finding("request_id.lost")
def check_request_keeps_its_id(request_id: RequestIdEvidence) -> None:
    """The X-Request-Id of a request comes back on the answer and gets into the log."""
    if request_id.answer.status is None:
        raise CannotLook(f"there was no answer that could carry it: {request_id.answer.explain()}")
    assert request_id.echoed == request_id.request_id, request_id.explain()
    if request_id.logged is None:
        raise CannotLook(request_id.log_problem)
    assert request_id.logged, request_id.explain()
