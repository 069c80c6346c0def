"""An overdue update is a finding, and what cannot be read is not good."""

import os
import sqlite3
import subprocess
import sys

import pytest
from incident_world import World

from ops_core.errors import CannotLook
from ops_core.evidence import IncidentsEvidence
from ops_core.incident import opening
from ops_core.incident.handling import Responses, Saying
from ops_core.incident.reading import read_incidents
from ops_core.incident.severity import Severity


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def opened(world, **changes):
    fields = {"title": "t", "severity": Severity.SEV1, "scenario": None, "source": "hand", "key": "", "actor": "kim"}
    facts = {"affected": ("a",), "version": "1"}
    return opening.open_incident(world.settings, world.plane, world.clock, **{**fields, **facts, **changes})


def seen(world):
    return read_incidents(world.settings, world.clock)


def test_an_update_becomes_overdue_and_is_given(world):
    """After fifteen minutes of a SEV-1; an update takes it back; another profile's or an ended one is not told of."""
    one = opened(world)
    assert seen(world).overdue == ()
    world.clock.ahead_s = 15 * 60
    (late,) = seen(world).overdue
    assert late.id == one.id
    assert f"ops incident update {one.id}" in seen(world).explain()
    people = Responses(world.plane, world.clock, "kim")
    people.update(one.id, Saying(text="at it"))
    assert seen(world).overdue == ()
    world.clock.ahead_s += 3600
    assert len(seen(world).overdue) == 1
    people.close(one.id, "false alarm")
    assert seen(world).incidents == ()
    assert seen(world).explain() == "no incident is open"


def test_no_store_is_no_incident_and_damage_is_not_seen(world, tmp_path):
    """Where there is no store nobody has opened any; where there is one that cannot be read nobody knows."""
    one = opened(world)
    with sqlite3.connect(world.settings.control_store) as connection:
        connection.execute("UPDATE incident_event SET data = '{}' WHERE incident_id = ?", (one.id,))
    connection.close()
    with pytest.raises(CannotLook, match="damaged"):
        seen(world)
    world.settings.control_store.unlink()
    assert seen(world).incidents == ()
    assert isinstance(seen(world), IncidentsEvidence)


def test_the_check_finds_it(world, tmp_path):
    """`pytest checks/ -m service` ends with the finding of the overdue incident, and is good after an update."""
    (tmp_path / "checks").mkdir()
    config = tmp_path / "ops.toml"
    config.write_text('suites = ["service"]\n' + config.read_text(encoding="utf-8"), encoding="utf-8")
    world.clock.ahead_s = -16 * 60
    one = opened(world)
    argv = [sys.executable, "-m", "pytest", "checks", "-m", "service", "-k", "updates", "-q", "-p", "no:cacheprovider"]
    environ = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "OPS_CONFIG": str(config)}

    def typed():
        return subprocess.run(argv, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False, timeout=60)

    bad = typed()
    assert bad.returncode == 1, bad.stdout + bad.stderr
    assert "incident.update_overdue" in bad.stdout
    assert one.id in bad.stdout
    world.clock.ahead_s = 0
    Responses(world.plane, world.clock, "kim").update(one.id, Saying(text="at it"))
    good = typed()
    assert good.returncode == 0, good.stdout + good.stderr
