"""One exporter at a time: of two that write the same mirrors, the slower one must not put the older state last."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ops_core.clock import Clock

NAME = ".mirrors.lock"
PATIENCE_S = 2.0
PAUSE_S = 0.005


@contextmanager
def alone(folder: Path, clock: Clock) -> Iterator[bool]:
    """Hold the exporters' lock; yields whether we got it. The kernel lets go of it when its holder dies.

    Raises:
        OSError: there can be no lock in that folder.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(folder / NAME, flags, 0o600)
    try:
        until = clock.monotonic() + PATIENCE_S
        held = _taken(descriptor)
        while not held and clock.monotonic() < until:
            clock.sleep(PAUSE_S)
            held = _taken(descriptor)
        yield held
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
