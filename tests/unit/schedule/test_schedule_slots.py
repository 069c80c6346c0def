"""Slots: one a scheduled local day, in zones whose clocks are put forward and back, by an hour or by half of one."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops_core.errors import ConfigError, OpsError
from ops_core.schedule.slots import (
    MISSED_MAX,
    Schedule,
    latest_slot,
    missed,
    next_slot,
    schedule_from,
    slot_at,
    slots_from,
)

ZONES = ("America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Seoul")
EVERY_DAY = frozenset(range(7))
SCHEDULES = st.builds(
    Schedule,
    zone=st.sampled_from(ZONES),
    at=st.builds(time, st.integers(0, 23), st.integers(0, 59)) | st.builds(time, st.integers(0, 3), st.integers(0, 59)),
    weekdays=st.frozensets(st.integers(0, 6), min_size=1),
    grace=st.integers(1, 720).map(lambda minutes: timedelta(minutes=minutes)),
)
INSTANTS = st.datetimes(datetime(2000, 1, 1), datetime(2037, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_the_default_is_five_past_nine_in_seoul_on_workdays() -> None:
    """Monday 09:05 in Seoul is 00:05 UTC, and its key says both."""
    slot = next_slot(Schedule(), utc("2026-11-28T12:00"))
    assert slot is not None
    assert (slot.key, slot.at) == ("2026-11-30T09:05+09:00[Asia/Seoul]", utc("2026-11-30T00:05"))


def test_a_window_is_half_open() -> None:
    """A slot holds from its instant on, and no more when the grace is over."""
    schedule, begin = Schedule(grace=timedelta(minutes=30)), utc("2026-11-30T00:05")
    tick = timedelta(microseconds=1)
    found = [slot_at(schedule, begin + delta) for delta in (-tick, 0 * tick, timedelta(minutes=30) - tick)]
    assert [slot is not None for slot in found] == [False, True, True]
    assert slot_at(schedule, begin + timedelta(minutes=30)) is None
    before = latest_slot(schedule, begin - tick)
    assert before is not None
    assert before.key == "2026-11-27T09:05+09:00[Asia/Seoul]"


@pytest.mark.parametrize(
    ("zone", "at", "day", "instant", "key"),
    [
        ("America/New_York", "02:30", "2027-03-14", "2027-03-14T07:00", "2027-03-14T02:30-04:00[America/New_York]"),
        ("America/New_York", "02:00", "2027-03-14", "2027-03-14T07:00", "2027-03-14T02:00-04:00[America/New_York]"),
        ("America/New_York", "03:00", "2027-03-14", "2027-03-14T07:00", "2027-03-14T03:00-04:00[America/New_York]"),
        ("America/New_York", "01:30", "2027-11-07", "2027-11-07T05:30", "2027-11-07T01:30-04:00[America/New_York]"),
        ("America/New_York", "01:00", "2027-11-07", "2027-11-07T05:00", "2027-11-07T01:00-04:00[America/New_York]"),
        ("America/New_York", "02:00", "2027-11-07", "2027-11-07T07:00", "2027-11-07T02:00-05:00[America/New_York]"),
        ("Europe/Berlin", "02:30", "2027-03-28", "2027-03-28T01:00", "2027-03-28T02:30+02:00[Europe/Berlin]"),
        ("Europe/Berlin", "02:30", "2027-10-31", "2027-10-31T00:30", "2027-10-31T02:30+02:00[Europe/Berlin]"),
        (
            "Australia/Lord_Howe",
            "02:15",
            "2027-10-03",
            "2027-10-02T15:30",
            "2027-10-03T02:15+11:00[Australia/Lord_Howe]",
        ),
        (
            "Australia/Lord_Howe",
            "01:45",
            "2027-04-04",
            "2027-04-03T14:45",
            "2027-04-04T01:45+11:00[Australia/Lord_Howe]",
        ),
        ("America/Nuuk", "23:30", "2024-03-30", "2024-03-31T01:00", "2024-03-30T23:30-01:00[America/Nuuk]"),
    ],
)
def test_clocks_that_are_put_forward_and_back(zone: str, at: str, day: str, instant: str, key: str) -> None:
    """A time that does not exist falls on the first instant after the gap, one that exists twice on the first."""
    schedule = schedule_from(zone=zone, at=at, days=("Sat", "Sun"))
    slot = next(s for s in slots_from(schedule, utc(day) - timedelta(days=3)) if s.key.startswith(day))
    assert (slot.at, slot.key) == (utc(instant), key)


def test_a_day_that_a_zone_leaves_out_has_no_slot() -> None:
    """Samoa had no 30 December 2011: Thursday is followed by Saturday."""
    schedule = schedule_from(zone="Pacific/Apia", at="09:05", days=("Thu", "Fri", "Sat"))
    slots = slots_from(schedule, utc("2011-12-28T12:00"))
    assert [next(slots).key[:10] for _ in range(2)] == ["2011-12-29", "2011-12-31"]


@settings(deadline=None)
@given(schedule=SCHEDULES, start=INSTANTS, days=st.integers(1, 400))
def test_exactly_one_slot_a_scheduled_local_day(schedule: Schedule, start: datetime, days: int) -> None:
    """Each scheduled day has one slot, none has two, and they strictly increase, in instants and in keys."""
    end, found = start + timedelta(days=days), []
    for slot in slots_from(schedule, start):
        if slot.at > end:
            break
        found.append(slot)
    assert all(a.at < b.at and a.key[:10] < b.key[:10] for a, b in itertools.pairwise(found))
    zone = ZoneInfo(schedule.zone)
    local = [start.astimezone(zone).date() + timedelta(days=n) for n in range(1, days - 1)]
    expected = [day.isoformat() for day in local if day.weekday() in schedule.weekdays]
    inner = [
        slot.key[:10] for slot in found if local and local[0].isoformat() <= slot.key[:10] <= local[-1].isoformat()
    ]
    assert inner == expected


@settings(deadline=None)
@given(schedule=SCHEDULES, now=INSTANTS)
def test_the_time_on_the_wall_is_the_scheduled_one_or_the_end_of_a_gap(schedule: Schedule, now: datetime) -> None:
    """A slot shows its time on the wall; where it does not, clocks were put forward right then, over that time."""
    slot = next_slot(schedule, now)
    assert slot is not None
    zone = ZoneInfo(schedule.zone)
    wall, wanted = slot.at.astimezone(zone), datetime.fromisoformat(slot.key[:16])
    if wall.replace(tzinfo=None) == wanted:
        assert wall.fold == 0
        return
    before = (slot.at - timedelta(seconds=1)).astimezone(zone)
    assert before.replace(tzinfo=None) < wanted < wall.replace(tzinfo=None)
    assert before.utcoffset() != wall.utcoffset()


@settings(deadline=None)
@given(schedule=SCHEDULES, now=INSTANTS)
def test_what_is_due_is_the_latest_and_never_the_next(schedule: Schedule, now: datetime) -> None:
    """latest <= now < next with nothing between, and a slot is due exactly while its window holds now."""
    latest, following = latest_slot(schedule, now), next_slot(schedule, now)
    assert latest is not None
    assert following is not None
    assert latest.at <= now < following.at
    assert next_slot(schedule, latest.at) == following
    assert slot_at(schedule, now) == (latest if now < latest.at + schedule.grace else None)
    assert slot_at(schedule, latest.at) == latest


@settings(deadline=None)
@given(schedule=SCHEDULES, since=INSTANTS, days=st.integers(0, 900), step=st.integers(1, 5))
def test_missed_are_those_that_are_over_and_not_done(schedule: Schedule, since: datetime, days: int, step: int) -> None:
    """Missed and done make up all that is over, up to a bound; what is still open is not missed."""
    now = since + timedelta(days=days)
    over = missed(schedule, since, now, ())
    assert len(over) <= MISSED_MAX
    assert all(since <= slot.at and slot.at + schedule.grace <= now for slot in over)
    assert [s.at for s in over] == sorted({s.at for s in over})
    done = {slot.key for slot in over[::step]}
    assert missed(schedule, since, now, done) == tuple(slot for slot in over if slot.key not in done)
    due = slot_at(schedule, now)
    assert due is None or due not in over


def test_missed_is_bounded() -> None:
    """After ten years, the newest 366 are told."""
    schedule = Schedule(weekdays=EVERY_DAY)
    over = missed(schedule, utc("2016-01-01T00:00"), utc("2026-01-01T00:00"), ())
    assert (len(over), over[-1].key[:10], over[0].key[:10]) == (MISSED_MAX, "2025-12-31", "2024-12-31")


def test_nothing_is_missed_before_the_beginning() -> None:
    """A slot at the beginning counts, one before it does not, and one that is open is not missed yet."""
    schedule, at = Schedule(), utc("2026-11-30T00:05")
    later = at + timedelta(hours=1)
    assert [slot.at for slot in missed(schedule, at, later, ())] == [at]
    assert missed(schedule, at + timedelta(microseconds=1), later, ()) == ()
    assert missed(schedule, at, at + timedelta(minutes=29), ()) == ()
    assert missed(schedule, later, at, ()) == ()


def test_the_ends_of_the_calendar_are_no_failure() -> None:
    """Where no day is left there is no slot."""
    assert next_slot(Schedule(), datetime.max.replace(tzinfo=UTC)) is None
    assert latest_slot(Schedule(), datetime.min.replace(tzinfo=UTC)) is None


@pytest.mark.parametrize(
    ("changes", "message", "where"),
    [
        ({"zone": "Asia/Soul"}, "no zone data", "schedule.zone = 'Asia/Soul'"),
        ({"at": "9:05"}, "'9:05' is no time of day", "schedule.at"),
        ({"days": ("Monday",)}, "'Monday' is no day", "schedule.days"),
        ({"days": ()}, "no day is named", "schedule.days"),
        ({"grace_minutes": 721}, "a slot cannot be open for 721 minutes", "schedule.grace_minutes"),
        ({"grace_minutes": 0}, "a slot cannot be open for 0 minutes", "schedule.grace_minutes"),
    ],
)
def test_a_configuration_that_cannot_be_followed(changes: dict[str, object], message: str, where: str) -> None:
    """What is wrong is named, with its place and what is allowed."""
    values: dict[str, object] = {"zone": "Asia/Seoul", "at": "09:05", "days": ("Mon",), **changes}
    with pytest.raises(ConfigError, match=message) as caught:
        schedule_from(**values)  # type: ignore[arg-type]  # one wrong value each
    assert caught.value.where == where
    assert caught.value.allowed


@pytest.mark.parametrize(
    "changes",
    [
        {"weekdays": frozenset()},
        {"weekdays": frozenset({7})},
        {"at": time(9, 5, 30)},
        {"at": time(9, 5, tzinfo=UTC)},
        {"grace": timedelta(0)},
        {"grace": timedelta(hours=12, seconds=1)},
    ],
)
def test_a_schedule_that_could_not_be_kept_is_refused(changes: dict[str, object]) -> None:
    """No day, no whole minute, no window, or one that reaches the next slot."""
    with pytest.raises(ConfigError):
        Schedule(**changes)  # type: ignore[arg-type]  # one wrong field each


def test_without_zone_data_no_slot_is_made_up() -> None:
    """A zone that this machine does not know is an error that says so, not another zone."""
    with pytest.raises(OpsError, match="no zone data"):
        slot_at(Schedule(zone="Atlantis/Town"), utc("2026-11-30T00:05"))


def test_a_date_is_scheduled_by_its_own_zone() -> None:
    """Monday 00:10 in Seoul begins on Sunday in UTC."""
    slot = next_slot(schedule_from(zone="Asia/Seoul", at="00:10", days=("Mon",)), utc("2026-11-28T00:00"))
    assert slot is not None
    assert slot.at.date() == date(2026, 11, 29)
