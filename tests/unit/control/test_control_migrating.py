"""Older control stores: proven by their own rules, brought up to date whole or not at all, moved with their stop."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from postgresql import new_schema
from sqlalchemy import create_engine, inspect, select, text

from ops_core.control import database, files, migrating, schema, shape
from ops_core.control.audit import GENESIS_HASH, digest, next_row
from ops_core.control.location import StoreLocation
from ops_core.control.migrations import former
from ops_core.control.model import Gate
from ops_core.control.problems import StoreConflict, StoreMissing, StoreUnusable
from ops_core.control.reading import read_control
from ops_core.control.service import ControlPlane
from ops_core.control.store import connect

ROOT = Path(__file__).parents[3]
AT = "2026-01-05T08:00:00.000Z"
UNTIL = "2026-01-05T12:00:00.000Z"
DIGEST = "0" * 64


def first_store(path, *, stopped=True):
    """A store as the first program left it: released, opened for real, a version marked good, an incident, engaged."""
    files.make_folder(path.parent)
    files.make_private(path)
    state = {
        "stopped": True,
        "stop_reason": "not yet released",
        "stopped_by": "kim",
        "stopped_at": AT,
        "gate": "DRY_RUN",
        "gate_reason": "default",
        "gate_by": "kim",
        "gate_at": AT,
        "gate_until": None,
    }
    released = {**state, "stopped": False, "stop_reason": "ok"}
    opened = {**released, "gate": "REAL_ENABLED", "gate_reason": "live fire", "gate_by": "lee", "gate_until": UNTIL}
    engaged = {**opened, "stopped": True, "stop_reason": "fire"}
    good = {"target": "core", "kind": "release", "name": "v1", "digest": DIGEST}
    acts = [
        ("store.created", "", {"store_id": "ab" * 16, "state": {**state, "version": 0}}),
        ("stop.released", "", {"state": {**released, "version": 1}}),
        ("gate.set", "", {"state": {**opened, "version": 2}}),
        ("good.marked", "core", good),
        *([("stop.engaged", "", {"state": {**engaged, "version": 3}})] if stopped else []),
        ("incident.opened", "i1", {}),
    ]
    head, rows = (0, GENESIS_HASH), []
    for action, subject, detail in acts:
        row = next_row(head, at=AT, actor="kim", action=action, subject=subject, detail=detail)
        head = (row.seq, row.hash)
        rows.append(row)
    last, changed = (engaged, 5) if stopped else (opened, 3)
    values = (changed - 2 if stopped else 2, int(last["stopped"]), *list(last.values())[1:], changed, *head)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        connection.execute(f"PRAGMA application_id = {shape.APPLICATION_ID}")
        for statement in (*former.TABLES.values(), *former.TRIGGERS.values()):
            connection.execute(statement)
        connection.execute("INSERT INTO schema_version VALUES (1, 1, ?, ?)", ("ab" * 16, AT))
        for row in rows:
            told = (row.seq, row.at, row.actor, row.action, row.subject, row.detail, row.prev_hash, row.hash)
            connection.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?)", told)
        marks = ", ".join("?" * (len(former.COLUMNS) + 1))
        columns = ", ".join((*former.COLUMNS, "seal"))
        connection.execute(f"INSERT INTO control_state (id, {columns}) VALUES (1, {marks})", (*values, digest(values)))
        connection.execute("INSERT INTO good_version VALUES (4, 'core', 'release', 'v1', ?, ?)", (DIGEST, AT))
        connection.execute("INSERT INTO incident VALUES ('i1', ?, 'open', 'default', 'observe', 1, '{}')", (AT,))
        connection.execute("INSERT INTO incident_event VALUES ('i1', 1, ?, 'opened', '{}')", (AT,))
        connection.execute("INSERT INTO step VALUES ('i1', 'd', 'apply', 0, 'planned', NULL, NULL, '{}')")
        connection.execute("COMMIT")
    return path


def content(path):
    """Everything in a file, as text."""
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def tables_of(path):
    """What SQLAlchemy finds out about the tables of a file: keys, checks, references, indexes, all by name."""
    engine = create_engine(f"sqlite:///{path}")
    try:
        seen = inspect(engine)
        return {
            name: {
                "columns": [{**column, "type": str(column["type"])} for column in seen.get_columns(name)],
                "key": seen.get_pk_constraint(name),
                "references": sorted(seen.get_foreign_keys(name), key=lambda one: one["name"]),
                "unique": sorted(seen.get_unique_constraints(name), key=lambda one: one["name"]),
                "checks": sorted(seen.get_check_constraints(name), key=lambda one: one["name"]),
                "indexes": sorted(seen.get_indexes(name), key=lambda one: one["name"]),
            }
            for name in seen.get_table_names()
        }
    finally:
        engine.dispose()


def test_an_older_store_is_stopped_and_says_what_to_type(store_path, clock):
    """Whoever looks hears that it is older, not that it is damaged, and nothing is changed."""
    before = first_store(store_path, stopped=False).read_bytes()
    plane = ControlPlane(store_path, clock)
    state, seen = plane.state(), read_control(store_path, clock.now())
    assert (state.stopped, seen.stopped) == (True, True)
    assert "made by an older program" in state.problem
    assert "ops store migrate" in state.remedy
    assert "ops store migrate" in seen.problem
    with pytest.raises(StoreUnusable) as caught, connect(store_path, create=True):
        pass
    assert caught.value.next_step.startswith("ops store migrate")
    assert store_path.read_bytes() == before


@pytest.mark.parametrize("stopped", [True, False])
def test_an_older_store_is_brought_up_to_date(store_path, clock, stopped):
    """The same stop, gate, chain, good version and incident; one audit row more; tables as those of a new store."""
    first_store(store_path, stopped=stopped)
    with closing(sqlite3.connect(store_path)) as connection:
        rows = connection.execute("SELECT * FROM audit ORDER BY seq").fetchall()
    done = migrating.migrate(store_path, clock.now(), "lee")
    assert (done.before, done.after, done.changed, done.head_seq) == ("0001", "0003", True, len(rows) + 1)
    plane = ControlPlane(store_path, clock, actor="kim")
    state = plane.state()
    assert (state.problem, state.stopped, state.gate, state.stop_reason) == (
        "",
        stopped,
        Gate.REAL_ENABLED,
        "fire" if stopped else "ok",
    )
    assert (state.sender.enabled, state.window, state.version) == (False, None, 4 if stopped else 3)
    found = plane.audit_rows()
    assert [row.__dict__ for row in found[:-1]] == [dict(zip(schema.audit.c.keys(), row, strict=True)) for row in rows]
    assert (found[-1].action, found[-1].actor) == ("store.migrated", "lee")
    assert found[-1].data == {
        "from": "0001",
        "to": "0003",
        "source": "",
        "state": {**state.as_dict(), "version": state.version},
    }
    assert plane.verify_chain((rows[-1][0], rows[-1][-1])).rows == len(rows) + 1
    assert plane.last_good("core", "release").name == "v1"
    with plane.snapshot() as store:
        assert store.store_id == "ab" * 16
        assert store.execute(select(schema.incident_event)).one() == ("i1", 1, AT, "opened", "{}")
        assert store.execute(select(schema.step)).one() == ("i1", "d", "apply", 0, "planned", None, None, "{}")
    with closing(sqlite3.connect(store_path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    assert plane.engage("again").stopped


def test_a_store_that_came_this_way_is_the_same_as_a_new_one(tmp_path, clock):
    """Columns, keys, checks, references and indexes, by their names too."""
    old = first_store(tmp_path / "a" / "control.db")
    migrating.migrate(old, clock.now(), "lee")
    with connect(tmp_path / "b" / "control.db", create=True):
        pass
    assert tables_of(old) == tables_of(tmp_path / "b" / "control.db")


def as_of_0002(place):
    """Make a store of today what the program before it would have made: two kinds of what was seen good."""
    with database.open_connection(place, 1.0) as connection:
        database.begin_migration(connection, place)
        if place.url:
            connection.execute(text("ALTER TABLE good_version DROP CONSTRAINT ck_good_version_kind"))
            check = "ADD CONSTRAINT ck_good_version_kind CHECK (kind IN ('release', 'config'))"
            connection.execute(text(f"ALTER TABLE good_version {check}"))
        else:
            made = connection.execute(text("SELECT sql FROM sqlite_master WHERE name = 'good_version'")).scalar_one()
            connection.execute(text("ALTER TABLE good_version RENAME TO other"))
            connection.exec_driver_sql(made.replace(", 'schema', 'image'", ""))
            connection.execute(text("INSERT INTO good_version SELECT * FROM other"))
            connection.execute(text("DROP TABLE other"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0002'"))
        database.commit(connection, place)


def test_a_store_of_the_last_program_is_brought_up_to_date(place, clock):
    """In a file and in a database: it is stopped and says what to type; then all it held is there, and more is taken."""
    location = StoreLocation.of(place)
    plane = ControlPlane(place, clock, actor="kim")
    plane.create()
    plane.release("ok")
    plane.mark_good("core", "release", "v1", "ab" * 32)
    as_of_0002(location)
    older = ControlPlane(place, clock, actor="kim")
    assert older.state().stopped
    assert "ops store migrate" in older.state().remedy
    done = migrating.migrate(place, clock.now(), "lee")
    assert (done.before, done.after, done.changed) == ("0002", "0003", True)
    today = ControlPlane(place, clock, actor="kim")
    assert (today.state().problem, today.state().stopped) == ("", False)
    assert today.last_good("core", "release").name == "v1"
    for kind in ("schema", "image"):
        today.mark_good("core", kind, "new", "cd" * 32)
        assert today.last_good("core", kind).name == "new"
    assert today.audit_rows()[3].action == "store.migrated"
    today.verify_chain()


def test_a_store_of_the_last_program_that_was_changed_stays_what_it_is(place, clock):
    """What does not prove itself is not brought anywhere."""
    location = StoreLocation.of(place)
    ControlPlane(place, clock, actor="kim").create()
    as_of_0002(location)
    with database.open_connection(location, 1.0) as connection:
        database.begin_migration(connection, location)
        connection.execute(text("UPDATE control_state SET version = version + 1"))
        database.commit(connection, location)
    with pytest.raises(StoreUnusable):
        migrating.migrate(place, clock.now(), "lee")
    with database.open_connection(location, 1.0) as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == "0002"


def test_the_newest_step_is_the_revision_that_we_know():
    """A step that nobody asks for, or a revision without its step, would leave every store behind."""
    config = Config()
    config.set_main_option("script_location", str(ROOT / "ops_core/control/migrations"))
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_heads() == [shape.REVISION]
    assert scripts.get_bases() == [former.REVISION]


def test_the_steps_lead_to_today_in_a_database_too(server, store_path):
    """From nothing through every step: what PostgreSQL then holds is what a new store holds."""
    place = server.location(store_path, new_schema(server))
    with database.open_connection(place, 1.0) as connection:
        connection.begin()
        schema.alembic_version.create(connection)
        migrating.run_alembic(connection, shape.REVISION)
        assert shape.describe_database(database.query_of(connection)) == shape.expected()
        connection.rollback()


def test_a_store_that_is_up_to_date_is_only_proven(place, clock):
    """Asked again, it changes nothing and says so."""
    plane = ControlPlane(place, clock, actor="kim")
    plane.create()
    done = migrating.migrate(place, clock.now(), "lee")
    assert (done.changed, done.head_seq) == (False, 1)
    assert len(plane.audit_rows()) == 1


def test_where_there_is_none_there_is_nothing_to_migrate(place, clock):
    """Nothing is made."""
    with pytest.raises(StoreMissing):
        migrating.migrate(place, clock.now(), "lee")


def test_a_newer_store_is_left_alone(store_path, clock):
    """A revision that this program does not know needs another program."""
    ControlPlane(store_path, clock).create()
    with closing(sqlite3.connect(store_path, isolation_level=None)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0999'")
    before = content(store_path)
    with pytest.raises(StoreUnusable, match="0999") as caught:
        migrating.migrate(store_path, clock.now(), "lee")
    assert "newer" in caught.value.next_step
    assert content(store_path) == before


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE control_state SET stopped = 0", "changed by something else"),
        ("DELETE FROM control_state", "control state is missing"),
        ("DROP TABLE step", "step"),
        ("CREATE TABLE more (x)", "more"),
        ("UPDATE schema_version SET store_id = 'x'", "its id"),
        ("UPDATE schema_version SET version = 3", "schema version is 3"),
        ("DELETE FROM good_version", "good versions"),
        ("UPDATE good_version SET name = 'v0'", "good versions"),
        ("UPDATE audit SET actor = 'lee' WHERE seq = 1", "audit row 1 was changed"),
        ("DELETE FROM audit WHERE seq = 2", "audit row 2 is missing"),
    ],
)
def test_an_older_store_that_was_tampered_with_is_not_laundered(store_path, clock, statement, words):
    """What its own rules would have found is found, and it is left as it is."""
    first_store(store_path)
    with closing(sqlite3.connect(store_path, isolation_level=None)) as connection:
        edits_audit = " audit " in statement
        for name in former.TRIGGERS if edits_audit else ():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(statement)
        for sql in former.TRIGGERS.values() if edits_audit else ():
            connection.execute(sql)
    before = content(store_path)
    with pytest.raises(StoreUnusable, match=words):
        migrating.migrate(store_path, clock.now(), "lee")
    assert content(store_path) == before


def test_a_forged_older_state_with_a_forged_seal_is_not_laundered(store_path, clock):
    """The audit row of its last change tells of another state."""
    first_store(store_path)
    with closing(sqlite3.connect(store_path, isolation_level=None)) as connection:
        row = list(connection.execute(f"SELECT {', '.join(former.COLUMNS)} FROM control_state").fetchone())
        row[former.COLUMNS.index("stopped")] = 0
        connection.execute("UPDATE control_state SET stopped = 0, seal = ?", (digest(row),))
    with pytest.raises(StoreUnusable, match="not the one that audit row 5 recorded"):
        migrating.migrate(store_path, clock.now(), "lee")


@pytest.mark.slow
@pytest.mark.parametrize("where", ["_upgrade", "run_alembic", "_seal", "_prove"])
def test_a_migration_killed_on_its_way_leaves_the_older_store_whole(store_path, clock, where):
    """Killed behind any of its parts: the store is the older one, to the letter, and can be brought up to date then."""
    first_store(store_path)
    before = content(store_path)
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom ops_core.clock import SystemClock\n"
        "from ops_core.control import database, migrating\n"
        f"real = migrating.{where}\n"
        "def killed(*arguments):\n    real(*arguments)\n    os.kill(os.getpid(), signal.SIGKILL)\n"
        f"migrating.{where} = killed\n"
        "made = database._set_up\n"
        # With next to no cache SQLite writes to the file long before the commit.
        "def hasty(connection):\n    made(connection)\n    connection.execute('PRAGMA cache_size = 1')\n"
        "database._set_up = hasty\n"
        "migrating.migrate(Path(sys.argv[1]), SystemClock().now(), 'lee')\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(store_path)], cwd=ROOT, capture_output=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert Path(f"{store_path}-journal").exists()
    assert read_control(store_path, clock.now()).stopped
    assert content(store_path) == before
    assert migrating.migrate(store_path, clock.now(), "lee").changed
    assert ControlPlane(store_path, clock).state().stop_reason == "fire"


def test_a_store_in_use_is_not_migrated_underneath(store_path, clock):
    """While somebody reads or changes it, the migration waits, and gives up when it may wait no longer."""
    first_store(store_path)
    with closing(sqlite3.connect(store_path, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM audit").fetchall()
        with pytest.raises(StoreUnusable, match="locked"):
            migrating.migrate(store_path, clock.now(), "lee", busy_timeout_s=0.0)
    assert migrating.migrate(store_path, clock.now(), "lee").changed


def test_an_older_store_is_moved_with_its_chain(tmp_path, place, clock):
    """From the folder where the first program kept it: same chain, same state; the old place is stopped for good."""
    old = first_store(tmp_path / "old" / "control.db", stopped=False)
    before = content(old)
    done = migrating.move(old, place, clock.now(), "lee")
    plane = ControlPlane(place, clock)
    state = plane.state()
    assert (state.problem, state.stopped, state.gate) == ("", False, Gate.REAL_ENABLED)
    assert plane.verify_chain().head_hash == done.head_hash
    assert plane.audit_rows()[-1].data["source"] == str(old)
    assert plane.last_good("core", "release").name == "v1"
    assert content(old) == before
    assert "was moved to" in files.read_latch(old).reason
    left = {path.name for path in place.path.parent.iterdir()}
    assert left == (set() if place.url else {"control.db"})


def test_a_stop_beside_it_comes_along(tmp_path, store_path, clock):
    """A latch is a stop at the new place too."""
    old = first_store(tmp_path / "old" / "control.db", stopped=False)
    files.write_latch(old, "disk on fire", "kim", clock.now())
    migrating.move(old, store_path, clock.now(), "lee")
    assert ControlPlane(store_path, clock).state().stop_reason == "disk on fire"


def test_a_store_that_is_there_is_not_overwritten(tmp_path, place, clock):
    """Neither a file nor a database; the source is left as it was, and not stopped."""
    old = first_store(tmp_path / "old" / "control.db")
    plane = ControlPlane(place, clock)
    plane.create()
    with pytest.raises(StoreConflict, match="already"):
        migrating.move(old, place, clock.now(), "lee")
    assert len(plane.audit_rows()) == 1
    assert files.read_latch(old) is None


def test_a_store_of_today_moves_into_a_database(tmp_path, server, clock):
    """Not only older ones: with all its rows, and it goes on there."""
    file = ControlPlane(tmp_path / "a" / "control.db", clock, actor="kim")
    file.create()
    file.release("ok")
    place = server.location(tmp_path / "b" / "control.db", new_schema(server))
    done = migrating.move(file.path, place, clock.now(), "lee")
    assert (done.before, done.after) == ("0003", "0003")
    moved = ControlPlane(place, clock, actor="kim")
    assert moved.audit_rows() == file.audit_rows()
    assert not moved.state().stopped
    assert moved.engage("fire").version == 2


def test_a_damaged_source_is_not_moved(tmp_path, store_path, clock):
    """What does not prove itself is not copied, and nothing is left behind."""
    old = first_store(tmp_path / "old" / "control.db")
    with closing(sqlite3.connect(old, isolation_level=None)) as connection:
        connection.execute("UPDATE control_state SET stopped = 0")
    with pytest.raises(StoreUnusable, match="changed by something else"):
        migrating.move(old, store_path, clock.now(), "lee")
    assert list(store_path.parent.iterdir()) == []


def ops(folder, *arguments):
    """`ops` as a person types it, in that folder."""
    argv = [sys.executable, "-m", "ops_core.cli", *arguments]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=120, env=environ)


def test_ops_store_shows_and_migrates(tmp_path):
    """A person with a store of the first program types what is said, and goes on."""
    (tmp_path / "ops.toml").write_text('[profiles.default.targets.core]\nhealth_url = "http://127.0.0.1:1/"\n')
    old = first_store(tmp_path / "state" / "control.db")
    assert ops(tmp_path, "store", "show").returncode == 3
    moved = ops(tmp_path, "store", "migrate", "--from", str(old), "--json")
    assert moved.returncode == 0, moved.stderr
    assert json.loads(moved.stdout)["changed"] is True
    again = ops(tmp_path, "store", "migrate")
    assert (again.returncode, "changed" in again.stdout) == (0, True)
    shown = ops(tmp_path, "store", "show", "--json")
    assert json.loads(shown.stdout)["revision"] == "0003"
    assert json.loads(shown.stdout)["audit_rows"] == 7
