"""The latch and the recorded stop together: either of them stops, and neither is written into the other."""

from __future__ import annotations

from dataclasses import replace

from ops_core.control.files import Latch
from ops_core.control.model import ControlState


def stop_of(state: ControlState) -> tuple[object, ...]:
    """All that a state says about the stop."""
    return state.stopped, state.stop_reason, state.stopped_by, state.stopped_at


def with_stop(state: ControlState, other: ControlState) -> ControlState:
    """The state with the stop of another one."""
    return replace(
        state,
        stopped=other.stopped,
        stop_reason=other.stop_reason,
        stopped_by=other.stopped_by,
        stopped_at=other.stopped_at,
    )


def latched(state: ControlState, latch: Latch | None) -> ControlState:
    """The state that counts with the latch beside the store: its presence is a stop."""
    if latch is None:
        return state
    return replace(state, stopped=True, stop_reason=latch.reason, stopped_by=latch.actor, stopped_at=latch.at)
