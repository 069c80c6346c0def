"""One hand-off at a time on a host: publishing, pulling and rolling back take turns.

The act holds the lock, and so does the leash of whatever it runs: whoever gets it knows that nothing of its predecessor
runs any more.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from ops_core.clock import Clock
from ops_core.control import claiming
from ops_core.errors import Refused

NAME = ".lock"
# Longer than the leash of one that was killed needs to end what it holds.
PATIENCE_S = 5.0


class HandoffBusy(Refused):
    """Another publish, pull or rollback runs on this host."""


def claimed(folder: Path, clock: Clock, *, patience_s: float = PATIENCE_S) -> AbstractContextManager[int]:
    """Hold the turn; yields its descriptor, for children that must not be outlived by it.

    Raises:
        HandoffBusy: somebody else holds it.
        OpsError: there can be no lock in that folder.
    """
    path = folder / NAME

    def busy(holder: str) -> Refused:
        return HandoffBusy(
            f"another hand-off runs on this host ({holder})",
            where=str(path),
            allowed="one at a time",
            next_step="wait for it; what it leaves is whole, whatever becomes of it",
        )

    return claiming.claimed(path, clock, busy, patience_s=patience_s)
