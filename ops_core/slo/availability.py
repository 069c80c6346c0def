"""Availability, the error budget it leaves, and how fast that budget burns. What is not known is said beside it.

Nothing in here takes unknown time for good: where nothing is known there is no figure, and the two bounds say what the
figure would be if all that is unknown had been bad, or good.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from ops_core.slo.intervals import ZERO, Timeline, Totals


class Verdict(StrEnum):
    """Whether a promise was kept, as far as can be known."""

    MET = "met"
    MISSED = "missed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Availability:
    """Ratios from 0 to 1 of one period."""

    totals: Totals

    @property
    def ratio(self) -> float | None:
        """Of the time that is known, how much was good; None where nothing is known."""
        return _ratio(self.totals.good, self.totals.known)

    @property
    def unknown_share(self) -> float | None:
        """How much of the period is not known; None of a period without length."""
        return _ratio(self.totals.unknown, self.totals.length)

    @property
    def at_least(self) -> float | None:
        """The ratio if all that is unknown had been bad."""
        return _ratio(self.totals.good, self.totals.length)

    @property
    def at_most(self) -> float | None:
        """The ratio if all that is unknown had been good."""
        return _ratio(self.totals.good + self.totals.unknown, self.totals.length)

    def known_enough(self, known_min: float) -> bool:
        """Whether so much of the period is known that its ratio means something."""
        unknown = self.unknown_share
        return unknown is not None and self.ratio is not None and 1 - unknown >= known_min

    def verdict(self, objective: float, known_min: float) -> Verdict:
        """Whether availability was above `objective`.

        Missed is also what cannot be saved any more, whatever the unknown time was; met is only said where at least
        `known_min` of the period is known.
        """
        ratio, at_most = self.ratio, self.at_most
        if at_most is not None and self.totals.bad and at_most <= objective:
            return Verdict.MISSED
        if ratio is None or not self.known_enough(known_min):
            return Verdict.UNKNOWN
        return Verdict.MET if ratio > objective else Verdict.MISSED


class BudgetState(StrEnum):
    """What is left of an error budget."""

    LEFT = "left"
    SPENT = "spent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class ErrorBudget:
    """How much bad time an objective allows in a period of `length`, and how much of it there was.

    Attributes:
        objective: the availability that is promised, between 0 and 1.
        length: of the whole period, also where its end has not come.
        availability: what is known of it.
    """

    objective: float
    length: timedelta
    availability: Availability

    @property
    def allowed_s(self) -> float:
        """Seconds that may be bad."""
        return (1 - self.objective) * self.length.total_seconds()

    @property
    def spent_s(self) -> float:
        """Seconds that were bad, as far as known."""
        return self.availability.totals.bad.total_seconds()

    @property
    def left_s(self) -> float | None:
        """Seconds that may still be bad, less than zero where it is overspent; None where nothing is known."""
        return None if self.availability.ratio is None else self.allowed_s - self.spent_s

    @property
    def left_ratio(self) -> float | None:
        """How much of the budget is left, 1 being all of it; None where nothing is known."""
        return None if self.left_s is None or self.allowed_s <= 0 else self.left_s / self.allowed_s

    def state(self, known_min: float) -> BudgetState:
        """Spent as soon as what is known spends it; left only where enough of the period is known to say so."""
        if self.availability.totals.bad > ZERO and self.spent_s >= self.allowed_s:
            return BudgetState.SPENT
        return BudgetState.LEFT if self.availability.known_enough(known_min) else BudgetState.UNKNOWN


@dataclass(frozen=True, kw_only=True)
class BurnAlert:
    """The budget burns too fast when it does so over a long window, and over a short one too: it still does."""

    name: str
    long: timedelta
    short: timedelta
    threshold: float


# As is common practice: a budget of 30 days is 2 % spent after 1 h at 14.4, 5 % after 6 h at 6, 10 % after 3 d at 1.
BURN_ALERTS = (
    BurnAlert(name="fast", long=timedelta(hours=1), short=timedelta(minutes=5), threshold=14.4),
    BurnAlert(name="medium", long=timedelta(hours=6), short=timedelta(minutes=30), threshold=6.0),
    BurnAlert(name="slow", long=timedelta(days=3), short=timedelta(hours=6), threshold=1.0),
)
WINDOWS: Mapping[str, timedelta] = MappingProxyType(
    {
        "5m": timedelta(minutes=5),
        "30m": timedelta(minutes=30),
        "1h": timedelta(hours=1),
        "6h": timedelta(hours=6),
        "3d": timedelta(days=3),
    }
)
_NAMES = {window: name for name, window in WINDOWS.items()}


@dataclass(frozen=True, kw_only=True)
class Burn:
    """One alert at one instant. Rates are multiples of the rate that spends the budget exactly; None is not known."""

    alert: BurnAlert
    long_rate: float | None
    short_rate: float | None

    @property
    def firing(self) -> bool | None:
        """Whether both windows burn at the threshold or above; None where that cannot be known."""
        rates = (self.long_rate, self.short_rate)
        if any(rate is not None and rate < self.alert.threshold for rate in rates):
            return False
        return None if None in rates else True

    @property
    def windows(self) -> tuple[str, str]:
        """The names of the long and of the short window."""
        return _NAMES[self.alert.long], _NAMES[self.alert.short]


def burn_rate(totals: Totals, objective: float) -> float | None:
    """How fast the budget was spent: 1 spends it exactly in its period. None where nothing is known."""
    bad = _ratio(totals.bad, totals.known)
    return None if bad is None else bad / (1 - objective)


def burns(timeline: Timeline, objective: float, now: datetime) -> tuple[Burn, ...]:
    """Every alert at `now`; windows end there."""

    def rate(window: timedelta) -> float | None:
        return burn_rate(timeline.totals(now - window, now), objective)

    return tuple(Burn(alert=alert, long_rate=rate(alert.long), short_rate=rate(alert.short)) for alert in BURN_ALERTS)


def rates(found: tuple[Burn, ...]) -> dict[str, float | None]:
    """The burn rate of each window by its name, the shortest first."""
    by_window: dict[str, float | None] = {}
    for burn in found:
        long, short = burn.windows
        by_window[long], by_window[short] = burn.long_rate, burn.short_rate
    return {name: by_window[name] for name in WINDOWS if name in by_window}


def _ratio(part: timedelta, whole: timedelta) -> float | None:
    return part / whole if whole > ZERO else None
