"""What publish, pull and rollback leave behind: each receipt is its own audit row, and what holds is read from them.

What is in force, which number was the highest ever taken, and what is held back follow from the receipts alone. Each
act is armed before it has an effect, so whoever comes next can tell what one that was killed had begun.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from ops_core.clock import isoformat
from ops_core.control.audit import AuditRow
from ops_core.control.recorded import newest_of, one_of
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
KNOWN_MAX = 1000
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


def armed_open(tx: Transaction) -> AuditRow | None:
    """The act that was armed last, if nobody has recorded how it ended."""
    found = newest_of(tx, (ARMED,), 1)
    if not found or any(one_of(tx, end, found[0].subject) is not None for end in ENDS):
        return None
    return found[0]


def latest_pull(tx: Transaction) -> dict[str, Any] | None:
    """The receipt of the newest pull, refused and failed ones included."""
    return _latest(tx, PULLS)


def latest_publish(tx: Transaction) -> dict[str, Any] | None:
    """The receipt of the newest publish, failed ones included."""
    return _latest(tx, PUBLISHES)


def latest_refusal(tx: Transaction) -> dict[str, Any] | None:
    """The receipt of the newest pull that refused a bundle."""
    return _latest(tx, (REFUSED,))


def begun(act: str, run_id: str, actor: str, now: datetime) -> dict[str, Any]:
    """A receipt as it begins."""
    return {
        "schema": SCHEMA,
        "act": act,
        "run_id": run_id,
        "actor": actor,
        "begun_at": isoformat(now),
        "ended_at": "",
        "outcome": "",
        "code": None,
        "reason": "",
        "next": "",
    }


def short(text: str) -> str:
    """What others say, fit for a receipt: one line, bounded."""
    told = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return told if len(told) <= TEXT_MAX_CHARS else told[: TEXT_MAX_CHARS - 1] + "…"


def _latest(tx: Transaction, actions: tuple[str, ...]) -> dict[str, Any] | None:
    found = newest_of(tx, actions, 1)
    return found[0].data if found else None
