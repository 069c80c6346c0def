"""The fault catalogue. Nothing in it is faked on the observing side: services are really broken, and really healed.

It has a fault for each row of the shipped decision table that speaks about a target, so that rehearsing all of them
shows that all rows, checks and remediations work. `CATALOGUE` is that of the embedded stack, `SERVICE` that of the
service stack.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from ops_core.drill.fault import Fault
from ops_core.drill.faults_deployed import DEPLOYED
from ops_core.drill.faults_running import RUNNING
from ops_core.drill.faults_service import SERVICE
from ops_core.errors import UsageError

__all__ = ["CATALOGUE", "FAULTS", "SERVICE", "Fault", "fault_named"]

CATALOGUE: tuple[Fault, ...] = (*RUNNING, *DEPLOYED)
FAULTS: Mapping[str, Fault] = {fault.name: fault for fault in (*CATALOGUE, *SERVICE)}


def fault_named(name: str) -> Fault:
    """The fault of that name.

    Raises:
        UsageError: there is none; the message lists those there are.
    """
    if name not in FAULTS:
        close = difflib.get_close_matches(name, FAULTS, n=1)
        raise UsageError(
            f"there is no fault {name!r}",
            where="the fault catalogue",
            allowed=", ".join(FAULTS),
            next_step=f"did you mean {close[0]!r}?" if close else "",
        )
    return FAULTS[name]
