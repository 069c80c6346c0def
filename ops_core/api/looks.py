"""Takes the looks that alerts ask for, one process after the other, behind the answers of the server."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from ops_core.clock import Clock
from ops_core.config import Settings
from ops_core.control.model import why_stopped
from ops_core.control.opening import plane_of
from ops_core.errors import OpsError

MODULE = "ops_core.incident.alerted"
ACTOR = "alert"


class Looks:
    """What starts them.

    Args:
        look: takes the look that waits longest; tells whether more wait.
    """

    def __init__(self, look: Callable[[], bool]) -> None:
        self._look = look
        self._lock = threading.Lock()
        self._running = False
        self._again = False

    def wake(self) -> None:
        """Something may wait. Returns at once."""
        with self._lock:
            self._again = True
            if self._running:
                return
            self._running = True
        # A daemon: the end of the server waits for no look; one that is under way goes on by itself.
        threading.Thread(target=self._work, name="ops-looks", daemon=True).start()

    @property
    def busy(self) -> bool:
        """Whether looks are being taken."""
        with self._lock:
            return self._running

    def _work(self) -> None:
        while self._goes_on():
            try:
                more = self._look()
            except OpsError as error:
                # It stays in the record, and whoever comes next asks again.
                logging.getLogger(__name__).warning("no look for an alert: %s", error.what)
                continue
            if more:
                with self._lock:
                    self._again = True

    def _goes_on(self) -> bool:
        with self._lock:
            self._running, self._again = self._again, False
            return self._running


def looks_of(
    settings: Settings, clock: Clock, launching: Callable[[Settings, str, dict[str, Any]], dict[str, Any]]
) -> Looks:
    """The looks of one profile; `launching` runs a module in a process of its own."""

    def look() -> bool:
        from ops_core.incident.alerting import cut_off, pending

        with plane_of(settings, clock, ACTOR).snapshot() as found:
            idle = not pending(found) and not cut_off(found)
        if idle or why_stopped(plane_of(settings, clock, ACTOR).state()):
            return False
        return bool(launching(settings, MODULE, {"actor": ACTOR}).get("left"))

    return Looks(look)
