"""Is the emergency stop engaged, and may anything real happen?"""

from __future__ import annotations

from ops_core.evidence import ControlEvidence
from ops_core.probes.instruments import ControlInstrument
from ops_core.probes.registry import probe


@probe(budget_s=5)
def control_state(control: ControlInstrument) -> ControlEvidence:
    """Read emergency stop and gate from the control plane's store."""
    return control.state()
