"""How the service stack is really broken, and how one sees from the stack's side that it is.

Steps and tests as in `injectors`, but of a service that stands on PostgreSQL and Redis, is deployed with releases,
configurations and migrations, and is used by clients.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping

from ops_core.drill.injectors import NEW_CONFIG, NEW_RELEASE, Step
from ops_core.drill.service_layout import NEW_STEP, ROLLOUT, VISITORS, lost_name
from ops_core.drill.service_signs import measured, sent
from ops_core.drill.service_stack import ServiceStack
from ops_core.drill.work_dir import GOOD_CONFIG, GOOD_RELEASE, swap_link
from ops_core.temporary import Kind

NEW_SCHEMA = "0003"
REQUESTS = 20
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
        (stack.layout.versions / NEW_STEP).write_text(text, encoding="utf-8")

    return do


def migration_lost(stack: ServiceStack, _service: str) -> None:
    """The file of the latest step is gone, as where another branch is deployed."""
    (stack.layout.versions / NEW_STEP).unlink()


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
    stack.wait(lambda: measured(stack, refused) > REQUESTS, "the clients do not overload the service")


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
