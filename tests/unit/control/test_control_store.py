"""The control store: made whole, opened with distrust, changed all or nothing."""

import os
import sqlite3
import stat
from datetime import UTC, datetime

import pytest

from ops_core.control import model
from ops_core.control.model import Gate
from ops_core.control.store import (
    StoreBusy,
    StoreConflict,
    StoreMissing,
    StoreUnusable,
    connect,
)
from ops_core.errors import UsageError

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def made(path):
    """Make a store and return its path."""
    with connect(path, create=True, now=NOW, actor="kim"):
        return path


def raw(path, *statements):
    """Do to the file what a person with a shell could do."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        return [connection.execute(statement).fetchall() for statement in statements]
    finally:
        connection.close()


def put_released(change):
    """Record the stop as released."""
    new = model.release(change.state, "ok", "kim", NOW)
    return change.put_state(new, at=NOW, actor="kim", action="stop.released")


def release_then_raise(store, error):
    """Release, and fail before the transaction ends."""
    with store.transaction() as change:
        put_released(change)
        change.audit(at=NOW, actor="kim", action="a.b")
        raise error


def release_underneath(store):
    """Release in a transaction in which the state is changed behind its back."""
    with store.transaction() as change:
        change.execute("UPDATE control_state SET version = 7")
        put_released(change)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_a_new_store_is_stopped_and_private(tmp_path, umask):
    """Made under any umask: 0600, in folders for the owner only, stopped, DRY_RUN, with a first audit row."""
    path = tmp_path / "control.db"
    before = os.umask(umask)
    try:
        made(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["control.db"]
    with connect(path) as store, store.snapshot() as found:
        assert (found.state.stopped, found.state.stop_reason) == (True, "not yet released")
        assert (found.state.gate, found.state.stopped_by, found.state.stopped_at) == (Gate.DRY_RUN, "kim", NOW)
        assert [row.action for row in found.audit_rows()] == ["store.created"]


def test_its_folder_is_made_for_the_owner_only(store_path):
    """The state folder lets nobody else in."""
    made(store_path)
    assert stat.S_IMODE(store_path.parent.stat().st_mode) == 0o700


def test_creating_leaves_an_existing_store_alone(tmp_path):
    """`create` is no reset."""
    path = made(tmp_path / "control.db")
    before = path.read_bytes()
    made(path)
    assert path.read_bytes() == before


def test_two_stores_have_different_chains(tmp_path):
    """A row of one store can never be passed off as another store's."""
    heads = set()
    for name in ("a.db", "b.db"):
        with connect(made(tmp_path / name)) as store, store.snapshot() as found:
            heads.add(found.head[1])
    assert len(heads) == 2


def test_without_create_a_missing_store_stays_missing(store_path):
    """Opening makes nothing."""
    with pytest.raises(StoreMissing), connect(store_path):
        pass
    assert not store_path.parent.exists()


@pytest.mark.parametrize("create", [True, False])
def test_a_linked_store_is_refused(tmp_path, create):
    """A symbolic link is followed neither for opening nor for making, be its end there or not."""
    made(tmp_path / "real.db")
    for name, end in (("live", "real.db"), ("dangling", "none.db")):
        (tmp_path / name).symlink_to(end)
        with pytest.raises(StoreUnusable, match="symbolic link"), connect(tmp_path / name, create):
            pass
    assert not (tmp_path / "none.db").exists()


@pytest.mark.parametrize("suffix", ["-journal", "-wal", "-shm"])
def test_a_journal_left_by_another_store_is_not_played_back(tmp_path, suffix):
    """A new store is not made beside the journal of one that is gone."""
    (tmp_path / f"control.db{suffix}").write_bytes(b"left over")
    with pytest.raises(StoreUnusable, match="its journal is there"), connect(tmp_path / "control.db", create=True):
        pass
    assert not (tmp_path / "control.db").exists()


def test_a_store_that_cannot_be_made_says_why(tmp_path):
    """Where the folder is a file, the error names the path and what is wrong."""
    (tmp_path / "state").write_text("")
    with (
        pytest.raises(StoreUnusable, match=r"cannot be made|cannot be looked at") as caught,
        connect(tmp_path / "state" / "control.db", create=True),
    ):
        pass
    assert "control.db" in caught.value.where


