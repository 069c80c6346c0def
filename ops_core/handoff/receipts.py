"""What publish, pull and rollback leave behind: each receipt is its own audit row, and what holds is read from them.

What is in force, which number was the highest ever taken, and what is held back follow from the receipts alone. Each
act is armed before it has an effect, so whoever comes next can tell what one that was killed had begun.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ops_core.clock import isoformat, new_run_id
from ops_core.config import Settings
from ops_core.control.audit import AuditRow
from ops_core.control.checkpoint import checkpoint_of
from ops_core.control.recorded import newest_of, one_of
from ops_core.control.service import ControlPlane
from ops_core.control.store import Transaction
from ops_core.handoff.judge import Accepted

SCHEMA = "handoff_receipt_v1"
ARMED = "handoff.armed"
PUBLISHED, PUBLISH_FAILED = "handoff.published", "handoff.publish_failed"
INSTALLED, UP_TO_DATE = "handoff.installed", "handoff.up_to_date"
REFUSED, PULL_FAILED = "handoff.refused", "handoff.pull_failed"
ROLLED_BACK, ROLLBACK_FAILED = "handoff.rolled_back", "handoff.rollback_failed"
PULLS = (INSTALLED, UP_TO_DATE, REFUSED, PULL_FAILED)
PUBLISHES = (PUBLISHED, PUBLISH_FAILED)
ROLLBACKS = (ROLLED_BACK, ROLLBACK_FAILED)
ENDS = (*PULLS, *PUBLISHES, *ROLLBACKS)
PUT_IN_FORCE = (INSTALLED, ROLLED_BACK)
PLACING = ("pull", "rollback")
KNOWN_MAX = 1000
ARMED_LOOKED_AT = 50
TEXT_MAX_CHARS = 1000
FILES_SHOWN = 20


class Outcome(StrEnum):
    """How an act of the hand-off ended."""

    PUBLISHED = "PUBLISHED"
    UNCHANGED = "UNCHANGED"
    INSTALLED = "INSTALLED"
    UP_TO_DATE = "UP_TO_DATE"
    ROLLED_BACK = "ROLLED_BACK"
    REFUSED = "REFUSED"
    FAILED = "FAILED"


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """One bundle as it was put in force: by which run, from which commit, and what it replaced."""

    seq: int
    at: str
    run_id: str
    bundle_id: str
    manifest_digest: str
    sequence: int
    producer: str
    commit: str
    previous: str
    held_back: str
    accepted: Accepted

    @classmethod
    def of(cls, row: AuditRow) -> Recorded:
        """What such an audit row, armed or done, tells."""
        told = row.data
        accepted = told.get("accepted") or {}
        return cls(
            seq=row.seq,
            at=row.at,
            run_id=row.subject,
            bundle_id=str(told.get("bundle_id", "")),
            manifest_digest=str(told.get("manifest_digest", "")),
            sequence=int(told.get("sequence") or 0),
            producer=str(told.get("producer", "")),
            commit=str(told.get("commit", "")),
            previous=str(told.get("previous") or ""),
            held_back=str(told.get("held_back") or ""),
            accepted=Accepted(sequence=int(accepted.get("sequence") or 0), digest=str(accepted.get("digest", ""))),
        )


def put_in_force(tx: Transaction, limit: int = KNOWN_MAX) -> tuple[Recorded, ...]:
    """What was ever put in force here, the newest first."""
    return tuple(Recorded.of(row) for row in newest_of(tx, PUT_IN_FORCE, limit))


def recorded_in_force(tx: Transaction) -> Recorded | None:
    """What the record says is in force; None where nothing ever was."""
    found = put_in_force(tx, 1)
    return found[0] if found else None


def held_back(tx: Transaction) -> frozenset[str]:
    """The ids of the bundles that were rolled back from, and not put in force again since."""
    settled: set[str] = set()
    held: set[str] = set()
    for one in put_in_force(tx):
        if one.bundle_id not in settled:
            settled.add(one.bundle_id)
        if one.held_back and one.held_back not in settled:
            settled.add(one.held_back)
            held.add(one.held_back)
    return frozenset(held)


def armed_open(tx: Transaction, acts: Collection[str] = PLACING) -> AuditRow | None:
    """Of these acts the one that was armed last, if nobody has recorded how it ended."""
    row = _armed(tx, acts)
    if row is None or any(one_of(tx, end, row.subject) is not None for end in ENDS):
        return None
    return row


def latest_pull(tx: Transaction) -> dict[str, Any] | None:
    """The receipt of the newest pull, refused and failed ones included."""
    return _latest(tx, PULLS)


def latest_seen(tx: Transaction) -> str:
    """The commit of the branch that the newest pull saw; empty where there was none."""
    for row in newest_of(tx, PULLS, ARMED_LOOKED_AT):
        if commit := str(row.data.get("commit") or ""):
            return commit
    return ""


def latest_publish(tx: Transaction) -> dict[str, Any] | None:
    """The receipt of the newest publish, failed ones included."""
    return _latest(tx, PUBLISHES)


def newest_of_ours(tx: Transaction) -> Accepted:
    """The highest number under which this host may have handed something over, and the digest of that manifest.

    An act that was killed, or whose answer was lost, may have arrived all the same: what was armed counts.
    """
    armed = _armed(tx, ("publish",))
    told = [{} if armed is None else armed.data, _latest(tx, (PUBLISHED,)) or {}]
    found = [Accepted(sequence=int(one["sequence"]), digest=str(one["manifest_digest"])) for one in told if one]
    # What failed tells no more than the number.
    found.append(Accepted(sequence=int((latest_publish(tx) or {}).get("highest") or 0), digest=""))
    return max(found, key=lambda one: one.sequence)


def latest_refusal(tx: Transaction) -> dict[str, Any] | None:
    """The receipt of the newest pull that refused a bundle."""
    return _latest(tx, (REFUSED,))


def begun(plane: ControlPlane, act: str) -> dict[str, Any]:
    """A receipt as it begins.

    Raises:
        StoreUnusable: the store cannot be read.
    """
    with plane.snapshot() as found:
        now = plane.clock.now()
        # With the number of an audit row: unique, because every act that holds the turn leaves one, and in order.
        run_id = new_run_id(now, f"{found.head[0] + 1:06d}")
    return {
        "schema": SCHEMA,
        "act": act,
        "run_id": run_id,
        "actor": plane.actor,
        "begun_at": isoformat(now),
        "ended_at": "",
        "outcome": "",
        "code": None,
        "reason": "",
        "next": "",
    }


def record(
    plane: ControlPlane, settings: Settings, action: str, receipt: dict[str, Any], **fields: object
) -> dict[str, Any]:
    """End a receipt, and record it as the audit row that it is.

    Raises:
        StoreUnusable: it cannot be recorded.
    """
    with plane.transaction() as tx:
        now = plane.clock.now()
        done = {**receipt, **fields, "ended_at": isoformat(now), "checkpoint": checkpoint_of(tx, settings)}
        tx.audit(at=now, actor=plane.actor, action=action, subject=str(receipt["run_id"]), detail=done)
    return done


def short(text: str) -> str:
    """What others say, fit for a receipt: one line, bounded."""
    told = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return told if len(told) <= TEXT_MAX_CHARS else told[: TEXT_MAX_CHARS - 1] + "…"


def _armed(tx: Transaction, acts: Collection[str]) -> AuditRow | None:
    """Of these acts the one that was armed last."""
    return next((row for row in newest_of(tx, (ARMED,), ARMED_LOOKED_AT) if row.data.get("act") in acts), None)


def _latest(tx: Transaction, actions: tuple[str, ...]) -> dict[str, Any] | None:
    found = newest_of(tx, actions, 1)
    return found[0].data if found else None
