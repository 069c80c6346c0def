"""At which instants a cycle is due: one slot for each scheduled local day, named so that two schedulers share it.

A wall-clock time that does not exist (clocks are put forward) falls on the first instant after the gap; one that exists
twice (clocks are put back) on the first of the two. A day that a zone leaves out altogether has no slot.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from ops_core.control.model.calendar import WORKDAY_NUMBERS, read_zone, time_from, weekdays_from
from ops_core.errors import ConfigError, OpsError
from ops_core.operations import ZONE_DEFAULT

MISSED_MAX = 366
GRACE_DEFAULT = timedelta(minutes=30)
# With longer windows, slots of two days could be open at once.
GRACE_MAX = timedelta(hours=12)
_DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """When a cycle is due: at that wall-clock time of those days in that zone, and for `grace` after it.

    Raises:
        ConfigError: it can never be due, or its windows could overlap.
    """

    zone: str = ZONE_DEFAULT
    at: time = time(9, 5)
    weekdays: frozenset[int] = WORKDAY_NUMBERS
    grace: timedelta = GRACE_DEFAULT

    def __post_init__(self) -> None:
        if not self.weekdays or not self.weekdays <= frozenset(range(7)):
            raise ConfigError("the scheduled days are not days of a week", where="days", allowed="0 to 6; 0 is Monday")
        if self.at.tzinfo is not None or self.at.second or self.at.microsecond:
            raise ConfigError("a schedule is due at a whole minute of its own zone", where="at", allowed="09:05")
        if not timedelta(0) < self.grace <= GRACE_MAX:
            raise ConfigError(f"a slot cannot be open for {self.grace}", where="grace", allowed="up to 12 hours")


@dataclass(frozen=True, kw_only=True)
class Slot:
    """One time at which a cycle is due.

    Attributes:
        key: names it, whoever asks: `2026-11-30T09:05+09:00[Asia/Seoul]`; the time is the scheduled one.
        at: the instant at which it begins, in UTC.
    """

    key: str
    at: datetime


def slot_at(schedule: Schedule, now: datetime) -> Slot | None:
    """The slot whose window `[at, at + grace)` holds `now`.

    Raises:
        OpsError: the zone is not known on this machine.
    """
    slot = latest_slot(schedule, now)
    return slot if slot is not None and now - slot.at < schedule.grace else None


def latest_slot(schedule: Schedule, now: datetime) -> Slot | None:
    """The newest slot that has begun.

    Raises:
        OpsError: the zone is not known on this machine.
    """
    return next(_backwards(schedule, now), None)


def next_slot(schedule: Schedule, now: datetime) -> Slot | None:
    """The first slot that begins after `now`.

    Raises:
        OpsError: the zone is not known on this machine.
    """
    return next(slots_from(schedule, now), None)


def slots_from(schedule: Schedule, now: datetime) -> Iterator[Slot]:
    """The slots that begin after `now`, one after the other, until no more can be found.

    Raises:
        OpsError: the zone is not known on this machine.
    """
    zone = read_zone(schedule.zone)
    for day in _days(zone, now, 1):
        slot = _slot(schedule, zone, day)
        if slot is not None and slot.at > now:
            yield slot


def missed(schedule: Schedule, since: datetime, now: datetime, done_keys: Collection[str]) -> tuple[Slot, ...]:
    """The slots that began at `since` or later, whose window has ended, and that nobody did; oldest first.

    Only the newest 366 slots are looked at: a year, if each day has one.

    Raises:
        OpsError: the zone is not known on this machine.
    """
    over: list[Slot] = []
    for slot in _backwards(schedule, now):
        if slot.at < since or len(over) == MISSED_MAX:
            break
        if slot.at + schedule.grace <= now:
            over.append(slot)
    return tuple(slot for slot in reversed(over) if slot.key not in done_keys)


def schedule_from(
    *, zone: str, at: str, days: Iterable[str], grace_minutes: int = 30, where: str = "schedule"
) -> Schedule:
    """The schedule that a configuration describes: `at` as `09:05`, days as `Mon`.

    Raises:
        ConfigError: one of them cannot be followed, also because this machine does not know the zone.
    """
    try:
        read_zone(zone)
    except OpsError as error:
        raise ConfigError(
            error.what, where=f"{where}.zone = {zone!r}", allowed=error.allowed, next_step=error.next_step
        ) from None
    if not 0 < grace_minutes <= GRACE_MAX.total_seconds() / 60:
        raise ConfigError(
            f"a slot cannot be open for {grace_minutes} minutes", where=f"{where}.grace_minutes", allowed="1 to 720"
        )
    return Schedule(
        zone=zone,
        at=time_from(at, where=f"{where}.at"),
        weekdays=weekdays_from(days, where=f"{where}.days"),
        grace=timedelta(minutes=grace_minutes),
    )


def _backwards(schedule: Schedule, now: datetime) -> Iterator[Slot]:
    """The slots that have begun at `now`, newest first."""
    zone = read_zone(schedule.zone)
    for day in _days(zone, now, -1):
        slot = _slot(schedule, zone, day)
        if slot is not None and slot.at <= now:
            yield slot


def _days(zone: ZoneInfo, now: datetime, step: int) -> Iterator[date]:
    """Local days from around `now` on, forwards or backwards; ends with the calendar."""
    try:
        # A slot in a gap at midnight begins on the day after its own.
        day = now.astimezone(zone).date() - step * _DAY
        while True:
            yield day
            day += step * _DAY
    except OverflowError:
        return


def _slot(schedule: Schedule, zone: ZoneInfo, day: date) -> Slot | None:
    if day.weekday() not in schedule.weekdays:
        return None
    try:
        instant = first_instant(datetime.combine(day, schedule.at), zone)
    except (OverflowError, ValueError):
        return None
    if instant is None:
        return None
    offset = instant.astimezone(zone).isoformat(timespec="minutes")[16:]
    return Slot(key=f"{day.isoformat()}T{schedule.at:%H:%M}{offset}[{schedule.zone}]", at=instant)


def first_instant(wall: datetime, zone: ZoneInfo) -> datetime | None:
    """The instant at which clocks of the zone first show `wall`, or would have; None on a day that there is not."""
    first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if first.astimezone(zone).replace(tzinfo=None) == wall:
        return first
    # In a gap: with fold=1 the offset after the change is used, which leads to before the change, and the other way
    # round. Between the two, the offset tells on which side one is.
    before, after = wall.replace(tzinfo=zone, fold=1).astimezone(UTC), first
    offset_before = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=int((after - before).total_seconds()) // 2)
        if middle.astimezone(zone).utcoffset() == offset_before:
            before = middle
        else:
            after = middle
    there_is = {instant.astimezone(zone).date() for instant in (before, after)}
    return after if wall.date() in there_is else None
