"""Verdicts, budgets and burn rates, with the arithmetic beside them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_core.slo.availability import (
    BURN_ALERTS,
    Availability,
    BudgetState,
    ErrorBudget,
    Verdict,
    burn_rate,
    burns,
    rates,
)
from ops_core.slo.intervals import Seen, Sight, Timeline, Totals

NOW = datetime(2026, 3, 1, tzinfo=UTC)
spans = st.integers(0, 10**7).map(lambda s: timedelta(seconds=s))
totals = st.builds(Totals, good=spans, bad=spans, unknown=spans)
objectives = st.sampled_from([0.9, 0.99, 0.999, 0.9999])


def hours(good=0.0, bad=0.0, unknown=0.0):
    return Totals(good=timedelta(hours=good), bad=timedelta(hours=bad), unknown=timedelta(hours=unknown))


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        # Nothing is known: a month without observations is not 100 %.
        (hours(unknown=720), Verdict.UNKNOWN),
        (hours(), Verdict.UNKNOWN),
        # All is known, and all is good.
        (hours(good=720), Verdict.MET),
        # 719.3 / 720 = 0.99903 > 0.999; 719.28 / 720 = 0.999, which is not above it.
        (hours(good=719.3, bad=0.7), Verdict.MET),
        (hours(good=719.28, bad=0.72), Verdict.MISSED),
        # 699.3 of the 700 hours that are known: exactly what is promised, and not more.
        (hours(good=699.3, bad=0.7, unknown=20), Verdict.MISSED),
        # 80 hours of 720 are unknown, 11.1 %: less than nine tenths are known.
        (hours(good=640, unknown=80), Verdict.UNKNOWN),
        # One hour bad of 720 cannot be made good by any number of unknown ones: 719 / 720 = 0.9986.
        (hours(good=1, bad=1, unknown=718), Verdict.MISSED),
    ],
)
def test_availability_is_met_missed_or_unknown(found, wanted):
    """Met is said only where enough is known, missed also where nothing could save it."""
    assert Availability(totals=found).verdict(0.999, 0.9) is wanted


def test_an_error_budget_of_a_month():
    """30 days at 99.9 %: 2 592 000 s / 1000 = 2 592 s allowed; 1 944 s bad leave 648 s, a quarter."""
    bad = timedelta(seconds=1944)
    found = Availability(totals=Totals(good=timedelta(days=30) - bad, bad=bad))
    budget = ErrorBudget(objective=0.999, length=timedelta(days=30), availability=found)
    assert budget.allowed_s == pytest.approx(2592)
    assert budget.spent_s == 1944
    assert budget.left_s == pytest.approx(648)
    assert budget.left_ratio == pytest.approx(0.25)
    assert budget.state(0.9) is BudgetState.LEFT


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (hours(unknown=720), BudgetState.UNKNOWN),
        (hours(good=100, unknown=620), BudgetState.UNKNOWN),
        (hours(good=720), BudgetState.LEFT),
        (hours(good=100, bad=1, unknown=619), BudgetState.SPENT),
        (hours(good=719, bad=1), BudgetState.SPENT),
    ],
)
def test_a_budget_is_left_only_where_that_is_known(found, wanted):
    """Unknown is not good: a budget that nobody watched is not one that is left."""
    budget = ErrorBudget(objective=0.999, length=timedelta(days=30), availability=Availability(totals=found))
    assert budget.state(0.9) is wanted


@given(totals, objectives)
def test_a_budget_has_no_figure_of_what_nobody_knows(found, objective):
    """Spent and left make up what is allowed; where nothing is known, nothing is left over to speak of."""
    budget = ErrorBudget(objective=objective, length=timedelta(days=30), availability=Availability(totals=found))
    if found.known:
        assert budget.left_s + budget.spent_s == pytest.approx(budget.allowed_s)
    else:
        assert (budget.left_s, budget.left_ratio, budget.state(0.9)) == (None, None, BudgetState.UNKNOWN)


@given(totals, objectives)
def test_a_burn_rate_of_one_spends_exactly_what_is_allowed(found, objective):
    """Bad time, of what is known, is the rate times what the objective allows."""
    rate = burn_rate(found, objective)
    if rate is None:
        assert not found.known
    else:
        assert rate * (1 - objective) * found.known.total_seconds() == pytest.approx(found.bad.total_seconds())


def timeline(*bad_minutes):
    """Looks each minute for three days; bad in those minutes before now, good in all others."""
    bad = {m for first, last in bad_minutes for m in range(first, last)}
    looks = [
        Sight(at=NOW - timedelta(minutes=m), seen=Seen.BAD if m in bad else Seen.GOOD)
        for m in range(1, 3 * 24 * 60 + 1)
    ]
    return Timeline(looks, timedelta(minutes=1))


@pytest.mark.parametrize(
    ("bad", "firing"),
    [
        # All good: 0 in every window.
        ((), (False, False, False)),
        # The last 5 minutes: 1 h burns at (5/60)/0.001 = 83, 5 m at 1000; 6 h at (5/360)/0.001 = 13.9, 30 m at 167;
        # 3 d at (5/4320)/0.001 = 1.16, 6 h at 13.9. All three fire.
        (((1, 6),), (True, True, True)),
        # Bad from 10 to 6 minutes ago: the last 5 minutes burn at 0, so the fast one is over; 30 m at 167.
        (((6, 11),), (False, True, True)),
        # A minute two hours ago: 6 h burns at 2.8, below 6; 3 d at 0.23, below 1.
        (((120, 121),), (False, False, False)),
        # Five minutes two hours ago: 30 m is quiet; 3 d burns at 1.16, and 6 h at 13.9 still does.
        (((120, 125),), (False, False, True)),
    ],
)
def test_alerts_need_both_windows(bad, firing):
    """An alert fires when the long window has burnt too much and the short one still does."""
    assert tuple(burn.firing for burn in burns(timeline(*bad), 0.999, NOW)) == firing


def test_what_cannot_be_known_fires_no_alert_and_calms_nobody():
    """Without looks no rate is known; with a window that is known to be calm, the alert is known to be quiet."""
    assert [burn.firing for burn in burns(Timeline([], timedelta(minutes=10)), 0.999, NOW)] == [None] * 3
    lately = Timeline([Sight(at=NOW - timedelta(minutes=9), seen=Seen.GOOD)], timedelta(minutes=1))
    # Nothing in the last five minutes, one good minute in the last hour.
    assert [burn.firing for burn in burns(lately, 0.999, NOW)] == [False, False, False]


def test_rates_are_told_by_window():
    """Each of the five windows once, the shortest first."""
    found = rates(burns(timeline((1, 6)), 0.999, NOW))
    assert list(found) == ["5m", "30m", "1h", "6h", "3d"]
    assert found["1h"] == pytest.approx(5 / 60 / 0.001)


def test_thresholds_are_those_of_common_practice():
    """1 h and 5 m at 14.4, 6 h and 30 m at 6, 3 d and 6 h at 1."""
    assert [(a.long, a.short, a.threshold) for a in BURN_ALERTS] == [
        (timedelta(hours=1), timedelta(minutes=5), 14.4),
        (timedelta(hours=6), timedelta(minutes=30), 6.0),
        (timedelta(days=3), timedelta(hours=6), 1.0),
    ]
