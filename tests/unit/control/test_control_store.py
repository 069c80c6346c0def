"""The control store: made whole, opened with distrust, changed all or nothing."""

import os
import sqlite3
import stat
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from postgresql import PASSWORD, new_schema
from sqlalchemy import func, insert, select, text, update

from ops_core.control import model, schema, shape
from ops_core.control.location import StoreLocation
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
STOPPED, RELEASED = """'"stopped":true'""", """'"stopped":false'"""


def made(path):
    """Make a store and return its path."""
    with connect(path, create=True, now=NOW, actor="kim"):
        return path


def raw(place, *statements):
    """Do to the store what a person with a shell could do."""
    if place.url:
        import psycopg
        from sqlalchemy import make_url

        url = make_url(place.url)
        with psycopg.connect(
            host=url.query["host"], dbname="postgres", user="ops", password=PASSWORD, options=url.query["options"]
        ) as connection:
            for statement in statements:
                connection.execute(statement)
        return []
    connection = sqlite3.connect(place.path, isolation_level=None)
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
        change.execute(update(schema.control_state).values(version=7))
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
            name: found.execute(text(f"PRAGMA {name}")).scalar_one()
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
        assert found.execute(text("PRAGMA busy_timeout")).scalar_one() == 60_000


def test_a_transaction_is_all_or_nothing(place):
    """When the block raises, state, audit and everything else stay as they were, and the store goes on working."""
    made(place)
    with connect(place) as store:
        with pytest.raises(KeyboardInterrupt):
            release_then_raise(store, KeyboardInterrupt)
        with store.snapshot() as found:
            assert found.state.stopped
            assert len(found.audit_rows()) == 1
        with store.transaction() as change:
            change.audit(at=NOW, actor="kim", action="a.b")
        with store.snapshot() as found:
            assert found.verify_chain().rows == 2


def test_state_and_audit_change_together(place):
    """The audit row of a change holds the state that it made, and the state's version grows by one."""
    with connect(made(place)) as store:
        with store.transaction() as change:
            new = model.release(change.state, "ok", "kim", NOW)
            done = change.put_state(new, at=NOW, actor="kim", action="stop.released", detail={"why": "x"})
        with store.snapshot() as found:
            row = found.audit_rows(newest=1)[0]
            assert found.state == done
            assert row.data == {"why": "x", "state": {**done.as_dict(), "version": 1}}


def test_a_state_changed_underneath_is_a_conflict(place):
    """Compare and swap: where the recorded version is another, nothing is written."""
    with connect(made(place)) as store:
        with pytest.raises(StoreConflict, match="changed by somebody else"):
            release_underneath(store)
        with store.snapshot() as found:
            assert (found.state.stopped, found.state.version) == (True, 0)


def test_a_snapshot_cannot_change_anything(place):
    """Reading is reading; and the store can be changed again afterwards."""
    with connect(made(place)) as store:
        with pytest.raises(StoreUnusable, match=r"read.?only"), store.snapshot() as found:
            found.audit(at=NOW, actor="kim", action="a.b")
        with store.transaction() as change:
            change.audit(at=NOW, actor="kim", action="a.b")


