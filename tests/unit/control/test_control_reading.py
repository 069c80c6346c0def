"""Reading for probes and the header: fast, read-only, never raising for the store's sake."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from ops_core.control.model import Gate
from ops_core.control.problems import StoreUnusable
from ops_core.control.reading import read_control, read_last_good

ROOT = Path(__file__).parents[3]
DIGEST = "0" * 64


def test_it_reads_what_the_control_plane_says(plane, store_path, clock):
    """Stop, reason, gate, and who changed something last."""
    found = read_control(store_path, clock.now())
    assert (found.stopped, found.stop_reason, found.gate, found.problem) == (True, "not yet released", "DRY_RUN", "")
    clock.sleep(1)
    plane.release("ok", actor="lee")
    clock.sleep(1)
    plane.set_gate(Gate.MOCK_ONLY, "r", actor="park")
    found = read_control(store_path, clock.now())
    assert (found.stopped, found.stop_reason, found.gate) == (False, "", "MOCK_ONLY")
    assert (found.changed_by, found.changed_at) == ("park", "2026-01-05T09:00:02.000Z")
    clock.sleep(1)
    plane.engage("fire")
    assert read_control(store_path, clock.now()).changed_by == "kim"


def test_an_expired_gate_reads_dry_run(plane, store_path, clock):
    """What counts is told, not what was set."""
    plane.release("ok")
    plane.set_gate(Gate.REAL_ENABLED, "r", ttl_s=60)
    assert read_control(store_path, clock.now()).gate == "REAL_ENABLED"
    clock.sleep(60)
    found = read_control(store_path, clock.now())
    assert (found.gate, found.stopped, found.problem) == ("DRY_RUN", False, "")


def test_the_latch_counts(plane, store_path, clock):
    """The latch stops whatever the store says, and its reason and author are told."""
    plane.release("ok")
    (store_path.parent / "EMERGENCY_STOP").write_text("disk on fire\n")
    found = read_control(store_path, clock.now())
    assert (found.stopped, found.stop_reason, found.changed_by) == (True, "disk on fire", "unknown")
    store_path.unlink()
    found = read_control(store_path, clock.now())
    assert (found.stopped, found.stop_reason) == (True, "disk on fire")
    assert "does not exist" in found.problem


def test_a_missing_store_is_stopped_and_not_made(store_path, clock):
    """Looking makes nothing."""
    found = read_control(store_path, clock.now())
    assert (found.stopped, found.gate) == (True, "UNKNOWN")
    assert "does not exist" in found.problem
    assert "ops estop release" in found.problem
    assert not store_path.parent.exists()


def test_a_locked_store_is_stopped(plane, store_path, clock):
    """Where another process shuts everybody out, nothing is known."""
    plane.release("ok")
    holder = sqlite3.connect(store_path, isolation_level=None)
    try:
        holder.execute("BEGIN EXCLUSIVE")
        found = read_control(store_path, clock.now(), busy_timeout_s=0)
    finally:
        holder.close()
    assert found.stopped
    assert "locked" in found.problem


def test_a_writer_at_work_does_not_hide_the_state(plane, store_path, clock):
    """Until it is committed, a change is not there, and what was there is read."""
    plane.release("ok")
    with plane.transaction() as change:
        change.audit(at=clock.now(), actor="kim", action="a.b")
        assert not read_control(store_path, clock.now(), busy_timeout_s=0).stopped


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_store_that_may_not_be_read_is_stopped(plane, store_path, clock):
    """Without permission nothing is known."""
    store_path.parent.chmod(0o000)
    try:
        assert read_control(store_path, clock.now()).stopped
    finally:
        store_path.parent.chmod(0o700)


def test_reading_changes_nothing(plane, store_path, clock):
    """Neither the file nor its folder is touched."""
    plane.mark_good("core", "release", "v1", DIGEST)
    before = (store_path.read_bytes(), store_path.stat().st_mtime_ns, sorted(store_path.parent.iterdir()))
    read_control(store_path, clock.now())
    read_last_good(store_path, "core")
    assert (store_path.read_bytes(), store_path.stat().st_mtime_ns, sorted(store_path.parent.iterdir())) == before


def test_a_time_without_zone_is_stopped(plane, store_path, clock):
    """Even a caller's mistake does not release anything."""
    plane.release("ok")
    plane.set_gate(Gate.REAL_ENABLED, "r")
    assert read_control(store_path, clock.now().replace(tzinfo=None)).stopped


@pytest.mark.parametrize("name", ["a\0b", "x" * 300, "ü %3f?mode=rwc#x"])
def test_odd_paths_are_stopped(tmp_path, clock, name):
    """No path makes it raise, and none is taken for an option."""
    found = read_control(tmp_path / name, clock.now())
    assert found.stopped
    assert found.problem
    assert list(tmp_path.iterdir()) == []


def test_a_store_in_an_oddly_named_folder_is_read(tmp_path, clock):
    """Blanks, signs and other scripts in a path are only a path."""
    from ops_core.control.service import ControlPlane

    path = tmp_path / "ü %3f?mode=rwc#x 상태" / "control.db"
    ControlPlane(path, clock).create()
    assert read_control(path, clock.now()).problem == ""


def test_last_good_of_a_target(plane, store_path):
    """Release and configuration, or None where none was marked."""
    assert read_last_good(store_path, "core") == (None, None)
    marked = plane.mark_good("core", "config", "1.env", DIGEST)
    assert read_last_good(store_path, "core") == (None, marked)
    assert read_last_good(store_path, "web") == (None, None)


def test_last_good_of_a_missing_store_is_not_recorded(store_path):
    """Nothing was recorded where no store is."""
    assert read_last_good(store_path, "core") == (None, None)


def test_last_good_of_a_damaged_store_is_an_error(plane, store_path):
    """Where it cannot be known, "not recorded" would be a guess."""
    store_path.write_bytes(b"text" * 1000)
    with pytest.raises(StoreUnusable):
        read_last_good(store_path, "core")


def test_reading_loads_nothing_slow():
    """Importing it loads no library beyond the standard one, and neither the store nor the service."""
    slow = ("pydantic", "jinja2", "typer", "babel", "httpx", "pytest", "asyncio", "subprocess", "sqlalchemy", "psycopg")
    slow += ("ops_core.control.store", "ops_core.control.schema", "ops_core.control.service")
    code = f"import sys, ops_core.control.reading; print([m for m in sys.modules if m.startswith({slow})])"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert found.stdout.strip() == "[]"
