"""Which acts need a person's token: those that can lead to a real effect, from the state in which they are asked for.

Pure. What makes things safer never needs anybody: engaging the stop, closing the gate, switching the sender off. Where
the state is not known, everything else needs a token.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from ops_core.control.model import ControlState, Gate, effective_gate, sender_on
from ops_core.control.model.window import is_open


class Act(StrEnum):
    """What can be asked for, by the name of the scope that a token needs for it."""

    RELEASE = "stop"
    GATE = "gate"
    WINDOW = "window"
    APPROVE = "approve"
    SENDER = "sender"
    FIRE = "fire"
    CYCLE = "cycle"
    ALERT = "alert"


def at_rest(state: ControlState, now: datetime) -> bool:
    """Whether nothing is prepared: the state is known, the gate not open for real, no sender on, no window open."""
    return (
        not state.problem
        and effective_gate(state, now) is not Gate.REAL_ENABLED
        and not sender_on(state, now)
        and not is_open(state, now)
    )


def closes(act: Act, state: ControlState, now: datetime, gate: Gate = Gate.DRY_RUN) -> bool:
    """Whether closing makes anything safer than it is: only so often can that be done as somebody has opened it.

    Args:
        act: GATE or SENDER.
        state: what is there.
        now: the time.
        gate: the one that is wanted.
    """
    if state.problem:
        return True
    if act is Act.SENDER:
        return state.sender.enabled
    found = effective_gate(state, now)
    return found is Gate.REAL_ENABLED or (found is Gate.MOCK_ONLY and gate is Gate.DRY_RUN)


def needs_token(act: Act, state: ControlState, now: datetime) -> bool:
    """Whether the act needs a token with its scope in this state."""
    if act in {Act.WINDOW, Act.APPROVE, Act.SENDER, Act.GATE, Act.ALERT}:
        return True
    return not at_rest(state, now)
