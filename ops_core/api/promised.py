"""Prometheus metrics of what was promised and kept, over the days that the error budget is for, up to now.

What is not known has no sample: that is how Prometheus says so, an alert can ask for it with `absent()`, and no sum or
average takes it for a number. Figures are computed at most once a minute, by one scrape at a time; the others get those
that there are, or none while there are none yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Lock
from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ops_core.slo.availability import BudgetState, rates
from ops_core.slo.figures import Figures, TargetFigures, figures
from ops_core.slo.periods import days_until

if TYPE_CHECKING:
    from ops_core.api.context import Context

FRESH_S = 60.0
STALE_S = 600.0
_OF_TARGETS: tuple[tuple[str, str, Callable[[TargetFigures], float | None]], ...] = (
    ("ops_slo_objective_ratio", "The availability that is promised.", lambda one: one.objective),
    (
        "ops_slo_availability_ratio",
        "Of the time that is known, how much was good.",
        lambda one: one.availability.ratio,
    ),
    (
        "ops_slo_unknown_ratio",
        "How much of the time is not known.",
        lambda one: one.availability.unknown_share,
    ),
    (
        "ops_slo_error_budget_remaining_ratio",
        "How much of the error budget is left; below 0 it is overspent.",
        lambda one: None if one.budget_state is BudgetState.UNKNOWN else one.budget.left_ratio,
    ),
)
_OF_ALL: tuple[tuple[str, str, Callable[[Figures], float | None]], ...] = (
    ("ops_mttd_seconds", "Mean time to detection of the incidents found.", lambda f: f.recovery.mttd.seconds),
    ("ops_mttr_seconds", "Mean time to verified recovery.", lambda f: f.recovery.mttr.seconds),
    (
        "ops_automatic_recovery_ratio",
        "Of the incidents that are over, how many recovered without a person.",
        lambda f: f.recovery.automatic_rate,
    ),
)
_COUNTED: tuple[tuple[str, Callable[[Figures], int]], ...] = (
    ("all", lambda f: len(f.recovery.incidents)),
    ("open", lambda f: len(f.recovery.open)),
    ("automatic", lambda f: len(f.recovery.automatic)),
    ("unrecovered", lambda f: len(f.recovery.escalated)),
    ("security", lambda f: len(f.recovery.security)),
)


class PromisedMetrics(Collector):
    """The figures, kept for a minute.

    Args:
        context: of the application.
        compute: makes the figures of now; by default from what is recorded.
    """

    def __init__(self, context: Context, compute: Callable[[], Figures] | None = None) -> None:
        self._context = context
        self._compute = compute or self._read
        self._computing = Lock()
        self._kept: Figures | None = None
        self._at = float("-inf")

    def describe(self) -> Iterator[Metric]:
        """The names alone: nothing is computed while the server starts."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """The figures that there are."""
        found = self._figures()
        yield GaugeMetricFamily("ops_slo_known", "1 while figures can be computed.", value=float(found is not None))
        if found is None:
            return
        for name, meaning, value in _OF_TARGETS:
            family = GaugeMetricFamily(name, meaning, labels=["target"])
            for one in found.targets:
                _add(family, [one.name], value(one))
            yield family
        burning = GaugeMetricFamily(
            "ops_slo_burn_rate", "How fast the budget burns; 1 spends it exactly.", labels=["target", "window"]
        )
        for one in found.targets:
            for window, rate in rates(one.burns).items():
                _add(burning, [one.name, window], rate)
        yield burning
        yield from _recovery(found)
        damaged = float(found.reading.damaged + found.told.damaged)
        yield GaugeMetricFamily("ops_slo_records_damaged", "Records that cannot be read.", value=damaged)

    def _figures(self) -> Figures | None:
        """The kept figures, computed anew where they are a minute old and nobody does so already."""
        now = self._context.clock.monotonic()
        if now - self._at >= FRESH_S and self._computing.acquire(blocking=False):
            try:
                self._kept, self._at = self._compute(), self._context.clock.monotonic()
            except Exception:  # noqa: BLE001 - whatever is wrong with figures, the page also tells whether it is stopped
                self._kept, self._at = None, self._context.clock.monotonic()
            finally:
                self._computing.release()
        return self._kept if self._context.clock.monotonic() - self._at < STALE_S else None

    def _read(self) -> Figures:
        settings, clock = self._context.settings, self._context.clock
        period = days_until(clock.now(), settings.slo.budget_days, settings.slo.zone)
        return figures(settings, self._context.plane(), clock, period)


def _recovery(found: Figures) -> Iterator[Metric]:
    """Figures of incidents; none where not all of them could be read."""
    if found.told.problem:
        return
    for name, meaning, value in _OF_ALL:
        family = GaugeMetricFamily(name, meaning, labels=[])
        _add(family, [], value(found))
        yield family
    counted = GaugeMetricFamily("ops_incidents", "Incidents found, by what became of them.", labels=["kind"])
    for kind, count in _COUNTED:
        counted.add_metric([kind], float(count(found)))
    yield counted


def _add(family: GaugeMetricFamily, labels: list[str], value: float | None) -> None:
    """A sample, where there is something to say."""
    if value is not None:
        family.add_metric(labels, value)
