"""The control state as JSON, once, for the server and the command line: what counts at an instant, beside what was set.

Pure. The names are those that runbooks and receipts read.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ops_core.control import model
from ops_core.control.model import ControlState
from ops_core.control.model.live_fire import external_send
from ops_core.control.model.texts import instant_text
from ops_core.control.model.window import remaining_s, window_status

NONE = "NONE"


def modes(state: ControlState, now: datetime) -> dict[str, Any]:
    """The modes that are in force, under the names of the receipts."""
    return {
        "emergency_stop": state.stopped,
        "execution_gate": model.effective_gate(state, now).value,
        "delivery_policy": model.delivery_policy(state, now).value,
        "real_sender_enable": model.sender_on(state, now),
        "external_send": external_send(state, now),
    }


def stop_of(state: ControlState) -> dict[str, Any]:
    """The emergency stop as JSON."""
    return {
        "enabled": state.stopped,
        "reason": state.stop_reason,
        "by": state.stopped_by,
        "at": instant_text(state.stopped_at),
        "problem": state.problem,
        "next": state.remedy,
    }


def gate_of(state: ControlState, now: datetime) -> dict[str, Any]:
    """The gate as JSON: `mode` is the one in force."""
    return {
        "mode": model.effective_gate(state, now).value,
        "set": state.gate.value,
        "reason": state.gate_reason,
        "by": state.gate_by,
        "at": instant_text(state.gate_at),
        "until": instant_text(state.gate_until),
        "problem": state.problem,
    }


def window_of(state: ControlState, now: datetime) -> dict[str, Any]:
    """The latest window as JSON."""
    window = state.window
    if window is None:
        return {"status": NONE, "active": False, "consumed": False, "ttl_s": 0, "problem": state.problem}
    found = window_status(window, now)
    return {
        **{name: value for name, value in window.as_dict().items() if name != "approvals"},
        "status": found.value,
        "active": found is model.WindowStatus.ACTIVE,
        "consumed": found is model.WindowStatus.CONSUMED,
        "ttl_s": remaining_s(window, now),
        "keys": [given.operator for given in window.approvals],
        "problem": state.problem,
    }


def approvals_of(state: ControlState, now: datetime) -> dict[str, Any]:
    """The approvals of the latest window as JSON."""
    window = state.window
    if window is None:
        return {"status": NONE, "keys": [], "keys_needed": model.KEYS_NEEDED, "problem": state.problem}
    return {
        "status": "APPROVED" if len(window.approvals) == model.KEYS_NEEDED else "PENDING",
        "window": window.id,
        "window_status": window_status(window, now).value,
        "keys": [{"operator": given.operator, "at": instant_text(given.at)} for given in window.approvals],
        "keys_needed": model.KEYS_NEEDED,
        "permit_digest": window.permit_digest,
        "problem": state.problem,
    }


def sender_of(state: ControlState, now: datetime) -> dict[str, Any]:
    """The sender as JSON: `enabled` is what counts now."""
    return {
        "enabled": model.sender_on(state, now),
        "channel": model.delivery_policy(state, now).value,
        "reason": state.sender.reason,
        "by": state.sender.by,
        "at": instant_text(state.sender.at),
        "until": instant_text(state.sender.until),
        "problem": state.problem,
    }
