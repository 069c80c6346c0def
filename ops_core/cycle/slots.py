"""Which slot of the schedule a cycle is asked to run, and which slots nobody ran."""

from __future__ import annotations

from datetime import datetime

from ops_core.config import Settings
from ops_core.errors import Refused
from ops_core.schedule import slots
from ops_core.schedule.slots import Schedule

NOW = "now"
KEY_MAX_CHARS = 120
BY_HAND = "ops cycle runs one by hand, whenever it is"


def schedule_of(settings: Settings) -> Schedule:
    """The schedule of a profile.

    Raises:
        ConfigError: it cannot be followed.
    """
    table = settings.schedule
    return slots.schedule_from(
        zone=table.zone, at=table.at, days=table.days, grace_minutes=table.grace_minutes, where=str(settings.path)
    )


def due_key(settings: Settings, now: datetime) -> str:
    """The key of the slot that is due at `now`; empty where none is.

    Raises:
        ConfigError: the schedule cannot be followed.
    """
    slot = slots.slot_at(schedule_of(settings), now)
    return "" if slot is None else slot.key


def refuse_slot(settings: Settings, wanted: str, now: datetime) -> Refused:
    """Why that slot is not run now, naming the one that is due or comes next.

    Raises:
        ConfigError: the schedule cannot be followed.
    """
    schedule = schedule_of(settings)
    due, coming = slots.slot_at(schedule, now), slots.next_slot(schedule, now)
    asked = "no slot is due now" if wanted == NOW else f"the slot {wanted[:KEY_MAX_CHARS]!r} is not due now"
    told = f"the slot due now is {due.key}" if due else f"the next slot is {coming.key}" if coming else "no slot comes"
    return Refused(
        f"{asked}; {told}",
        where=f"{settings.path}, schedule",
        allowed=f"a slot, from its time on for {settings.schedule.grace_minutes} minutes",
        next_step=BY_HAND,
    )


def missed_keys(settings: Settings, since: datetime | None, now: datetime, done: frozenset[str]) -> tuple[str, ...]:
    """The slots whose window has ended since the last cycle and that nobody ran; oldest first, at most a year of them.

    Args:
        settings: whose schedule.
        since: when the last cycle began; None where none ever did, and then nothing was missed.
        now: the time.
        done: keys of the slots that were run.

    Raises:
        ConfigError: the schedule cannot be followed.
    """
    if since is None:
        return ()
    return tuple(slot.key for slot in slots.missed(schedule_of(settings), since, now, done))
