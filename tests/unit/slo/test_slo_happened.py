"""Incidents of the store as figures need them: the loop's, people's, and both together as one."""

from __future__ import annotations

from datetime import timedelta

import pytest
from slo_world import World, utc
from sqlalchemy import update

from ops_core.control import schema
from ops_core.incident.events import Kind, State
from ops_core.incident.opening import open_incident
from ops_core.incident.severity import Severity
from ops_core.incident.store import Incidents
from ops_core.slo import happened
from ops_core.slo.happened import read_incidents

NOW = utc("2026-11-11 00:00")
START, END = utc("2026-11-10 00:00"), utc("2026-11-12 00:00")
THREE = utc("2026-11-10 03:00")


@pytest.fixture
def world(tmp_path):
    return World(tmp_path, NOW, zone="UTC")


def read(world):
    return read_incidents(world.settings, world.plane, world.clock, START, END)


def declare(world, at, started_at=None):
    """An incident that people handle, opened at that instant."""
    world.clock.instant = at
    found = open_incident(
        world.settings, world.plane, world.clock, title="slow", severity=Severity("SEV-2"), scenario=None, source="hand",
        key="", affected=("shop",), version="", actor="kim", started_at=started_at,
    )  # fmt: skip
    world.clock.instant = NOW
    return found.id


def append(world, incident, kind, data):
    incidents = Incidents(world.plane, world.clock, "kim")
    incidents.events(incident)
    incidents.append(incident, kind, data)


def close(world, incident, at, state):
    incidents = Incidents(world.plane, world.clock, "kim")
    incidents.events(incident)
    world.clock.instant = at
    incidents.close(incident, State(state), {})
    world.clock.instant = NOW


def test_an_incident_of_the_loop(world):
    """Began when the fault was put in, found when the first look ended, recovered when that was verified."""
    name = world.incident(
        began=THREE, detected=THREE + timedelta(seconds=20), ended=utc("2026-11-10 03:04"), codes=("guard.open",)
    )
    (one,) = read(world).incidents
    assert (one.id, one.began_at, one.began_known) == (name, THREE, True)
    assert (one.detection, one.recovery) == (timedelta(seconds=20), timedelta(seconds=220))
    assert one.automatic
    assert one.security
    assert one.drill
    assert one.targets == ("shop",)


def test_an_incident_of_the_loop_without_a_recovery(world):
    """Handed to a person: it is over, not recovered, and nobody knows when it began."""
    world.incident(began=None, detected=THREE, ended=utc("2026-11-10 03:10"), state="escalated")
    world.incident(began=None, detected=utc("2026-11-10 04:00"), ended=None)
    found = {one.state: one for one in read(world).incidents}
    assert set(found) == {"escalated", "open"}
    assert not any(one.automatic or one.began_known or one.recovered_at for one in found.values())
    assert found["open"].ended_at is None


def test_an_incident_of_people(world):
    """Began when they say, found when it was opened; closed as recovered it has a recovery, and a person made it."""
    name = declare(world, THREE, started_at=utc("2026-11-10 02:30"))
    close(world, name, utc("2026-11-10 04:00"), "recovered")
    other = declare(world, utc("2026-11-10 05:00"))
    close(world, other, utc("2026-11-10 06:00"), "closed")
    found = {one.id: one for one in read(world).incidents}
    assert found[name].detection == timedelta(minutes=30)
    assert found[name].recovery == timedelta(hours=1)
    assert found[other].recovery is None
    assert found[other].ended_at == utc("2026-11-10 06:00")
    assert not any(one.automatic for one in found.values())


def test_what_the_loop_did_for_people_is_part_of_theirs(world):
    """One trouble, one incident: found when the first of the two was, recovered without a person by the loop."""
    run = world.incident(
        began=None, detected=utc("2026-11-10 03:01"), ended=utc("2026-11-10 03:03"), codes=("guard.open",)
    )
    name = declare(world, THREE)
    append(world, name, Kind.ATTACHED, {"run": run})
    (one,) = read(world).incidents
    assert (one.id, one.detected_at, one.recovered_at) == (name, THREE, utc("2026-11-10 03:03"))
    assert one.automatic
    assert one.security
    assert one.ended_at is None


def test_damaged_incidents_are_named_and_the_rest_is_read(world):
    """An event that cannot be understood takes its incident with it, and no other one."""
    name = world.incident(began=None, detected=THREE, ended=None)
    good = world.incident(began=None, detected=utc("2026-11-10 04:00"), ended=None)
    with world.plane.transaction() as change:
        table = schema.incident_event
        change.execute(update(table).where(table.c.incident_id == name).values(data='{"look": 7}'))
    found = read(world)
    assert [one.id for one in found.incidents] == [good]
    assert found.damaged == 1
    assert found.named[0].startswith(f"{name}: ")
    assert found.problem == "1 incidents cannot be read"


def test_a_store_that_cannot_be_read_is_told(world):
    """No figures of recovery then, and no crash."""
    world.settings.control_store.write_bytes(b"not a database" * 100)
    found = read(world)
    assert found.incidents == ()
    assert found.problem


def test_more_incidents_than_the_store_lists_are_told(world, monkeypatch):
    """Where older ones of the period may be missing, that is said."""
    world.incident(began=None, detected=THREE, ended=None)
    monkeypatch.setattr(happened, "LISTED_MAX", 1)
    assert read(world).problem == "only the latest 1 incidents were read"


def test_incidents_of_other_times_are_left_alone(world):
    """A day around the period is enough for what was attached; the rest is not even looked at."""
    world.incident(began=None, detected=utc("2026-11-01 03:00"), ended=None)
    assert read(world).incidents == ()
