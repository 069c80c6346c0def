"""Weeks, months and spans that figures are about: half-open `[start, end)`, begun and ended by the clocks of a zone.

A period is a pair of instants in UTC. So a week in which clocks change has 167 or 169 hours, a month has as many days
as it has, and two periods side by side have no instant in common and none between them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from ops_core.clock import parse_instant
from ops_core.control.model.calendar import read_zone
from ops_core.errors import UsageError
from ops_core.schedule.slots import first_instant

DAYS_MAX = 366
_MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")
_WEEK = re.compile(r"([0-9]{4})-W([0-9]{2})")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DAYS = re.compile(r"([1-9][0-9]{0,2})d")
_DAY = timedelta(days=1)
AT_ALLOWED = "a month (2026-11), a week (2026-W48), a day (2026-11-28) or an instant with its zone"


class Kind(StrEnum):
    """What a period is."""

    WEEK = "week"
    MONTH = "month"
    DAYS = "days"


@dataclass(frozen=True, kw_only=True)
class Period:
    """`[start, end)` in UTC. `key` names it and is fit for a folder: `2026-11`, `2026-W48`, `7d-until-…`."""

    kind: Kind
    key: str
    zone: str
    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        """From its start to its end."""
        return self.end - self.start

    def seen_until(self, now: datetime) -> datetime:
        """Its end, or `now` where that has not come; its start where it has not even begun."""
        return max(self.start, min(self.end, now))

    def days(self) -> tuple[tuple[date, datetime, datetime], ...]:
        """The local days it is made of, each with its start and end, cut to the period."""
        zone = read_zone(self.zone)
        found = []
        day = self.start.astimezone(zone).date()
        while (start := _midnight(day, zone)) < self.end:
            end = _midnight(day + _DAY, zone)
            # A day that the zone leaves out begins and ends at the same instant.
            if end > max(start, self.start):
                found.append((day, max(start, self.start), min(end, self.end)))
            day += _DAY
        return tuple(found)


def month_of(day: date, zone: str) -> Period:
    """The month of a local day.

    Raises:
        OpsError: the zone is not known on this machine.
    """
    first = day.replace(day=1)
    following = (first + timedelta(days=31)).replace(day=1)
    return _between(Kind.MONTH, f"{first.year:04d}-{first.month:02d}", zone, first, following)


def week_of(day: date, zone: str) -> Period:
    """The week of a local day, from Monday to Sunday, named as ISO 8601 names it.

    Raises:
        OpsError: the zone is not known on this machine.
    """
    monday = day - timedelta(days=day.weekday())
    year, week, _ = day.isocalendar()
    return _between(Kind.WEEK, f"{year:04d}-W{week:02d}", zone, monday, monday + timedelta(days=7))


def days_until(end: datetime, days: int, zone: str) -> Period:
    """The `days` times 24 hours that end at an instant, such as now.

    Raises:
        UsageError: it is not 1 to 366 days.
    """
    if not 1 <= days <= DAYS_MAX:
        raise UsageError(f"{days} days are no period", where="--period", allowed=f"1d to {DAYS_MAX}d")
    end = end.astimezone(UTC)
    key = f"{days}d-until-{end:%Y%m%dT%H%M%SZ}"
    return Period(kind=Kind.DAYS, key=key, zone=zone, start=end - days * _DAY, end=end)


def period_from(text: str, at: str | None, now: datetime, zone: str) -> Period:
    """The period that somebody asks for.

    Args:
        text: `week`, `month`, or a number of days such as `7d`.
        at: which: a month (2026-11), a week (2026-W48), a day or an instant in it; now, if nothing is said. Days end
            at that instant, or at the end of that day.
        now: the time.
        zone: whose clocks begin and end weeks and months.

    Raises:
        UsageError: there is no such period.
        OpsError: the zone is not known on this machine.
    """
    days = _DAYS.fullmatch(text)
    if text not in {Kind.WEEK, Kind.MONTH} and not days:
        raise UsageError(f"{text!r} is not a period", where="--period", allowed="week, month, or days such as 7d")
    try:
        if days:
            end = now if at is None else _end_of(at, zone)
            return days_until(min(end, now), int(days[1]), zone)
        day = now.astimezone(read_zone(zone)).date() if at is None else _day_in(at, text, zone)
        return month_of(day, zone) if text == Kind.MONTH else week_of(day, zone)
    except (OverflowError, ValueError):
        raise UsageError(f"there is no {text} at {at!r}", where="--at", allowed=AT_ALLOWED) from None


def _day_in(at: str, text: str, zone: str) -> date:
    """A local day that `at` names, for a week or a month."""
    month, week = _MONTH.fullmatch(at), _WEEK.fullmatch(at)
    if month and text == Kind.MONTH:
        return date(int(month[1]), int(month[2]), 1)
    if week and text == Kind.WEEK:
        return date.fromisocalendar(int(week[1]), int(week[2]), 1)
    if "T" in at:
        return parse_instant(at).astimezone(read_zone(zone)).date()
    return _date(at)


def _date(text: str) -> date:
    """A day as it is written; what else ISO 8601 knows, such as a week, is none."""
    if not _DATE.fullmatch(text):
        raise ValueError(f"{text!r} is not a day")
    return date.fromisoformat(text)


def _end_of(at: str, zone: str) -> datetime:
    if "T" in at:
        return parse_instant(at)
    return _midnight(_date(at) + _DAY, read_zone(zone))


def _between(kind: Kind, key: str, zone: str, first: date, following: date) -> Period:
    clocks = read_zone(zone)
    return Period(kind=kind, key=key, zone=zone, start=_midnight(first, clocks), end=_midnight(following, clocks))


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of a local day; of a day that a zone leaves out, the first of the next one."""
    found = first_instant(datetime.combine(day, time(0)), zone)
    return found if found is not None else _midnight(day + _DAY, zone)
