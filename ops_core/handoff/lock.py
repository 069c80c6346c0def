"""One hand-off at a time on a host: publishing, pulling and rolling back take turns.

The lock is the kernel's and dies with the processes that hold it: the act itself, and the leash of whatever it runs. So
whoever gets it knows that nothing of its predecessor runs any more.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ops_core.clock import Clock
from ops_core.control.files import make_folder
from ops_core.errors import OpsError, Refused

NAME = ".lock"
# Longer than the leash of one that was killed needs to end what it holds.
PATIENCE_S = 5.0
PAUSE_S = 0.02


class HandoffBusy(Refused):
    """Another publish, pull or rollback runs on this host."""


@contextmanager
def claimed(folder: Path, clock: Clock, *, patience_s: float = PATIENCE_S) -> Iterator[int]:
    """Hold the turn; yields its descriptor, for children that must not be outlived by it.

    Raises:
        HandoffBusy: somebody else holds it.
        OpsError: there can be no lock in that folder.
    """
    path = folder / NAME
    try:
        make_folder(folder)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    except OSError as error:
        raise OpsError(f"there can be no lock: {error.strerror}", where=str(path)) from None
    try:
        until = clock.monotonic() + patience_s
        while not _taken(descriptor):
            if clock.monotonic() >= until:
                raise HandoffBusy(
                    f"another hand-off runs on this host ({_holder(descriptor)})",
                    where=str(path),
                    allowed="one at a time",
                    next_step="wait for it; what it leaves is whole, whatever becomes of it",
                )
            clock.sleep(PAUSE_S)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
        yield descriptor
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
