"""The fault catalogue by name. Nothing in it is faked on the observing side: services are really broken, and healed."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from ops_core.drill.catalogue.alone import ALONE
from ops_core.drill.catalogue.bundle import BUNDLE
from ops_core.drill.catalogue.circumstances import UNDER_CIRCUMSTANCES
from ops_core.drill.catalogue.container import CONTAINER
from ops_core.drill.catalogue.control import CONTROL
from ops_core.drill.catalogue.deployed import DEPLOYED
from ops_core.drill.catalogue.foundations import FOUNDATIONS
from ops_core.drill.catalogue.pairs import EMBEDDED_PAIRS, SERVICE_PAIRS
from ops_core.drill.catalogue.promises import PROMISES
from ops_core.drill.catalogue.running import RUNNING
from ops_core.drill.catalogue.service import SINGLE
from ops_core.drill.fault import Fault
from ops_core.errors import UsageError

__all__ = ["CATALOGUE", "FAULTS", "SERVICE", "Fault", "fault_named"]

# What is broken on the embedded stack and on the service stack; beside them, what other stacks are made for.
CATALOGUE: tuple[Fault, ...] = (*RUNNING, *DEPLOYED, *EMBEDDED_PAIRS)
SERVICE: tuple[Fault, ...] = (*SINGLE, *PROMISES, *UNDER_CIRCUMSTANCES, *SERVICE_PAIRS)
OTHERS: tuple[Fault, ...] = (*ALONE, *CONTROL, *BUNDLE, *CONTAINER, *FOUNDATIONS)
FAULTS: Mapping[str, Fault] = {fault.name: fault for fault in (*CATALOGUE, *SERVICE, *OTHERS)}


# More names than this are not read by anybody who has mistyped one.
TOLD_MAX = 12


def fault_named(name: str, faults: Mapping[str, Fault] | None = None) -> Fault:
    """The fault of that name, of the shipped ones where no others are given.

    Raises:
        UsageError: there is none; the message lists them, or where there are too many says what does.
    """
    known = FAULTS if faults is None else faults
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        raise UsageError(
            f"there is no fault {name!r}",
            where="the fault catalogue",
            allowed=", ".join(known) if len(known) <= TOLD_MAX else f"one of {len(known)}: ops drill list shows them",
            next_step=f"did you mean {close[0]!r}?" if close else "",
        )
    return known[name]
