"""Two keys for a remediation that cannot be left to one person: an active window that permits exactly its plan.

The gate says how far anything may go; this says that two people looked at these very steps. It is asked in the
transaction that arms the first step, and the window is consumed there: one approval, one use.
"""

from __future__ import annotations

from datetime import datetime

from ops_core.control.model.permit import RemediationPermit
from ops_core.control.model.state import ControlState, WindowStatus
from ops_core.control.model.texts import instant_text
from ops_core.control.model.window import APPROVE_COMMAND, close, window_status
from ops_core.errors import Refused


def request_command(permit: RemediationPermit) -> str:
    """What is typed to ask for the keys."""
    return f"ops window request --remediation {permit.remediation} --target {permit.target} --reason … --for 60m"


def two_keys_problem(state: ControlState, permit: RemediationPermit, keys_problem: str, now: datetime) -> str:
    """Why no window permits this plan at `now`; empty where one does.

    Args:
        state: the control state.
        permit: what is about to be done.
        keys_problem: why the signatures of the window do not prove themselves; empty where they do.
        now: the instant at which it is about to be done.
    """
    window = state.window
    if window is None:
        return "no window was requested for it"
    if not isinstance(window.permit, RemediationPermit):
        return f"the window {window.id} is for a live fire"
    status = window_status(window, now)
    if status is WindowStatus.REQUESTED:
        return f"the window is REQUESTED, {len(window.approvals)} of 2 keys given"
    if status is not WindowStatus.ACTIVE:
        return f"the window is {status} {instant_text(window.closed_at or window.expires_at)}"
    if (window.permit.remediation, window.permit.target) != (permit.remediation, permit.target):
        return f"the window permits {window.permit.remediation} of {window.permit.target}"
    if window.permit.plan_digest != permit.plan_digest:
        return f"the plan is not the one that was approved ({window.permit.plan_digest[:12]})"
    return keys_problem


def consume(
    state: ControlState, permit: RemediationPermit, keys_problem: str, use: str, actor: str, now: datetime
) -> ControlState:
    """The state in which the window is used up by `use`.

    Raises:
        Refused: no window permits it; nothing is used up.
    """
    problem = two_keys_problem(state, permit, keys_problem, now)
    if problem:
        raise Refused(
            f"{permit.remediation} of {permit.target} needs two keys: {problem}",
            where="window",
            allowed=f"an active window for the plan {permit.plan_digest}",
            next_step=next_step(state, permit, now),
        )
    return close(state, WindowStatus.CONSUMED, use, actor, now)


def next_step(state: ControlState, permit: RemediationPermit, now: datetime) -> str:
    """What brings the keys nearer: the missing ones where a window for this plan waits, else a window."""
    window = state.window
    waits = window is not None and window.permit == permit and window_status(window, now) is WindowStatus.REQUESTED
    return APPROVE_COMMAND if waits else request_command(permit)
