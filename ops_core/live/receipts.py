"""The receipts of live cycles: each is its own audit row, begun before anything is done, ended with what came of it.

One whose process is gone before it could say how it ended stays OPEN until whoever comes next closes it as FAILED.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from ops_core.clock import isoformat
from ops_core.control.audit import AuditRow
from ops_core.control.recorded import newest_of, one_of
from ops_core.control.running.lasting import may_go_on
from ops_core.control.store import Transaction
from ops_core.handoff.installed import InForce
from ops_core.live.judging import NONE, UNKNOWN, Result

SCHEMA = "live_cycle_receipt_v1"
KIND = "live_cycle"
BEGUN, ENDED, SHOWN = "live_cycle.begun", "live_cycle.ended", "live_cycle.shown"
CUT_OFF = "the process that ran it is gone: it was killed, or its host went down"
# Of a run on another host nothing can be seen from here. It reads a bundle and writes a few lines.
OUT_OF_SIGHT_S = 1800.0


def begun(run_id: str, actor: str, modes: Mapping[str, Any], work: str, now: datetime) -> dict[str, Any]:
    """A receipt as it begins; it stays that if nobody lives to close it."""
    return {
        "schema": SCHEMA,
        "run_id": run_id,
        "asof": isoformat(now),
        "begun_at": isoformat(now),
        "ended_at": None,
        "actor": actor,
        "result": Result.OPEN.value,
        "decision": NONE,
        "decision_ref": "",
        "reason": "it is running",
        "next": "",
        "bundle_id": None,
        "bundle": None,
        "snapshot_ref": f"{KIND}/{run_id}",
        "push": {"delivery_actual": NONE, "reason": "not reached", "lines": []},
        "observed_modes": dict(modes),
        "work": work,
        "recorded": True,
        "checkpoint": None,
    }


def bundle_of(here: InForce | None, now: datetime) -> dict[str, Any] | None:
    """The bundle in force as receipts tell it; None where there is none."""
    if here is None:
        return None
    manifest = here.manifest
    return {
        "bundle_id": here.bundle_id,
        "producer": manifest.producer if manifest else "",
        "sequence": manifest.sequence if manifest else None,
        "created_at": manifest.created_at if manifest else "",
        "fresh_until": isoformat(here.fresh_until) if here.fresh_until else "",
        "fresh": here.is_fresh(now),
        "since": here.since,
        "commit": here.commit,
        "problem": here.problem,
    }


def day_of(now: datetime, zone: str) -> str:
    """The day that it is in that zone."""
    return now.astimezone(ZoneInfo(zone)).date().isoformat()


def shown_by(tx: Transaction, bundle_id: str, day: str) -> str:
    """The run that has shown, or begun to show, the preview of that bundle on that day; empty where none has."""
    told = one_of(tx, SHOWN, shown_subject(bundle_id, day))
    return "" if told is None else str(told.get("run_id", ""))


def shown_subject(bundle_id: str, day: str) -> str:
    """What the audit row of a shown preview is about."""
    return f"{bundle_id}/{day}"


def latest(tx: Transaction) -> dict[str, Any] | None:
    """The receipt of the live cycle that began last; its result is OPEN until it is closed. None where there was none.

    Raises:
        StoreUnusable: it was changed after it was written.
    """
    found = newest_of(tx, (BEGUN, ENDED), 1)
    return found[0].data if found else None


def of_run(tx: Transaction, run_id: str) -> dict[str, Any] | None:
    """The receipt of exactly that run, once it has ended.

    Raises:
        StoreUnusable: it was changed after it was written.
    """
    return one_of(tx, ENDED, run_id)


def open_run(tx: Transaction) -> AuditRow | None:
    """The run that has begun and that nobody closed."""
    found = newest_of(tx, (BEGUN,), 1)
    return None if not found or of_run(tx, found[0].subject) is not None else found[0]


def goes_on(tx: Transaction, row: AuditRow, now: datetime) -> bool:
    """Whether the process of a run that is open may still be at it."""
    return may_go_on(tx, str(row.data.get("work", "")), now, out_of_sight_s=OUT_OF_SIGHT_S)


def cut_off(tx: Transaction, row: AuditRow, checkpoint: Mapping[str, object], now: datetime) -> dict[str, Any]:
    """The receipt of a run whose process is gone."""
    told, shown = row.data, newest_of(tx, (SHOWN,), 1)
    push = {**told["push"], "reason": CUT_OFF}
    if shown and shown[0].data.get("run_id") == row.subject:
        # Whether its lines came out before it was killed nobody knows; they are not shown a second time.
        push["delivery_actual"] = UNKNOWN
    return {
        **told,
        "ended_at": isoformat(now),
        "result": Result.FAILED.value,
        "reason": CUT_OFF,
        "next": "ops live run",
        "push": push,
        "checkpoint": dict(checkpoint),
    }
