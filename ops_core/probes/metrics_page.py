"""A page in Prometheus' text format as the few figures that are judged. Pure: no I/O, no time.

Parsing is prometheus_client's; what stands here is which figures, and that none of them is believed that cannot be.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from ops_core.errors import CannotLook

REQUESTS = "http_requests"
DURATION = "http_request_duration_seconds"
START = "process_start_time_seconds"
STATUS_LABELS = ("status", "code", "status_code", "http_status")
PATH_LABELS = ("path", "route", "handler", "endpoint", "uri", "url")
P95 = 0.95


@dataclass(frozen=True, kw_only=True)
class Page:
    """The figures of one page. Counts are since the start of the process.

    `requests` and `failed` are None where requests are not counted; `buckets` holds cumulative counts by upper limit in
    seconds, empty where requests are not timed.
    """

    requests: float | None = None
    failed: float | None = None
    buckets: Mapping[float, float] = field(default_factory=dict)
    started_at_s: float | None = None
    left_out: tuple[str, ...] = ()


def read_page(text: str, own_paths: Collection[str] = ()) -> Page:
    """The figures of a page, without the requests to `own_paths`.

    Raises:
        CannotLook: it is not Prometheus' text format, or says what cannot be.
    """
    from prometheus_client.parser import text_string_to_metric_families

    tally = _Tally(own_paths)
    families = 0
    try:
        for family in text_string_to_metric_families(text):
            families += 1
            for name, labels, value, *_ in family.samples:
                tally.add(name, labels, value)
    except CannotLook:
        raise
    except Exception as error:  # noqa: BLE001  # the parser raises what it likes on text of another kind
        raise CannotLook(f"the page is not in Prometheus' text format: {_short(error)}") from None
    if not families:
        raise CannotLook("the page holds no metric in Prometheus' text format")
    return tally.page()


class _Tally:
    """Adds up the samples of one page."""

    def __init__(self, own_paths: Collection[str]) -> None:
        self._own_paths = own_paths
        self._requests: float | None = None
        self._failed = 0.0
        self._buckets: dict[float, float] = {}
        self._started_at_s: float | None = None
        self._left_out: set[str] = set()

    def add(self, name: str, labels: Mapping[str, str], value: float) -> None:
        """Take one sample into account, if it is one of those that count.

        Raises:
            CannotLook: it counts, and is no count.
        """
        if name == START:
            self._started_at_s = value if math.isfinite(value) else None
            return
        if name not in {f"{REQUESTS}_total", f"{DURATION}_bucket"}:
            return
        if not (math.isfinite(value) and value >= 0):
            raise CannotLook(f"{name} is {value}: no count")
        path = _first(labels, PATH_LABELS)
        if path in self._own_paths:
            self._left_out.add(str(path))
        elif name == f"{DURATION}_bucket":
            limit_s = _limit(labels)
            self._buckets[limit_s] = self._buckets.get(limit_s, 0.0) + value
        else:
            self._requests = (self._requests or 0.0) + value
            self._failed += value if (_first(labels, STATUS_LABELS) or "").startswith("5") else 0.0

    def page(self) -> Page:
        """What it comes to."""
        requests = 0.0 if self._requests is None and self._left_out else self._requests
        return Page(
            requests=requests,
            failed=None if requests is None else self._failed,
            buckets=dict(sorted(self._buckets.items())),
            started_at_s=self._started_at_s,
            left_out=tuple(sorted(self._left_out)),
        )


def between(before: Page, after: Page) -> Page | None:
    """What was counted between two looks; None where the process was started anew in between, or nothing compares."""
    if before.requests is None or after.requests is None or before.started_at_s != after.started_at_s:
        return None
    requests, failed = after.requests - before.requests, (after.failed or 0.0) - (before.failed or 0.0)
    buckets = {limit_s: count - before.buckets.get(limit_s, 0.0) for limit_s, count in after.buckets.items()}
    if requests < 0 or failed < 0 or min(buckets.values(), default=0.0) < 0 or before.buckets.keys() - buckets.keys():
        return None
    return Page(requests=requests, failed=failed, buckets=buckets, started_at_s=after.started_at_s)


def quantile_of(buckets: Mapping[float, float], q: float = P95) -> tuple[float, bool] | None:
    """The quantile as Prometheus' `histogram_quantile` has it: linear inside of the bucket it falls into.

    Args:
        buckets: cumulative counts by upper limit, the last one infinite.
        q: which quantile, between 0 and 1.

    Returns:
        The value in the unit of the limits, and whether the true one lies above it: it fell into the last bucket, of
        which only the lower limit is known. None where nothing was observed.

    Raises:
        CannotLook: these are no cumulative counts.
    """
    limits = sorted(buckets)
    counts = [buckets[limit] for limit in limits]
    if not limits or counts[-1] <= 0:
        return None
    rising = all(later >= earlier >= 0 for earlier, later in itertools.pairwise(counts))
    if not rising or len(limits) < 2 or limits[-1] != math.inf or not all(map(math.isfinite, (*limits[:-1], *counts))):
        raise CannotLook(f"{DURATION} is no histogram: its buckets do not add up")
    rank = q * counts[-1]
    at = next((index for index, count in enumerate(counts[:-1]) if count >= rank), None)
    if at is None:
        return limits[-2], True
    if at == 0:
        if limits[0] <= 0:
            return limits[0], False
        start, below = 0.0, 0.0
    else:
        start, below = limits[at - 1], counts[at - 1]
    inside = counts[at] - below
    # A rank of 0 lies in an empty first bucket: there is nothing to go through.
    share = (rank - below) / inside if inside > 0 else 0.0
    return start + (limits[at] - start) * share, False


def _first(labels: Mapping[str, str], names: Collection[str]) -> str | None:
    return next((labels[name] for name in names if name in labels), None)


def _limit(labels: Mapping[str, str]) -> float:
    limit_s = float(labels["le"])
    if math.isnan(limit_s):
        raise CannotLook(f"{DURATION} has a bucket whose limit is no number")
    return limit_s


def _short(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:120] or type(error).__name__
