"""A month of drills with figures computed by hand; the arithmetic stands beside them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from month import NOW, period, rehearse

from ops_core.slo.availability import BudgetState, Verdict
from ops_core.slo.figures import figures


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return rehearse(tmp_path_factory.mktemp("month"))


@pytest.fixture(scope="module")
def month(world):
    return figures(world.settings, world.plane, world.clock, period(world, "month", "2026-11"))


def goals(found):
    return {goal.key: (goal.value, goal.verdict) for goal in found.goals}


def test_the_month_divides_into_good_bad_and_unknown(month):
    """30 days are 2 592 000 s; nobody looked for 12 h, which is 43 200 s, or 1.67 %."""
    shop, search = (one.availability.totals for one in month.targets)
    # Shop was bad from 03:00 to 03:04 and from 05:00 to 05:02: 240 + 120.
    assert shop.bad.total_seconds() == 360
    # Search was bad from 01:00 to 01:30.
    assert search.bad.total_seconds() == 1800
    assert shop.unknown.total_seconds() == search.unknown.total_seconds() == 43_200
    assert shop.good.total_seconds() == 2_592_000 - 43_200 - 360
    assert month.targets[0].availability.unknown_share == pytest.approx(1 / 60)


def test_availability_of_the_month(month):
    """Of what is known, 2 548 800 s: 2 548 440 good are 99.9859 %, 2 547 000 good are 99.9294 %."""
    shop, search = month.targets
    assert shop.availability.ratio == pytest.approx(0.999858757)
    assert search.availability.ratio == pytest.approx(0.999293785)
    # 2 548 440 / 2 592 000 if all that is unknown was bad: too little to say met without knowing enough of it.
    assert shop.availability.at_least == pytest.approx(0.983194444)
    assert (shop.verdict, search.verdict) == (Verdict.MET, Verdict.MET)


def test_error_budget_of_the_month(month):
    """99.9 % of 2 592 000 s allow 2 592 s: 360 spent leave 2 232 (86.1 %), 1 800 spent leave 792 (30.6 %)."""
    shop, search = (one.budget for one in month.targets)
    assert (shop.allowed_s, shop.left_s, shop.left_ratio) == pytest.approx((2592, 2232, 0.861111), abs=1e-6)
    assert (search.left_s, search.left_ratio) == pytest.approx((792, 0.305556), abs=1e-6)
    assert {one.budget_state for one in month.targets} == {BudgetState.LEFT}


def test_recovery_of_the_month(month):
    """Four incidents: found after 20, 10, 30 and 60 s, recovered after 240, 120 and 48 s, one not at all in 600 s."""
    recovery = month.recovery
    assert recovery.mttd.seconds == (20 + 10 + 30 + 60) / 4
    assert recovery.mttr.seconds == (240 + 120 + 48) / 3
    assert recovery.mttr_at_least.seconds == (240 + 120 + 48 + 600) / 4
    assert recovery.automatic_rate == 3 / 4
    assert len(recovery.escalated) == len(recovery.security) == 1


def test_the_promises_of_the_month(month):
    """136 s would be met, but one incident is without a recovery: unknown. 75 % and one about security: missed."""
    assert goals(month) == {
        "mttr": (136, Verdict.UNKNOWN),
        "availability": (pytest.approx(0.999293785), Verdict.MET),
        "automatic": (0.75, Verdict.MISSED),
        "security": (1, Verdict.MISSED),
    }


def test_incidents_that_could_not_be_read_leave_recovery_unknown(month):
    """Whatever the others say; availability does not depend on them."""
    found = goals(replace(month, told=replace(month.told, problem="the store is away")))
    assert {name for name, (_, verdict) in found.items() if verdict is Verdict.UNKNOWN} == {
        "mttr",
        "automatic",
        "security",
    }
    assert found["security"][0] is None
    assert found["availability"][1] is Verdict.MET


def test_a_week_of_it(world):
    """16 to 22 November in Seoul: two drills, 120 s bad of 604 800, all of it known."""
    week = figures(world.settings, world.plane, world.clock, period(world, "week", "2026-W47"))
    shop, search = week.targets
    assert shop.availability.totals.bad.total_seconds() == 120
    assert shop.availability.unknown_share == search.availability.unknown_share == 0
    # 604.8 s allowed, 120 spent.
    assert shop.budget.left_s == pytest.approx(484.8)
    # (10 + 30) / 2, and (120 + 48) / 2.
    assert (week.recovery.mttd.seconds, week.recovery.mttr.seconds) == (20, 84)
    assert goals(week) == {
        "mttr": (84, Verdict.MET),
        # Search was never bad, shop is the lowest: 604 680 / 604 800.
        "availability": (pytest.approx(604_680 / 604_800), Verdict.MET),
        "automatic": (1, Verdict.MET),
        "security": (1, Verdict.MISSED),
    }


def test_weeks_and_days_add_up_to_the_month(month):
    """The days of the month have the bad and the unknown seconds of the month between them."""
    for one in month.targets:
        assert sum(day.availability.totals.bad.total_seconds() for day in one.days) == one.budget.spent_s
        assert sum(day.availability.totals.unknown.total_seconds() for day in one.days) == 43_200
        assert one.days[-1].so_far == one.availability
        assert len(one.days) == 30


def test_a_month_without_observations_is_unknown(world):
    """September: nobody looked. Nothing is met, nothing is 100 %, and no budget is left."""
    empty = figures(world.settings, world.plane, world.clock, period(world, "month", "2026-09"))
    assert {verdict for _, verdict in goals(empty).values()} == {Verdict.UNKNOWN}
    assert {(one.availability.ratio, one.budget.left_s, one.budget_state) for one in empty.targets} == {
        (None, None, BudgetState.UNKNOWN)
    }


def test_a_month_that_goes_on_is_counted_until_now(world):
    """December has begun nine and a half hours ago, at 15:00 UTC; the last look was worth something until then."""
    december = figures(world.settings, world.plane, world.clock, period(world, "month", None))
    assert december.until == NOW
    assert december.targets[0].availability.totals.length.total_seconds() == 9.5 * 3600
    assert december.targets[0].availability.unknown_share == 1
    assert december.targets[0].budget.allowed_s == pytest.approx(31 * 86.4)
