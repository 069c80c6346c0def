"""Trading days and hours: boundaries to the second, zones, holidays, and what happens where nothing can be known."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, date, datetime, time, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops_core.control.model.calendar import (
    MIDNIGHT,
    TradingCalendar,
    calendar_from,
    holidays_from,
    time_from,
    weekdays_from,
)
from ops_core.control.trading import calendar_of
from ops_core.errors import ConfigError
from ops_core.operations import TradingTable

SEOUL = timezone(timedelta(hours=9))
MONDAY = datetime(2026, 11, 30, 10, 15, tzinfo=SEOUL)
ANY_TIME = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds


def test_the_default_is_monday_to_friday_nine_to_six_in_seoul() -> None:
    """Without configuration: Mon-Fri, 09:00-18:00 in Asia/Seoul, and what was seen is said in words."""
    calendar = TradingCalendar()
    assert (calendar.weekday(MONDAY).ok, calendar.weekday(MONDAY).seen) == (True, "Monday 2026-11-30 in Asia/Seoul")
    assert (calendar.hours(MONDAY).ok, calendar.hours(MONDAY).seen) == (True, "10:15 Asia/Seoul, open 09:00-18:00")
    saturday = calendar.weekday(MONDAY - timedelta(days=2))
    assert (saturday.ok, saturday.seen) == (False, "Saturday 2026-11-28 in Asia/Seoul")


@pytest.mark.parametrize(
    ("wall", "opened"),
    [
        (time(8, 59, 59, 999_999), False),
        (time(9, 0), True),
        (time(17, 59, 59, 999_999), True),
        (time(18, 0), False),
    ],
)
def test_hours_are_half_open(wall: time, opened: bool) -> None:
    """At the opening it is open, at the closing it is closed."""
    assert TradingCalendar().hours(datetime.combine(MONDAY.date(), wall, SEOUL)).ok is opened


def test_the_day_is_the_zones_own() -> None:
    """Sunday 15:00 UTC is Monday in Seoul, one microsecond earlier it is Sunday there too."""
    calendar, instant = TradingCalendar(), datetime(2026, 11, 29, 15, 0, tzinfo=UTC)
    assert calendar.weekday(instant).ok
    assert not calendar.weekday(instant - timedelta(microseconds=1)).ok


def test_summer_time_is_followed() -> None:
    """09:00 in New York is 14:00 UTC in winter and 13:00 UTC in summer."""
    calendar = TradingCalendar(zone="America/New_York")
    assert calendar.hours(datetime(2026, 1, 5, 14, 0, tzinfo=UTC)).ok
    assert not calendar.hours(datetime(2026, 1, 5, 13, 59, 59, tzinfo=UTC)).ok
    assert calendar.hours(datetime(2026, 7, 6, 13, 0, tzinfo=UTC)).ok


def test_a_holiday_is_no_trading_day() -> None:
    """A listed day is closed, and the answer says why."""
    calendar = TradingCalendar(holidays=frozenset({MONDAY.date()}))
    assert calendar.weekday(MONDAY).seen == "Monday 2026-11-30 in Asia/Seoul, a holiday"
    assert not calendar.weekday(MONDAY).ok
    assert calendar.weekday(MONDAY + timedelta(days=1)).ok


@pytest.mark.parametrize(
    "zone", ["Atlantis/Town", "", "../etc/passwd", "Asia", "Asia/\0Seoul", "/etc/localtime", "x" * 5000]
)
def test_an_unknown_zone_is_closed(zone: str) -> None:
    """A zone that is not known is no, with the reason: never an exception, never another zone in its place."""
    calendar = TradingCalendar(zone=zone)
    for answer in (calendar.weekday(MONDAY), calendar.hours(MONDAY)):
        assert not answer.ok
        assert "cannot be known" in answer.seen


@pytest.mark.parametrize("content", [None, b"", b"TZif", b"TZif2" + b"\xff" * 60, b"no zone data at all" * 10])
def test_missing_and_damaged_zone_data_are_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    """With zone data that is missing or damaged it is closed, at any time."""
    before = zoneinfo.TZPATH
    if content is not None:
        (tmp_path / "Nowhere").mkdir()
        (tmp_path / "Nowhere" / "Land").write_bytes(content)
    try:
        zoneinfo.reset_tzpath([str(tmp_path)])
        zoneinfo.ZoneInfo.clear_cache()
        answer = TradingCalendar(zone="Nowhere/Land").hours(MONDAY)
    finally:
        zoneinfo.reset_tzpath(before)
        zoneinfo.ZoneInfo.clear_cache()
    assert (answer.ok, "no zone data" in answer.seen) == (False, True)


@pytest.mark.parametrize(
    "now",
    [datetime(2026, 11, 30, 10, 15), datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=SEOUL)],  # noqa: DTZ001 - an instant of no zone is what is tried
)
def test_an_instant_that_cannot_be_placed_is_closed(now: datetime) -> None:
    """An instant of no zone, or at the end of all calendars, is no."""
    calendar = TradingCalendar()
    assert not calendar.weekday(now).ok
    assert not calendar.hours(now).ok


@settings(deadline=None)
@given(now=ANY_TIME, opens=st.times(), closes=st.times())
def test_hours_agree_with_the_clock_on_the_wall(now: datetime, opens: time, closes: time) -> None:
    """Open is exactly what lies between the two times on a clock in Seoul."""
    if closes != MIDNIGHT and closes <= opens:
        with pytest.raises(ConfigError):
            TradingCalendar(opens=opens, closes=closes)
        return
    wall = now.astimezone(zoneinfo.ZoneInfo("Asia/Seoul")).time()
    expected = wall >= opens and (closes == MIDNIGHT or wall < closes)
    assert TradingCalendar(opens=opens, closes=closes).hours(now).ok is expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"opens": time(22), "closes": time(6)}, "trading hours from 22:00 to 06:00 do not end on the same day"),
        ({"opens": time(9), "closes": time(9)}, "trading hours from 09:00 to 09:00 do not end on the same day"),
        ({"weekdays": frozenset()}, "the trading days are not days of a week"),
        ({"weekdays": frozenset({7})}, "the trading days are not days of a week"),
        ({"opens": time(9, tzinfo=UTC)}, "trading hours are times of the calendar's own zone"),
    ],
)
def test_a_calendar_that_cannot_be_followed_is_refused(changes: dict[str, object], message: str) -> None:
    """Hours over midnight, no days and times of other zones are refused when it is made."""
    with pytest.raises(ConfigError) as caught:
        TradingCalendar(**changes)  # type: ignore[arg-type]  # one wrong field each
    assert caught.value.what == message


def test_a_calendar_from_a_configuration() -> None:
    """Texts become days and times; 24:00 is the end of the day."""
    calendar = calendar_from(zone="UTC", days=("Sat", "Sun"), opens="00:00", closes="24:00")
    assert calendar == TradingCalendar(
        zone="UTC", weekdays=frozenset({5, 6}), opens=time(0), closes=MIDNIGHT, holidays=frozenset()
    )
    late = calendar.hours(datetime(2026, 11, 28, 23, 59, 59, tzinfo=UTC))
    assert (late.ok, late.seen) == (True, "23:59:59 UTC, open 00:00-24:00")


def test_what_a_configuration_says_wrong_is_named() -> None:
    """A wrong day or time names the key, and what would be allowed."""
    with pytest.raises(ConfigError, match="'Mo' is no day") as day:
        weekdays_from(("Mo",), where="trading.days")
    assert (day.value.where, day.value.allowed) == ("trading.days", "some of Mon, Tue, Wed, Thu, Fri, Sat, Sun")
    for text in ("9:05", "24:00", "09:60", "09:05:00", "٠٩:٠٥", "09:05\n", ""):
        with pytest.raises(ConfigError, match="is no time of day"):
            time_from(text, where="trading.opens")


def test_holidays_come_from_a_file(tmp_path: Path) -> None:
    """One date a line, comments and blank lines between; the file is found by the profile's table."""
    path = tmp_path / "holidays.txt"
    path.write_text("\ufeff# 2026\n2026-11-30  # a day off\n\n2026-12-25\n", encoding="utf-8")
    calendar = calendar_of(TradingTable(holidays_file=path))
    assert calendar.holidays == {date(2026, 11, 30), date(2026, 12, 25)}
    assert not calendar.weekday(MONDAY).ok
    assert calendar_of(TradingTable()) == TradingCalendar()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "the holidays cannot be read"),
        (b"\xff\xfe", "it is not UTF-8"),
        (b"2026-11-31\n", "'2026-11-31' is no date"),
        (b"#" * ((1 << 20) + 1), "too large"),
    ],
)
def test_holidays_that_cannot_be_read_are_an_error(tmp_path: Path, content: bytes | None, message: str) -> None:
    """Without its holidays a calendar is not used: every day might be one."""
    path = tmp_path / "holidays.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        calendar_of(TradingTable(holidays_file=path))
    assert "holidays.txt" in caught.value.where


def test_more_holidays_than_there_can_be_are_refused() -> None:
    """The list is bounded."""
    days = "\n".join((date(2000, 1, 1) + timedelta(days=n)).isoformat() for n in range(5001))
    with pytest.raises(ConfigError, match="too many holidays"):
        holidays_from(days, where="holidays.txt")
