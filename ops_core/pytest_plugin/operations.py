"""Who reads what the operations have recorded about themselves, for the instrument `operations`.

Probes stand below the packages whose records they look at. Only the reader that is asked for gets imported.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

from ops_core.clock import Clock
from ops_core.config import Settings
from ops_core.errors import CannotLook
from ops_core.evidence import Evidence

# name -> the function `(settings, clock) -> Evidence`, as module:function.
READERS = {
    "daily": "ops_core.cycle.reading:read_daily",
    "handoff": "ops_core.split.reading:read_handoff",
    "incidents": "ops_core.incident.reading:read_incidents",
    "integrity": "ops_core.control.integrity.survey:read_integrity",
    "live_fire": "ops_core.push.reading:read_live_fire",
}


def read(what: str, settings: Settings, clock: Clock) -> Evidence:
    """The evidence of that name.

    Raises:
        CannotLook: there is none of that name, or it cannot be read.
    """
    if what not in READERS:
        raise CannotLook(f"nobody reads {what!r}", allowed=", ".join(READERS))
    module, _, function = READERS[what].partition(":")
    reader: Callable[[Settings, Clock], Evidence] = getattr(importlib.import_module(module), function)
    return reader(settings, clock)
