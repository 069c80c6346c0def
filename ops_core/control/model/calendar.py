"""On which days and in which hours a live fire may happen. What cannot be known about the calendar is a closed day.

The zone is looked up in the zone data of the machine. Where that is missing the answer is no, with the reason: another
zone, taken in its place, would open at the wrong hour.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from ops_core.errors import ConfigError, OpsError
from ops_core.operations import DAYS, ZONE_DEFAULT

WORKDAY_NUMBERS = frozenset(range(5))
HOLIDAYS_MAX = 5000
MIDNIGHT = time(0, 0)  # as `closes`: the end of the day
_DAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Whether it holds, and what was seen, in words for people."""

    ok: bool
    seen: str


@dataclass(frozen=True, kw_only=True)
class TradingCalendar:
    """Trading days and hours in one zone. The hours are half-open: at `closes` it is closed.

    Attributes:
        zone: a name of the zone data, such as Asia/Seoul.
        weekdays: 0 is Monday.
        opens: wall-clock time in that zone.
        closes: the same; 00:00 is the midnight that ends the day.
        holidays: days of that zone on which nothing is open.

    Raises:
        ConfigError: no day, days that there are not, or hours that do not end on the day on which they begin.
    """

    zone: str = ZONE_DEFAULT
    weekdays: frozenset[int] = WORKDAY_NUMBERS
    opens: time = time(9, 0)
    closes: time = time(18, 0)
    holidays: frozenset[date] = frozenset()

    def __post_init__(self) -> None:
        if not self.weekdays or not self.weekdays <= frozenset(range(7)):
            raise ConfigError("the trading days are not days of a week", where="days", allowed=", ".join(DAYS))
        if self.opens.tzinfo is not None or self.closes.tzinfo is not None:
            raise ConfigError("trading hours are times of the calendar's own zone", where="opens, closes")
        if self.closes != MIDNIGHT and self.closes <= self.opens:
            raise ConfigError(
                f"trading hours from {_clock(self.opens)} to {_closing(self.closes)} do not end on the same day",
                where="opens, closes",
                allowed="opens before closes; 24:00 is the end of the day",
            )

    def weekday(self, now: datetime) -> Answer:
        """Whether `now` is a trading day: `Saturday 2026-11-28 in Asia/Seoul`."""
        try:
            local = local_time(self.zone, now)
        except OpsError as error:
            return Answer(ok=False, seen=str(error.what))
        seen = f"{_DAY_NAMES[local.weekday()]} {local.date().isoformat()} in {self.zone}"
        if local.date() in self.holidays:
            return Answer(ok=False, seen=f"{seen}, a holiday")
        return Answer(ok=local.weekday() in self.weekdays, seen=seen)

    def hours(self, now: datetime) -> Answer:
        """Whether `now` is inside the trading hours, whatever the day: `10:15 Asia/Seoul, open 09:00-18:00`."""
        try:
            local = local_time(self.zone, now)
        except OpsError as error:
            return Answer(ok=False, seen=str(error.what))
        wall = local.time()
        seen = f"{_clock(wall)} {self.zone}, open {_clock(self.opens)}-{_closing(self.closes)}"
        return Answer(ok=self.opens <= wall and (self.closes == MIDNIGHT or wall < self.closes), seen=seen)


def read_zone(zone: str) -> ZoneInfo:
    """The zone of that name.

    Raises:
        OpsError: there is no such zone on this machine, or its data cannot be read.
    """
    try:
        return ZoneInfo(zone)
    except Exception as error:  # noqa: BLE001  # data of a zone may be damaged in any way, and is not known in each
        reason = type(error).__name__
    raise OpsError(
        f"the time in {zone} cannot be known: this machine has no zone data for it",
        where=f"zone {zone} ({reason})",
        allowed="a zone such as Asia/Seoul or UTC",
        next_step="install the zone data: the package tzdata of the system, or of Python",
    )


def local_time(zone: str, now: datetime) -> datetime:
    """The instant on the clocks of a zone.

    Raises:
        OpsError: the zone is not known, the instant has no zone of its own, or lies outside of all calendars.
    """
    if now.tzinfo is None:
        raise OpsError(f"the time in {zone} cannot be known: the instant {now.isoformat()} is of no zone")
    try:
        return now.astimezone(read_zone(zone))
    except (OverflowError, ValueError):
        raise OpsError(f"the time in {zone} cannot be known: {now.isoformat()} is outside of its calendar") from None


def calendar_from(
    *, zone: str, days: Iterable[str], opens: str, closes: str, holidays: Iterable[date] = (), where: str = "trading"
) -> TradingCalendar:
    """The calendar that a configuration describes: days as `Mon`, times as `09:00`; `closes` may be `24:00`.

    Raises:
        ConfigError: one of them is none; the message names it below `where`.
    """
    return TradingCalendar(
        zone=zone,
        weekdays=weekdays_from(days, where=f"{where}.days"),
        opens=time_from(opens, where=f"{where}.opens"),
        closes=MIDNIGHT if closes == "24:00" else time_from(closes, where=f"{where}.closes"),
        holidays=frozenset(holidays),
    )


def holidays_from(text: str, *, where: str) -> frozenset[date]:
    """The days that a file of holidays lists: one ISO date a line, and behind it, if you like, `#` and a name.

    Raises:
        ConfigError: a line is something else, or there are more than 5,000.
    """
    found: set[date] = set()
    for number, line in enumerate(text.splitlines(), start=1):
        said = line.partition("#")[0].strip()
        if not said:
            continue
        try:
            found.add(date.fromisoformat(said))
        except ValueError:
            raise ConfigError(
                f"{said[:40]!r} is no date", where=f"{where}, line {number}", allowed="one a line, such as 2027-01-01"
            ) from None
        if len(found) > HOLIDAYS_MAX:
            raise ConfigError("there are too many holidays", where=where, allowed=f"at most {HOLIDAYS_MAX}")
    return frozenset(found)


def weekdays_from(days: Iterable[str], *, where: str) -> frozenset[int]:
    """The numbers of days that are named `Mon`, `Tue`, …; 0 is Monday.

    Raises:
        ConfigError: there is none, or one is no day.
    """
    allowed = f"some of {', '.join(DAYS)}"
    numbers = set()
    for day in days:
        if day not in DAYS:
            raise ConfigError(f"{day!r} is no day", where=where, allowed=allowed)
        numbers.add(DAYS.index(day))
    if not numbers:
        raise ConfigError("no day is named", where=where, allowed=allowed)
    return frozenset(numbers)


def time_from(text: str, *, where: str) -> time:
    """The time of day that is written `09:05`.

    Raises:
        ConfigError: it is none.
    """
    match = _TIME.fullmatch(text)
    if match is None:
        raise ConfigError(f"{text!r} is no time of day", where=where, allowed="a time of day such as 09:05")
    return time(int(match[1]), int(match[2]))


def _clock(wall: time) -> str:
    return wall.strftime("%H:%M:%S" if wall.second else "%H:%M")


def _closing(closes: time) -> str:
    return "24:00" if closes == MIDNIGHT else _clock(closes)
