"""How does the hand-off stand on the operator's host?"""

from __future__ import annotations

from typing import cast

from ops_core.evidence import HandoffEvidence
from ops_core.probes.instruments import OperationsInstrument
from ops_core.probes.registry import probe


@probe(budget_s=20)
def handoff(operations: OperationsInstrument) -> HandoffEvidence:
    """Prove the bundle in force, and read the newest pull, summary and live cycle from the record, at one instant."""
    return cast("HandoffEvidence", operations.see("handoff"))
