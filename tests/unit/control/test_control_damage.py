"""A damaged or edited store is STOPPED with a reason: never a traceback, and never more permission than before."""

import dataclasses
import random
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ops_core.clock import ManualClock
from ops_core.control import schema, shape, verified
from ops_core.control.files import make_private
from ops_core.control.model import Gate
from ops_core.control.problems import StoreUnusable
from ops_core.control.reading import read_control, read_last_good
from ops_core.control.service import ControlPlane

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
DIGEST = "0" * 64
TRIGGERS = shape.TRIGGERS


def history(path, *, stopped):
    """A store that was released, opened for real and shut, so that its pages hold older, more permissive rows."""
    plane = ControlPlane(path, ManualClock(NOW), actor="kim")
    plane.create()
    plane.release("a rather long reason, so that rows of different length leave room between them")
    plane.set_gate(Gate.REAL_ENABLED, "live fire", ttl_s=8 * 3600)
    plane.mark_good("core", "release", "v1", DIGEST)
    plane.engage("fire")
    if not stopped:
        plane.release("out")
        plane.set_gate(Gate.DRY_RUN, "done")
    return plane


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """A store that is stopped with its gate open (True), and one that is released with its gate shut (False)."""
    folder = tmp_path_factory.mktemp("stores")
    return {stopped: history(folder / f"{stopped}.db", stopped=stopped).path for stopped in (True, False)}


def put(path: Path, body: bytes) -> ControlPlane:
    """A control plane over a store of these bytes."""
    path.unlink(missing_ok=True)
    make_private(path)
    path.write_bytes(body)
    return ControlPlane(path, ManualClock(NOW), actor="kim", busy_timeout_s=0.0)


def look(plane: ControlPlane, path: Path):
    """Look in every way there is; none may raise anything but a reasoned error."""
    seen = read_control(path, NOW)
    state, permission = plane.state(), plane.permission(drill=False)
    errors = []
    for call in (
        plane.audit_rows,
        plane.verify_chain,
        lambda: plane.last_good("core", "release"),
        lambda: read_last_good(path, "core"),
    ):
        try:
            call()
        except StoreUnusable as error:
            errors.append(error)
    assert all(error.what and error.where for error in errors)
    return seen, state, permission


def assert_stopped(plane, path):
    """Stopped however one looks, each time with a reason, and no change is possible."""
    seen, state, permission = look(plane, path)
    assert (seen.stopped, state.stopped, permission.code) == (True, True, "stopped")
    assert seen.problem
    assert state.problem
    assert permission.next_step
    for change in (lambda: plane.release("ok"), lambda: plane.set_gate(Gate.MOCK_ONLY, "r")):
        with pytest.raises(StoreUnusable):
            change()


@pytest.mark.parametrize("stopped", [True, False])
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(flips=st.lists(st.tuples(st.integers(0, 49_151), st.integers(1, 255)), min_size=1, max_size=4))
def test_flipped_bytes_never_permit_anything(stores, tmp_path, stopped, flips):
    """Up to four bytes flipped anywhere: a stopped store stays stopped, a shut gate stays shut, nothing crashes."""
    body = bytearray(stores[stopped].read_bytes())
    for place, mask in flips:
        body[place % len(body)] ^= mask
    path = tmp_path / "control.db"
    seen, state, permission = look(put(path, bytes(body)), path)
    assert not permission.allowed
    if stopped:
        assert seen.stopped
        assert state.stopped
    else:
        assert seen.stopped or seen.gate == "DRY_RUN"
        assert state.stopped or state.gate is Gate.DRY_RUN
    assert not seen.stopped or seen.problem or seen.stop_reason


@pytest.mark.parametrize("stopped", [True, False])
def test_every_byte_of_the_control_page_is_covered(stores, tmp_path, stopped):
    """The page that holds the control row, byte for byte: no single flipped lowest bit permits anything."""
    body = stores[stopped].read_bytes()
    path = tmp_path / "control.db"
    plane = put(path, body)
    with closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'control_state'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    start = (page - 1) * size
    used = [place for place in range(start, start + size) if body[place]]
    assert used
    for place in used:
        with path.open("r+b") as file:
            file.seek(place)
            file.write(bytes([body[place] ^ 1]))
        seen = read_control(path, NOW)
        assert seen.stopped or (not stopped and seen.gate == "DRY_RUN"), place
        with path.open("r+b") as file:
            file.seek(place)
            file.write(bytes([body[place]]))
    assert not plane.permission(drill=False).allowed


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(length=st.integers(0, 60_000))
@example(length=0)
@example(length=1)
@example(length=100)
@example(length=4096)
@example(length=40_961)
@example(length=40_966)
def test_a_truncated_store_never_permits_anything(stores, tmp_path, length):
    """Cut anywhere, it is stopped with a reason."""
    body = stores[False].read_bytes()
    path = tmp_path / "control.db"
    plane = put(path, body[: length % len(body)])
    assert_stopped(plane, path)


