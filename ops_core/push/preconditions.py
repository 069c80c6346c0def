"""What a live fire would see now: the facts beside the control state, and the eight preconditions judged on them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ops_core.config import Settings
from ops_core.control.model import (
    Channel,
    ControlState,
    Permit,
    TradingCalendar,
    delivery_policy,
    effective_gate,
    sender_on,
)
from ops_core.control.model.live_fire import FireFacts, Precondition, external_send, preconditions
from ops_core.control.model.stop import why_stopped
from ops_core.control.service import ControlPlane
from ops_core.control.store import Transaction
from ops_core.control.trading import calendar_of
from ops_core.errors import OpsError
from ops_core.push.outbox import offer
from ops_core.push.selftest import SelfTest, self_test

REQUEST_TYPE = "LIVE_FIRE"
NO_RUN = "none"
# Those that end a run between two messages. The window and the sender were burnt when it began, the outbox is what is
# being sent, and the secrets were read: of them nothing can be asked again.
HOLD_WHILE_SENDING = ("emergency_stop", "gate_mode", "weekday", "hours")


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """One look at everything: the state that counts (the latch included), the facts, and all eight preconditions."""

    at: datetime
    state: ControlState
    facts: FireFacts
    conditions: tuple[Precondition, ...]

    @property
    def missing(self) -> tuple[Precondition, ...]:
        """Those that do not hold."""
        return tuple(one for one in self.conditions if not one.ok)


def facts(found: Transaction, settings: Settings, now: datetime, tested: SelfTest | None = None) -> FireFacts:
    """What a live fire needs to know beside the control state, looked up in the store as it is.

    Args:
        found: the store at one instant.
        settings: the profile.
        now: that instant.
        tested: the self test, where it was made already.
    """
    from ops_core.control.contracts import request_problem
    from ops_core.control.people import keys_problem

    window, tested = found.state.window, tested or self_test(settings)
    return FireFacts(
        self_test=tested.result,
        self_test_seen=tested.seen,
        offer=offer(found, settings, (window.run_id if window else None) or NO_RUN),
        request_problem=request_problem(found, settings, REQUEST_TYPE),
        keys_problem=keys_problem(found, window, now) if window else "",
        calendar=calendar_of(settings.trading, f"profiles.{settings.profile}.trading"),
    )


def judge(found: Transaction, settings: Settings, plane: ControlPlane, tested: SelfTest | None = None) -> Judgement:
    """All eight preconditions as they are in this transaction."""
    now = plane.clock.now()
    state = plane.counting(found.state)
    known = facts(found, settings, now, tested)
    return Judgement(at=now, state=state, facts=known, conditions=preconditions(state, known, now))


def look(settings: Settings, plane: ControlPlane) -> Judgement:
    """All eight preconditions now. Never fails for the store's sake: what cannot be read does not hold."""
    tested = self_test(settings)
    try:
        with plane.snapshot() as found:
            return judge(found, settings, plane, tested)
    except OpsError as error:
        now, state = plane.clock.now(), plane.state()
        if not state.problem:
            raise
        unknown = _unknown(settings, tested, error.what)
        return Judgement(at=now, state=state, facts=unknown, conditions=preconditions(state, unknown, now))


def why_no_longer(state: ControlState, calendar: TradingCalendar, now: datetime) -> str:
    """Why a run that has begun must not send its next message at `now`; empty where it may.

    `HOLD_WHILE_SENDING` names what is asked.
    """
    stopped, gate = why_stopped(state), effective_gate(state, now)
    if stopped:
        return stopped
    if gate.value != "REAL_ENABLED":
        return f"the gate is {gate}"
    for answer in (calendar.weekday(now), calendar.hours(now)):
        if not answer.ok:
            return f"it is {answer.seen}"
    return ""


def observed_modes(state: ControlState, now: datetime) -> dict[str, object]:
    """The modes in force at `now`, as receipts tell them."""
    return {
        "emergency_stop": bool(why_stopped(state)),
        "execution_gate": effective_gate(state, now).value,
        "delivery_policy": delivery_policy(state, now).value,
        "real_sender_enable": sender_on(state, now),
        "external_send": external_send(state, now),
    }


def _unknown(settings: Settings, tested: SelfTest, problem: str) -> FireFacts:
    nothing = Permit(
        run_id=NO_RUN,
        message_ids=(),
        outbox_digest="",
        allowlist_digest="",
        channel=Channel.CONSOLE_ONLY,
        destination="",
    )
    return FireFacts(
        self_test=tested.result,
        self_test_seen=tested.seen,
        offer=nothing,
        request_problem=problem,
        keys_problem=problem,
        calendar=calendar_of(settings.trading, f"profiles.{settings.profile}.trading"),
    )
