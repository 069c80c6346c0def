"""The runs of cycles in the control store: one row each, one row for each slot, at most one of them open.

A row is opened before anything is done and closed with its receipt; the audit rows of both hold a digest. A row that is
open while nobody works on it was cut off: whoever comes next closes it as INTERRUPTED.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update

from ops_core.clock import isoformat, parse_instant
from ops_core.config import Settings
from ops_core.control import schema
from ops_core.control.audit import canonical
from ops_core.control.problems import StoreConflict
from ops_core.control.running.lasting import may_go_on
from ops_core.control.store import Transaction
from ops_core.cycle.sequence import Outcome
from ops_core.cycle.slots import missed_keys
from ops_core.cycle.texts import remedy_of

OPEN = "OPEN"
KIND = "cycle"
BEGUN, ENDED = "cycle.begun", "cycle.ended"
SINCE_MAX = 1000
_table = schema.cycle_run
# Of a cycle on another host nothing can be seen from here. Longer than the largest budget it cannot have run.
OUT_OF_SIGHT_S = 3600 + 900


@dataclass(frozen=True, kw_only=True)
class Run:
    """One row: its receipt as far as it is written, and whether it is still open."""

    id: str
    slot: str | None
    begun_at: str
    outcome: str
    receipt: dict[str, Any]

    @property
    def open(self) -> bool:
        """Whether it has begun and nobody closed it."""
        return self.outcome == OPEN

    @property
    def work(self) -> str:
        """The id of the work that it was registered as."""
        return str(self.receipt.get("work", ""))


def goes_on(tx: Transaction, run: Run, now: datetime) -> bool:
    """Whether the process of that run may still be at it."""
    return may_go_on(tx, run.work, now, out_of_sight_s=OUT_OF_SIGHT_S)


def of_slot(tx: Transaction, slot: str) -> Run | None:
    """The run of that slot, if there was one."""
    return _one(tx, select(_table).where(_table.c.slot == slot))


def open_runs(tx: Transaction) -> tuple[Run, ...]:
    """The runs that nobody closed."""
    rows = tx.execute(select(_table).where(_table.c.outcome == OPEN).order_by(_table.c.begun_at)).mappings()
    return tuple(_run(row) for row in rows)


def newest(tx: Transaction) -> Run | None:
    """The run that began last, be it open or not."""
    audit = schema.audit
    # By the audit, not by the time: clocks can be put back, and two runs can share a millisecond.
    wanted = select(audit.c.subject).where(audit.c.action == BEGUN).order_by(audit.c.seq.desc()).limit(1)
    last = tx.execute(wanted).scalar()
    return None if last is None else _one(tx, select(_table).where(_table.c.id == last))


def latest(tx: Transaction) -> dict[str, Any] | None:
    """The receipt of the run that began last; its result is OPEN while it runs. None where there was none."""
    run = newest(tx)
    return None if run is None else run.receipt


def missed(settings: Settings, tx: Transaction, now: datetime) -> tuple[str, ...]:
    """The slots that nobody ran since the last cycle began.

    Raises:
        ConfigError: the schedule cannot be followed.
    """
    last = newest(tx)
    if last is None:
        return ()
    wanted = select(_table.c.slot).where(_table.c.slot.is_not(None)).order_by(_table.c.begun_at.desc()).limit(SINCE_MAX)
    done = frozenset(str(slot) for slot in tx.execute(wanted).scalars())
    return missed_keys(settings, parse_instant(last.begun_at), now, done)


def begin(tx: Transaction, receipt: dict[str, Any], *, actor: str, now: datetime) -> None:
    """Open a run.

    Raises:
        StoreConflict: its slot was taken meanwhile.
    """
    tx.execute(
        insert(_table).values(
            id=receipt["run_id"],
            slot=receipt["slot"],
            actor=actor,
            begun_at=receipt["begun_at"],
            ended_at=None,
            outcome=OPEN,
            receipt=canonical(receipt),
        )
    )
    tx.audit(at=now, actor=actor, action=BEGUN, subject=receipt["run_id"], detail={"slot": receipt["slot"]})


def end(tx: Transaction, receipt: dict[str, Any], *, actor: str, now: datetime) -> None:
    """Close a run with its receipt.

    Raises:
        StoreConflict: somebody else has closed it.
    """
    text = canonical(receipt)
    statement = (
        update(_table)
        .where(_table.c.id == receipt["run_id"], _table.c.outcome == OPEN)
        .values(ended_at=receipt["ended_at"], outcome=receipt["result"], receipt=text)
    )
    if tx.execute(statement).rowcount != 1:
        raise StoreConflict(
            f"the cycle {receipt['run_id']} was closed by somebody else", next_step="see what it says: ops cycle latest"
        )
    told = {"slot": receipt["slot"], "result": receipt["result"], "receipt_digest": digest_of(text)}
    tx.audit(at=now, actor=actor, action=ENDED, subject=receipt["run_id"], detail=told)


def interrupt(
    tx: Transaction, run: Run, *, why: str, actor: str, now: datetime, more: Mapping[str, object]
) -> dict[str, Any]:
    """Close a run that was cut off, and return its receipt; `more` is what else is known of it now."""
    receipt = {
        **run.receipt,
        **more,
        "ended_at": isoformat(now),
        "result": Outcome.INTERRUPTED.value,
        "cause": why,
        "remedy": remedy_of(Outcome.INTERRUPTED),
    }
    end(tx, receipt, actor=actor, now=now)
    return receipt


def digest_of(text: str) -> str:
    """SHA-256 over a receipt's canonical text."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _one(tx: Transaction, statement: Any) -> Run | None:
    row = tx.execute(statement).mappings().first()
    return None if row is None else _run(row)


def _run(row: Any) -> Run:
    return Run(
        id=str(row["id"]),
        slot=row["slot"],
        begun_at=str(row["begun_at"]),
        outcome=str(row["outcome"]),
        receipt=json.loads(row["receipt"]),
    )
