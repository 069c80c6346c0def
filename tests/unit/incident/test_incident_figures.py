"""What the loop does for real is what figures tell of it: found, repaired, verified, or not."""

from __future__ import annotations

from datetime import timedelta

import pytest
from incident_world import World

from ops_core.slo.happened import read_incidents


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def told(world):
    now = world.clock.now()
    found = read_incidents(world.settings, world.plane, world.clock, now - timedelta(hours=1), now + timedelta(hours=1))
    assert not found.problem
    return found.incidents


def test_a_recovery_by_the_loop_is_automatic_and_about_security(world):
    """A configuration that opens the guard is rolled back and verified: no person, and times in their order."""
    world.permit()
    world.deploy()
    outcome = world.run(injected_at=world.clock.now(), fault="config_opens_guard")
    (one,) = told(world)
    assert (one.id, one.state, outcome.outcome) == (outcome.incident_id, "recovered", "recovered")
    assert one.automatic
    assert one.security
    assert one.began_known
    assert one.began_at <= one.detected_at <= one.recovered_at == one.ended_at
    assert one.targets == ("web",)


def test_what_a_guard_refused_is_over_and_not_recovered(world):
    """With the gate at DRY_RUN nothing is touched: it counts against automatic recovery."""
    world.permit("DRY_RUN")
    world.crash()
    world.run()
    (one,) = told(world)
    assert (one.state, one.recovered_at, one.automatic, one.security) == ("refused", None, False, False)
    assert one.ended_at is not None
    assert not one.began_known
