"""Reads what a summary is made from: the store at one instant, the newest records, what is in force, the figures.

Nothing is looked at anew, but for what lies around the store. Each area is read for itself: one that cannot be read is
told as unread and keeps no other one from being told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from ops_core.clock import Clock, isoformat, parse_instant
from ops_core.config import Settings
from ops_core.control import schema
from ops_core.control.files import LATCH_NAME
from ops_core.control.integrity.survey import read_integrity
from ops_core.control.model import ControlState, Gate, effective_gate, sender_on
from ops_core.control.model.window import is_open
from ops_core.control.recorded import newest_of
from ops_core.control.running.lasting import may_go_on
from ops_core.control.service import ControlPlane
from ops_core.control.store import Transaction
from ops_core.cycle import records as cycles
from ops_core.cycle.slots import missed_keys
from ops_core.errors import OpsError
from ops_core.handoff.installed import in_force
from ops_core.handoff.receipts import ROLLED_BACK, latest_pull
from ops_core.handoff.roles import PRODUCER
from ops_core.incident.handling import Responses
from ops_core.incident.progress import State
from ops_core.incident.store import Incidents
from ops_core.live import receipts as live
from ops_core.live.judging import Result
from ops_core.push import outbox, receipts
from ops_core.push.recovery import OUT_OF_SIGHT_S
from ops_core.slo.figures import figures
from ops_core.slo.periods import days_until
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
    Unread,
)
from ops_core.summary.observations import expected_suites, newest_seen

READER = "ops summary"
LIVE_CYCLES = (live.BEGUN, live.ENDED)
STATE_CHANGES = (
    *("store.created", "stop.engaged", "stop.released", "gate.set", "sender.enabled", "sender.disabled"),
    *("window.requested", "window.approved", "window.revoked", "live_fire.begun", "live_fire.locked_down"),
)
RECENT = timedelta(days=7)  # a message whose fate is not known stays so for good; after a week nobody asks any more
LISTED_MAX = 20
WHERE_MAX = 5
T = TypeVar("T")


class _Reader:
    """Reads one area after the other, and keeps what could not be read."""

    def __init__(self) -> None:
        self.unread: list[Unread] = []

    def read(self, area: str, where: str, reading: Callable[[], T]) -> T | None:
        """What was read; None where it could not be."""
        try:
            return reading()
        except Exception as error:  # noqa: BLE001 - what is damaged may fail in any way: whichever it is, it was not read
            told = error if isinstance(error, OpsError) else OpsError(f"{type(error).__name__}: {error}"[:200])
            self.unread.append(Unread(area=area, why=told.what, where=told.where or where))
            return None


def takes_bundles(settings: Settings) -> bool:
    """Whether this host operates on what another one produces."""
    return settings.role != PRODUCER and bool(settings.handoff.producers)


def read(settings: Settings, plane: ControlPlane, clock: Clock) -> Facts:
    """The facts now. Never raises: what cannot be read is a fact."""
    reader, store = _Reader(), plane.location.shown
    state, now = plane.state(), clock.now()
    expected = reader.read("suites", str(settings.path), lambda: expected_suites(settings)) or ()
    seen = reader.read("observations", str(settings.reports_dir), lambda: newest_seen(settings, expected))
    facts = Facts(
        asof=now,
        control=_control(state, now, store),
        expected=expected,
        seen=seen or (),
        bundles=takes_bundles(settings),
    )
    if not state.problem:
        recorded = reader.read("store", store, lambda: _recorded(facts, reader, settings, plane))
        facts = _beside(recorded or facts, reader, settings, plane, clock)
    return replace(facts, unread=tuple(reader.unread))


def _recorded(facts: Facts, reader: _Reader, settings: Settings, plane: ControlPlane) -> Facts:
    """The facts with what the store says, at one instant."""
    store, now = plane.location.shown, facts.asof
    with plane.snapshot() as tx:
        control = reader.read("control", store, lambda: _with_row(facts.control, tx))
        handoff = reader.read("handoff", store, lambda: _handoff(settings, tx, now)) if facts.bundles else None
        return replace(
            facts,
            control=control or facts.control,
            handoff=handoff,
            cycle=reader.read("cycle", store, lambda: _cycle(tx, now)),
            live_fire=reader.read("live_fire", store, lambda: _fire(tx, now)),
            live_cycle=reader.read("live_cycle", store, lambda: _live_cycle(tx, now)),
            missed=reader.read("schedule", str(settings.path), lambda: _missed(settings, tx, facts)) or (),
            messages=reader.read("outbox", store, lambda: _messages(tx, now)) or Messages(),
        )


def _beside(facts: Facts, reader: _Reader, settings: Settings, plane: ControlPlane, clock: Clock) -> Facts:
    """The facts with what has readers of its own: integrity, incidents, error budgets."""
    store, reports = plane.location.shown, str(settings.reports_dir)
    return replace(
        facts,
        breaches=reader.read("integrity", store, lambda: tuple(_breaches(settings, clock))) or (),
        incidents=reader.read("incidents", store, lambda: tuple(_incidents(settings, plane, clock))) or (),
        budgets=reader.read("slo", reports, lambda: tuple(_budgets(settings, plane, clock))) or (),
    )


def _control(state: ControlState, now: datetime, store: str) -> Control:
    gate = effective_gate(state, now)
    return Control(
        stopped=state.stopped,
        stop_reason=state.stop_reason if state.stopped else "",
        problem=state.problem,
        remedy=state.remedy,
        gate=gate.value,
        gate_real=gate is Gate.REAL_ENABLED,
        sender_on=sender_on(state, now),
        window_open=is_open(state, now),
        evidence=store,
    )


def _with_row(control: Control, found: Transaction) -> Control:
    """The same with the audit row that it follows from; a stop that is not recorded is the latch's."""
    if control.stopped and not found.state.stopped:
        return replace(control, evidence=f"control/{LATCH_NAME}")
    rows = newest_of(found, STATE_CHANGES, 1)
    return replace(control, evidence=f"audit/{rows[0].seq if rows else found.head[0]}")


