"""What becomes of a live fire whose process is gone: it is completed on paper, and nothing of it is ever sent.

Messages that were being sent may have arrived or not, so they are UNKNOWN for good; those that it had not begun to send
still wait, for another window and other approvals.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ops_core.control.checkpoint import checkpoint_here
from ops_core.control.model.live_fire import lock_down
from ops_core.control.running.lasting import may_go_on
from ops_core.control.service import ControlPlane
from ops_core.control.store import Transaction
from ops_core.push import outbox, receipts

CUT_OFF = "the sending was cut off: whether it arrived cannot be known"
REMEDY = "look into the chat for messages that are UNKNOWN, and add again what did not arrive"
# Nobody can look at a process of another host, or of another container: after a day it counts as gone.
OUT_OF_SIGHT_S = 86_400


def recover(plane: ControlPlane) -> tuple[str, ...]:
    """Complete every live fire whose process is gone, and lock down. Returns their ids; sends nothing.

    Raises:
        StoreUnusable: the store cannot be read or changed.
    """
    with plane.snapshot() as found:
        if not _left_behind(found, plane.clock.now()):
            return ()
    completed: list[str] = []

    def within(change: Transaction) -> None:
        now = plane.clock.now()
        completed.extend(_complete(change, receipt, plane.actor, now) for receipt in _left_behind(change, now))

    plane.change(
        "live_fire.locked_down",
        lambda state, now: lock_down(state, "a live fire was interrupted", plane.actor, now),
        detail={"reason": "a live fire was interrupted"},
        within=within,
    )
    return tuple(completed)


def _left_behind(found: Transaction, now: datetime) -> list[dict[str, Any]]:
    return [receipt for receipt in receipts.open_receipts(found) if _gone(found, receipt, now)]


def _complete(change: Transaction, receipt: dict[str, Any], actor: str, now: datetime) -> str:
    fire_id = str(receipt["fire_id"])
    for message in outbox.of_fire(change, fire_id):
        if message.state == outbox.SENDING:
            outbox.settle(change, message.id, fire_id, outbox.UNKNOWN, CUT_OFF, now)
            detail = {"fire": fire_id, "detail": CUT_OFF}
            change.audit(at=now, actor=actor, action="outbox.unknown", subject=message.id, detail=detail)
    found = [outbox.find(change, one["id"]) for one in receipt["messages"]]
    unknown = sum(message.state == outbox.UNKNOWN for message in found)
    completed = receipts.ended(
        receipt,
        found,
        outcome=receipts.INTERRUPTED,
        reason=f"its process ended before it did; {unknown} messages are UNKNOWN: {REMEDY}",
        checkpoint=checkpoint_here(change),
        at=now,
    )
    receipts.put_ended(change, completed, action=receipts.INTERRUPTED_ACTION, actor=actor, at=now)
    return fire_id


def _gone(found: Transaction, receipt: dict[str, Any], now: datetime) -> bool:
    """Whether the process that fires is known to have ended."""
    return not may_go_on(found, receipt.get("work"), now, out_of_sight_s=OUT_OF_SIGHT_S)
