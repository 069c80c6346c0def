"""One day at a time on a host: who comes second is refused, and told who runs.

The lock is the kernel's and dies with the process that holds it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from ops_core.clock import isoformat
from ops_core.control.files import make_folder
from ops_core.errors import OpsError, Refused

NAME = "daily_split.lock"
HOLDER_MAX_BYTES = 200


class DayRunning(Refused):
    """Another run of the five steps is under way on this host."""


@contextmanager
def claimed(folder: Path, now: datetime) -> Iterator[None]:
    """Hold the lock, saying who does.

    Raises:
        DayRunning: somebody else holds it.
        OpsError: there can be no lock in that folder.
    """
    path = folder / NAME
    try:
        make_folder(folder)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    except OSError as error:
        raise OpsError(f"there can be no lock: {error.strerror}", where=str(path)) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DayRunning(
                f"the five steps run already: {_holder(descriptor)}",
                where=str(path),
                allowed="one run at a time",
                next_step="wait for it; it ends within its budgets, and running it again is safe",
            ) from None
        except OSError as error:
            raise OpsError(f"there can be no lock: {error.strerror}", where=str(path)) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} since {isoformat(now)}\n".encode("ascii"), 0)
        yield
    finally:
        os.close(descriptor)


def _holder(descriptor: int) -> str:
    told = os.pread(descriptor, HOLDER_MAX_BYTES, 0).decode("ascii", "replace").strip()
    return told if told.isprintable() and told else "its process is not known"
