"""One live cycle from its beginning to its receipt: the guard, the bundle in force, its decision, the preview.

One runs at a time, and an emergency stop ends it. The preview of a bundle is shown once a day at most: that it is about
to be shown is recorded before it is, so a run that is killed in between has it shown by nobody else.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ops_core.clock import isoformat, new_run_id
from ops_core.config import Settings
from ops_core.control import model
from ops_core.control.checkpoint import checkpoint_of
from ops_core.control.running import WorkEnded, registered
from ops_core.control.service import ControlPlane
from ops_core.control.store import Transaction
from ops_core.control.views import modes
from ops_core.errors import Refused
from ops_core.handoff.installed import InForce, in_force
from ops_core.handoff.model import BundleRefused
from ops_core.handoff.references import reference_of
from ops_core.live import receipts
from ops_core.live.judging import CONSOLE, NONE, UNKNOWN, Decision, Judged, Result, Seen, judge, read_decision, unknown
from ops_core.live.preview import lines_of
from ops_core.push.senders import ConsoleSender, Delivered

# Nobody sits and waits for it: it can be more patient with others than a person.
BUSY_S = 15.0
Show = Callable[[str], str]


class LiveCycleRunning(Refused):
    """Another live cycle runs: there is one at a time."""


def run(settings: Settings, plane: ControlPlane, *, show: Show | None = None) -> dict[str, Any]:
    """Run one live cycle and return its receipt.

    Args:
        settings: the profile.
        plane: its control plane.
        show: shows a text on the console and says what went wrong, or nothing; standard error unless given.

    Returns:
        The receipt. `recorded` is false in it where the store cannot be used, which counts as stopped.

    Raises:
        LiveCycleRunning: another one runs.
        StoreUnusable: the store stopped working while it ran.
    """
    plane = plane.impatient(BUSY_S)
    state = plane.state()
    why = model.why_stopped(state)
    if state.problem:
        now = plane.clock.now()
        receipt = receipts.begun(new_run_id(now), plane.actor, modes(state, now), "", now)
        told = _ended(receipt, Seen(stopped=why), judge(Seen(stopped=why)), None, now)
        return {**told, "snapshot_ref": None, "recorded": False, "next": state.remedy}
    if why:
        return _blocked(settings, plane, why)
    try:
        with registered(plane, receipts.KIND, environ=os.environ) as work:
            return _Run(settings=settings, plane=plane, show=show or _on_console(plane)).whole(work.id, work.must_end)
    except (LiveCycleRunning, WorkEnded):
        raise
    except Refused as error:
        # The stop came first: that is an outcome of the live cycle, and it leaves a receipt.
        return _blocked(settings, plane, error.what)


def preview(settings: Settings, plane: ControlPlane) -> dict[str, Any]:
    """What the next live cycle would show, and whether it would. Nothing is shown, recorded or changed.

    Raises:
        StoreUnusable: the store cannot be used.
    """
    state, now = plane.state(), plane.clock.now()
    with plane.snapshot() as found:
        here = in_force(settings, found)
        seen = _seen(settings, found, here, now, model.why_stopped(state))
    judged, bundle, in_modes = judge(seen), receipts.bundle_of(here, now), modes(state, now)
    return {
        "schema": "alert_preview_v1",
        "asof": isoformat(now),
        "channel": CONSOLE,
        "decision": seen.decision.value,
        "decision_ref": seen.decision.ref,
        "bundle_id": seen.bundle_id or None,
        "bundle": bundle,
        "result": judged.result.value,
        "would_deliver": judged.show,
        "reason": judged.why_not or judged.reason,
        "lines": lines_of(settings.lang, seen.decision, bundle, in_modes) if bundle and not seen.problem else [],
        "observed_modes": in_modes,
    }


@dataclass(frozen=True, kw_only=True)
class _Run:
    """One live cycle that was let in."""

    settings: Settings
    plane: ControlPlane
    show: Show

    def whole(self, work: str, must_end: Callable[[], str]) -> dict[str, Any]:
        receipt = self._begin(work)
        with self.plane.snapshot() as found:
            here = in_force(self.settings, found)
            seen = _seen(self.settings, found, here, self.plane.clock.now(), must_end())
        judged, push = judge(seen), None
        if judged.show:
            lines = self._arm(receipt, seen, here)
            if isinstance(lines, str):
                seen = replace(seen, stopped=lines)
                judged = judge(seen)
            else:
                push = self._shown(lines, judged)
        if push is not None and push["delivery_actual"] == UNKNOWN:
            judged = Judged(result=Result.WARN, reason=f"the preview may not have been shown: {push['reason']}")
        with self.plane.transaction() as change:
            now = self.plane.clock.now()
            told = _ended(receipt, seen, judged, receipts.bundle_of(here, now), now, push)
            return _record(change, self.settings, self.plane, told, now)

    def _begin(self, work: str) -> dict[str, Any]:
        """Open the run, closing first one that was cut off."""
        plane = self.plane
        with plane.transaction() as change:
            now = plane.clock.now()
            _close_open(change, self.settings, plane, now, refuse=True)
            run_id = _new_id(change, now)
            receipt = receipts.begun(run_id, plane.actor, modes(plane.counting(change.state), now), work, now)
            change.audit(at=now, actor=plane.actor, action=receipts.BEGUN, subject=run_id, detail=receipt)
        return receipt

    def _arm(self, receipt: dict[str, Any], seen: Seen, here: InForce | None) -> list[str] | str:
        """Record that the preview is about to be shown, and return its lines; or why everything is stopped by now."""
        plane = self.plane
        with plane.transaction() as change:
            why = model.why_stopped(plane.counting(change.state))
            if why:
                return why
            now = plane.clock.now()
            subject = receipts.shown_subject(seen.bundle_id, receipts.day_of(now, self.settings.schedule.zone))
            told = {"run_id": receipt["run_id"], "bundle_id": seen.bundle_id}
            change.audit(at=now, actor=plane.actor, action=receipts.SHOWN, subject=subject, detail=told)
        bundle = receipts.bundle_of(here, now) or {}
        return lines_of(self.settings.lang, seen.decision, bundle, receipt["observed_modes"])

    def _shown(self, lines: list[str], judged: Judged) -> dict[str, Any]:
        problem = self.show("\n".join(lines))
        if problem:
            return {"delivery_actual": UNKNOWN, "reason": problem, "lines": lines}
        return {"delivery_actual": CONSOLE, "reason": judged.reason, "lines": lines}


def _seen(settings: Settings, found: Transaction, here: InForce | None, now: datetime, stopped: str) -> Seen:
    if here is None or here.problem:
        problem = "" if here is None else here.problem
        return Seen(stopped=stopped, bundle_id=here.bundle_id if here else "", problem=problem)
    day = receipts.day_of(now, settings.schedule.zone)
    return Seen(
        stopped=stopped,
        bundle_id=here.bundle_id,
        fresh=here.is_fresh(now),
        fresh_until=isoformat(here.fresh_until) if here.fresh_until else "a time that is not known",
        decision=_decision(settings, here),
        shown_by=receipts.shown_by(found, here.bundle_id, day),
    )


def _decision(settings: Settings, here: InForce) -> Decision:
    """What the bundle says is to be done; NONE where no file of it is meant to."""
    name = settings.handoff.decision_file
    if name is None:
        return Decision()
    file = here.manifest.file(name) if here.manifest else None
    ref = reference_of(here.bundle_id, name)
    if file is None:
        return unknown("", f"it has no file {name}")
    try:
        return read_decision(here.content(file), settings.handoff.decision_key, ref)
    except BundleRefused as error:
        return unknown(ref, error.refusal.what)


def _blocked(settings: Settings, plane: ControlPlane, why: str) -> dict[str, Any]:
    """A live cycle that finds everything stopped: its receipt, and nothing else."""
    with plane.transaction() as change:
        now = plane.clock.now()
        _close_open(change, settings, plane, now, refuse=False)
        receipt = receipts.begun(_new_id(change, now), plane.actor, modes(plane.counting(change.state), now), "", now)
        seen = Seen(stopped=why)
        return _record(change, settings, plane, _ended(receipt, seen, judge(seen), None, now), now)


def _close_open(change: Transaction, settings: Settings, plane: ControlPlane, now: datetime, *, refuse: bool) -> None:
    """Close a run whose process is gone.

    Raises:
        LiveCycleRunning: it goes on, and that is to be refused.
    """
    row = receipts.open_run(change)
    if row is None:
        return
    if receipts.goes_on(change, row, now):
        if refuse:
            raise LiveCycleRunning(
                f"a live cycle is running since {row.at}, run {row.subject}",
                where="live cycle",
                allowed="one at a time",
                next_step="wait for it, or end it: ops estop engage",
            )
        return
    told = receipts.cut_off(change, row, checkpoint_of(change, settings), now)
    change.audit(at=now, actor=plane.actor, action=receipts.ENDED, subject=row.subject, detail=told)


def _ended(
    receipt: dict[str, Any],
    seen: Seen,
    judged: Judged,
    bundle: dict[str, Any] | None,
    now: datetime,
    push: dict[str, Any] | None = None,
) -> dict[str, Any]:
    return {
        **receipt,
        "ended_at": isoformat(now),
        "result": judged.result.value,
        "decision": seen.decision.value,
        "decision_ref": seen.decision.ref,
        "reason": judged.reason,
        "next": judged.next_step,
        "bundle_id": seen.bundle_id or None,
        "bundle": bundle,
        "push": push or {"delivery_actual": NONE, "reason": judged.why_not, "lines": []},
    }


def _record(
    change: Transaction, settings: Settings, plane: ControlPlane, told: dict[str, Any], now: datetime
) -> dict[str, Any]:
    receipt = {**told, "checkpoint": checkpoint_of(change, settings)}
    change.audit(at=now, actor=plane.actor, action=receipts.ENDED, subject=receipt["run_id"], detail=receipt)
    return receipt


def _new_id(change: Transaction, now: datetime) -> str:
    # With the number of its audit row: unique, and in order within a second.
    return new_run_id(now, f"{change.head[0] + 1:06d}")


def _on_console(plane: ControlPlane) -> Show:
    def shown(text: str) -> str:
        told = ConsoleSender(now=plane.clock.now).send(text)
        return "" if isinstance(told, Delivered) else told.detail

    return shown
