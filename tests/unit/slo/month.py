"""November 2026 in Seoul: a look each hour, four drills, and half a day on which nobody looked.

The clock is set by hand. Each look is worth an hour, so that an untroubled day is known from its beginning to its end.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from slo_world import World, utc

from ops_core.slo.figures import Figures, compute
from ops_core.slo.happened import read_incidents
from ops_core.slo.periods import Period, period_from
from ops_core.slo.sights import read_sights

NOW = utc("2026-12-01 00:30")
# Midnight in Seoul is 15:00 UTC of the day before.
START, END = utc("2026-10-31 15:00"), utc("2026-11-30 15:00")
DARK = (utc("2026-11-26 00:00"), utc("2026-11-26 12:00"))
# When the fault was put in, when it was found, when it was over, what was found, about which target, and the outcome.
DRILLS = (
    ("2026-11-10 02:59:40", "2026-11-10 03:00:00", "2026-11-10 03:04:00", "health.not_ok", "shop", "recovered"),
    ("2026-11-17 04:59:50", "2026-11-17 05:00:00", "2026-11-17 05:02:00", "health.not_ok", "shop", "recovered"),
    ("2026-11-20 01:59:30", "2026-11-20 02:00:00", "2026-11-20 02:00:48", "guard.open", "shop", "recovered"),
    ("2026-11-24 00:59:00", "2026-11-24 01:00:00", "2026-11-24 01:10:00", "health.not_ok", "search", "escalated"),
)
# Looks beside the hourly ones: what was bad on the hour is good again then.
MENDED = (("2026-11-10 03:04", "shop"), ("2026-11-17 05:02", "shop"), ("2026-11-24 01:30", "search"))
BAD = {
    (utc("2026-11-10 03:00"), "shop"),
    (utc("2026-11-17 05:00"), "shop"),
    (utc("2026-11-24 01:00"), "search"),
}


def rehearse(root) -> World:
    """The month, recorded."""
    world = World(root, NOW, slo="observation_valid_s = 3600")
    at = START
    while at < END:
        if not DARK[0] <= at < DARK[1]:
            world.look(at, **{name: "bad" if (at, name) in BAD else "good" for name in ("shop", "search")})
        at += timedelta(hours=1)
    for when, _ in MENDED:
        world.look(utc(when), shop="good", search="good")
    for began, detected, ended, code, target, state in DRILLS:
        world.incident(
            began=utc(began), detected=utc(detected), ended=utc(ended), codes=(code,), target=target, state=state
        )
    return world


def period(world, text, at) -> Period:
    return period_from(text, at, NOW, world.settings.slo.zone)


def told(world, wanted: Period) -> Figures:
    """The figures of a period, with incidents numbered in the order in which they were found, so that they stay."""
    reading = read_sights(world.settings, wanted.start, wanted.seen_until(NOW), since=wanted.end - timedelta(days=3))
    found = read_incidents(world.settings, world.plane, world.clock, wanted.start, wanted.end)
    numbered = tuple(
        replace(one, id=f"{one.detected_at:%Y%m%dT%H%M%SZ}-{number:06x}")
        for number, one in enumerate(sorted(found.incidents, key=lambda one: one.detected_at), start=1)
    )
    return compute(world.settings, wanted, NOW, reading, replace(found, incidents=numbered))