def test_the_connection_is_set_up_for_durability(tmp_path):
    """Rollback journal, EXTRA (3), foreign keys on, no trust in what the file defines."""
    with connect(made(tmp_path / "control.db")) as store, store.snapshot() as found:
        told = {
            name: found.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "foreign_keys", "trusted_schema", "busy_timeout")
        }
    assert told == {
        "journal_mode": "delete",
        "synchronous": 3,
        "foreign_keys": 1,
        "trusted_schema": 0,
        "busy_timeout": 5000,
    }


def test_the_busy_timeout_is_bounded(tmp_path):
    """Nobody waits for longer than a minute, however much is asked for."""
    with connect(made(tmp_path / "control.db"), busy_timeout_s=1e9) as store, store.snapshot() as found:
        assert found.execute("PRAGMA busy_timeout").fetchone()[0] == 60_000


def test_a_transaction_is_all_or_nothing(tmp_path):
    """When the block raises, state, audit and everything else stay as they were, and the store goes on working."""
    path = made(tmp_path / "control.db")
    with connect(path) as store:
        with pytest.raises(KeyboardInterrupt):
            release_then_raise(store, KeyboardInterrupt)
        with store.snapshot() as found:
            assert found.state.stopped
            assert len(found.audit_rows()) == 1
        with store.transaction() as change:
            change.audit(at=NOW, actor="kim", action="a.b")
        with store.snapshot() as found:
            assert found.verify_chain().rows == 2


def test_state_and_audit_change_together(tmp_path):
    """The audit row of a change holds the state that it made, and the state's version grows by one."""
    with connect(made(tmp_path / "control.db")) as store:
        with store.transaction() as change:
            new = model.release(change.state, "ok", "kim", NOW)
            done = change.put_state(new, at=NOW, actor="kim", action="stop.released", detail={"why": "x"})
        with store.snapshot() as found:
            row = found.audit_rows(newest=1)[0]
            assert found.state == done
            assert row.data == {"why": "x", "state": {**done.as_dict(), "version": 1}}


def test_a_state_changed_underneath_is_a_conflict(tmp_path):
    """Compare and swap: where the recorded version is another, nothing is written."""
    with connect(made(tmp_path / "control.db")) as store:
        with pytest.raises(StoreConflict, match="changed by somebody else"):
            release_underneath(store)
        with store.snapshot() as found:
            assert (found.state.stopped, found.state.version) == (True, 0)


def test_a_snapshot_cannot_change_anything(tmp_path):
    """Reading is reading; and the store can be changed again afterwards."""
    with connect(made(tmp_path / "control.db")) as store:
        with pytest.raises(StoreUnusable, match="readonly"), store.snapshot() as found:
            found.audit(at=NOW, actor="kim", action="a.b")
        with store.transaction() as change:
            change.audit(at=NOW, actor="kim", action="a.b")


def test_the_audit_cannot_be_edited_by_a_slip(tmp_path):
    """UPDATE and DELETE on the audit are refused by the tables themselves."""
    path = made(tmp_path / "control.db")
    for statement in ("UPDATE audit SET actor = 'lee'", "DELETE FROM audit"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            raw(path, statement)


def test_incidents_events_and_steps_have_their_tables(tmp_path):
    """What incidents record is constrained: known phases and states, no event without its incident, no step twice."""
    step = "INSERT INTO step VALUES (?, ?, ?, ?, ?, NULL, NULL, '{}')"
    with connect(made(tmp_path / "control.db")) as store:
        with store.transaction() as change:
            change.execute("INSERT INTO incident VALUES ('i1', 't', 'open', 'default', 'observe', 1, '{}')")
            change.execute("INSERT INTO incident_event VALUES ('i1', 1, 't', 'opened', '{}')")
            change.execute(step, ("i1", "d", "apply", 0, "planned"))
        for parameters in (
            ("i2", "d", "apply", 0, "planned"),
            ("i1", "d", "apply", 0, "armed"),
            ("i1", "d", "redo", 0, "armed"),
            ("i1", "d", "undo", 0, "fired"),
        ):
            with pytest.raises(StoreConflict, match="contradicts"), store.transaction() as change:
                change.execute(step, parameters)
        with store.snapshot() as found:
            assert found.execute("SELECT count(*) FROM step").fetchone() == (1,)


def test_a_locked_store_is_busy(tmp_path):
    """Who cannot get the store in time hears that another holds it."""
    path = made(tmp_path / "control.db")
    holder = sqlite3.connect(path, isolation_level=None)
    try:
        holder.execute("BEGIN IMMEDIATE")
        with (
            connect(path, busy_timeout_s=0) as store,
            pytest.raises(StoreBusy, match="locked by another process"),
            store.transaction(),
        ):
            pass
        holder.execute("COMMIT")
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreBusy), connect(path, busy_timeout_s=0):
            pass
    finally:
        holder.close()


