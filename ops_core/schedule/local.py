"""A schedule of one zone on the clock of another, for schedulers that know only the zone of their host."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta

from ops_core.control.model.calendar import read_zone
from ops_core.schedule.slots import Schedule, Slot, slots_from

# Long enough to see each way in which two zones can differ, and the slots that fall into a gap on any weekday.
HORIZON = timedelta(days=366 * 7)
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class LocalTime:
    """A time of day on the host's clock, and the host's weekdays (0 is Monday) on which a slot begins then."""

    at: time
    weekdays: frozenset[int]


def local_times(schedule: Schedule, host_zone: str, now: datetime) -> tuple[LocalTime, ...]:
    """At which times of the host's clock slots begin, in the coming seven years.

    One, if the zones keep their distance. Else several: a scheduler then calls at each of them, and whoever is called
    asks whether a slot is due.

    Raises:
        OpsError: one of the zones is not known on this machine.
    """
    zone = read_zone(host_zone)
    found: dict[time, set[int]] = {}
    for slot in _within(schedule, now):
        local = slot.at.astimezone(zone)
        if local.second:
            # Only zones of long ago differ by seconds; the minute after is inside the slot's window.
            local += _MINUTE
        found.setdefault(local.time().replace(second=0, fold=0), set()).add(local.weekday())
    return tuple(LocalTime(at=at, weekdays=frozenset(days)) for at, days in sorted(found.items()))


def in_gaps(schedule: Schedule, now: datetime) -> tuple[Slot, ...]:
    """The slots of the coming seven years whose time does not exist in their own zone.

    Raises:
        OpsError: the zone is not known on this machine.
    """
    zone = read_zone(schedule.zone)
    return tuple(slot for slot in _within(schedule, now) if slot.at.astimezone(zone).time() != schedule.at)


def _within(schedule: Schedule, now: datetime) -> list[Slot]:
    slots = []
    for slot in slots_from(schedule, now):
        if slot.at > now + HORIZON:
            break
        slots.append(slot)
    return slots
