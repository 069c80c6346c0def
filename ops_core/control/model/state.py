"""The control state: one frozen aggregate of emergency stop, gate, sender and window, and how it is recorded.

It is one value and one row, so that every transition sees all of it and two transitions never mix. `version` grows with
every change. Reading it back believes nothing: a document that no transition could have left is damage.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from ops_core.control.model.permit import Channel, Permit, RemediationPermit, read_channel, read_member, read_permit
from ops_core.control.model.texts import (
    NOBODY,
    instant_text,
    read_flag,
    read_instant,
    read_name,
    read_reason,
    read_text,
    tidy,
    whole_ms,
)

REAL_TTL_MAX_S = 8 * 3600
WINDOW_MAX_S = 8 * 3600
SENDER_TTL_S = 3600
KEYS_NEEDED = 2
NOT_YET_RELEASED = "not yet released"


class Gate(StrEnum):
    """The execution mode: what an allowed remediation may touch."""

    MOCK_ONLY = "MOCK_ONLY"
    DRY_RUN = "DRY_RUN"
    REAL_ENABLED = "REAL_ENABLED"


class WindowStatus(StrEnum):
    """How far a window has come. Nothing leads out of the last three."""

    REQUESTED = "REQUESTED"
    ACTIVE = "ACTIVE"
    CONSUMED = "CONSUMED"
    EXPIRED = "EXPIRED"
    REVOKED = "REVOKED"


OPEN = frozenset({WindowStatus.REQUESTED, WindowStatus.ACTIVE})


@dataclass(frozen=True, kw_only=True)
class Sender:
    """Whether messages may leave, and on which channel. Enabling ends by itself at `until`."""

    enabled: bool = False
    channel: Channel = Channel.CONSOLE_ONLY
    reason: str = "default"
    by: str = NOBODY
    at: datetime | None = None
    until: datetime | None = None

    def as_dict(self) -> dict[str, object]:
        """As JSON values."""
        return {
            "enabled": self.enabled,
            "channel": self.channel.value,
            "reason": self.reason,
            "by": self.by,
            "at": instant_text(self.at),
            "until": instant_text(self.until),
        }


@dataclass(frozen=True, kw_only=True)
class Approval:
    """One key: who gave it, with which key, on which permit, and the signature that proves it (hexadecimal)."""

    operator: str
    public_key: str
    permit_digest: str
    signature: str
    at: datetime

    def as_dict(self) -> dict[str, object]:
        """As JSON values."""
        return {
            "operator": self.operator,
            "public_key": self.public_key,
            "permit_digest": self.permit_digest,
            "signature": self.signature,
            "at": instant_text(self.at),
        }


@dataclass(frozen=True, kw_only=True)
class Window:
    """Time-boxed permission for one real run, good in `[requested_at, expires_at)`.

    `status` is what was recorded; `window.window_status` says what counts at an instant. `permit_digest` covers the
    permit and the window itself; each approval names it.
    """

    id: str
    status: WindowStatus
    requested_by: str
    requester_key: str
    requested_at: datetime
    expires_at: datetime
    reason: str
    permit: Permit | RemediationPermit
    permit_digest: str
    approvals: tuple[Approval, ...] = ()
    closed_at: datetime | None = None
    closed_by: str = ""
    closed_reason: str = ""

    @property
    def run_id(self) -> str | None:
        """Of the one live fire that it permits; None where it permits something else."""
        return self.permit.run_id if isinstance(self.permit, Permit) else None

    def as_dict(self) -> dict[str, object]:
        """As JSON values."""
        return {
            "id": self.id,
            "status": self.status.value,
            "requested_by": self.requested_by,
            "requester_key": self.requester_key,
            "requested_at": instant_text(self.requested_at),
            "expires_at": instant_text(self.expires_at),
            "reason": self.reason,
            "permit": self.permit.as_dict(),
            "permit_digest": self.permit_digest,
            "approvals": [approval.as_dict() for approval in self.approvals],
            "closed_at": instant_text(self.closed_at),
            "closed_by": self.closed_by,
            "closed_reason": self.closed_reason,
        }


@dataclass(frozen=True, kw_only=True)
class ControlState:
    """Emergency stop, gate, sender and window, with who set them, when and why.

    `stop_reason`, `stopped_by` and `stopped_at` tell of the last change of the stop, be it engaging or releasing.
    `gate` is what was set; `effective_gate` is what counts now. `window` is the latest one, whatever became of it.
    `problem` is not empty where the state could not be known, and `remedy` then says what to do; such a state is always
    stopped. `version` grows with every change.
    """

    stopped: bool = True
    stop_reason: str = NOT_YET_RELEASED
    stopped_by: str = NOBODY
    stopped_at: datetime | None = None
    gate: Gate = Gate.DRY_RUN
    gate_reason: str = "default"
    gate_by: str = NOBODY
    gate_at: datetime | None = None
    gate_until: datetime | None = None
    sender: Sender = Sender()
    window: Window | None = None
    version: int = 0
    problem: str = ""
    remedy: str = ""

    def as_dict(self) -> dict[str, object]:
        """The recorded part as JSON values: what the audit row of a change holds."""
        return {
            "stopped": self.stopped,
            "stop_reason": self.stop_reason,
            "stopped_by": self.stopped_by,
            "stopped_at": instant_text(self.stopped_at),
            "gate": self.gate.value,
            "gate_reason": self.gate_reason,
            "gate_by": self.gate_by,
            "gate_at": instant_text(self.gate_at),
            "gate_until": instant_text(self.gate_until),
            "sender": self.sender.as_dict(),
            "window": None if self.window is None else self.window.as_dict(),
        }


def initial(actor: str, now: datetime) -> ControlState:
    """The state of a store that was just made: stopped, and nothing but rehearsing on paper."""
    at, who = whole_ms(now), tidy(actor, NOBODY)
    return ControlState(stopped_by=who, stopped_at=at, gate_by=who, gate_at=at, sender=Sender(by=who, at=at))


def unknown(problem: str, remedy: str = "") -> ControlState:
    """The state that counts when the recorded one is missing, unreadable or not to be trusted: stopped."""
    return ControlState(stop_reason=f"counts as engaged: {problem}", problem=problem, remedy=remedy)


def from_values(values: Mapping[str, object], version: int) -> ControlState:
    """The state that `as_dict` wrote.

    Raises:
        ValueError: a value is missing, of another type, or not one that a transition could have left.
    """
    gate = read_member(values, "gate", Gate)
    state = ControlState(
        stopped=read_flag(values, "stopped"),
        stop_reason=read_reason(values, "stop_reason"),
        stopped_by=read_name(values, "stopped_by"),
        stopped_at=read_instant(values, "stopped_at"),
        gate=Gate(gate),
        gate_reason=read_reason(values, "gate_reason"),
        gate_by=read_name(values, "gate_by"),
        gate_at=read_instant(values, "gate_at"),
        gate_until=read_instant(values, "gate_until"),
        sender=_sender(_table(values, "sender")),
        window=None if values.get("window") is None else _window(_table(values, "window")),
        version=version,
    )
    if state.stopped_at is None or state.gate_at is None:
        raise ValueError("the time of the last change is missing")
    if (state.gate is Gate.REAL_ENABLED) != (state.gate_until is not None):
        raise ValueError(f"a gate {state.gate} cannot end at {instant_text(state.gate_until)}")
    longest = timedelta(seconds=REAL_TTL_MAX_S)
    if state.gate_until is not None and not timedelta(0) < state.gate_until - state.gate_at <= longest:
        raise ValueError(f"a gate {state.gate} cannot stay open until {instant_text(state.gate_until)}")
    _check_exact(values, state.as_dict())
    return state


def _check_exact(values: Mapping[str, object], told: Mapping[str, object]) -> None:
    """What was read has to be what would be written, to the letter: another spelling is another document."""
    for name, value in told.items():
        if name not in values or values[name] != value:
            raise ValueError(f"{name} is {values.get(name, 'missing')!r}, which was never written")


def _sender(values: Mapping[str, object]) -> Sender:
    sender = Sender(
        enabled=read_flag(values, "enabled"),
        channel=read_channel(values),
        reason=read_reason(values, "reason"),
        by=read_name(values, "by"),
        at=read_instant(values, "at"),
        until=read_instant(values, "until"),
    )
    if sender.enabled != (sender.until is not None) or sender.at is None:
        raise ValueError("a sender is enabled exactly while it has an end, and its last change has a time")
    if not sender.enabled and sender.channel is not Channel.CONSOLE_ONLY:
        raise ValueError(f"a sender that is off has no channel {sender.channel}")
    if sender.until is not None and not timedelta(0) < sender.until - sender.at <= timedelta(seconds=SENDER_TTL_S):
        raise ValueError(f"a sender cannot stay enabled until {instant_text(sender.until)}")
    return sender


def _window(values: Mapping[str, object]) -> Window:
    status = WindowStatus(read_member(values, "status", WindowStatus))
    open_ = status in OPEN
    permit = _table(values, "permit")
    approvals = values.get("approvals")
    if not isinstance(approvals, list) or len(approvals) > KEYS_NEEDED:
        raise ValueError("the approvals of the window are damaged")
    window = Window(
        id=read_text(values, "id"),
        status=status,
        requested_by=read_name(values, "requested_by"),
        requester_key=read_text(values, "requester_key"),
        requested_at=_needed(values, "requested_at"),
        expires_at=_needed(values, "expires_at"),
        reason=read_reason(values, "reason"),
        permit=read_permit(permit),
        permit_digest=read_text(values, "permit_digest"),
        approvals=tuple(_approval(approval) for approval in approvals),
        closed_at=read_instant(values, "closed_at"),
        closed_by="" if open_ else read_name(values, "closed_by"),
        closed_reason="" if open_ else read_reason(values, "closed_reason"),
    )
    _check_window(window)
    return window


def _check_window(window: Window) -> None:
    start, end, given = window.requested_at, window.expires_at, window.approvals
    if not timedelta(0) < end - start <= timedelta(seconds=WINDOW_MAX_S):
        raise ValueError(f"a window cannot stay open until {instant_text(end)}")
    people = [window.requested_by, *(approval.operator for approval in given)]
    keys = [window.requester_key, *(approval.public_key for approval in given)]
    if any(len({one.casefold() for one in many}) != len(many) for many in (people, keys)):
        raise ValueError("one person cannot stand for two at a window")
    if any(approval.permit_digest != window.permit_digest for approval in given):
        raise ValueError("an approval of the window is for something else")
    if not all(start <= approval.at < end for approval in given):
        raise ValueError("an approval of the window was given while it was not open")
    full = window.status in {WindowStatus.ACTIVE, WindowStatus.CONSUMED}
    if (full and len(given) < KEYS_NEEDED) or (window.status is WindowStatus.REQUESTED and len(given) >= KEYS_NEEDED):
        raise ValueError(f"a window cannot be {window.status} with {len(given)} of {KEYS_NEEDED} keys")
    if (window.status in OPEN) != (window.closed_at is None):
        raise ValueError(f"a window that is {window.status} cannot have ended at {instant_text(window.closed_at)}")
    inside = window.closed_at is not None and start <= window.closed_at < end
    if (window.status is WindowStatus.CONSUMED and not inside) or (window.status is WindowStatus.EXPIRED and inside):
        raise ValueError(f"a window cannot be {window.status} at {instant_text(window.closed_at)}")


def _approval(values: object) -> Approval:
    if not isinstance(values, Mapping):
        raise ValueError("an approval of the window is damaged")
    return Approval(
        operator=read_name(values, "operator"),
        public_key=read_text(values, "public_key"),
        permit_digest=read_text(values, "permit_digest"),
        signature=read_text(values, "signature"),
        at=_needed(values, "at"),
    )


def _table(values: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = values.get(name)
    if not isinstance(found, Mapping):
        raise ValueError(f"{name} is missing")
    return found


def _needed(values: Mapping[str, object], name: str) -> datetime:
    found = read_instant(values, name)
    if found is None:
        raise ValueError(f"{name} is missing")
    return found
