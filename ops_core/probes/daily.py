"""What does the daily checklist see: the control plane, and the cycle that ran last?"""

from __future__ import annotations

from typing import cast

from ops_core.evidence import DailyEvidence
from ops_core.probes.instruments import OperationsInstrument
from ops_core.probes.registry import probe


@probe(budget_s=20)
def daily(operations: OperationsInstrument) -> DailyEvidence:
    """Read stop, gate, window, approvals and the latest cycle from the control plane's store, at one instant."""
    return cast("DailyEvidence", operations.see("daily"))
