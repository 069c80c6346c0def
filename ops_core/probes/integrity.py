"""Was anything around the control store changed behind the program's back, or tried without permission?"""

from __future__ import annotations

from typing import cast

from ops_core.evidence import IntegrityEvidence
from ops_core.probes.instruments import OperationsInstrument
from ops_core.probes.registry import probe


@probe(budget_s=20)
def integrity(operations: OperationsInstrument) -> IntegrityEvidence:
    """Compare mirrors, tickets, logs and contracts with the store, and the store with its own history."""
    return cast("IntegrityEvidence", operations.see("integrity"))
