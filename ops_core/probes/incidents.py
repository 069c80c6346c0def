"""Which incidents do people handle, and is an update overdue?"""

from __future__ import annotations

from typing import cast

from ops_core.evidence import IncidentsEvidence
from ops_core.probes.instruments import OperationsInstrument
from ops_core.probes.registry import probe


@probe(budget_s=10)
def incidents(operations: OperationsInstrument) -> IncidentsEvidence:
    """Read the open incidents from the control plane's store, at one instant."""
    return cast("IncidentsEvidence", operations.see("incidents"))
