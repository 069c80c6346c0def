"""Live fire: eight preconditions, and burn before fire.

All eight are judged every time, each by name with what was seen, so that a refusal shows everything that is missing.
The same judgement is made inside the transaction that burns: it consumes the window and switches the sender off before
anything leaves, so a crash at any point finds it locked down.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ops_core.control.model.calendar import TradingCalendar
from ops_core.control.model.gate import REAL_COMMAND, effective_gate
from ops_core.control.model.permit import Channel, Permit
from ops_core.control.model.sender import ENABLE_COMMAND, disable_sender, sender_on
from ops_core.control.model.state import OPEN, ControlState, Gate, WindowStatus
from ops_core.control.model.stop import RELEASE_COMMAND, why_stopped
from ops_core.control.model.texts import instant_text
from ops_core.control.model.window import (
    APPROVE_COMMAND,
    REQUEST_COMMAND,
    close,
    is_active,
    is_open,
    note_expiry,
    remaining_s,
    window_status,
)
from ops_core.errors import Refused

SELF_TEST_PASS = "SELF_TEST_PASS"  # noqa: S105 - the name of a result
SELF_TEST_FAIL = "SELF_TEST_FAIL"
FORBIDDEN = "FORBIDDEN"
ALLOWED = "ALLOWED"
NAMES = (
    "gate_mode",
    "self_test",
    "emergency_stop",
    "outbox_messages",
    "sender_enable",
    "window_active",
    "weekday",
    "hours",
)


@dataclass(frozen=True, kw_only=True)
class FireFacts:
    """What live fire needs to know beside the control state, looked up at the same instant.

    Attributes:
        self_test: SELF_TEST_PASS or SELF_TEST_FAIL.
        self_test_seen: what the self test saw, naming no value of a secret.
        offer: what would be sent now if it were permitted: the run is the window's own.
        request_problem: why the allowlist does not allow a live fire; empty where it does.
        keys_problem: why the window's signatures do not prove themselves; empty where they do.
        calendar: the days and hours in which it may happen.
    """

    self_test: str
    self_test_seen: str
    offer: Permit
    request_problem: str
    keys_problem: str
    calendar: TradingCalendar


@dataclass(frozen=True, kw_only=True)
class Precondition:
    """One condition of live fire: its stable name, what it asks for, what was seen, and what to type where it fails."""

    name: str
    ok: bool
    required: str
    seen: str
    next_step: str = ""

    def as_dict(self) -> dict[str, object]:
        """As JSON values."""
        return {
            "name": self.name,
            "ok": self.ok,
            "required": self.required,
            "seen": self.seen,
            "next": "" if self.ok else self.next_step,
        }


def preconditions(state: ControlState, facts: FireFacts, now: datetime) -> tuple[Precondition, ...]:
    """All eight, in the order of `NAMES`."""
    gate, stopped, waiting = effective_gate(state, now), why_stopped(state), len(facts.offer.message_ids)
    problem = _window_problem(state, facts, now)
    weekday, hours = facts.calendar.weekday(now), facts.calendar.hours(now)
    return (
        Precondition(
            name="gate_mode",
            ok=gate is Gate.REAL_ENABLED,
            required=Gate.REAL_ENABLED,
            seen=gate.value if not state.problem else "unknown",
            next_step=REAL_COMMAND,
        ),
        Precondition(
            name="self_test",
            ok=facts.self_test == SELF_TEST_PASS,
            required=SELF_TEST_PASS,
            seen=f"{facts.self_test}: {facts.self_test_seen}",
            next_step="ops secrets",
        ),
        Precondition(
            name="emergency_stop",
            ok=not stopped,
            required="false",
            seen="true: " + stopped if stopped else "false",
            next_step=state.remedy or RELEASE_COMMAND,
        ),
        Precondition(
            name="outbox_messages",
            ok=waiting >= 1,
            required=">= 1",
            seen=str(waiting),
            next_step="ops outbox add --text …",
        ),
        Precondition(
            name="sender_enable",
            ok=sender_on(state, now),
            required="true",
            seen=_sender_seen(state, now),
            next_step=ENABLE_COMMAND,
        ),
        Precondition(
            name="window_active",
            ok=not problem,
            required="ACTIVE, with two keys on what would be sent",
            seen=problem or f"ACTIVE, {_left(state, now)} left",
            next_step=APPROVE_COMMAND if is_open(state, now) else REQUEST_COMMAND,
        ),
        Precondition(
            name="weekday",
            ok=weekday.ok,
            required="a trading day",
            seen=weekday.seen,
            next_step="wait for the next trading day",
        ),
        Precondition(
            name="hours",
            ok=hours.ok,
            required="trading hours",
            seen=hours.seen,
            next_step="wait for trading hours",
        ),
    )


def external_send(state: ControlState, now: datetime) -> str:
    """Whether anything may leave at `now` at all: ALLOWED or FORBIDDEN."""
    allowed = (
        not why_stopped(state)
        and effective_gate(state, now) is Gate.REAL_ENABLED
        and sender_on(state, now)
        and state.sender.channel is not Channel.CONSOLE_ONLY
        and is_active(state, now)
        and state.window is not None
        and isinstance(state.window.permit, Permit)
    )
    return ALLOWED if allowed else FORBIDDEN


def burn(state: ControlState, facts: FireFacts, actor: str, now: datetime) -> ControlState:
    """The state in which the one run may send: window consumed, sender off.

    Raises:
        Refused: a precondition does not hold; nothing is burnt.
    """
    missing = [one for one in preconditions(state, facts, now) if not one.ok]
    if missing:
        raise Refused(
            "live fire is not permitted: " + "; ".join(f"{one.name} is {one.seen}" for one in missing),
            where="live fire",
            allowed="; ".join(f"{one.name} {one.required}" for one in missing),
            next_step=missing[0].next_step,
        )
    return disable_sender(
        close(state, WindowStatus.CONSUMED, f"live fire {facts.offer.run_id}", actor, now),
        f"live fire {facts.offer.run_id} has begun",
        actor,
        now,
    )


def lock_down(state: ControlState, reason: str, actor: str, now: datetime) -> ControlState:
    """The state with the sender off and no window open, whatever was there before. Never refuses."""
    if state.sender.enabled:
        state = disable_sender(state, reason, actor, now)
    state = note_expiry(state, now)
    if state.window is not None and state.window.status in OPEN:
        state = close(state, WindowStatus.REVOKED, reason, actor, now)
    return state


def _window_problem(state: ControlState, facts: FireFacts, now: datetime) -> str:
    """Why the window does not permit what would be sent; empty where it does."""
    window = state.window
    if window is None:
        return "no window was requested"
    status = window_status(window, now)
    permit, offer = window.permit, facts.offer
    if not isinstance(permit, Permit):
        return f"{status}, but for {permit.remediation} of {permit.target}"
    if status is WindowStatus.REQUESTED:
        return f"REQUESTED, {len(window.approvals)} of 2 keys given"
    if status is not WindowStatus.ACTIVE:
        return f"{status} {instant_text(window.closed_at or window.expires_at)}"
    problem = facts.keys_problem or facts.request_problem or _offer_problem(state, permit, offer, now)
    return f"ACTIVE, but {problem}" if problem else ""


def _offer_problem(state: ControlState, permit: Permit, offer: Permit, now: datetime) -> str:
    """What of that which would be sent now is not what was approved."""
    if (permit.message_ids, permit.outbox_digest) != (offer.message_ids, offer.outbox_digest):
        return "the outbox is not the one that was approved"
    if permit.allowlist_digest != offer.allowlist_digest:
        return "the allowlist is not the one that was approved"
    if (permit.channel, permit.destination) != (offer.channel, offer.destination):
        return "channel or destination is not the one that was approved"
    if sender_on(state, now) and state.sender.channel is not permit.channel:
        return f"it permits {permit.channel} and the sender is on {state.sender.channel}"
    return ""


def _sender_seen(state: ControlState, now: datetime) -> str:
    if sender_on(state, now):
        return f"true, {state.sender.channel} until {instant_text(state.sender.until)}"
    if state.sender.enabled:
        return f"false: it ran out at {instant_text(state.sender.until)}"
    return "false"


def _left(state: ControlState, now: datetime) -> str:
    return f"{remaining_s(state.window, now)} s" if state.window is not None else "0 s"