def _breaches(settings: Settings, clock: Clock) -> Iterator[Breached]:
    seen = read_integrity(settings, clock)
    found: dict[tuple[str, bool], list[tuple[str, str]]] = defaultdict(list)
    for one in seen.breaches:
        found[one.area, one.put_right].append((one.where, one.what))
    for (area, put_right), many in sorted(found.items()):
        yield Breached(
            area=area,
            count=len(many),
            what=many[0][1],
            where=tuple(where for where, _ in many[:WHERE_MAX]),
            put_right=put_right,
        )


def _handoff(settings: Settings, found: Transaction, now: datetime) -> Handoff:
    here, pull = in_force(settings, found), latest_pull(found) or {}
    bundle = None
    if here is not None:
        undone = newest_of(found, (ROLLED_BACK,), 1)
        bundle = Bundle(
            id=here.bundle_id,
            problem=here.problem,
            fresh=here.is_fresh(now),
            fresh_until="" if here.fresh_until is None else f"{here.fresh_until:%Y-%m-%d %H:%M} UTC",
            age_s=0.0 if here.manifest is None else (now - here.manifest.created).total_seconds(),
            by_hand=bool(undone) and undone[0].subject == here.run_id,
        )
    return Handoff(
        bundle=bundle,
        pull_id=str(pull.get("run_id", "")),
        pull_outcome=str(pull.get("outcome", "")),
        pull_code=str(pull.get("code") or ""),
        pull_reason=str(pull.get("reason", "")),
    )


def _cycle(found: Transaction, now: datetime) -> Run | None:
    run = cycles.newest(found)
    if run is None:
        return None
    alive = run.open and cycles.goes_on(found, run, now)
    return Run(id=run.id, result=run.outcome, cause=str(run.receipt.get("cause", "")), alive=alive)


def _fire(found: Transaction, now: datetime) -> Run | None:
    told = receipts.latest(found)
    if told is None:
        return None
    alive = told["outcome"] == receipts.OPEN and may_go_on(found, told.get("work"), now, out_of_sight_s=OUT_OF_SIGHT_S)
    return Run(id=str(told["fire_id"]), result=str(told["outcome"]), cause=str(told.get("reason", "")), alive=alive)


def _live_cycle(found: Transaction, now: datetime) -> Run | None:
    rows = newest_of(found, LIVE_CYCLES, 1)
    if not rows:
        return None
    told = rows[0].data
    result = str(told.get("result", ""))
    alive = result == Result.OPEN and live.goes_on(found, rows[0], now)
    return Run(id=rows[0].subject, result=result, cause=str(told.get("reason", "")), alive=alive)


def _missed(settings: Settings, found: Transaction, facts: Facts) -> tuple[str, ...]:
    if not facts.bundles:
        return cycles.missed(settings, found, facts.asof)
    return missed_live_cycles(settings, found, facts.asof)


def missed_live_cycles(settings: Settings, found: Transaction, now: datetime) -> tuple[str, ...]:
    """The slots since the latest live cycle that nobody ran one in; none where there never was one.

    Raises:
        ConfigError: the schedule cannot be followed.
    """
    rows = newest_of(found, LIVE_CYCLES, 1)
    since = parse_instant(str(rows[0].data.get("begun_at") or rows[0].at)) if rows else None
    return missed_keys(settings, since, now, frozenset())


def _incidents(settings: Settings, plane: ControlPlane, clock: Clock) -> Iterator[Handled]:
    responses = Responses(plane, clock, READER)
    now = clock.now()
    for one in responses.open_ones(settings.profile)[:LISTED_MAX]:
        owed = one.owed
        yield Handled(
            id=one.incident.id,
            severity=one.severity.value,
            title=one.title,
            overdue=owed.overdue(now) if owed else False,
        )
    for incident in Incidents(plane, clock, READER).listed(settings.profile)[: 10 * LISTED_MAX]:
        if incident.state is State.OPEN and not incident.of_people:
            yield Handled(id=incident.id)


def _messages(found: Transaction, now: datetime) -> Messages:
    from sqlalchemy import func, select

    def of(state: str) -> tuple[int, tuple[str, ...]]:
        table = schema.outbox
        recent = (table.c.state == state, table.c.ended_at >= isoformat(now - RECENT))
        count = found.execute(select(func.count()).select_from(table).where(*recent)).scalar_one()
        newest = select(table.c.id).where(*recent).order_by(table.c.ended_at.desc(), table.c.id.desc())
        return int(str(count)), tuple(str(one) for one in found.execute(newest.limit(WHERE_MAX)).scalars())

    (unknown, unknown_ids), (failed, failed_ids) = of(outbox.UNKNOWN), of(outbox.FAILED)
    return Messages(unknown=unknown, unknown_ids=unknown_ids, failed=failed, failed_ids=failed_ids)


def _budgets(settings: Settings, plane: ControlPlane, clock: Clock) -> Iterator[Budget]:
    days = settings.slo.budget_days
    found = figures(settings, plane, clock, days_until(clock.now(), days, settings.slo.zone))
    for one in found.targets:
        spent, allowed = one.budget.spent_s, one.budget.allowed_s
        yield Budget(
            target=one.name,
            state=one.budget_state.value,
            why=f"{spent:.0f} s were bad of {allowed:.0f} s that {days} days allow",
            burning=any(burn.firing for burn in one.burns),
        )
