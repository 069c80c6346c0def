"""What the suite `daily` sees of the control plane and of the cycle that ran last. Changes nothing."""

from __future__ import annotations

from datetime import datetime

from ops_core.clock import Clock
from ops_core.config import Settings
from ops_core.control.location import location_of
from ops_core.control.model import KEYS_NEEDED, why_stopped
from ops_core.control.reading import UNKNOWN_GATE
from ops_core.control.service import ControlPlane
from ops_core.control.store import Transaction
from ops_core.cycle import records, slots
from ops_core.cycle.run import modes_in
from ops_core.cycle.sequence import Modes
from ops_core.cycle.work import FIRED
from ops_core.errors import CannotLook, OpsError
from ops_core.evidence import DailyEvidence


def read_daily(settings: Settings, clock: Clock) -> DailyEvidence:
    """The control plane and the latest cycle at one instant. A store that cannot be used is stopped.

    Raises:
        CannotLook: the schedule cannot be followed, or what is recorded cannot be read.
    """
    try:
        plane = ControlPlane(location_of(settings), clock)
        state = plane.state()
        if state.problem:
            return DailyEvidence(stopped=why_stopped(state), gate=UNKNOWN_GATE, keys_needed=KEYS_NEEDED)
        with plane.snapshot() as found:
            now = clock.now()
            return _seen(settings, found, modes_in(plane, found, now), now)
    except CannotLook:
        raise
    except OpsError as error:
        raise CannotLook(error.what, where=error.where, next_step=error.next_step) from None


def _seen(settings: Settings, found: Transaction, modes: Modes, now: datetime) -> DailyEvidence:
    run = records.newest(found)
    due = slots.due_key(settings, now)
    receipt = {} if run is None else run.receipt
    fire = receipt.get("live_fire_step") or {}
    # Set later than now: the clock was put back, and nobody can tell what was in force at this time of it.
    ahead = found.state.gate_at is not None and found.state.gate_at > now
    return DailyEvidence(
        stopped=modes.stopped,
        gate=UNKNOWN_GATE if ahead else modes.gate.value,
        window=modes.window,
        window_left_s=modes.window_left_s,
        window_used=modes.window == "CONSUMED" and fire.get("result") == FIRED,
        keys=modes.keys,
        keys_needed=KEYS_NEEDED,
        keys_problem=modes.keys_problem,
        due_slot=due,
        due_run=not due or records.of_slot(found, due) is not None,
        missed=records.missed(settings, found, now),
        run_id="" if run is None else run.id,
        result="" if run is None else run.outcome,
        cause=str(receipt.get("cause", "")),
        begun_at="" if run is None else run.begun_at,
        ended_at=str(receipt.get("ended_at") or ""),
        alive=run is not None and run.open and records.goes_on(found, run, now),
    )
