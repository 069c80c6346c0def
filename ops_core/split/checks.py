"""The one-minute checks: is the latest live cycle, or the latest summary, what it should be? Asked of the server alone.

Nothing is run or changed: the latest one is asked for, and its reference has to lead to exactly it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from ops_core.clock import Clock, parse_instant
from ops_core.config import Settings
from ops_core.split import steps
from ops_core.split.asking import Asked
from ops_core.split.run import backend_of
from ops_core.split.steps import Outcome, State

# A day, and as much again as a schedule may be late.
OLD_AFTER = timedelta(hours=26)
# What has not ended after so long never will.
RUNS_AT_MOST = timedelta(minutes=30)
RUNNING = "OPEN"
RESOLVE = "/api/snapshots/resolve"


@dataclass(frozen=True, kw_only=True)
class Check:
    """One of the checks: where its latest is asked for, what says how it stands, and what is told of it."""

    name: str
    path: str
    result: str
    told: Callable[[Mapping[str, Any]], str]
    next_step: str


def _told_of_live_cycle(row: Mapping[str, Any]) -> str:
    push = row.get("push")
    delivery = push.get("delivery_actual") if isinstance(push, Mapping) else "?"
    return f"decision={row.get('decision')} delivery={delivery} snapshot_ref={row.get('snapshot_ref')}"


def _told_of_summary(row: Mapping[str, Any]) -> str:
    return f"top_risks={','.join(steps.codes_of(row)) or 'none'} snapshot_ref={row.get('snapshot_ref')}"


CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        "live-cycle": Check(
            name="live cycle",
            path="/api/live/cycle/latest",
            result="result",
            told=_told_of_live_cycle,
            next_step="ops daily --split",
        ),
        "summary": Check(
            name="summary",
            path="/api/ops/summary/latest",
            result="overall_status",
            told=_told_of_summary,
            next_step="ops summary regenerate",
        ),
    }
)
_STATES = {"OK": State.OK, "WARN": State.WARN, "BLOCKED": State.BLOCKED}


def look(settings: Settings, clock: Clock, check: Check) -> Outcome:
    """What the check comes to.

    Raises:
        SecretMissing: the token that is named has no value.
    """
    backend, budgets = backend_of(settings), settings.split
    latest = backend.ask("GET", check.path, budget_s=budgets.health_s)
    row, bad = _row(latest, check)
    if bad is not None:
        return bad
    if row.get(check.result) == RUNNING:
        # What runs has no receipt that a reference could lead to.
        return judge(check, row, clock.now())
    asked = backend.ask("GET", RESOLVE, budget_s=budgets.snapshot_s, query={"ref": str(row.get("snapshot_ref"))})
    proof = steps.judge_snapshot(asked, row)
    return proof if proof.state.ends else judge(check, row, clock.now())


def judge(check: Check, row: Mapping[str, Any], now: datetime) -> Outcome:
    """What a row comes to: as it says; a warning where it is old, or runs still."""
    result, asof = str(row.get(check.result))[:20], str(row.get("asof"))[:40]
    seen = f"{check.result}={result} asof={asof} {check.told(row)}"[: steps.TEXT_MAX_CHARS]
    state = _STATES.get(result, State.FAILED)
    try:
        age = now - parse_instant(asof)
    except ValueError:
        age = timedelta.max
    if result == RUNNING and age < RUNS_AT_MOST:
        return Outcome(state=State.WARN, seen=f"{seen} (it is running)")
    if state is State.OK and age > OLD_AFTER:
        return Outcome(state=State.WARN, seen=f"{seen} (old)", next_step=check.next_step)
    return Outcome(
        state=state, seen=seen, next_step="" if state is State.OK else str(row.get("next") or check.next_step)
    )


def _row(latest: Asked, check: Check) -> tuple[Mapping[str, Any], Outcome | None]:
    told, bad = steps.answered(latest)
    if bad is not None:
        return {}, bad
    row = steps.row_of(told)
    if row is None:
        return {}, steps.failed(f"there is no {check.name} yet", check.next_step)
    return row, None
