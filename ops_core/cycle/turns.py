"""Whoever asks for a cycle waits for a turn, so that many who ask at once do not fight over the store.

A courtesy among processes of one host: what there is one of is settled in the store. Who gets no turn in time goes on.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from ops_core.clock import Clock

NAME = ".cycle.lock"
PATIENCE_S = 60.0
PAUSE_S = 0.05


@contextlib.contextmanager
def in_turn(folder: Path, clock: Clock) -> Iterator[None]:
    """Hold the turn. The kernel gives it to the next when its holder dies."""
    try:
        descriptor = os.open(folder / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError:
        # Without a control folder there is nothing to fight over.
        yield
        return
    try:
        until = clock.monotonic() + PATIENCE_S
        while not _taken(descriptor) and clock.monotonic() < until:
            clock.sleep(PAUSE_S)
        yield
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        # Where a file system knows no locks, there are no turns.
        return not isinstance(error, BlockingIOError)
    return True