def test_a_reader_that_blocks_the_commit_loses_nothing(tmp_path):
    """A commit that others' reading prevents is undone as a whole, and said to be."""
    path = made(tmp_path / "control.db")
    reader = sqlite3.connect(path, isolation_level=None)
    try:
        with connect(path, busy_timeout_s=0) as store:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM audit").fetchall()
            with pytest.raises(StoreBusy), store.transaction() as change:
                change.audit(at=NOW, actor="kim", action="a.b")
            reader.execute("ROLLBACK")
            with store.snapshot() as found:
                assert found.verify_chain().rows == 1
    finally:
        reader.close()


def test_write_ahead_logging_is_taken_back(tmp_path):
    """A store that somebody switched to another journal is switched back when it is opened."""
    path = made(tmp_path / "control.db")
    assert raw(path, "PRAGMA journal_mode = WAL") == [[("wal",)]]
    with connect(path) as store, store.snapshot() as found:
        assert found.execute("PRAGMA journal_mode").fetchone() == ("delete",)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("PRAGMA application_id = 0", "not a control store"),
        ("UPDATE schema_version SET version = 2", "schema version is 2, this program knows 1"),
        ("DELETE FROM schema_version", "schema version is none"),
        ("DROP TABLE schema_version", "schema_version is missing"),
        ("DROP TABLE step", "schema is not ours: step"),
        ("DROP TRIGGER audit_keeps_rows", "audit_keeps_rows"),
        ("ALTER TABLE incident ADD COLUMN x", "incident"),
        ("CREATE TABLE more (x)", "more"),
        (
            "CREATE TRIGGER quiet AFTER UPDATE ON control_state BEGIN UPDATE control_state SET stopped = 0; END",
            "quiet",
        ),
        ("DELETE FROM control_state", "control state is missing"),
        ("UPDATE control_state SET stopped = 0", "changed by something else"),
        ("UPDATE control_state SET gate = 'REAL_ENABLED', gate_until = '2026-01-05T10:00:00.000Z'", "something else"),
        ("UPDATE control_state SET stop_reason = x'ff'", "."),
    ],
)
def test_what_was_done_with_a_shell_is_found(tmp_path, statement, words):
    """Another schema, an added trigger, an edited state: the store is refused and says what is odd."""
    path = made(tmp_path / "control.db")
    raw(path, statement)
    with pytest.raises(StoreUnusable, match=words) as caught, connect(path):
        pass
    assert caught.value.next_step


def test_a_state_with_a_forged_seal_is_not_what_the_audit_says(tmp_path):
    """Recomputing the seal does not help: the audit row of the last change tells of another state."""
    from dataclasses import replace

    from ops_core.control import verified

    path = made(tmp_path / "control.db")
    with connect(path) as store, store.snapshot() as found:
        forged = replace(found._recorded, state=replace(found.state, stopped=False))
    assert isinstance(forged, verified.Recorded)
    raw(path, f"UPDATE control_state SET stopped = 0, seal = '{forged.seal()}'")
    with pytest.raises(StoreUnusable, match="not the one that audit row 1 recorded"), connect(path):
        pass


def test_an_old_store_put_back_is_itself_consistent_but_misses_the_checkpoint(tmp_path):
    """What a chain cannot find by itself, a checkpoint noted elsewhere does: see the service's `verify_chain`."""
    path = made(tmp_path / "control.db")
    old = path.read_bytes()
    with connect(path) as store, store.transaction() as change:
        change.audit(at=NOW, actor="kim", action="a.b")
        head = change.head
    path.write_bytes(old)
    with connect(path) as store, store.snapshot() as found:
        assert found.verify_chain().head_seq < head[0]


def test_an_overlong_detail_is_a_usage_error_and_changes_nothing(tmp_path):
    """Bounds hold at the store too."""
    with connect(made(tmp_path / "control.db")) as store:
        with pytest.raises(UsageError), store.transaction() as change:
            change.audit(at=NOW, actor="kim", action="a.b", detail={"x": "y" * 70_000})
        with store.snapshot() as found:
            assert found.head[0] == 1
