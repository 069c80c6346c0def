"""The receipt of a cycle: the same shape from its first moment to its end."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ops_core.clock import isoformat
from ops_core.cycle.preflight import Missing
from ops_core.cycle.sequence import FireStep, Judged, Modes, Work, judge
from ops_core.cycle.texts import remedy_of

SCHEMA = "ops_run_receipt_v1"
SHOWN_MAX = 50
OPEN = "OPEN"


def begun(
    *,
    run_id: str,
    slot: str | None,
    actor: str,
    request_types: tuple[str, ...],
    modes: Modes,
    missed: tuple[str, ...],
    work: str,
    now: datetime,
) -> dict[str, Any]:
    """The receipt of a cycle that has begun; it stays that if nobody lives to close it."""
    return {
        "schema": SCHEMA,
        "run_id": run_id,
        "slot": slot,
        "asof": isoformat(now),
        "begun_at": isoformat(now),
        "ended_at": None,
        "actor": actor,
        "request_types": list(request_types),
        "result": OPEN,
        "cause": "it is running",
        "remedy": "",
        "observed_modes": modes.as_dict(),
        "steps": [],
        "live_fire_step": FireStep().as_dict(),
        "preflight": [],
        "daily_message": {"id": None, "reason": "not reached"},
        "missed": list(missed[-SHOWN_MAX:]),
        "work": work,
        "checkpoint": None,
    }


def ended(
    receipt: dict[str, Any],
    *,
    modes: Modes,
    work: Work,
    missing: tuple[Missing, ...],
    message: tuple[str | None, str],
    checkpoint: dict[str, object] | None,
    now: datetime,
) -> dict[str, Any]:
    """The same receipt once the cycle has ended."""
    judged: Judged = judge(modes, work, tuple(receipt["missed"]))
    why = f"not reached: {judged.cause}"
    fire = FireStep(reason=why) if work.fire == FireStep() else work.fire
    return {
        **receipt,
        "ended_at": isoformat(now),
        "result": judged.outcome.value,
        "cause": judged.cause,
        "remedy": remedy_of(judged.outcome),
        "steps": [step.as_dict() for step in judged.steps],
        "live_fire_step": fire.as_dict(),
        "preflight": [one.as_dict() for one in missing[:SHOWN_MAX]],
        "daily_message": {"id": message[0], "reason": message[1] or why},
        "checkpoint": checkpoint,
    }
