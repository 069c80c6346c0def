"""Weeks and months begin and end where the clocks of their zone say so, to the second, in any year."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_core.errors import OpsError, UsageError
from ops_core.slo.periods import days_until, month_of, period_from, week_of

NOW = datetime(2026, 11, 28, 9, 30, tzinfo=UTC)
ZONES = ["UTC", "Asia/Seoul", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Asia/Beirut", "Pacific/Apia"]
days = st.dates(date(1980, 1, 1), date(2045, 12, 31))
zones = st.sampled_from(ZONES)


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize(
    ("period", "start", "end", "hours"),
    [
        # Seoul is nine hours ahead all year.
        (month_of(date(2026, 11, 30), "Asia/Seoul"), utc(2026, 10, 31, 15), utc(2026, 11, 30, 15), 30 * 24),
        (month_of(date(2028, 2, 1), "UTC"), utc(2028, 2, 1), utc(2028, 3, 1), 29 * 24),
        (month_of(date(2026, 2, 28), "UTC"), utc(2026, 2, 1), utc(2026, 3, 1), 28 * 24),
        (month_of(date(2026, 12, 31), "UTC"), utc(2026, 12, 1), utc(2027, 1, 1), 31 * 24),
        # Berlin: clocks forward on 29 March, back on 25 October.
        (month_of(date(2026, 3, 15), "Europe/Berlin"), utc(2026, 2, 28, 23), utc(2026, 3, 31, 22), 31 * 24 - 1),
        (week_of(date(2026, 3, 29), "Europe/Berlin"), utc(2026, 3, 22, 23), utc(2026, 3, 29, 22), 167),
        (week_of(date(2026, 10, 25), "Europe/Berlin"), utc(2026, 10, 18, 22), utc(2026, 10, 25, 23), 169),
        # In São Paulo midnight itself did not exist on 4 November 2018: that day began at 01:00, which is 03:00 UTC.
        (week_of(date(2018, 11, 4), "America/Sao_Paulo"), utc(2018, 10, 29, 3), utc(2018, 11, 5, 2), 167),
        # Samoa left out 30 December 2011.
        (week_of(date(2011, 12, 28), "Pacific/Apia"), utc(2011, 12, 26, 10), utc(2012, 1, 1, 10), 6 * 24),
    ],
)
def test_hand_computed_periods(period, start, end, hours):
    """Starts and ends in UTC, and the hours between them."""
    assert (period.start, period.end) == (start, end)
    assert period.length == timedelta(hours=hours)


@given(days, zones)
def test_neighbours_share_no_instant_and_leave_none_out(day, zone):
    """The next week begins at the very instant at which this one ends; the same of months."""
    week, following = week_of(day, zone), week_of(day + timedelta(days=7), zone)
    assert week.end == following.start
    month = month_of(day, zone)
    assert month.end == month_of(day.replace(day=1) + timedelta(days=31), zone).start
    assert month.start < month.end


@given(days, zones)
def test_the_days_of_a_period_make_it_up(day, zone):
    """Its local days follow each other from its start to its end; a month has 28 to 31 of them."""
    for period in (week_of(day, zone), month_of(day, zone)):
        found = period.days()
        assert (found[0][1], found[-1][2]) == (period.start, period.end)
        assert all(one[2] == other[1] for one, other in itertools.pairwise(found))
        assert sum((end - start for _, start, end in found), timedelta(0)) == period.length
    assert 27 <= len(found) <= 31


def test_a_day_that_a_zone_leaves_out_is_no_day():
    """Samoa went from 29 to 31 December 2011: six days of 24 hours, side by side."""
    found = week_of(date(2011, 12, 28), "Pacific/Apia").days()
    assert [day.day for day, _, _ in found] == [26, 27, 28, 29, 31, 1]
    assert {end - start for _, start, end in found} == {timedelta(hours=24)}


def test_weeks_are_named_as_iso_8601_names_them():
    """The first days of January may belong to the last week of the year before."""
    assert week_of(date(2027, 1, 1), "UTC").key == "2026-W53"
    assert week_of(date(2026, 11, 28), "UTC").key == "2026-W48"
    assert month_of(date(2026, 11, 28), "UTC").key == "2026-11"


@pytest.mark.parametrize(
    ("text", "at", "key"),
    [
        ("week", None, "2026-W48"),
        ("month", None, "2026-11"),
        ("month", "2026-02", "2026-02"),
        ("month", "2026-02-28", "2026-02"),
        ("week", "2026-W01", "2026-W01"),
        ("week", "2026-01-01", "2026-W01"),
        # Still November in UTC, December in Seoul.
        ("month", "2026-11-30T15:00:00Z", "2026-12"),
        ("7d", None, "7d-until-20261128T093000Z"),
        ("7d", "2026-11-10", "7d-until-20261110T150000Z"),
        ("1d", "2026-11-10T00:00:00+00:00", "1d-until-20261110T000000Z"),
    ],
)
def test_a_period_is_asked_for_by_what_it_is_and_when(text, at, key):
    """In the clocks of Seoul; days end at the instant named, and never after now."""
    assert period_from(text, at, NOW, "Asia/Seoul").key == key


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("year", None), ("0d", None), ("367d", None), ("7", None), ("", None), ("month", "2026-13"),
        ("month", "2026-W48"), ("week", "2026-11"), ("week", "2026-W54"), ("week", "yesterday"), ("7d", "2026-11"),
        ("month", "2026-11-28T09:00:00"), ("month", "0000-01"), ("week", "9999-12-31"), ("month", "9999-12"), ("7d", "9999-12-31"),
    ],
)  # fmt: skip
def test_what_is_no_period_is_refused(text, at):
    """The error says what is allowed; a month is no week, and an instant has a zone."""
    with pytest.raises(UsageError) as caught:
        period_from(text, at, NOW, "Asia/Seoul")
    assert caught.value.allowed


def test_a_zone_that_this_machine_does_not_know_is_refused():
    """Another zone in its place would begin the month at another hour."""
    with pytest.raises(OpsError):
        period_from("month", None, NOW, "Mars/Olympus")


def test_a_period_that_goes_on_is_seen_until_now():
    """What has not come is not unknown: it is not counted. A period that has not begun has no length yet."""
    period = month_of(date(2026, 11, 1), "UTC")
    assert period.seen_until(NOW) == NOW
    assert period.seen_until(utc(2027, 1, 1)) == period.end
    assert period.seen_until(utc(2026, 1, 1)) == period.start
    assert days_until(NOW, 30, "UTC").length == timedelta(days=30)
