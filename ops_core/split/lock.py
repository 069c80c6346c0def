"""One day at a time on a host: who comes second is refused, and told who runs."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from pathlib import Path

from ops_core.clock import Clock, isoformat
from ops_core.control import claiming
from ops_core.errors import Refused

NAME = "daily_split.lock"


class DayRunning(Refused):
    """Another run of the five steps is under way on this host."""


def claimed(folder: Path, clock: Clock) -> AbstractContextManager[int]:
    """Hold the lock, saying who does and since when.

    Raises:
        DayRunning: somebody else holds it.
        OpsError: there can be no lock in that folder.
    """
    path = folder / NAME

    def busy(holder: str) -> Refused:
        return DayRunning(
            f"the five steps run already: {holder}",
            where=str(path),
            allowed="one run at a time",
            next_step="wait for it; it ends within its budgets, and running it again is safe",
        )

    return claiming.claimed(path, clock, busy, told=f"process {os.getpid()} since {isoformat(clock.now())}")
