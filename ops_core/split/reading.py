"""What the suite `handoff` sees: the bundle in force, proven anew, and what is recorded of the day. Changes nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from ops_core.clock import Clock, isoformat, parse_instant
from ops_core.config import Settings
from ops_core.control.opening import plane_of
from ops_core.control.recorded import newest_of
from ops_core.control.service import ControlPlane
from ops_core.control.store import Transaction
from ops_core.errors import CannotLook, OpsError
from ops_core.evidence import BundleSeen, HandoffEvidence, LiveCycleSeen, PullSeen, SummarySeen
from ops_core.handoff.installed import in_force
from ops_core.handoff.receipts import latest_pull
from ops_core.live import receipts
from ops_core.live.judging import Result
from ops_core.live.snapshots import resolve
from ops_core.summary.facts import LIVE_CYCLES, missed_live_cycles, takes_bundles
from ops_core.summary.summary import latest as latest_summary

LOOKER = "handoff probe"
# What of others' words goes into evidence.
TEXT_MAX_CHARS = 500


def read_handoff(settings: Settings, clock: Clock) -> HandoffEvidence:
    """The hand-off at one instant. Where no bundles are taken, nothing is read.

    Raises:
        CannotLook: the store, or what is recorded, cannot be read: nobody knows what is in force.
    """
    now = clock.now()
    if not takes_bundles(settings):
        return HandoffEvidence(seen_at=isoformat(now), configured=False)
    plane = plane_of(settings, clock, LOOKER)
    try:
        with plane.snapshot() as found:
            seen = HandoffEvidence(
                seen_at=isoformat(now),
                configured=True,
                bundle=_bundle(settings, found, now),
                pull=_pull(found),
                summary=_summary(settings, found, now),
                missed=missed_live_cycles(settings, found, now),
            )
            run = _live_cycle(found, now)
        return seen if run is None else _with(seen, run, settings, plane)
    except CannotLook:
        raise
    except OpsError as error:
        raise CannotLook(error.what, where=error.where, next_step=error.next_step) from None


def _bundle(settings: Settings, found: Transaction, now: datetime) -> BundleSeen | None:
    here = in_force(settings, found)
    if here is None:
        return None
    manifest = here.manifest
    return BundleSeen(
        id=here.bundle_id[:TEXT_MAX_CHARS],
        producer=manifest.producer if manifest else "",
        sequence=manifest.sequence if manifest else 0,
        created_at=manifest.created_at if manifest else "",
        age_s=round((now - manifest.created).total_seconds(), 3) if manifest else 0.0,
        fresh=here.is_fresh(now),
        fresh_until=isoformat(here.fresh_until) if here.fresh_until else "",
        problem=here.problem[:TEXT_MAX_CHARS],
    )


def _pull(found: Transaction) -> PullSeen | None:
    told = latest_pull(found)
    if told is None:
        return None
    return PullSeen(
        run_id=_text(told, "run_id"),
        at=_text(told, "ended_at") or _text(told, "begun_at"),
        outcome=_text(told, "outcome"),
        code=_text(told, "code"),
        reason=_text(told, "reason"),
    )


def _summary(settings: Settings, found: Transaction, now: datetime) -> SummarySeen | None:
    told = latest_summary(found)
    if told is None:
        return None
    age = now - parse_instant(str(told["asof"]))
    return SummarySeen(
        run_id=_text(told, "run_id"),
        asof=_text(told, "asof"),
        age_s=round(age.total_seconds(), 3),
        overall_status=_text(told, "overall_status"),
        current=age <= timedelta(hours=settings.handoff.fresh_hours),
    )


def _live_cycle(found: Transaction, now: datetime) -> tuple[dict[str, Any], bool] | None:
    """The latest receipt, and whether its run is open and goes on."""
    rows = newest_of(found, LIVE_CYCLES, 1)
    if not rows:
        return None
    told = rows[0].data
    return told, told.get("result") == Result.OPEN and receipts.goes_on(found, rows[0], now)


def _with(
    seen: HandoffEvidence, run: tuple[dict[str, Any], bool], settings: Settings, plane: ControlPlane
) -> HandoffEvidence:
    told, alive = run
    live = LiveCycleSeen(
        run_id=_text(told, "run_id"),
        asof=_text(told, "asof"),
        result=_text(told, "result"),
        decision=_text(told, "decision"),
        reason=_text(told, "reason"),
        bundle_id=_text(told, "bundle_id"),
        snapshot_ref=_text(told, "snapshot_ref"),
        snapshot_problem=_unresolved(told, settings, plane),
        alive=alive,
    )
    return replace(seen, live_cycle=live)


def _unresolved(told: dict[str, Any], settings: Settings, plane: ControlPlane) -> str:
    """Why the snapshot of a run that has ended, or the file it decided on, is not found; empty where both are."""
    if told.get("result") == Result.OPEN:
        return ""
    for ref in (_text(told, "snapshot_ref"), _text(told, "decision_ref")):
        if not ref:
            continue
        try:
            resolve(settings, plane, ref)
        except OpsError as error:
            return f"{ref}: {error.what}"[:TEXT_MAX_CHARS]
    return ""


def _text(told: dict[str, Any], name: str) -> str:
    return str(told.get(name) or "")[:TEXT_MAX_CHARS]
