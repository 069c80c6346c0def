"""Is the control plane at rest: not stopped, and not left open for real changes?"""

import pytest

from ops_core import CannotLook, ControlEvidence, finding


@pytest.mark.observe
@finding("emergency_stop.engaged")
def check_emergency_stop_is_released(control_state: ControlEvidence) -> None:
    """The emergency stop is released; a control store that cannot be read counts as engaged."""
    assert not control_state.stopped, control_state.explain()


@pytest.mark.observe
@finding("gate.real_enabled")
def check_gate_is_at_rest(control_state: ControlEvidence) -> None:
    """The gate stands at MOCK_ONLY or DRY_RUN while nobody carries out a real change."""
    if control_state.problem:
        raise CannotLook(control_state.problem)
    assert control_state.gate in {"MOCK_ONLY", "DRY_RUN"}, control_state.explain()
