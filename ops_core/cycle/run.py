"""One cycle from its beginning to its receipt.

A scheduled slot is run once, however many schedulers ask for it and whenever: who asks again gets the same receipt. One
cycle runs at a time; one whose process is gone is closed as INTERRUPTED by whoever comes next.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ops_core.clock import new_run_id
from ops_core.config import Settings
from ops_core.control import mirrors, model
from ops_core.control.checkpoint import checkpoint_of
from ops_core.control.model import Gate, WindowStatus
from ops_core.control.running import Work as Registered
from ops_core.control.running import registered
from ops_core.control.service import ControlPlane
from ops_core.control.store import Transaction
from ops_core.cycle import receipts, records, slots
from ops_core.cycle.cutting import Limits
from ops_core.cycle.sequence import Modes, barrier, modes_of
from ops_core.cycle.turns import in_turn
from ops_core.cycle.work import Job, Progress, fire_within, work
from ops_core.errors import Refused, UsageError
from ops_core.push import recover

CUT_OFF = "the process that ran it is gone: it was killed, or its host went down"
WAIT_GRACE_S = 90.0
# Nobody sits and waits for a cycle: it can be more patient with others than a person.
BUSY_S = 15.0
ASK_AGAIN_S = 0.1
# Many may wait for one, and each question costs the one that works.
ASK_AGAIN_MAX_S = 1.0
REQUEST_TYPES_MAX = 20
REQUEST_TYPE_MAX_CHARS = 64


class CycleRunning(Refused):
    """Another cycle runs: there is one at a time."""


def run(
    settings: Settings,
    plane: ControlPlane,
    *,
    slot: str | None = None,
    authorised_to_fire: bool = False,
    request_types: tuple[str, ...] | None = None,
) -> dict[str, Any]:
    """Run a cycle and return its receipt.

    Args:
        settings: the profile.
        plane: its control plane.
        slot: "now" for the slot that is due, or its key; None runs one by hand.
        authorised_to_fire: whether whoever asks may make a live fire happen.
        request_types: what the cycle is asked for; the configured ones unless given.

    Returns:
        The receipt. `already_run` is in it where it is that of an earlier run of the slot, `recorded: false` where the
        store cannot be used, which counts as stopped.

    Raises:
        CycleRunning: another one runs.
        Refused: the slot is not due.
        UsageError: there are no such request types.
        ConfigError: the schedule cannot be followed.
        StoreUnusable: the store stopped working while the cycle ran.
    """
    types = _fit_types(settings.cycle.request_types if request_types is None else request_types)
    plane = plane.impatient(BUSY_S)
    key = _key_of(settings, plane, slot)
    if isinstance(key, dict):
        return key
    asker = _Asker(settings=settings, plane=plane, slot=key, types=types, authorised=authorised_to_fire)
    waits_until = plane.clock.monotonic() + settings.cycle.budget_s + WAIT_GRACE_S
    pause_s = ASK_AGAIN_S
    while True:
        receipt = asker.attempt()
        if receipt is not None:
            if not receipt.get("already_run"):
                mirrors.export(plane, settings)
            return receipt
        if plane.clock.monotonic() >= waits_until:
            raise CycleRunning(f"the cycle of the slot {key} does not end", where="cycle", next_step="ops cycle latest")
        plane.clock.sleep(pause_s)
        pause_s = min(2 * pause_s, ASK_AGAIN_MAX_S)


def _fit_types(types: tuple[str, ...]) -> tuple[str, ...]:
    wrong = [one for one in types if not one or len(one) > REQUEST_TYPE_MAX_CHARS or model.tidy(one, "") != one]
    if wrong or not 0 < len(types) <= REQUEST_TYPES_MAX or len(set(types)) != len(types):
        raise UsageError(
            "a cycle cannot be asked for that" if wrong else f"a cycle cannot be asked for {len(types)} things",
            where="request types",
            allowed=f"1 to {REQUEST_TYPES_MAX} different names of at most {REQUEST_TYPE_MAX_CHARS} characters",
        )
    return types


def _key_of(settings: Settings, plane: ControlPlane, slot: str | None) -> str | dict[str, Any] | None:
    """The key of the slot to run; or the receipt, where that slot was run and is over."""
    if slot is None:
        return None
    now = plane.clock.now()
    due = slots.due_key(settings, now)
    if due and slot in {slots.NOW, due}:
        return due
    if slot != slots.NOW and not plane.state().problem:
        with plane.snapshot() as found:
            before = records.of_slot(found, slot)
        if before is not None and not before.open:
            return _again(before.receipt)
    raise slots.refuse_slot(settings, slot, now)


def _again(receipt: dict[str, Any]) -> dict[str, Any]:
    return {**receipt, "already_run": True}


@dataclass(frozen=True, kw_only=True)
class _Asker:
    """Somebody who asks for one cycle."""

    settings: Settings
    plane: ControlPlane
    slot: str | None
    types: tuple[str, ...]
    authorised: bool

    def attempt(self) -> dict[str, Any] | None:
        """The receipt; None where another process runs the same slot just now."""
        limits = Limits(self.plane.clock, self.settings.cycle.budget_s)
        with limits.listening(), ExitStack() as stack:
            with in_turn(self.settings.control_dir, self.plane.clock):
                here = self._entered(stack)
            if not isinstance(here, _Entered):
                return here
            progress = Progress()
            if here.work is not None and barrier(here.modes) is None:
                limits.begin(here.work.must_end)
                work(self._job(limits, here.receipt["run_id"]), here.work, here.modes, progress)
            return self._close(here, progress) if here.work is not None else here.receipt

    def _entered(self, stack: ExitStack) -> _Entered | dict[str, Any] | None:
        """The run that was opened; or the receipt there is already, or None while somebody else runs the slot."""
        plane = self.plane
        state = plane.state()
        if state.problem:
            return self._unrecorded(modes_of(state, "", plane.clock.now()))
        with plane.snapshot() as found:
            before = self._of_slot(found)
            # Nothing to enter into the store: whoever waits for the same slot does not get in the others' way.
            if before is not None and not before.open:
                return _again(before.receipt)
            if before is not None and records.goes_on(found, before, plane.clock.now()):
                return None
        # What a live fire that was killed has left is locked down and told before anything else is.
        recover(plane)
        if model.why_stopped(state):
            return self._stopped()
        try:
            here = stack.enter_context(registered(plane, records.KIND, environ=os.environ))
        except Refused:
            # The stop came first: that is an outcome of the cycle, and it leaves a receipt.
            return self._stopped()
        return self._enter(here)

    def _stopped(self) -> dict[str, Any] | None:
        """A cycle that finds everything stopped: opened and closed at once."""
        entered = self._enter(None)
        if not isinstance(entered, _Entered):
            return entered
        if barrier(entered.modes) is None:
            # Released meanwhile: it is for another attempt to run it.
            return None
        return entered.receipt

    def _enter(self, here: Registered | None) -> _Entered | dict[str, Any] | None:
        """Open the run, closing first those that were cut off; or the receipt of the slot, or None while it runs."""
        plane = self.plane
        with plane.transaction() as change:
            now = plane.clock.now()
            before = self._of_slot(change)
            if before is not None and not before.open:
                return _again(before.receipt)
            for one in records.open_runs(change):
                if records.goes_on(change, one, now):
                    if one.slot is not None and one.slot == self.slot:
                        return None
                    if here is not None:
                        raise CycleRunning(
                            f"a cycle is running since {one.begun_at}, run {one.id}",
                            where="cycle",
                            allowed="one cycle at a time",
                            next_step="wait for it, or end it: ops estop engage",
                        )
                    continue
                closed = self._interrupt(change, one, now)
                if before is not None and one.id == before.id:
                    return _again(closed)
            modes = modes_in(plane, change, now)
            receipt = receipts.begun(
                # With the number of its audit row: unique, and in order within a second.
                run_id=new_run_id(now, f"{change.head[0] + 1:06d}"),
                slot=self.slot,
                actor=plane.actor,
                request_types=self.types,
                modes=modes,
                missed=records.missed(self.settings, change, now),
                work="" if here is None else here.id,
                now=now,
            )
            entered = _Entered(receipt=receipt, modes=modes, work=here)
            if here is None and barrier(modes) is None:
                return entered
            records.begin(change, receipt, actor=plane.actor, now=now)
            self._tickets(change, "requests", receipt, now)
            if here is None:
                return _Entered(receipt=self._end(change, entered, Progress(), now), modes=modes)
        return entered

    def _interrupt(self, change: Transaction, run: records.Run, now: datetime) -> dict[str, Any]:
        """Close a run whose process is gone, with what is known of the live fire that it may have begun."""
        more = {
            "live_fire_step": fire_within(change, run.work, run.begun_at).as_dict(),
            "checkpoint": checkpoint_of(change, self.settings),
        }
        receipt = records.interrupt(change, run, why=CUT_OFF, actor=self.plane.actor, now=now, more=more)
        self._tickets(change, "results", receipt, now, result=receipt["result"])
        return receipt

    def _close(self, entered: _Entered, progress: Progress) -> dict[str, Any]:
        with self.plane.transaction() as change:
            return self._end(change, entered, progress, self.plane.clock.now())

    def _end(self, change: Transaction, entered: _Entered, progress: Progress, now: datetime) -> dict[str, Any]:
        receipt = receipts.ended(
            entered.receipt,
            modes=entered.modes,
            work=progress.frozen(),
            missing=progress.missing,
            message=progress.message,
            checkpoint=checkpoint_of(change, self.settings),
            now=now,
        )
        records.end(change, receipt, actor=self.plane.actor, now=now)
        self._tickets(change, "results", receipt, now, result=receipt["result"])
        if progress.missing:
            # One for the whole run: what is missing is missing for all that it was asked for.
            self._tickets(change, "preflight", receipt, now, only=1, missing=receipt["preflight"])
        return receipt

    def _tickets(
        self,
        change: Transaction,
        journal: str,
        receipt: dict[str, Any],
        now: datetime,
        *,
        only: int | None = None,
        **fields: object,
    ) -> None:
        from ops_core.control import tickets

        for one in receipt["request_types"][:only]:
            tickets.record(
                change,
                journal,
                at=now,
                actor=self.plane.actor,
                request_type=one,
                run_id=receipt["run_id"],
                slot=receipt["slot"],
                **fields,
            )

    def _unrecorded(self, modes: Modes) -> dict[str, Any]:
        """The receipt where no store can keep it: stopped, and nothing was done."""
        now = self.plane.clock.now()
        receipt = receipts.begun(
            run_id=new_run_id(now),
            slot=self.slot,
            actor=self.plane.actor,
            request_types=self.types,
            modes=modes,
            missed=(),
            work="",
            now=now,
        )
        done = receipts.ended(
            receipt, modes=modes, work=Progress().frozen(), missing=(), message=(None, ""), checkpoint=None, now=now
        )
        return {**done, "recorded": False}

    def _of_slot(self, found: Transaction) -> records.Run | None:
        return None if self.slot is None else records.of_slot(found, self.slot)

    def _job(self, limits: Limits, run_id: str) -> Job:
        return Job(
            settings=self.settings,
            plane=self.plane,
            limits=limits,
            run_id=run_id,
            request_types=self.types,
            authorised=self.authorised,
        )


@dataclass(frozen=True, kw_only=True)
class _Entered:
    """A run that was opened, what the control plane said in the same transaction, and the work that it is."""

    receipt: dict[str, Any]
    modes: Modes
    work: Registered | None = None


def modes_in(plane: ControlPlane, found: Transaction, now: datetime) -> Modes:
    """What the control plane says at `now`, read from the store as it is at one instant."""
    from ops_core.control.people import keys_problem

    state = plane.counting(found.state)
    modes = modes_of(state, "", now)
    if modes.gate is not Gate.REAL_ENABLED or modes.window != WindowStatus.ACTIVE or state.window is None:
        return modes
    return modes_of(state, keys_problem(found, state.window, now), now)
