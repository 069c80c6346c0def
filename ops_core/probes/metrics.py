"""What do the service's own metrics say of the requests that it answered?"""

from __future__ import annotations

import asyncio
import time
from urllib.parse import urlsplit

from ops_core.errors import CannotLook
from ops_core.evidence import MetricsEvidence
from ops_core.evidence.service import SINCE_START, WINDOW
from ops_core.probes.instruments.http import HttpInstrument
from ops_core.probes.metrics_page import Page, between, quantile_of, read_page
from ops_core.probes.registry import probe
from ops_core.targets import Target

PAGE_MAX_BYTES = 4 << 20
WINDOW_S = 1.0


@probe(budget_s=10, needs="metrics_url")
async def metrics(target: Target, http: HttpInstrument) -> MetricsEvidence:
    """GET the metrics twice, a second apart: what was counted in between is of now, the rest is of any time."""
    url = target.metrics_url
    assert url is not None  # noqa: S101  # what `needs` promises, told to the type checker
    first = await _page(http, url, target)
    begun = time.monotonic()
    await asyncio.sleep(WINDOW_S)
    last = await _page(http, url, target)
    return figures(url, first, last, time.monotonic() - begun, time.time())


def figures(url: str, first: Page, last: Page, window_s: float, now_s: float) -> MetricsEvidence:
    """What two looks at one page of metrics come to.

    Raises:
        CannotLook: the histogram is none.
    """
    window = between(first, last)
    counted = window is not None and bool(window.requests)
    page = window if window is not None and counted else last
    p95 = quantile_of(page.buckets)
    missing = []
    if last.requests is None:
        missing.append("requests are not counted (http_requests_total)")
    if not last.buckets:
        missing.append("requests are not timed (http_request_duration_seconds)")
    return MetricsEvidence(
        url=url,
        basis=WINDOW if counted else SINCE_START,
        window_s=round(window_s, 3),
        requests=page.requests,
        failed=page.failed,
        requests_since_start=last.requests,
        p95_ms=None if p95 is None else round(p95[0] * 1000, 3),
        p95_is_more=p95 is not None and p95[1],
        uptime_s=None if last.started_at_s is None else round(max(0.0, now_s - last.started_at_s), 1),
        left_out=last.left_out,
        missing=tuple(missing),
    )


async def _page(http: HttpInstrument, url: str, target: Target) -> Page:
    answer = await http.get(url, body_max_bytes=PAGE_MAX_BYTES)
    if answer.status != 200 or answer.error is not None:
        raise CannotLook(f"no metrics: {answer.explain()}")
    if answer.truncated:
        raise CannotLook(f"the page of metrics is larger than {PAGE_MAX_BYTES >> 20} MiB", where=url)
    asked = (target.live_url, target.ready_url, target.metrics_url, target.health_url)
    own = {urlsplit(one).path or "/" for one in asked if one}
    # A large page takes a moment to read, and this loop is everybody's.
    return await asyncio.to_thread(read_page, answer.body_excerpt, own)