def test_the_audit_cannot_be_edited_by_a_slip(tmp_path):
    """UPDATE and DELETE on the audit are refused by the tables themselves."""
    path = made(tmp_path / "control.db")
    for statement in ("UPDATE audit SET actor = 'lee'", "DELETE FROM audit"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            raw(StoreLocation(path=path), statement)


def test_incidents_events_and_steps_have_their_tables(place):
    """What incidents record is constrained: known phases and states, no event without its incident, no step twice."""
    incident = {"id": "i1", "opened_at": "t", "state": "open", "profile": "default", "suite": "observe", "version": 1}
    step = {"incident_id": "i1", "plan_digest": "d", "phase": "apply", "idx": 0, "state": "planned", "data": "{}"}
    event = {"incident_id": "i1", "seq": 1, "at": "t", "kind": "opened", "data": "{}"}
    with connect(made(place)) as store:
        with store.transaction() as change:
            change.execute(insert(schema.incident).values(**incident, data="{}"))
            change.execute(insert(schema.incident_event).values(**event))
            change.execute(insert(schema.step).values(**step))
        for table, values in (
            (schema.incident_event, {**event, "incident_id": "i2"}),
            (schema.step, {**step, "incident_id": "i2"}),
            (schema.step, {**step, "state": "armed"}),
            (schema.step, {**step, "phase": "redo"}),
            (schema.step, {**step, "phase": "undo", "state": "fired"}),
        ):
            with pytest.raises(StoreConflict, match="contradicts"), store.transaction() as change:
                change.execute(insert(table).values(**values))
        with store.snapshot() as found:
            assert found.execute(select(func.count()).select_from(schema.step)).scalar_one() == 1


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
    assert raw(StoreLocation(path=path), "PRAGMA journal_mode = WAL") == [[("wal",)]]
    with connect(path) as store, store.snapshot() as found:
        assert found.execute(text("PRAGMA journal_mode")).scalar_one() == "delete"


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE alembic_version SET version_num = '0004'", "schema revision is 0004, this program knows 0003"),
        ("UPDATE alembic_version SET version_num = '0002'", "made by an older program .ops store migrate"),
        ("DELETE FROM alembic_version", "schema revision is none"),
        ("DROP TABLE alembic_version", "alembic_version is missing"),
        ("DROP TABLE step", "table step is missing"),
        ("DROP INDEX ix_audit_action", "index ix_audit_action of audit .action. is missing"),
        ("CREATE UNIQUE INDEX one ON work (kind)", "unique index of work .kind. is not ours"),
        ("CREATE INDEX few ON outbox (state) WHERE state = 'SENT'", r"index few of outbox .state. .odd. is not ours"),
        ("ALTER TABLE incident ADD COLUMN x TEXT", "incident.x. is not ours"),
        ("CREATE TABLE more (x INTEGER)", "table more is not ours"),
        ("CREATE VIEW quiet AS SELECT * FROM audit", "quiet"),
        ("DELETE FROM control_state", "control state is missing"),
        ("UPDATE control_state SET version = 7", "changed by something else"),
        (f"UPDATE control_state SET document = replace(document, {STOPPED}, {RELEASED})", "changed by something else"),
        ("UPDATE control_state SET document = 'null'", "changed by something else"),
        ("UPDATE store_info SET store_id = 'other'", "id is not the one that audit row 1 recorded"),
    ],
)
def test_what_was_done_with_a_shell_is_found(place, statement, words):
    """Another schema, an added view, an edited state: the store is refused and says what is odd."""
    raw(made(place), statement)
    with pytest.raises(StoreUnusable, match=words) as caught, connect(place):
        pass
    assert caught.value.next_step


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("PRAGMA application_id = 0", "not a control store"),
        ("DROP TRIGGER audit_keeps_delete", "audit_keeps_delete.* is missing"),
        (
            "CREATE TRIGGER quiet AFTER UPDATE ON control_state BEGIN UPDATE control_state SET version = 0; END",
            "quiet.* is not ours",
        ),
        ("UPDATE control_state SET document = x'ff'", "."),
        ("ANALYZE", "sqlite_stat1 is not ours"),
    ],
)
def test_what_was_done_to_a_file_with_a_shell_is_found(store_path, statement, words):
    """What only a file can have: its mark, triggers of ours and of others, bytes in a text's place."""
    place = StoreLocation(path=store_path)
    raw(made(place), statement)
    with pytest.raises(StoreUnusable, match=words) as caught, connect(place):
        pass
    assert caught.value.next_step


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE RULE quiet AS ON UPDATE TO work DO INSTEAD NOTHING",
        "ALTER TABLE work ALTER COLUMN kind SET DEFAULT 'x'",
        "ALTER TABLE work ALTER COLUMN kind DROP NOT NULL",
        "ALTER TABLE work ALTER COLUMN kind TYPE varchar(7)",
        "ALTER TABLE work SET UNLOGGED",
        "ALTER TABLE token DROP CONSTRAINT fk_token_operator",
        "CREATE SEQUENCE work_ids",
    ],
)
def test_what_was_done_to_a_database_with_a_shell_is_found(server, store_path, statement):
    """Rules, defaults, other types, tables that a crash empties, references taken away."""
    place = server.location(store_path, new_schema(server))
    raw(made(place), statement)
    with pytest.raises(StoreUnusable, match=r"its schema is not ours: .*(work|token|quiet)") as caught, connect(place):
        pass
    assert caught.value.next_step


def test_the_shape_is_what_the_tables_say(place):
    """The plain description that a probe compares with is the one of a store that was just made."""
    with connect(made(place)) as store, store.snapshot() as found:
        describe = shape.describe_database if place.url else shape.describe_file
        described = describe(lambda sql, _: [tuple(row) for row in found.execute(text(sql))])
    triggers = set() if place.url else {f"trigger {name}: {sql}" for name, sql in shape.TRIGGERS.items()}
    assert described == {*shape.expected(), *triggers}
    assert {line.removeprefix("table ") for line in described if line.startswith("table ")} == set(
        schema.metadata.tables
    )


def test_a_state_with_a_forged_seal_is_not_what_the_audit_says(place):
    """Recomputing the seal does not help: the audit row of the last change tells of another state."""
    with connect(made(place)) as store, store.snapshot() as found:
        forged = replace(found._recorded, state=replace(found.state, stopped=False))
    raw(
        place, f"UPDATE control_state SET document = replace(document, {STOPPED}, {RELEASED}), seal = '{forged.seal()}'"
    )
    with pytest.raises(StoreUnusable, match="not the one that audit row 1 recorded"), connect(place):
        pass


def test_each_store_has_an_id_of_its_own(place):
    """It stands in the first row of the chain, and is told only where that row says the same."""
    with connect(made(place)) as store, store.snapshot() as found:
        assert found.store_id == found.audit_rows()[0].data["store_id"]
        assert len(found.store_id) == 32


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


def test_an_overlong_detail_is_a_usage_error_and_changes_nothing(place):
    """Bounds hold at the store too."""
    with connect(made(place)) as store:
        with pytest.raises(UsageError), store.transaction() as change:
            change.audit(at=NOW, actor="kim", action="a.b", detail={"x": "y" * 70_000})
        with store.snapshot() as found:
            assert found.head[0] == 1
