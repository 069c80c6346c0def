"""Time as a parameter, and how instants are written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_core.clock import ManualClock, SystemClock, isoformat, new_run_id, parse_instant

zones = st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(lambda d: timezone(timedelta(seconds=d.seconds)))
EARLIEST, LATEST = datetime(1970, 1, 2, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
instants = st.datetimes(EARLIEST.replace(tzinfo=None), LATEST.replace(tzinfo=None), timezones=zones)


@given(instants)
def test_an_instant_survives_writing_and_reading_to_the_millisecond(instant: datetime) -> None:
    """In UTC, whatever zone it was given in."""
    read = parse_instant(isoformat(instant))
    assert read.tzinfo is UTC
    assert timedelta(0) <= instant - read < timedelta(milliseconds=1)


@given(instants, instants)
def test_written_instants_sort_as_text(one: datetime, other: datetime) -> None:
    """That is what makes file names and logs sortable."""
    earlier, later = sorted((one, other))
    assert isoformat(earlier) <= isoformat(later)


def test_a_time_without_zone_is_refused() -> None:
    """It could mean anything."""
    with pytest.raises(ValueError, match="has no time zone"):
        parse_instant("2026-01-04T09:05:00")
    with pytest.raises(ValueError, match="Invalid isoformat"):
        parse_instant("yesterday")


def test_run_ids_sort_by_time_and_differ() -> None:
    """Two runs of the same second get different ids."""
    now = datetime(2026, 1, 4, 9, 5, tzinfo=UTC)
    assert new_run_id(now, "3f9a1c") == "20260104T090500Z-3f9a1c"
    assert len({new_run_id(now) for _ in range(50)}) == 50


def test_a_manual_clock_moves_only_when_told() -> None:
    """Sleeping is what moves it."""
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    clock.sleep(90)
    assert clock.now() == datetime(2026, 1, 1, 0, 1, 30, tzinfo=UTC)
    assert clock.monotonic() == 90


def test_the_system_clock_is_in_utc_and_goes_on() -> None:
    """Aware instants; monotonic seconds that pass while it sleeps."""
    clock = SystemClock()
    assert clock.now().tzinfo is UTC
    before = clock.monotonic()
    clock.sleep(0.001)
    assert clock.monotonic() > before
