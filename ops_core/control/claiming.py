"""One at a time on a host: a lock that is the kernel's, and dies with the processes that hold it.

Who comes second may wait a moment, and is then refused in the words of what is locked, with what the holder said of
itself.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ops_core.clock import Clock
from ops_core.control.files import make_folder
from ops_core.errors import OpsError, Refused

HOLDER_MAX_BYTES = 200
PAUSE_S = 0.02


@contextmanager
def claimed(
    path: Path, clock: Clock, busy: Callable[[str], Refused], *, told: str = "", patience_s: float = 0.0
) -> Iterator[int]:
    """Hold the lock; yields its descriptor, for children that must not be outlived by it.

    Args:
        path: the file that is locked.
        clock: what the waiting is measured with.
        busy: what is raised where somebody else holds it, made of who that is, in words.
        told: what the holder says of itself; its process unless given.
        patience_s: seconds to wait for it.

    Raises:
        Refused: as `busy` makes it.
        OpsError: there can be no lock.
    """
    try:
        make_folder(path.parent)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    except OSError as error:
        raise _no_lock(path, error) from None
    try:
        until = clock.monotonic() + patience_s
        while not _taken(descriptor, path):
            if clock.monotonic() >= until:
                raise busy(_holder(descriptor))
            clock.sleep(PAUSE_S)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{told or f'process {os.getpid()}'}\n".encode("ascii"), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _taken(descriptor: int, path: Path) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise _no_lock(path, error) from None
    return True


def _holder(descriptor: int) -> str:
    told = os.pread(descriptor, HOLDER_MAX_BYTES, 0).decode("ascii", "replace").strip()
    return told if told and told.isprintable() else "its process is not known"


def _no_lock(path: Path, error: OSError) -> OpsError:
    return OpsError(f"there can be no lock: {error.strerror}", where=str(path))
