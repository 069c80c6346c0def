"""How one sees from the stack's side that the service stack is broken in a certain way.

Each test is asked again and again until it holds, or until it does not any more.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping

from ops_core.drill import sessions
from ops_core.drill.injectors import Test
from ops_core.drill.service_layout import API_KEY, DATABASE, INGEST, NEW_STEP
from ops_core.drill.service_stack import GOOD_SCHEMA, ServiceStack
from ops_core.temporary import Kind, temporary_of

LARGEST_BATCH = 100
OVERSIZED_BODY = 70_000
STRONG_BYTES = 32
LIVE = "/health/live"
# Whoever waits for figures of now looks twice within this time.
LOOK_S = 1.3
SLOW_BUCKET = "0.4"
FAILED = 'status="5'
# The tests of a fault are asked until they hold: a hanging service must not hang them.
IMPATIENT_S = 1.0


def gone(stack: ServiceStack, service: str) -> bool:
    """No process, nobody listens."""
    return stack.process(service).state != "RUNNING" and not stack.answers(service)


def stopped_by_signal(stack: ServiceStack, service: str) -> bool:
    """The process is stopped by a signal."""
    return stack.system_state(service) == "T"


def dead(stack: ServiceStack, service: str) -> bool:
    """Nobody says that it is alive."""
    return stack.status(service, LIVE, limit_s=IMPATIENT_S) != 200


def says(word: str) -> Test[ServiceStack]:
    """Readiness answers 503 with this word."""

    def holds(stack: ServiceStack, _service: str) -> bool:
        return stack.ready() == (503, word)

    return holds


def answers(status: int, path: str | None = None) -> Test[ServiceStack]:
    """Readiness, or another path, answers with this status."""

    def holds(stack: ServiceStack, service: str) -> bool:
        return stack.status(service, path) == status

    return holds


def failing(stack: ServiceStack, _service: str) -> bool:
    """Requests fail now, and not those that ask how it does."""
    return _grows(stack, lambda page: _total(page, "http_requests_total", FAILED))


def slow(stack: ServiceStack, _service: str) -> bool:
    """Requests take long now."""
    return _grows(stack, _took_long)


def slow_to(path: str, above_s: float) -> Test[ServiceStack]:
    """A path answers 200, but late."""

    def holds(stack: ServiceStack, service: str) -> bool:
        begun = stack.clock.monotonic()
        return stack.status(service, path) == 200 and stack.clock.monotonic() - begun > above_s

    return holds


def at_times_slow_to(path: str, above_s: float) -> Test[ServiceStack]:
    """Of a few requests at least one is late."""

    def holds(stack: ServiceStack, service: str) -> bool:
        return any(slow_to(path, above_s)(stack, service) for _ in range(8))

    return holds


def overloaded(name: str) -> Test[ServiceStack]:
    """Clients send the largest batches, and the service takes what they send."""

    def holds(stack: ServiceStack, _service: str) -> bool:
        if stack.supervision.info(name).state != "RUNNING":
            return False
        return sent(stack, {"items": [{}] * LARGEST_BATCH}) in (202, 503)

    return holds


def accepts_large_bodies(stack: ServiceStack, _service: str) -> bool:
    """A body above what was promised is not refused for its size."""
    return sent(stack, {"items": [{"text": "x" * OVERSIZED_BODY}]}) == 202


def accepts_large_batches(stack: ServiceStack, _service: str) -> bool:
    """A batch above what was promised is not refused for its size."""
    return sent(stack, {"items": [{}] * (LARGEST_BATCH + 1)}) == 202


def setting_is(name: str, weak: Callable[[str], bool]) -> Test[ServiceStack]:
    """A setting of the configuration in force is as bad as described."""

    def holds(stack: ServiceStack, service: str) -> bool:
        settings = stack.layout.read_config(service, stack.layout.in_force(service)[1])
        return bool(settings) and weak(settings.get(name, ""))

    return holds


def for_a_while_in_force(kind: Kind) -> Test[ServiceStack]:
    """A configuration of this kind is in force."""

    def holds(stack: ServiceStack, service: str) -> bool:
        known = temporary_of(stack.layout.in_force(service)[1])
        return known is not None and known.kind is kind

    return holds


def dangling(stack: ServiceStack, service: str) -> bool:
    """What is in force is not on disk."""
    return not (stack.layout.release_link(service).exists() and stack.layout.config_link(service).exists())


def ids_lost(stack: ServiceStack, _service: str) -> bool:
    """An answer does not bring back the id that came with the request."""
    return stack.status(INGEST, LIVE) == 200 and stack.header(LIVE, "X-Request-Id", "drill-1") != "drill-1"


def ids_unlogged(stack: ServiceStack, _service: str) -> bool:
    """An answer brings back the id that came with the request, and the log does not get it."""
    sent_id = f"drill-{secrets.token_hex(8)}"
    if stack.header(LIVE, "X-Request-Id", sent_id) != sent_id:
        return False
    until = stack.clock.monotonic() + LOOK_S
    while stack.clock.monotonic() < until:
        if sent_id in stack.layout.log_file.read_text(encoding="utf-8", errors="replace"):
            return False
        stack.clock.sleep(0.1)
    return True


def schema_at(revision: str) -> Test[ServiceStack]:
    """The database says that this revision is in force."""

    def holds(stack: ServiceStack, _service: str) -> bool:
        return stack.schema() == revision

    return holds


def schema_ahead(stack: ServiceStack, _service: str) -> bool:
    """There is a step that was not carried out."""
    return (stack.layout.versions / NEW_STEP).exists() and stack.schema() == GOOD_SCHEMA


def sessions_hang(stack: ServiceStack, _service: str) -> bool:
    """The service waits for PostgreSQL, and some of what serves it within PostgreSQL is stopped."""
    pids = sessions.children(stack.process(DATABASE).pid)
    return any(sessions.state(pid) == "T" for pid in pids) and stack.ready()[1] != "ready"


def rollout_unanswered(stack: ServiceStack, _service: str) -> bool:
    """The program that is asked about rollouts is not what it was."""
    return "no-such-python" in (stack.layout.rollout_folder / "rollout.py").read_text(encoding="utf-8")[:60]


def unvisited(stack: ServiceStack, _service: str) -> bool:
    """Nobody reads, and nobody has since the service was started."""
    return not measured(stack, 'http_requests_total{method="GET",path="/api/items"')


def sent(stack: ServiceStack, batch: Mapping[str, object]) -> int:
    """What a client gets for a batch."""
    return stack.ask("/api/ingest", batch, {"X-API-Key": stack.secret(API_KEY)})[0]


def _grows(stack: ServiceStack, measure: Callable[[str], float]) -> bool:
    """Whether a figure of the metrics grows within a moment."""
    before = measure(stack.text("/metrics"))
    until = stack.clock.monotonic() + LOOK_S
    while stack.clock.monotonic() < until:
        now = measure(stack.text("/metrics"))
        if now > before:
            return True
        before = min(before, now)
        stack.clock.sleep(0.1)
    return False


def _took_long(page: str) -> float:
    counted = _total(page, "http_request_duration_seconds_count", "")
    return counted - _total(page, "http_request_duration_seconds_bucket", f'le="{SLOW_BUCKET}"')


def _total(page: str, series: str, part: str) -> float:
    lines = (line for line in page.splitlines() if line.startswith(series + "{") and part in line)
    return sum(float(line.rpartition(" ")[2]) for line in lines if 'path="/api/' in line)


def measured(stack: ServiceStack, series: str) -> float:
    """What the metrics count now, in all series that begin so."""
    lines = (line for line in stack.text("/metrics").splitlines() if line.startswith(series))
    return sum(float(line.rpartition(" ")[2]) for line in lines)
