"""How services are really broken, and how one sees from the stack's side that they are.

A step does something to a service; a test tells whether a service is in a certain bad state now. Both are small, so
that the fault catalogue can put them together.
"""

from __future__ import annotations

import http.client
import shutil
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ops_core.drill.base_stack import Stack
from ops_core.drill.ports import HOST
from ops_core.drill.stack import EmbeddedStack
from ops_core.drill.work_dir import GOOD_CONFIG, GOOD_RELEASE, swap_link

GUARD_PATH = "/api/revalidate/status"
STREAM_PATH = "/api/thoughts/sse"
NEW_RELEASE = "v2"
NEW_CONFIG = "2.env"
SLOW_ABOVE_S = 1.0
SILENT_AFTER_S = 0.4

SomeStack = TypeVar("SomeStack", bound=Stack[Any])
Step = Callable[[SomeStack, str], None]
Test = Callable[[SomeStack, str], bool]


def signalled(signal_number: int) -> Step[EmbeddedStack]:
    """The process gets a signal."""

    def do(stack: EmbeddedStack, service: str) -> None:
        stack.send(service, signal_number)

    return do


def degraded(word: str) -> Step[EmbeddedStack]:
    """The process degrades in memory, as processes do that run for too long."""
    import signal

    def do(stack: EmbeddedStack, service: str) -> None:
        stack.layout.fault_file(service).write_text(word + "\n", encoding="utf-8")
        stack.send(service, signal.SIGUSR1)

    return do


def released(patch: Mapping[str, str]) -> Step[Stack[Any]]:
    """A release with changed code is deployed and started."""

    def do(stack: Stack[Any], service: str) -> None:
        stack.deploy_release(service, NEW_RELEASE, patch)
        stack.restart(service)

    return do


def configured(changes: Mapping[str, str | None]) -> Step[Stack[Any]]:
    """A changed configuration is deployed, and the service is restarted with it."""

    def do(stack: Stack[Any], service: str) -> None:
        stack.deploy_config(service, NEW_CONFIG, changes)
        stack.restart(service)

    return do


def in_turn(*steps: Step[SomeStack]) -> Step[SomeStack]:
    """One step after the other."""

    def do(stack: SomeStack, service: str) -> None:
        for step in steps:
            step(stack, service)

    return do


def relinked_config(stack: EmbeddedStack, service: str) -> None:
    """The link goes back to the good configuration, but nobody restarts the service."""
    swap_link(stack.layout.config_link(service), GOOD_CONFIG)


def new_release_pruned(stack: EmbeddedStack, service: str) -> None:
    """A release is put in force that is not on disk."""
    swap_link(stack.layout.release_link(service), NEW_RELEASE)


def new_config_pruned(stack: EmbeddedStack, service: str) -> None:
    """A configuration is put in force that is not on disk."""
    swap_link(stack.layout.config_link(service), NEW_CONFIG)


def good_release_pruned(stack: EmbeddedStack, service: str) -> None:
    """The good release is deleted while it is in force."""
    shutil.rmtree(stack.layout.release_link(service).with_name(GOOD_RELEASE))


def data_damaged(stack: EmbeddedStack, _service: str) -> None:
    """The data that every release of core needs is cut off."""
    stack.layout.thoughts_file.write_bytes(stack.layout.thoughts_file.read_bytes()[:40])


def gone(stack: EmbeddedStack, service: str) -> bool:
    """No process, nobody answers."""
    return stack.process(service).state != "RUNNING" and stack.status(service) == 0


def stopped(stack: EmbeddedStack, service: str) -> bool:
    """The process is stopped by a signal."""
    return stack.system_state(service) == "T"


def answers(*statuses: int) -> Test[EmbeddedStack]:
    """Health answers with one of these."""

    def holds(stack: EmbeddedStack, service: str) -> bool:
        return stack.status(service) in statuses

    return holds


def slow(stack: EmbeddedStack, service: str) -> bool:
    """Health answers 200, but late."""
    begun = stack.clock.monotonic()
    return stack.status(service) == 200 and stack.clock.monotonic() - begun > SLOW_ABOVE_S


def guard_open(stack: EmbeddedStack, service: str) -> bool:
    """Who has no secret is let in."""
    return stack.status(service, GUARD_PATH) == 200


def secret_refused(stack: EmbeddedStack, service: str) -> bool:
    """Who has the right secret is not let in."""
    return stack.status(service, GUARD_PATH, secret=stack.secret) == 401


def silent(stack: EmbeddedStack, service: str) -> bool:
    """The stream opens and says nothing."""
    return _heard(stack, service) == (200, False)


def speaks_unwell(stack: EmbeddedStack, service: str) -> bool:
    """The stream is answered with 503, and says something all the same."""
    return _heard(stack, service) == (503, True)


def _heard(stack: EmbeddedStack, service: str) -> tuple[int, bool]:
    """The status of the stream, and whether it says something: it does so at once or not at all."""
    connection = http.client.HTTPConnection(HOST, stack.ports[service], timeout=5.0)
    try:
        connection.request("GET", STREAM_PATH)
        stream = connection.sock
        with connection.getresponse() as response:
            stream.settimeout(SILENT_AFTER_S)
            try:
                return response.status, bool(response.read(1))
            except TimeoutError:
                return response.status, False
    except (OSError, http.client.HTTPException):
        return 0, False
    finally:
        connection.close()


def dangling(stack: EmbeddedStack, service: str) -> bool:
    """What is in force is not on disk."""
    return not (stack.layout.release_link(service).exists() and stack.layout.config_link(service).exists())
