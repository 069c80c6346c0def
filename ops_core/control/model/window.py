"""The window: time-boxed permission for one real run, opened by one person and by the keys of two others.

`requested -> active -> consumed`, or expired or revoked on the way. One is open at a time. The approvals are bound to
the digest of all that the window permits, so what is approved is what is done, or nothing is.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import datetime, timedelta

from ops_core.control.model.permit import OUTBOX_MAX, Permit, RemediationPermit
from ops_core.control.model.state import KEYS_NEEDED, OPEN, WINDOW_MAX_S, Approval, ControlState, Window, WindowStatus
from ops_core.control.model.stop import RELEASE_COMMAND, why_stopped
from ops_core.control.model.texts import (
    NOBODY,
    REASON_MAX_CHARS,
    instant_text,
    required_reason,
    tidy,
    whole_ms,
)
from ops_core.errors import Refused, UsageError

PURPOSE = "live_fire"
REMEDIATION_PURPOSE = "remediation"
REQUEST_COMMAND = "ops window request --reason … --for 60m"
APPROVE_COMMAND = "ops approve"
REVOKE_COMMAND = "ops window revoke --reason …"


def window_status(window: Window, now: datetime) -> WindowStatus:
    """What counts at `now`: an open window holds in `[requested_at, expires_at)` and is EXPIRED outside of it."""
    if window.status in OPEN and not window.requested_at <= now < window.expires_at:
        return WindowStatus.EXPIRED
    return window.status


def is_active(state: ControlState, now: datetime) -> bool:
    """Whether there is a window with both keys that nobody used, revoked or let run out."""
    return state.window is not None and window_status(state.window, now) is WindowStatus.ACTIVE


def is_open(state: ControlState, now: datetime) -> bool:
    """Whether a window is requested or active."""
    return state.window is not None and window_status(state.window, now) in OPEN


def remaining_s(window: Window, now: datetime) -> int:
    """Whole seconds until an open window runs out; 0 where it is not open."""
    if window_status(window, now) not in OPEN:
        return 0
    return int((window.expires_at - now).total_seconds())


def permit_text(window: Window, store_id: str) -> str:
    """The text that approvals sign: canonical JSON of everything the window permits, of no other store and window."""
    return json.dumps(
        {
            "purpose": PURPOSE if isinstance(window.permit, Permit) else REMEDIATION_PURPOSE,
            "store": store_id,
            "window": window.id,
            "requested_by": window.requested_by,
            "requester_key": window.requester_key,
            "requested_at": instant_text(window.requested_at),
            "expires_at": instant_text(window.expires_at),
            "reason": window.reason,
            "permit": window.permit.as_dict(),
        },
        sort_keys=True,
        separators=(",", ":"),
    )


def permit_digest(window: Window, store_id: str) -> str:
    """SHA-256 over `permit_text`, in hexadecimal: what an approval names and signs."""
    return hashlib.sha256(permit_text(window, store_id).encode("ascii")).hexdigest()


def request_window(
    state: ControlState,
    permit: Permit | RemediationPermit,
    *,
    window_id: str,
    store_id: str,
    requester: str,
    requester_key: str,
    reason: str,
    duration_s: int,
    now: datetime,
) -> ControlState:
    """The state with a new window that waits for its two keys.

    Raises:
        UsageError: no fit reason or duration, or nobody who asks.
        Refused: the emergency stop is engaged, there is nothing to send, or another window is open.
    """
    fit_reason = required_reason(reason, "requesting a window", REQUEST_COMMAND)
    if type(duration_s) is not int or not 0 < duration_s <= WINDOW_MAX_S:
        raise UsageError(
            f"a window cannot be open for {duration_s} s",
            where="duration",
            allowed=f"1 to {WINDOW_MAX_S} s (8 hours)",
            next_step=REQUEST_COMMAND,
        )
    _check_person(requester, requester_key)
    _refuse_stopped(state)
    if state.window is not None and is_open(state, now):
        raise Refused(
            f"the window {state.window.id} is still {window_status(state.window, now)}",
            where="window",
            allowed="one open window at a time",
            next_step=f"{REVOKE_COMMAND}, or use it",
        )
    _refuse_empty(permit)
    at = whole_ms(now)
    window = Window(
        id=window_id,
        status=WindowStatus.REQUESTED,
        requested_by=requester,
        requester_key=requester_key,
        requested_at=at,
        expires_at=at + timedelta(seconds=duration_s),
        reason=fit_reason,
        permit=permit,
        permit_digest="",
    )
    return replace(state, window=replace(window, permit_digest=permit_digest(window, store_id)))


def approve(
    state: ControlState, *, operator: str, public_key: str, digest: str, signature: str, now: datetime
) -> ControlState:
    """The state with one more key at the open window. Whoever calls has verified the signature over `digest`.

    Raises:
        UsageError: this is nobody's name or key.
        Refused: no window is open, the digest is another one, or the person stands at this window already.
    """
    _check_person(operator, public_key)
    _refuse_stopped(state)
    window = state.window
    if window is None or window_status(window, now) not in OPEN:
        found = "there is no window" if window is None else f"the window is {window_status(window, now)}"
        raise Refused(f"nothing can be approved: {found}", where="window", next_step=REQUEST_COMMAND)
    if digest != window.permit_digest:
        raise Refused(
            "the approval is for something else than the open window permits",
            where=f"window {window.id}",
            allowed=f"its digest {window.permit_digest}",
            next_step="look at the window, then approve what it shows",
        )
    if window.status is WindowStatus.ACTIVE:
        raise Refused("both keys are given already", where=f"window {window.id}", next_step=_use(window))
    if _same_person(operator, public_key, window.requested_by, window.requester_key):
        raise Refused(
            f"{operator} requested the window and cannot approve it",
            where=f"window {window.id}",
            allowed="two other people",
        )
    if any(_same_person(operator, public_key, given.operator, given.public_key) for given in window.approvals):
        raise Refused(
            f"{operator} has given a key already", where=f"window {window.id}", allowed="two different people"
        )
    given = Approval(
        operator=operator, public_key=public_key, permit_digest=digest, signature=signature, at=whole_ms(now)
    )
    approvals = (*window.approvals, given)
    status = WindowStatus.ACTIVE if len(approvals) == KEYS_NEEDED else WindowStatus.REQUESTED
    return replace(state, window=replace(window, approvals=approvals, status=status))


def revoke(state: ControlState, reason: str, actor: str, now: datetime) -> ControlState:
    """The state with the open window revoked.

    Raises:
        UsageError: no fit reason.
        Refused: no window is open.
    """
    fit_reason = required_reason(reason, "revoking a window", REVOKE_COMMAND)
    if state.window is None or not is_open(state, now):
        raise Refused("no window is open", where="window", next_step="ops window status")
    return close(state, WindowStatus.REVOKED, fit_reason, actor, now)


def note_expiry(state: ControlState, now: datetime) -> ControlState:
    """The state with a window that ran out recorded as EXPIRED; the same state where none did.

    What counts at an instant never depends on this having been recorded.
    """
    window = state.window
    if window is None or window.status not in OPEN or window_status(window, now) is not WindowStatus.EXPIRED:
        return state
    return close(state, WindowStatus.EXPIRED, "its time ran out", NOBODY, now)


def close(state: ControlState, status: WindowStatus, reason: str, actor: str, now: datetime) -> ControlState:
    """The state with its open window ended as `status`."""
    window = state.window
    if window is None or window.status not in OPEN:
        raise ValueError("no window is open")
    closed = replace(
        window,
        status=status,
        closed_at=whole_ms(now),
        closed_by=tidy(actor, NOBODY),
        closed_reason=tidy(reason, status.value, REASON_MAX_CHARS),
    )
    return replace(state, window=closed)


def _use(window: Window) -> str:
    """What is typed to use a window."""
    if isinstance(window.permit, Permit):
        return "ops live-fire run"
    return f"ops remediate {window.permit.remediation} --target {window.permit.target} --apply"


def _refuse_empty(permit: Permit | RemediationPermit) -> None:
    """A window for messages needs some, and not too many; what a remediation does is in its plan."""
    if isinstance(permit, RemediationPermit):
        return
    if not permit.message_ids:
        raise Refused(
            "there is nothing to send, so there is nothing to approve",
            where="outbox",
            allowed="at least one message that is PENDING",
            next_step="ops outbox add --text …",
        )
    if len(permit.message_ids) > OUTBOX_MAX:
        raise Refused(
            f"{len(permit.message_ids)} messages are too many for one window",
            where="outbox",
            allowed=f"at most {OUTBOX_MAX}",
            next_step="ops outbox withdraw …",
        )


def _check_person(name: str, public_key: str) -> None:
    """Names and keys are compared as they are: a blank more must not make another person of somebody."""
    if not name or tidy(name, "") != name or not public_key or tidy(public_key, "") != public_key:
        raise UsageError(f"{name!r} is nobody with a key", where="operator", allowed="an operator with a public key")


def _same_person(name: str, public_key: str, other: str, other_key: str) -> bool:
    return name.casefold() == other.casefold() or public_key.casefold() == other_key.casefold()


def _refuse_stopped(state: ControlState) -> None:
    stopped = why_stopped(state)
    if stopped:
        raise Refused(stopped, where="emergency stop", next_step=state.remedy or RELEASE_COMMAND)