@pytest.mark.parametrize(
    "body",
    [b"", b"\n", b"stopped = false\n" * 500, b"SQLite format 3\0", b"SQLite format 3\0" + bytes(8192), bytes(100_000)],
)
def test_a_file_that_is_no_store_is_stopped(tmp_path, body):
    """Text, nothing, zeroes, or only the first line of a database."""
    path = tmp_path / "control.db"
    assert_stopped(put(path, body), path)


def test_another_database_is_stopped(tmp_path):
    """A database of somebody else's is not taken for ours, not even with a table of that name."""
    path = tmp_path / "control.db"
    make_private(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE control_state (stopped)")
        connection.execute("INSERT INTO control_state VALUES (0)")
        connection.commit()
    assert_stopped(ControlPlane(path, ManualClock(NOW)), path)


def test_a_folder_in_its_place_is_stopped(tmp_path):
    """A folder is no store."""
    path = tmp_path / "control.db"
    path.mkdir()
    assert_stopped(ControlPlane(path, ManualClock(NOW)), path)


def test_a_link_in_its_place_is_stopped(tmp_path):
    """A link to a perfectly good released store is no store."""
    real, path = tmp_path / "real.db", tmp_path / "control.db"
    history(real, stopped=False)
    path.symlink_to(real)
    assert_stopped(ControlPlane(path, ManualClock(NOW)), path)


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o666, 0o400])
def test_wrong_permissions_are_stopped(tmp_path, mode):
    """A store that others may read or write is not believed, nor one that its owner may not write."""
    path = tmp_path / "control.db"
    plane = history(path, stopped=False)
    path.chmod(mode)
    assert_stopped(plane, path)


