"""All figures of one period, with what they were computed from. The time is handed in; only reading does I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from ops_core.clock import Clock, isoformat
from ops_core.config import Settings
from ops_core.control.service import ControlPlane
from ops_core.operations import SloTable
from ops_core.slo.availability import (
    Availability,
    BudgetState,
    Burn,
    ErrorBudget,
    Verdict,
    burns,
    rates,
)
from ops_core.slo.happened import Told, read_incidents
from ops_core.slo.intervals import Seen, Sight, Timeline
from ops_core.slo.periods import Period
from ops_core.slo.recovery import Mean, Recovery, recovery_of, security_verdict
from ops_core.slo.sights import Reading, read_sights
from ops_core.targets import Target

LONGEST_WINDOW = timedelta(days=3)
SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Day:
    """One local day of a target; `so_far` is from the beginning of the period to the end of this day."""

    day: date
    availability: Availability
    so_far: Availability
    begun: bool


@dataclass(frozen=True, kw_only=True)
class TargetFigures:
    """What one target promised and kept. `promised` tells whether the objective is its own."""

    name: str
    objective: float
    promised: bool
    availability: Availability
    verdict: Verdict
    budget: ErrorBudget
    budget_state: BudgetState
    burns: tuple[Burn, ...]
    observations: int
    outages: int
    days: tuple[Day, ...]


@dataclass(frozen=True, kw_only=True)
class Goal:
    """One promise and what came of it. `basis` names what the figure is from: incidents, or how many observations."""

    key: str
    wanted: float
    value: float | None
    verdict: Verdict
    basis: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Figures:
    """The figures of one profile and period. `until` is the end of what can have been seen: its end, or now."""

    profile: str
    drill: bool
    period: Period
    until: datetime
    promised: SloTable
    targets: tuple[TargetFigures, ...]
    recovery: Recovery
    reading: Reading
    told: Told

    @property
    def complete(self) -> bool:
        """Whether all records and incidents that there are could be read."""
        return not (self.reading.damaged or self.reading.left_out or self.told.problem)

    @property
    def goals(self) -> tuple[Goal, ...]:
        """The promises of the profile in a fixed order: recovery, availability, automatic recovery, security."""
        promised, recovery = self.promised, self.recovery
        ratios = [one.availability.ratio for one in self.targets]
        lowest = None if None in ratios or not ratios else min(ratio for ratio in ratios if ratio is not None)
        verdicts = {one.verdict for one in self.targets}
        availability = next(
            (v for v in (Verdict.MISSED, Verdict.UNKNOWN, Verdict.MET) if v in verdicts), Verdict.UNKNOWN
        )
        observed = bool(self.targets) and all(one.availability.known_enough(promised.known_min) for one in self.targets)
        return (
            Goal(
                key="mttr",
                wanted=promised.mttr_max_s,
                value=recovery.mttr.seconds,
                verdict=self._certain(recovery.mttr_verdict(promised.mttr_max_s)),
                basis=recovery.mttr.incidents,
            ),
            Goal(
                key="availability",
                wanted=max((one.objective for one in self.targets), default=promised.availability),
                value=lowest,
                verdict=availability,
                basis=(),
            ),
            Goal(
                key="automatic",
                wanted=promised.automatic_recovery_min,
                value=recovery.automatic_rate,
                verdict=self._certain(recovery.automatic_verdict(promised.automatic_recovery_min)),
                basis=recovery.ended,
            ),
            Goal(
                key="security",
                wanted=float(promised.security_incidents_max),
                value=None if self.told.problem else float(len(recovery.security)),
                verdict=self._certain(
                    security_verdict(len(recovery.security), promised.security_incidents_max, observed=observed)
                ),
                basis=recovery.security,
            ),
        )

    def _certain(self, verdict: Verdict) -> Verdict:
        """What incidents that could not be read may change is not known."""
        return Verdict.UNKNOWN if self.told.problem else verdict

    def target(self, name: str) -> TargetFigures | None:
        """The figures of that target."""
        return next((one for one in self.targets if one.name == name), None)

    def to_json(self) -> dict[str, Any]:
        """JSON values: ratios from 0 to 1, seconds, null where nothing is known."""
        return {
            "schema": SCHEMA,
            "profile": self.profile,
            "drill": self.drill,
            "period": {
                "kind": self.period.kind.value,
                "key": self.period.key,
                "zone": self.period.zone,
                "start": isoformat(self.period.start),
                "end": isoformat(self.period.end),
                "until": isoformat(self.until),
            },
            "goals": [
                {
                    "goal": goal.key,
                    "wanted": goal.wanted,
                    "value": _rounded(goal.value),
                    "verdict": goal.verdict.value,
                    "basis": list(goal.basis),
                }
                for goal in self.goals
            ],
            "targets": [_target_json(one) for one in self.targets],
            "recovery": _recovery_json(self.recovery),
            "read": {
                "observations": self.reading.records,
                "observations_damaged": self.reading.damaged,
                "observations_left_out": self.reading.left_out,
                "incidents": len(self.recovery.incidents),
                "incidents_damaged": self.told.damaged,
                "problem": self.told.problem,
                "named": [*self.reading.named, *self.told.named],
            },
        }


def figures(settings: Settings, plane: ControlPlane, clock: Clock, period: Period) -> Figures:
    """Read what bears on a period, and compute its figures as of now. What cannot be read is told, and unknown."""
    now = clock.now()
    until = period.seen_until(now)
    reading = read_sights(settings, period.start, until, since=until - LONGEST_WINDOW)
    told = read_incidents(settings, plane, clock, period.start, period.end)
    return compute(settings, period, now, reading, told)


def compute(settings: Settings, period: Period, now: datetime, reading: Reading, told: Told) -> Figures:
    """The figures of a period from what was read. Pure.

    Args:
        settings: the profile: its targets, and what is promised.
        period: which time it is about.
        now: the time; what comes after it is not counted, whoever recorded it.
        reading: what observations said; of the three days before its end too, for burn rates.
        told: the incidents.
    """
    until = period.seen_until(now)
    return Figures(
        profile=settings.profile,
        drill=settings.drill,
        period=period,
        until=until,
        promised=settings.slo,
        targets=tuple(
            _target(target, settings.slo, period, until, reading.sights.get(target.name, ()))
            for target in settings.targets
        ),
        recovery=recovery_of(told.incidents, period.start, until, now),
        reading=reading,
        told=told,
    )


def _target(target: Target, slo: SloTable, period: Period, until: datetime, sights: Sequence[Sight]) -> TargetFigures:
    timeline = Timeline(sights, timedelta(seconds=slo.observation_valid_s))
    objective = slo.availability if target.slo_availability is None else target.slo_availability
    availability = Availability(totals=timeline.totals(period.start, until))
    budget = ErrorBudget(objective=objective, length=period.length, availability=availability)
    instants = {(one.at, one.source) for one in sights if period.start <= one.at < until}
    return TargetFigures(
        name=target.name,
        objective=objective,
        promised=target.slo_availability is not None,
        availability=availability,
        verdict=availability.verdict(objective, slo.known_min),
        budget=budget,
        budget_state=budget.state(slo.known_min),
        burns=burns(timeline, objective, until),
        observations=len(instants),
        outages=sum(one.seen is Seen.BAD for one in timeline.within(period.start, until)),
        days=_days(timeline, period, until),
    )


def _days(timeline: Timeline, period: Period, until: datetime) -> tuple[Day, ...]:
    return tuple(
        Day(
            day=day,
            availability=Availability(totals=timeline.totals(start, min(end, until))),
            so_far=Availability(totals=timeline.totals(period.start, min(end, until))),
            begun=start < until,
        )
        for day, start, end in period.days()
    )


def _target_json(one: TargetFigures) -> dict[str, Any]:
    availability, budget = one.availability, one.budget
    return {
        "target": one.name,
        "objective": one.objective,
        "promised": one.promised,
        "availability": _rounded(availability.ratio),
        "at_least": _rounded(availability.at_least),
        "at_most": _rounded(availability.at_most),
        "unknown_share": _rounded(availability.unknown_share),
        "good_s": availability.totals.good.total_seconds(),
        "bad_s": availability.totals.bad.total_seconds(),
        "unknown_s": availability.totals.unknown.total_seconds(),
        "verdict": one.verdict.value,
        "observations": one.observations,
        "outages": one.outages,
        "budget": {
            "state": one.budget_state.value,
            "allowed_s": _rounded(budget.allowed_s),
            "spent_s": _rounded(budget.spent_s),
            "left_s": _rounded(budget.left_s),
            "left_ratio": _rounded(budget.left_ratio),
        },
        "burn_rates": {name: _rounded(rate) for name, rate in rates(one.burns).items()},
        "burn_alerts": {burn.alert.name: burn.firing for burn in one.burns},
    }


def _recovery_json(recovery: Recovery) -> dict[str, Any]:
    def told(mean: Mean) -> Mapping[str, Any]:
        return {"seconds": _rounded(mean.seconds), "incidents": list(mean.incidents)}

    return {
        "mttd": told(recovery.mttd),
        "mttr": told(recovery.mttr),
        "mttr_at_least": told(recovery.mttr_at_least),
        "automatic_rate": _rounded(recovery.automatic_rate),
        "ended": list(recovery.ended),
        "automatic": list(recovery.automatic),
        "escalated": list(recovery.escalated),
        "open": list(recovery.open),
        "security": list(recovery.security),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
