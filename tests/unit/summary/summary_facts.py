"""Facts for tests of summaries: those of a host on which everything is well, and ways to make each of them worse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from ops_core.summary.model import (
    Breached,
    Budget,
    Bundle,
    Control,
    Facts,
    Handled,
    Handoff,
    Messages,
    Run,
    Seen,
    Unread,
)

NOW = datetime(2026, 11, 30, 0, 5, tzinfo=UTC)
RUN = "20261130T000400Z-3f9a1c"
WELL = Facts(
    asof=NOW,
    control=Control(stopped=False, evidence="audit/7"),
    expected=("observe",),
    seen=(Seen(suite="observe", run_id=RUN, finished_at=NOW - timedelta(minutes=1), verdict="HEALTHY"),),
    bundles=True,
    handoff=Handoff(
        bundle=Bundle(id="20261129T230000Z-00000000000000ff", fresh=True, fresh_until="2026-12-01 01:00 UTC"),
        pull_id="20261130T000000Z-000009",
        pull_outcome="INSTALLED",
    ),
    cycle=Run(id="20261129T000500Z-000004", result="OK"),
    live_cycle=Run(id="20261129T000600Z-000005", result="OK"),
    budgets=(Budget(target="shop", state="left", why="0 s were bad"),),
)


def _control(**changes: object) -> Callable[[Facts], Facts]:
    return lambda facts: replace(facts, control=replace(facts.control, **changes))  # type: ignore[arg-type] # by name


def _handoff(**changes: object) -> Callable[[Facts], Facts]:
    def worse(facts: Facts) -> Facts:
        here = facts.handoff or Handoff()
        return replace(facts, handoff=replace(here, **changes))  # type: ignore[arg-type] # by name

    return worse


def _bundle(**changes: object) -> Callable[[Facts], Facts]:
    def worse(facts: Facts) -> Facts:
        if facts.handoff is None or facts.handoff.bundle is None:
            return facts
        bundle = replace(facts.handoff.bundle, **changes)  # type: ignore[arg-type] # by name
        return replace(facts, handoff=replace(facts.handoff, bundle=bundle))

    return worse


def _more_seen(seen: Seen) -> Callable[[Facts], Facts]:
    return lambda facts: replace(facts, seen=(*facts.seen, seen))


LATE = NOW - timedelta(days=9)
# By the code of the risk that has to be told, what makes the facts worse.
WORSE: dict[str, Callable[[Facts], Facts]] = {
    "STORE_PROBLEM": _control(problem="it is damaged", stopped=True),
    "EMERGENCY_STOP": _control(stopped=True, stop_reason="drill"),
    "GATE_REAL": _control(gate="REAL_ENABLED", gate_real=True),
    "SENDER_ON": _control(sender_on=True),
    "WINDOW_OPEN": _control(window_open=True),
    "OBSERVATION_MISSING": lambda facts: replace(facts, expected=(*facts.expected, "service")),
    "OBSERVATION_UNREADABLE": _more_seen(Seen(suite="own", run_id=RUN, problem="no JSON")),
    "OBSERVATION_UNHEALTHY": _more_seen(
        Seen(suite="own", run_id=RUN, finished_at=NOW, verdict="UNHEALTHY", bad=("a.b[c]",), evidence=("a[c]",))
    ),
    "OBSERVATION_UNKNOWN": _more_seen(Seen(suite="own", run_id=RUN, finished_at=NOW, verdict="SKIPPED")),
    "OBSERVATION_OLD": _more_seen(Seen(suite="own", run_id=RUN, finished_at=LATE, verdict="HEALTHY")),
    "INTEGRITY": lambda facts: replace(
        facts,
        breaches=(
            *facts.breaches,
            Breached(area="logs", count=1, what="cut", where=("logs/ops.log",), put_right=False),
        ),
    ),
    "NO_BUNDLE": _handoff(bundle=None),
    "BUNDLE_TAMPERED": _bundle(problem="a file was changed", fresh=False),
    "BUNDLE_STALE": _bundle(fresh=False, age_s=180_000.0),
    "BUNDLE_ROLLED_BACK": _bundle(by_hand=True),
    "BUNDLE_REFUSED": _handoff(pull_outcome="REFUSED", pull_code="TAMPERED", pull_reason="a file was changed"),
    "PULL_FAILED": _handoff(pull_outcome="FAILED", pull_reason="the remote is away"),
    "CYCLE_MISSED": lambda facts: replace(facts, missed=(*facts.missed, "2026-11-29T09:05+09:00[Asia/Seoul]")),
    "CYCLE_FAILED": lambda facts: replace(facts, cycle=Run(id="c", result="TIMED_OUT")),
    "CYCLE_BLOCKED": lambda facts: replace(facts, cycle=Run(id="c", result="STOPPED")),
    "CYCLE_WARN": lambda facts: replace(facts, cycle=Run(id="c", result="WARN")),
    "LIVE_FIRE_FAILED": lambda facts: replace(facts, live_fire=Run(id="f", result="PARTIAL")),
    "LIVE_CYCLE_NONE": lambda facts: replace(facts, live_cycle=None),
    "LIVE_CYCLE_FAILED": lambda facts: replace(facts, live_cycle=Run(id="l", result="FAILED")),
    "LIVE_CYCLE_BLOCKED": lambda facts: replace(facts, live_cycle=Run(id="l", result="BLOCKED")),
    "LIVE_CYCLE_WARN": lambda facts: replace(facts, live_cycle=Run(id="l", result="WARN")),
    "INCIDENT_OPEN": lambda facts: replace(
        facts, incidents=(*facts.incidents, Handled(id="i", severity="SEV-1", title="t"))
    ),
    "INCIDENT_OVERDUE": lambda facts: replace(
        facts, incidents=(*facts.incidents, Handled(id="i", severity="SEV-2", title="t", overdue=True))
    ),
    "OUTBOX_UNKNOWN": lambda facts: replace(
        facts, messages=replace(facts.messages, unknown=facts.messages.unknown + 1, unknown_ids=("M-1",))
    ),
    "OUTBOX_FAILED": lambda facts: replace(facts, messages=replace(facts.messages, failed=facts.messages.failed + 1)),
    "SLO_UNKNOWN": lambda facts: replace(
        facts, budgets=(*facts.budgets, Budget(target="a", state="unknown", why="nobody looked"))
    ),
    "SLO_BUDGET_SPENT": lambda facts: replace(
        facts, budgets=(*facts.budgets, Budget(target="b", state="spent", why="9 s were bad"))
    ),
    "SLO_BURNING": lambda facts: replace(
        facts, budgets=(*facts.budgets, Budget(target="c", state="left", why="", burning=True))
    ),
    "OUTBOX_UNREADABLE": lambda facts: replace(
        facts, messages=Messages(), unread=(*facts.unread, Unread(area="outbox", why="damaged", where="table outbox"))
    ),
}
