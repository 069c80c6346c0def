"""How often one caller may call, counted in Redis for all processes together.

The documented degraded mode: while Redis does not answer, each process counts for itself and allows a tenth. Requests
are neither all refused nor all let through, and the service says that it is degraded (`/health/ready`).
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

ANSWER_S = 0.3
# After a failure Redis is left alone for a moment: nobody waits for it with each request.
PAUSE_S = 1.0
WINDOW_S = 60
LOCAL_SHARE = 10
CALLERS_MAX = 10_000


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether a request may pass; else in how many seconds it may be tried again."""

    passes: bool
    retry_after_s: int


class Rates:
    """Counts requests in windows of a minute.

    Args:
        url: of Redis.
        per_minute: how many requests a caller has; 0 for no limit.
        time_s: tells the seconds since 1970.
        client: speaks to Redis; one of `redis.Redis` by default.
    """

    def __init__(self, url: str, per_minute: int, time_s: Callable[[], float], client: Any = None) -> None:
        self._per_minute, self._time_s = per_minute, time_s
        self._client = client or _client(url)
        self._lock = threading.Lock()
        self._local: dict[str, int] = {}
        self._local_window = 0
        self._away_until = 0.0

    def ask(self, caller: str) -> Verdict:
        """Count one request of a caller, and say whether it is within what the caller has."""
        now = self._time_s()
        window = int(now) // WINDOW_S
        retry_after_s = (window + 1) * WINDOW_S - int(now)
        if not self._per_minute:
            return Verdict(passes=True, retry_after_s=0)
        count = self._counted(caller, window, now)
        if count is None:
            count, allowed = self._counted_here(caller, window), max(1, self._per_minute // LOCAL_SHARE)
        else:
            allowed = self._per_minute
        return Verdict(passes=count <= allowed, retry_after_s=retry_after_s)

    def answers(self) -> bool:
        """Whether Redis answers now."""
        import redis

        try:
            return bool(self._client.ping())
        except (redis.RedisError, OSError):
            return False

    def _counted(self, caller: str, window: int, now: float) -> int | None:
        import redis

        if now < self._away_until:
            return None
        # The caller's name may be anything; its digest is a key of known length.
        key = f"rate:{hashlib.sha256(caller.encode()).hexdigest()[:32]}:{window}"
        try:
            pipeline = self._client.pipeline()
            pipeline.incr(key)
            pipeline.expire(key, 2 * WINDOW_S)
            return int(pipeline.execute()[0])
        except (redis.RedisError, OSError):
            self._away_until = now + PAUSE_S
            return None

    def _counted_here(self, caller: str, window: int) -> int:
        with self._lock:
            if window != self._local_window or len(self._local) >= CALLERS_MAX:
                self._local, self._local_window = {}, window
            self._local[caller] = self._local.get(caller, 0) + 1
            return self._local[caller]


def _client(url: str) -> Any:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return redis.Redis.from_url(
        url, socket_timeout=ANSWER_S, socket_connect_timeout=ANSWER_S, retry=Retry(NoBackoff(), 0)
    )
