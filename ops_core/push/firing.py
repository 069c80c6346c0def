"""Live fire: burn before fire, and at most once.

First everything is judged for the person who asks. Then one transaction judges it all again and burns: the window is
consumed, the sender goes off, the run is opened. Only after its commit does anything leave, message by message: a
transaction asks whether the run may go on and claims the message, the message is sent, another transaction records what
became of it. Whoever is killed in between leaves everything locked down and one message UNKNOWN.

What ends a run between two messages: the emergency stop (the latch too), the gate set back or run out, the end of the
trading hours, and a way out that fails: what it could not take waits for another window. The window and the sender are
burnt already and are not asked again; `ops estop engage` is how a run is stopped.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ops_core.config import Settings
from ops_core.control.checkpoint import checkpoint_here
from ops_core.control.model import NOBODY, TradingCalendar, tidy
from ops_core.control.model.live_fire import burn
from ops_core.control.service import ControlPlane
from ops_core.control.store import Transaction
from ops_core.errors import Refused
from ops_core.push import outbox, receipts
from ops_core.push.outbox import Message
from ops_core.push.preconditions import REQUEST_TYPE, Judgement, judge, look, why_no_longer
from ops_core.push.recovery import recover
from ops_core.push.selftest import self_test
from ops_core.push.senders import Delivered, NotDelivered, Sender, sender_for

if TYPE_CHECKING:
    from ops_core.control.running import Work

WORK_KIND = "live_fire"
# Whoever has burnt cannot come again: it waits longer for others who use the store than somebody who only asks.
BUSY_S = 30.0
NOT_AUTHORISED = "whoever asked for it may not fire (it needs a token with the scope fire)"


class _NotPermittedError(Exception):
    """The judgement inside the transaction said no: nothing is burnt."""

    def __init__(self, judged: Judgement, reason: str = "") -> None:
        super().__init__(reason)
        self.judged = judged
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class _Run:
    """A live fire that is burnt: what it may send, and how."""

    plane: ControlPlane
    actor: str
    receipt: dict[str, Any]
    messages: tuple[Message, ...]
    calendar: TradingCalendar
    sender: Sender
    must_end: Callable[[], str]
    pause: Callable[[str], None]

    @property
    def id(self) -> str:
        """Of the fire."""
        return str(self.receipt["fire_id"])


def fire(
    settings: Settings,
    plane: ControlPlane,
    *,
    authorised: bool,
    actor: str | None = None,
    pause: Callable[[str], None] = lambda _phase: None,
) -> dict[str, Any]:
    """Send what the open window permits, once; or say what is missing.

    Args:
        settings: the profile.
        plane: its control plane.
        authorised: whether whoever asks may fire; the edge of the program knows.
        actor: who asks; the plane's unless given.
        pause: called at each point where something else could happen, with its name.

    Returns:
        The receipt. `outcome` is FIRED, PARTIAL, FAILED, STOPPED or BLOCKED; a BLOCKED one has burnt nothing.

    Raises:
        StoreUnusable: the store cannot be changed; what had begun is completed by `recover`.
        OpsError: the way out cannot be set up; nothing was burnt.
    """
    who = tidy(plane.actor if actor is None else actor, NOBODY)
    judged = look(settings, plane)
    if not judged.state.problem:
        # A run that was cut off locks down what is open now.
        judged = look(settings, plane) if recover(plane) else judged
    pause("judged")
    refused = "" if authorised else NOT_AUTHORISED
    if refused or judged.missing:
        return _blocked(settings, plane, judged, who, authorised, refused)
    sender = sender_for(settings, judged.facts.offer.channel, plane.clock.now)
    run: _Run | None = None
    receipt: dict[str, Any] | None = None
    patient = plane.impatient(BUSY_S)
    try:
        with _registered(patient) as work:
            pause("registered")
            run = _begin(settings, patient, who, sender, work, pause)
            pause("burnt")
            why = _send_all(run)
            pause("closing")
            receipt = _close(run, why)
    except _NotPermittedError as no:
        return _blocked(settings, plane, no.judged, who, authorised, no.reason)
    except Refused as no:
        if run is None:
            return _blocked(settings, plane, look(settings, plane), who, authorised, no.what)
        # Somebody took this work for ended while it went on: the receipt tells how far it came.
        if receipt is None:
            raise
    _mirror(plane, settings)
    return receipt


def _registered(plane: ControlPlane) -> contextlib.AbstractContextManager[Work]:
    from ops_core.control.running import registered

    return registered(plane, WORK_KIND, environ=os.environ)


def _begin(
    settings: Settings,
    plane: ControlPlane,
    actor: str,
    sender: Sender,
    work: Work,
    pause: Callable[[str], None],
) -> _Run:
    """The one transaction that burns. After its commit the run may send; before it nothing has happened."""
    from ops_core.control import tickets

    tested = self_test(settings)
    with plane.transaction() as change:
        judged = judge(change, settings, plane, tested)
        if judged.missing:
            raise _NotPermittedError(judged)
        if sender.destination != judged.facts.offer.destination:
            raise _NotPermittedError(judged, "the way out is not the one that was approved")
        receipt = receipts.begun(judged, settings, actor, work.id)
        messages = outbox.pending(change)
        after = burn(judged.state, judged.facts, actor, judged.at)
        told = {"fire": receipt["fire_id"], "window": receipt["window_id"], "messages": len(messages), "work": work.id}
        change.put_state(after, at=judged.at, actor=actor, action=receipts.BEGUN_ACTION, detail=told)
        receipts.put_open(change, receipt)
        tickets.record(
            change,
            "requests",
            at=judged.at,
            actor=actor,
            request_type=REQUEST_TYPE,
            fire=receipt["fire_id"],
            window=receipt["window_id"],
        )
        pause("burning")
    return _Run(
        plane=plane,
        actor=actor,
        receipt=receipt,
        messages=messages,
        calendar=judged.facts.calendar,
        sender=sender,
        must_end=work.must_end,
        pause=pause,
    )


def _send_all(run: _Run) -> str:
    """Send message by message; the answer is why the run ended before the last one, or empty."""
    for message in run.messages:
        why = run.must_end()
        if why:
            return f"stopped: {why}"
        why, claimed = _claim(run, message)
        if why:
            return f"stopped: {why}"
        if not claimed:
            continue
        run.pause("claimed")
        result = run.sender.send(message.body)
        run.pause("sent")
        _record(run, message, result)
        run.pause("recorded")
        if not isinstance(result, Delivered) and not (isinstance(result, NotDelivered) and not result.way_out):
            return f"the way out failed: {result.detail}"
    return ""


def _claim(run: _Run, message: Message) -> tuple[str, bool]:
    """Ask whether the run may go on, and take the message; in one transaction, so that nobody stops it in between."""
    with run.plane.transaction() as change:
        now = run.plane.clock.now()
        why = why_no_longer(run.plane.counting(change.state), run.calendar, now)
        if not why and not receipts.is_open(change, run.id):
            why = "somebody else has ended this run"
        if why or not outbox.claim(change, message, run.id, now):
            return why, False
        change.audit(at=now, actor=run.actor, action="outbox.claimed", subject=message.id, detail={"fire": run.id})
    return "", True


def _record(run: _Run, message: Message, result: object) -> None:
    state = outbox.UNKNOWN
    if isinstance(result, Delivered):
        state = outbox.SENT
    elif isinstance(result, NotDelivered):
        state = outbox.FAILED
    detail = str(getattr(result, "detail", ""))
    with run.plane.transaction() as change:
        now = run.plane.clock.now()
        if outbox.settle(change, message.id, run.id, state, detail, now):
            told = {"fire": run.id, "detail": detail}
            change.audit(at=now, actor=run.actor, action=f"outbox.{state.lower()}", subject=message.id, detail=told)


def _close(run: _Run, why: str) -> dict[str, Any]:
    from ops_core.control import tickets

    with run.plane.transaction() as change:
        now = run.plane.clock.now()
        found = [outbox.find(change, message.id) for message in run.messages]
        outcome, reason = _outcome(found, why)
        receipt = receipts.ended(
            run.receipt, found, outcome=outcome, reason=reason, checkpoint=checkpoint_here(change), at=now
        )
        if not receipts.put_ended(change, receipt, action=receipts.ENDED_ACTION, actor=run.actor, at=now):
            return receipts.receipt_of(change, run.id)
        _result_ticket(change, tickets.record, receipt, run.actor, now)
    return receipt


def _outcome(found: list[Message], why: str) -> tuple[str, str]:
    told = receipts.counts(found)
    if told["sent"] == len(found):
        return receipts.FIRED, "the message was sent" if len(found) == 1 else f"all {len(found)} messages were sent"
    said = why or "not every message could be sent"
    if said.startswith("stopped: "):
        return receipts.STOPPED, said.removeprefix("stopped: ")
    return (receipts.PARTIAL if told["sent"] or told["unknown"] else receipts.FAILED), said


def _result_ticket(
    change: Transaction, record: Callable[..., int], receipt: dict[str, Any], actor: str, at: datetime
) -> None:
    told = {name: receipt[name] for name in ("outcome", "sent", "failed", "unknown", "left")}
    record(change, "results", at=at, actor=actor, request_type=REQUEST_TYPE, fire=receipt["fire_id"], **told)


def _blocked(
    settings: Settings, plane: ControlPlane, judged: Judgement, actor: str, authorised: bool, reason: str
) -> dict[str, Any]:
    receipt = receipts.put_blocked(settings, plane, judged, actor=actor, authorised=authorised, reason=reason)
    _mirror(plane, settings)
    return receipt


def _mirror(plane: ControlPlane, settings: Settings) -> None:
    from ops_core.control import mirrors

    mirrors.export(plane, settings)
