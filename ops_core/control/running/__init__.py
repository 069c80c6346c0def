"""Work that runs, and its end: the emergency stop acknowledges when nothing that could act is left.

`registry` knows who works, `processes` how this host shows it, `ending` ends it, `stopping` puts the stop together.
"""

from ops_core.control.running.records import Acknowledged, EndedWork, Ending, LeftWork, OpenWork
from ops_core.control.running.registry import Work, WorkEnded, open_works, registered
from ops_core.control.running.stopping import PATIENCE_S, end_all, engage_and_end

__all__ = [
    "PATIENCE_S",
    "Acknowledged",
    "EndedWork",
    "Ending",
    "LeftWork",
    "OpenWork",
    "Work",
    "WorkEnded",
    "end_all",
    "engage_and_end",
    "open_works",
    "registered",
]