def tamper(path, *statements):
    """Edit the audit with a shell, covering the tracks in the schema: triggers off and on again."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for name in TRIGGERS:
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)
        for sql in TRIGGERS.values():
            connection.execute(sql)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET actor = 'lee' WHERE seq = 2",
        "UPDATE audit SET detail = '{}' WHERE seq = 4",
        "UPDATE audit SET at = '2020-01-01T00:00:00.000Z' WHERE seq = 7",
        "UPDATE audit SET hash = prev_hash WHERE seq = 7",
        "UPDATE audit SET detail = x'00' WHERE seq = 3",
        "UPDATE audit SET seq = 99 WHERE seq = 7",
        "DELETE FROM audit WHERE seq = 1",
        "DELETE FROM audit WHERE seq = 3",
        "DELETE FROM audit WHERE seq = 7",
        "DELETE FROM audit",
        "INSERT INTO audit SELECT 8, at, actor, action, subject, detail, prev_hash, hash FROM audit WHERE seq = 7",
        "DELETE FROM good_version",
        "UPDATE control_state SET head_seq = 6, head_hash = (SELECT hash FROM audit WHERE seq = 6)",
    ],
)
def test_edited_or_deleted_records_are_stopped(tmp_path, statement):
    """An audit row edited, taken out at either end or in the middle, or added; a mark taken away: stopped."""
    path = tmp_path / "control.db"
    plane = history(path, stopped=False)
    assert not plane.state().stopped
    tamper(path, statement)
    assert_stopped(plane, path)


def test_a_newest_row_that_was_rewritten_with_its_hash_is_stopped(tmp_path):
    """The newest row has no successor to betray it; the head that the control row names does."""
    path = tmp_path / "control.db"
    plane = history(path, stopped=False)
    with plane.transaction() as change:
        row = change.audit(at=NOW, actor="kim", action="a.b")
    forged = dataclasses.replace(row, actor="lee")
    tamper(path, f"UPDATE audit SET actor = 'lee', hash = '{forged.expected_hash()}' WHERE seq = {row.seq}")
    assert_stopped(plane, path)


def test_damage_that_only_sqlite_finds_is_stopped(tmp_path):
    """A ruined page of a table that nobody reads just now is found all the same."""
    path = tmp_path / "control.db"
    plane = history(path, stopped=False)
    with closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'incident'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff")
    assert_stopped(plane, path)


@pytest.mark.parametrize("stopped", [True, False])
def test_a_large_store_that_is_damaged_never_permits_anything(stores, tmp_path, monkeypatch, stopped):
    """Of a large file only the tables that decide are checked page by page at each look; all of it by the whole check."""
    monkeypatch.setattr(verified, "WHOLE_PAGES_MAX", 0)
    chosen, body = random.Random(7), stores[stopped].read_bytes()
    for number in range(150):
        damaged = bytearray(body)
        damaged[chosen.randrange(len(body))] ^= chosen.randrange(1, 256)
        path = tmp_path / str(number) / "control.db"
        path.parent.mkdir()
        seen, state, permission = look(put(path, bytes(damaged)), path)
        assert not permission.allowed
        assert not stopped or (seen.stopped and state.stopped)


def test_damage_in_a_table_that_only_grows_is_found_by_the_whole_check(tmp_path, monkeypatch):
    """An index of the audit that lost an entry: looking does without it, and verifying does not."""
    monkeypatch.setattr(verified, "WHOLE_PAGES_MAX", 0)
    plane = ControlPlane(tmp_path / "control.db", ManualClock(datetime(2026, 1, 5, tzinfo=UTC)))
    plane.create()
    with closing(sqlite3.connect(plane.path)) as connection:
        page = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'ix_audit_action'").fetchone()[0]
        size = connection.execute("PRAGMA page_size").fetchone()[0]
    body = bytearray(plane.path.read_bytes())
    body[(page - 1) * size + 3 : (page - 1) * size + 5] = b"\0\0"  # how many entries the page has
    plane.path.write_bytes(body)
    with pytest.raises(StoreUnusable, match="damaged"):
        plane.verify_chain()


def test_the_tables_that_decide_are_there():
    """SQLite checks nothing, and says ok, where it is asked for a table that is not there."""
    assert set(verified.DECIDING) <= set(schema.metadata.tables)
    assert set(schema.metadata.tables) - set(verified.DECIDING) == {
        *("audit", "cycle_run", "fire", "incident", "incident_event", "log_mark", "mirror", "outbox", "step", "ticket")
    }


def test_an_edit_far_back_is_found_by_the_whole_check(tmp_path):
    """Opening checks the newest rows only; checking the whole chain names the row that was edited long ago."""
    path = tmp_path / "control.db"
    plane = history(path, stopped=False)
    with plane.transaction() as change:
        for _ in range(verified.TAIL_ROWS):
            change.audit(at=NOW, actor="kim", action="a.b")
    tamper(path, "UPDATE audit SET actor = 'lee' WHERE seq = 3")
    assert not plane.state().stopped
    with pytest.raises(StoreUnusable, match="audit row 3 was changed"):
        plane.verify_chain()


@pytest.mark.parametrize("column", ["name = 'v2'", f"digest = '{'1' * 64}'", "marked_at = '2020-01-01T00:00:00.000Z'"])
def test_an_edited_good_version_is_not_believed(tmp_path, column):
    """Where to roll back to has to be what the audit says was seen good."""
    path = tmp_path / "control.db"
    plane = history(path, stopped=False)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"UPDATE good_version SET {column}")
    for call in (lambda: plane.last_good("core", "release"), lambda: read_last_good(path, "core")):
        with pytest.raises(StoreUnusable, match="last good release of core"):
            call()


def test_an_older_copy_of_the_row_with_a_valid_seal_is_not_believed(tmp_path):
    """A released row of yesterday, put back as it was, seal and all, is not today's state."""
    path = tmp_path / "control.db"
    plane = ControlPlane(path, ManualClock(NOW), actor="kim")
    plane.create()
    plane.release("ok")
    with closing(sqlite3.connect(path)) as connection:
        old = connection.execute("SELECT * FROM control_state").fetchone()
    plane.engage("fire")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"REPLACE INTO control_state VALUES ({', '.join('?' * len(old))})", old)
    assert_stopped(plane, path)


def test_a_damaged_store_can_be_set_aside_and_made_anew(tmp_path):
    """The way out that the error names works, and the new store starts stopped."""
    path = tmp_path / "control.db"
    plane = history(path, stopped=False)
    path.write_bytes(b"text" * 1000)
    assert f"mv {path} {path}.damaged" in plane.state().remedy
    shutil.move(path, f"{path}.damaged")
    state = plane.create()
    assert (state.stopped, state.stop_reason, state.problem) == (True, "not yet released", "")
