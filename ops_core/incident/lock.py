"""One incident at a time per control store.

The lock is the kernel's and dies with the processes that hold it: the loop, and the leash of a step that is under way.
So whoever gets it knows that no step of its predecessor runs any more.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import AbstractContextManager
from pathlib import Path

from ops_core.clock import Clock
from ops_core.control import claiming
from ops_core.errors import Refused

NAME = "incident.lock"
PATIENCE_S = 3.0


class LoopBusy(Refused):
    """Somebody else handles an incident on this control store."""


def claimed(folder: Path, clock: Clock) -> AbstractContextManager[int]:
    """Hold the lock; yields its descriptor, for a child that must not be outlived by it.

    Raises:
        LoopBusy: somebody else holds it.
        OpsError: there can be no lock in that folder.
    """
    path = folder / NAME

    def busy(holder: str) -> Refused:
        return LoopBusy(
            f"another process handles an incident here ({holder})",
            where=str(path),
            next_step="wait for it, or end it: whoever comes next goes on where it was",
        )

    # A leash whose loop was killed needs a moment to end what it holds.
    return claiming.claimed(path, clock, busy, patience_s=PATIENCE_S)


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
