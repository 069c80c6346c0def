"""Emergency stop: engaging never refuses, releasing needs a reason."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from ops_core.control.model.state import ControlState
from ops_core.control.model.texts import NOBODY, REASON_MAX_CHARS, required_reason, tidy, whole_ms

ENGAGED = "engaged"
RELEASE_COMMAND = "ops estop release --reason …"


def engage(state: ControlState, reason: str, actor: str, now: datetime) -> ControlState:
    """The state with the emergency stop engaged. Never refuses: an unfit reason is made fit, an empty one replaced."""
    return replace(
        state,
        stopped=True,
        stop_reason=tidy(reason, ENGAGED, REASON_MAX_CHARS),
        stopped_by=tidy(actor, NOBODY),
        stopped_at=whole_ms(now),
    )


def release(state: ControlState, reason: str, actor: str, now: datetime) -> ControlState:
    """The state with the emergency stop released. Releasing what is not engaged is allowed and changes the reason only.

    Raises:
        UsageError: there is no reason, or it is not one line of at most 500 characters.
    """
    return replace(
        state,
        stopped=False,
        stop_reason=required_reason(reason, "releasing the emergency stop", RELEASE_COMMAND),
        stopped_by=tidy(actor, NOBODY),
        stopped_at=whole_ms(now),
    )


def why_stopped(state: ControlState) -> str:
    """Why nothing may happen, in words; empty where the stop is released and known to be."""
    if state.problem:
        return f"the emergency stop counts as engaged: {state.problem}"
    return f"the emergency stop is engaged: {state.stop_reason}" if state.stopped else ""
