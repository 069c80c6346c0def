"""What would a live fire see now?"""

from __future__ import annotations

from typing import cast

from ops_core.evidence import LiveFireEvidence
from ops_core.probes.instruments import OperationsInstrument
from ops_core.probes.registry import probe


@probe(budget_s=20)
def live_fire(operations: OperationsInstrument) -> LiveFireEvidence:
    """Judge the eight preconditions of a live fire at one instant; nothing is burnt by looking."""
    return cast("LiveFireEvidence", operations.see("live_fire"))
