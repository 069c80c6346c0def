"""Receipts: the proof of every attempt at a live fire, those that were refused included.

A receipt is made once, in the transaction that ends the attempt, together with an audit row that holds its digest; so
an edited one is noticed when it is read. Receipts hold ids of messages and what became of them, never what they say.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from ops_core.clock import isoformat, new_run_id, parse_instant
from ops_core.config import Settings
from ops_core.control import schema
from ops_core.control.audit import canonical
from ops_core.control.checkpoint import checkpoint_here
from ops_core.control.model import sender_on
from ops_core.control.model.state import ControlState
from ops_core.control.model.window import window_status
from ops_core.control.problems import StoreUnusable
from ops_core.control.service import ControlPlane
from ops_core.control.store import Transaction
from ops_core.errors import OpsError
from ops_core.push.outbox import FAILED as MESSAGE_FAILED
from ops_core.push.outbox import SENT, UNKNOWN, Message
from ops_core.push.preconditions import Judgement, observed_modes

SCHEMA = "live_fire_receipt_v1"
OPEN, FIRED, PARTIAL, FAILED, STOPPED, INTERRUPTED, BLOCKED = (
    "OPEN",
    "FIRED",
    "PARTIAL",
    "FAILED",
    "STOPPED",
    "INTERRUPTED",
    "BLOCKED",
)
BEGUN_ACTION, ENDED_ACTION = "live_fire.begun", "live_fire.ended"
INTERRUPTED_ACTION, BLOCKED_ACTION = "live_fire.interrupted", "live_fire.blocked"
BLOCKED_KEPT = 200
# A refusal that says the same as the one before it is told again and recorded once: nobody fills the audit by asking.
REPEAT_S = 60


def begun(judged: Judgement, settings: Settings, actor: str, work_id: str) -> dict[str, Any]:
    """The receipt of a live fire that is burnt and has sent nothing yet."""
    state, permit = judged.state, judged.facts.offer
    return {
        "schema": SCHEMA,
        "fire_id": permit.run_id,
        "run_id": permit.run_id,
        "window_id": state.window.id if state.window else None,
        "profile": settings.profile,
        "asof": isoformat(judged.at),
        "begun_at": isoformat(judged.at),
        "ended_at": None,
        "actor": actor,
        "outcome": OPEN,
        "reason": "it has begun and not yet ended",
        "channel": permit.channel.value,
        "preconditions": [one.as_dict() for one in judged.conditions],
        "messages": [{"id": one, "state": "PENDING", "detail": ""} for one in permit.message_ids],
        **counts(()),
        "left": len(permit.message_ids),
        "lockdown": {"sender_enable": False, "window": "CONSUMED"},
        "observed_modes": observed_modes(state, judged.at),
        "checkpoint": {},
        "work": work_id,
    }


def ended(
    receipt: dict[str, Any],
    messages: Sequence[Message],
    *,
    outcome: str,
    reason: str,
    checkpoint: dict[str, object],
    at: datetime,
) -> dict[str, Any]:
    """The receipt completed: what became of each message, and the checkpoint of what was before it."""
    told = counts(messages)
    return {
        **receipt,
        "asof": isoformat(at),
        "ended_at": isoformat(at),
        "outcome": outcome,
        "reason": reason,
        "messages": [{"id": one.id, "state": one.state, "detail": one.detail} for one in messages],
        **told,
        "left": len(messages) - sum(told.values()),
        "checkpoint": checkpoint,
    }


def counts(messages: Iterable[Message]) -> dict[str, int]:
    """How many were sent, refused, and are not known about."""
    states = [message.state for message in messages]
    return {"sent": states.count(SENT), "failed": states.count(MESSAGE_FAILED), "unknown": states.count(UNKNOWN)}


def put_open(change: Transaction, receipt: dict[str, Any]) -> None:
    """Record a live fire that begins; a window that another one has burnt is a conflict."""
    change.execute(
        schema.fire.insert().values(
            id=receipt["fire_id"],
            window_id=receipt["window_id"],
            actor=receipt["actor"],
            begun_at=receipt["begun_at"],
            outcome=OPEN,
            receipt=canonical(receipt),
        )
    )


def is_open(found: Transaction, fire_id: str) -> bool:
    """Whether that live fire has begun and nobody has ended it."""
    table = schema.fire
    return found.execute(table.select().where(table.c.id == fire_id, table.c.outcome == OPEN)).first() is not None


def put_ended(change: Transaction, receipt: dict[str, Any], *, action: str, actor: str, at: datetime) -> bool:
    """OPEN -> the receipt's outcome, with the audit row that proves the receipt; false where it was not OPEN."""
    table = schema.fire
    moved = change.execute(
        table.update()
        .where(table.c.id == receipt["fire_id"], table.c.outcome == OPEN)
        .values(outcome=receipt["outcome"], ended_at=receipt["ended_at"], receipt=canonical(receipt))
    )
    if moved.rowcount != 1:
        return False
    _audit(change, receipt, action=action, actor=actor, at=at)
    return True


