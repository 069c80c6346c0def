"""Waiting for a condition, never for a time to pass."""

from __future__ import annotations

from collections.abc import Callable

from ops_core.clock import Clock
from ops_core.errors import OpsError

INTERVAL_S = 0.01


class Overdue(OpsError):
    """Something that had to happen did not happen in time."""


def wait_until(condition: Callable[[], bool], clock: Clock, limit_s: float, what: str, *, where: str = "") -> None:
    """Return as soon as `condition` holds.

    Args:
        condition: looked at every few milliseconds.
        clock: tells the time and sleeps.
        limit_s: seconds after which to give up.
        what: the sentence to complain with, "core-api does not answer".
        where: the file that tells more.

    Raises:
        Overdue: it did not hold within `limit_s`.
    """
    give_up_at = clock.monotonic() + limit_s
    while not condition():
        if clock.monotonic() >= give_up_at:
            raise Overdue(f"{what} within {limit_s:g} seconds", where=where)
        clock.sleep(INTERVAL_S)
