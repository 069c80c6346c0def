"""How the service stack is really broken, and how one sees from the stack's side that it is.

Steps and tests as in `injectors`, but of a service that stands on PostgreSQL and Redis, is deployed with releases,
configurations and migrations, and is used by clients.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

from ops_core.drill import sessions
from ops_core.drill.injectors import NEW_CONFIG, NEW_RELEASE, Step, Test
from ops_core.drill.service_layout import API_KEY, DATABASE, INGEST, ROLLOUT, VISITORS, lost_name
from ops_core.drill.service_stack import GOOD_SCHEMA, ServiceStack
from ops_core.drill.work_dir import GOOD_CONFIG, GOOD_RELEASE, swap_link
from ops_core.temporary import Kind, temporary_of

NEW_SCHEMA = "0003"
REQUESTS = 20
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
# How many connections to PostgreSQL the service has, and after how long one that is asked surely hangs.
CONNECTIONS = 4
HANGS_S = 0.3


def stopped(stack: ServiceStack, service: str) -> None:
    """A server is stopped, in good order."""
    stack.supervision.stop(service)


def killed(stack: ServiceStack, service: str) -> None:
    """A process is killed (SIGKILL)."""
    stack.supervision.signal(service, signal.SIGKILL)


def frozen(stack: ServiceStack, service: str) -> None:
    """A process is stopped by a signal (SIGSTOP)."""
    stack.supervision.signal(service, signal.SIGSTOP)


def restarted(stack: ServiceStack, service: str) -> None:
    """A service is restarted."""
    stack.restart(service)


def at(other: str, step: Step[ServiceStack]) -> Step[ServiceStack]:
    """The same at another service of the stack."""

    def do(stack: ServiceStack, _service: str) -> None:
        step(stack, other)

    return do


def released(patch: Mapping[str, str]) -> Step[ServiceStack]:
    """A release with changed code is put in force; nothing is restarted."""

    def do(stack: ServiceStack, service: str) -> None:
        stack.deploy_release(service, NEW_RELEASE, patch)

    return do


def configured(changes: Mapping[str, str | None]) -> Step[ServiceStack]:
    """A changed configuration is put in force; nothing is restarted."""

    def do(stack: ServiceStack, service: str) -> None:
        stack.deploy_config(service, NEW_CONFIG, changes)

    return do


def edited(changes: Mapping[str, str | None]) -> Step[ServiceStack]:
    """Somebody edits the good configuration where it lies; nothing is restarted."""

    def do(stack: ServiceStack, service: str) -> None:
        stack.layout.config_link(service).with_name(GOOD_CONFIG).unlink()
        stack.deploy_config(service, GOOD_CONFIG, changes)

    return do


def for_a_while(kind: Kind, changes: Mapping[str, str | None], base: str = GOOD_CONFIG) -> Step[ServiceStack]:
    """A configuration is put in force for a while; nothing is restarted."""

    def do(stack: ServiceStack, service: str) -> None:
        stack.temporary_config(service, kind, changes, base)

    return do


def rolled_out(patch: Mapping[str, str]) -> Step[ServiceStack]:
    """A rollout of a release with changed code is under way: it puts it in force, again and again."""

    def do(stack: ServiceStack, service: str) -> None:
        stack.deploy_release(service, NEW_RELEASE, patch)
        swap_link(stack.layout.release_link(service), GOOD_RELEASE)
        stack.roll_out(NEW_RELEASE)

    return do


def migrated(text: str) -> Step[ServiceStack]:
    """A step is added to the schema, and carried out."""

    def do(stack: ServiceStack, service: str) -> None:
        migration_written(text)(stack, service)
        stack.migrate("upgrade", "head")

    return do


def migration_written(text: str) -> Step[ServiceStack]:
    """A step is added to the schema, and nobody carries it out."""

    def do(stack: ServiceStack, _service: str) -> None:
        _migration(stack).write_text(text, encoding="utf-8")

    return do


def migration_lost(stack: ServiceStack, _service: str) -> None:
    """The file of the latest step is gone, as where another branch is deployed."""
    _migration(stack).unlink()


def told(*statements: str) -> Step[ServiceStack]:
    """Somebody changes the database by hand."""

    def do(stack: ServiceStack, _service: str) -> None:
        with stack.connect() as connection:
            for one in statements:
                connection.execute(one.encode())

    return do


def running(*names: str) -> Step[ServiceStack]:
    """Clients, or a session that locks the table, begin."""

    def do(stack: ServiceStack, _service: str) -> None:
        for name in names:
            stack.run(name, on=True)

    return do


def nobody_visits(stack: ServiceStack, _service: str) -> None:
    """Those who read all day are gone."""
    stack.supervision.stop(VISITORS)


def something_stored(stack: ServiceStack, _service: str) -> None:
    """There is something to read."""
    stack.wait(lambda: sent(stack, {"items": [{"text": "stored"}]}) == 202, "nothing can be stored")


def flooded(stack: ServiceStack, service: str) -> None:
    """Several clients send the largest batches that are taken, one after the other, until somebody ends them."""
    running("load")(stack, service)
    # Until the measures show it: a single slow request is no overload.
    refused = 'http_requests_total{method="POST",path="/api/ingest",status="503"}'
    stack.wait(lambda: _measured(stack, refused) > REQUESTS, "the clients do not overload the service")


def rollout_agent_frozen(stack: ServiceStack, _service: str) -> None:
    """What carries rollouts out hears nobody any more."""
    stack.supervision.signal(ROLLOUT, signal.SIGSTOP)


def rollout_program_broken(stack: ServiceStack, _service: str) -> None:
    """The program that is asked about rollouts needs an interpreter that is not there."""
    (stack.layout.rollout_folder / "rollout.py").write_text("#!/usr/bin/env no-such-python\n", encoding="utf-8")


def cluster_damaged(stack: ServiceStack, service: str) -> None:
    """PostgreSQL is killed, and cannot start again: one of its files is gone."""
    control = stack.layout.control_file
    if control is not None:
        control.rename(lost_name(control))
    killed(stack, service)


def sessions_frozen(stack: ServiceStack, service: str) -> None:
    """What serves the service within PostgreSQL stops: who uses those connections waits for ever."""

    def all_hang() -> bool:
        for _ in range(CONNECTIONS + 2):
            for pid in stack.sessions_of_service():
                os.kill(pid, signal.SIGSTOP)
            # Who asks takes a connection and does not get it back, until there is none left.
            stack.ask("/health/ready", limit_s=HANGS_S)
        return stack.ready() == (503, "degraded")

    stack.wait(all_hang, f"{service} still has connections")


def release_pruned(stack: ServiceStack, service: str) -> None:
    """A release is put in force that is not on disk."""
    swap_link(stack.layout.release_link(service), NEW_RELEASE)


def config_pruned(stack: ServiceStack, service: str) -> None:
    """A configuration is put in force that is not on disk."""
    swap_link(stack.layout.config_link(service), NEW_CONFIG)


def config_link_back(stack: ServiceStack, service: str) -> None:
    """The link goes back to the good configuration, but nobody restarts the service."""
    swap_link(stack.layout.config_link(service), GOOD_CONFIG)


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


def answers(status: int) -> Test[ServiceStack]:
    """Readiness answers with this status."""

    def holds(stack: ServiceStack, _service: str) -> bool:
        return stack.status() == status

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


def schema_at(revision: str) -> Test[ServiceStack]:
    """The database says that this revision is in force."""

    def holds(stack: ServiceStack, _service: str) -> bool:
        return stack.schema() == revision

    return holds


def schema_ahead(stack: ServiceStack, _service: str) -> bool:
    """There is a step that was not carried out."""
    return _migration(stack).exists() and stack.schema() == GOOD_SCHEMA


def sessions_hang(stack: ServiceStack, _service: str) -> bool:
    """The service waits for PostgreSQL, and some of what serves it within PostgreSQL is stopped."""
    pids = sessions.children(stack.process(DATABASE).pid)
    return any(sessions.state(pid) == "T" for pid in pids) and stack.ready()[1] != "ready"


def rollout_unanswered(stack: ServiceStack, _service: str) -> bool:
    """The program that is asked about rollouts is not what it was."""
    return "no-such-python" in (stack.layout.rollout_folder / "rollout.py").read_text(encoding="utf-8")[:60]


def unvisited(stack: ServiceStack, _service: str) -> bool:
    """Nobody reads, and nobody has since the service was started."""
    return not _measured(stack, 'http_requests_total{method="GET",path="/api/items"')


def sent(stack: ServiceStack, batch: Mapping[str, object]) -> int:
    """What a client gets for a batch."""
    return stack.ask("/api/ingest", batch, {"X-API-Key": stack.secret(API_KEY)})[0]


def _migration(stack: ServiceStack) -> Path:
    return stack.layout.versions / f"rev_{NEW_SCHEMA}_new.py"


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


def _measured(stack: ServiceStack, series: str) -> float:
    lines = (line for line in stack.text("/metrics").splitlines() if line.startswith(series))
    return sum(float(line.rpartition(" ")[2]) for line in lines)