def put_blocked(
    settings: Settings, plane: ControlPlane, judged: Judgement, *, actor: str, authorised: bool, reason: str
) -> dict[str, Any]:
    """Record an attempt that was refused; nothing else changes. Where the store is unusable, it is told only."""
    receipt = _blocked(settings, judged, actor, authorised, reason)
    try:
        with plane.transaction() as change:
            repeated = _repeated(change, receipt)
            if repeated is not None:
                return repeated
            receipt["checkpoint"] = checkpoint_here(change)
            change.execute(
                schema.fire.insert().values(
                    id=receipt["fire_id"],
                    window_id=None,
                    actor=actor,
                    begun_at=receipt["begun_at"],
                    ended_at=receipt["ended_at"],
                    outcome=BLOCKED,
                    receipt=canonical(receipt),
                )
            )
            _audit(change, receipt, action=BLOCKED_ACTION, actor=actor, at=judged.at)
            _forget_old(change)
    except OpsError:
        if not judged.state.problem:
            raise
    return receipt


def latest(found: Transaction) -> dict[str, Any] | None:
    """The receipt of the latest attempt; None where there was none.

    Raises:
        StoreUnusable: it is not the one that was recorded.
    """
    return _newest(found, burnt=False)


def latest_burnt(found: Transaction) -> dict[str, Any] | None:
    """The receipt of the latest live fire that burnt its window; None where there was none."""
    return _newest(found, burnt=True)


def open_receipts(found: Transaction) -> list[dict[str, Any]]:
    """The receipts of all live fires that have begun and that nobody has ended."""
    table = schema.fire
    rows = found.execute(table.select().where(table.c.outcome == OPEN).order_by(table.c.begun_at).limit(1000))
    return [json.loads(row["receipt"]) for row in rows.mappings()]


def burnt_by(found: Transaction, works: frozenset[str], since: str) -> dict[str, Any] | None:
    """The receipt of the latest live fire that one of these works burnt since then; None where none did.

    Raises:
        StoreUnusable: it is not the one that was recorded.
    """
    table = schema.fire
    wanted = table.select().where(table.c.window_id.is_not(None), table.c.begun_at >= since)
    for row in found.execute(wanted.order_by(table.c.begun_at.desc(), table.c.id.desc()).limit(1000)).mappings():
        if json.loads(row["receipt"]).get("work") in works:
            return _proven(found, row)
    return None


def receipt_of(found: Transaction, fire_id: str) -> dict[str, Any]:
    """The receipt of that attempt."""
    row = found.execute(schema.fire.select().where(schema.fire.c.id == fire_id)).mappings().one()
    return _proven(found, row)


def _newest(found: Transaction, *, burnt: bool) -> dict[str, Any] | None:
    table = schema.fire
    wanted = table.select().order_by(table.c.begun_at.desc(), table.c.id.desc()).limit(1)
    if burnt:
        wanted = wanted.where(table.c.window_id.is_not(None))
    row = found.execute(wanted).mappings().first()
    return None if row is None else _proven(found, row)


