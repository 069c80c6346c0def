"""One incident at a time per control store.

The lock is the kernel's and dies with the processes that hold it: the loop, and the leash of a step that is under way.
So whoever gets it knows that no step of its predecessor runs any more.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ops_core.clock import Clock
from ops_core.errors import OpsError, Refused

NAME = "incident.lock"
PATIENCE_S = 3.0
PAUSE_S = 0.02


class LoopBusy(Refused):
    """Somebody else handles an incident on this control store."""


@contextmanager
def claimed(folder: Path, clock: Clock) -> Iterator[int]:
    """Hold the lock; yields its descriptor, for a child that must not be outlived by it.

    Raises:
        LoopBusy: somebody else holds it.
        OpsError: there can be no lock in that folder.
    """
    path = folder / NAME
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise OpsError(f"there can be no lock: {error.strerror}", where=str(path)) from None
    try:
        # A leash whose loop was killed needs a moment to end what it holds.
        until = clock.monotonic() + PATIENCE_S
        while not _taken(descriptor):
            if clock.monotonic() >= until:
                raise LoopBusy(
                    f"another process handles an incident here ({_holder(descriptor)})",
                    where=str(path),
                    next_step="wait for it, or end it: whoever comes next goes on where it was",
                )
            clock.sleep(PAUSE_S)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def is_held(folder: Path) -> bool:
    """Whether anybody handles an incident here now."""
    try:
        descriptor = os.open(folder / NAME, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(descriptor: int) -> str:
    pid = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
    return f"process {pid}" if pid.isdecimal() else "its process is not known"