def _blocked(settings: Settings, judged: Judgement, actor: str, authorised: bool, reason: str) -> dict[str, Any]:
    state, at = judged.state, judged.at
    said = [reason] if reason else []
    said += [f"{one.name} is {one.seen}" for one in judged.missing]
    return {
        "schema": SCHEMA,
        "fire_id": "B-" + new_run_id(at),
        "run_id": state.window.run_id if state.window else None,
        "window_id": state.window.id if state.window else None,
        "profile": settings.profile,
        "asof": isoformat(at),
        "begun_at": isoformat(at),
        "ended_at": isoformat(at),
        "actor": actor,
        "authorised": authorised,
        "outcome": BLOCKED,
        "reason": "live fire is not permitted: " + "; ".join(said),
        "channel": judged.facts.offer.channel.value,
        "preconditions": [one.as_dict() for one in judged.conditions],
        "messages": [{"id": one, "state": "PENDING", "detail": ""} for one in judged.facts.offer.message_ids],
        **counts(()),
        "left": len(judged.facts.offer.message_ids),
        "lockdown": _as_it_is(state, at),
        "observed_modes": observed_modes(state, at),
        "checkpoint": {},
    }


def _as_it_is(state: ControlState, at: datetime) -> dict[str, object]:
    window = window_status(state.window, at).value if state.window else None
    return {"sender_enable": sender_on(state, at), "window": window}


def _repeated(found: Transaction, receipt: dict[str, Any]) -> dict[str, Any] | None:
    """The newest receipt, where it refused the same to the same person within the last minute."""
    newest = latest(found)
    if newest is None or newest["outcome"] != BLOCKED or _asked(newest) != _asked(receipt):
        return None
    age = parse_instant(receipt["begun_at"]) - parse_instant(newest["begun_at"])
    return newest if timedelta(0) <= age < timedelta(seconds=REPEAT_S) else None


def _asked(receipt: dict[str, Any]) -> tuple[object, ...]:
    failing = tuple(one["name"] for one in receipt["preconditions"] if not one["ok"])
    return receipt["actor"], receipt["authorised"], receipt["window_id"], failing


def _forget_old(change: Transaction) -> None:
    """Keep the newest refusals; those before them stay in the audit."""
    table = schema.fire
    kept = table.select().where(table.c.outcome == BLOCKED).order_by(table.c.begun_at.desc(), table.c.id.desc())
    last = change.execute(kept.offset(BLOCKED_KEPT - 1).limit(1)).mappings().first()
    if last is not None:
        change.execute(table.delete().where(table.c.outcome == BLOCKED, table.c.begun_at < last["begun_at"]))


def _audit(change: Transaction, receipt: dict[str, Any], *, action: str, actor: str, at: datetime) -> None:
    detail = {
        "outcome": receipt["outcome"],
        "window": receipt["window_id"],
        "failing": [one["name"] for one in receipt["preconditions"] if not one["ok"]],
        **{name: receipt[name] for name in ("sent", "failed", "unknown", "left")},
        "receipt_digest": _digest(receipt),
    }
    change.audit(at=at, actor=actor, action=action, subject=receipt["fire_id"], detail=detail)


def _proven(found: Transaction, row: Any) -> dict[str, Any]:
    """The receipt of a row, if the audit proves it. One that is still OPEN is proven by nothing yet."""
    receipt: dict[str, Any] = json.loads(row["receipt"])
    if row["outcome"] == OPEN:
        return {**receipt, "outcome": OPEN}
    audit = schema.audit
    actions = (ENDED_ACTION, INTERRUPTED_ACTION, BLOCKED_ACTION)
    wanted = audit.select().where(audit.c.subject == row["id"], audit.c.action.in_(actions))
    proof = found.execute(wanted.order_by(audit.c.seq.desc()).limit(1)).mappings().first()
    told = json.loads(proof["detail"]) if proof is not None else {}
    if told.get("receipt_digest") != _digest(receipt):
        raise StoreUnusable(
            f"the receipt of the live fire {row['id']} is not the one that was recorded",
            where="table fire",
            next_step="keep the store as evidence and find out who could write it",
        )
    return receipt


def _digest(receipt: dict[str, Any]) -> str:
    return hashlib.sha256(canonical(receipt).encode("ascii")).hexdigest()
