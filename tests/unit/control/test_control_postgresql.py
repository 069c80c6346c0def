"""The control store in PostgreSQL: what only a server can do to it, and what only a server has."""

import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from postgresql import PASSWORD, new_schema, own_server
from sqlalchemy import insert

from ops_core.clock import SystemClock
from ops_core.control import postgresql, schema
from ops_core.control.location import StoreLocation
from ops_core.control.model import Gate
from ops_core.control.problems import StoreBusy, StoreConflict, StoreMissing, StoreUnusable
from ops_core.control.reading import read_control, read_last_good
from ops_core.control.service import ControlPlane
from ops_core.control.store import connect

ROOT = Path(__file__).parents[3]
DURABLE = ("fsync=on", "synchronous_commit=off")


@pytest.fixture
def place(server, store_path):
    """A place for a store, in a schema of its own."""
    return server.location(store_path, new_schema(server))


@pytest.fixture
def plane(place, clock):
    """A control plane over a database, released."""
    plane = ControlPlane(place, clock, actor="kim", busy_timeout_s=0.0)
    plane.create()
    plane.release("ok")
    return plane


def assert_stopped(plane, words):
    """Stopped however one looks, with the reason, and never by an exception."""
    state = plane.state()
    seen = read_control(plane.location, plane.clock.now())
    assert (state.stopped, seen.stopped, plane.permission(drill=True).code) == (True, True, "stopped")
    assert words in state.problem
    assert words in seen.problem
    assert PASSWORD not in f"{state}{seen}"


def test_durability_is_not_left_to_the_server(plane):
    """Whatever the server's default is, an acknowledged change is on its disk; nobody waits or holds without an end."""
    from sqlalchemy import text

    names = ("synchronous_commit", "lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
    with connect(plane.location, busy_timeout_s=1.0) as store, store.transaction() as change:
        told = [change.execute(text(f"SHOW {name}")).scalar_one() for name in (*names, "transaction_isolation")]
    assert told == ["on", "1s", "11s", "1min", "read committed"]
    with connect(plane.location) as store, store.snapshot() as found:
        told = [
            found.execute(text(f"SHOW {name}")).scalar_one()
            for name in ("transaction_isolation", "transaction_read_only")
        ]
    assert told == ["repeatable read", "on"]


def test_an_address_cannot_take_durability_away(server, store_path):
    """What a person writes into the address comes before what we need."""
    from sqlalchemy import text

    place = server.location(store_path, new_schema(server))
    place = StoreLocation(path=place.path, url=f"{place.url}%20-csynchronous_commit%3Doff", password=PASSWORD)
    with connect(place, create=True) as store, store.snapshot() as found:
        assert found.execute(text("SHOW synchronous_commit")).scalar_one() == "on"


def test_a_schema_without_a_store_is_missing_and_stays_so(place, clock):
    """Opening makes nothing; nothing was recorded where no store is."""
    with pytest.raises(StoreMissing), connect(place):
        pass
    assert_stopped(ControlPlane(place, clock), "does not exist")
    assert read_last_good(place, "core") == (None, None)


def test_a_schema_that_does_not_exist_says_so(server, store_path):
    """A name mistaken in the address is told as such, and no store is made elsewhere."""
    with (
        pytest.raises(StoreUnusable, match=r"schema that the address .* does not exist"),
        connect(server.location(store_path, "nowhere"), create=True),
    ):
        pass


def test_a_schema_of_somebody_else_is_left_alone(server, store_path):
    """Where other tables are, none of ours is added."""
    name = new_schema(server)
    server.run("CREATE TABLE theirs (x integer)", schema=name)
    with (
        pytest.raises(StoreUnusable, match="cannot be trusted"),
        connect(server.location(store_path, name), create=True),
    ):
        pass
    assert server.run("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()", schema=name) == [
        [("theirs",)]
    ]


def test_two_schemas_of_one_database_are_two_stores(server, tmp_path, clock):
    """What is changed in one is not seen in the other."""
    planes = [ControlPlane(server.location(tmp_path / n / "c.db", new_schema(server)), clock) for n in ("a", "b")]
    for plane in planes:
        plane.create()
    planes[0].release("ok")
    assert [plane.state().stopped for plane in planes] == [False, True]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET actor = 'lee' WHERE seq = 2",
        "UPDATE audit SET detail = '{}' WHERE seq = 2",
        "DELETE FROM control_state",
        "INSERT INTO audit SELECT 3, at, actor, action, subject, detail, prev_hash, hash FROM audit WHERE seq = 2",
        "UPDATE control_state SET head_seq = 1, head_hash = (SELECT hash FROM audit WHERE seq = 1)",
        "UPDATE control_state SET seal = 'x'",
        "INSERT INTO good_version VALUES (2, 'core', 'release', 'v1', 'x', 'y')",
        "DROP TABLE control_state",
        "CREATE TABLE control_states (id integer)",
    ],
)
def test_what_was_done_with_psql_is_stopped(plane, server, statement):
    """An edited, deleted or added row, another table: stopped, and nothing can be changed any more."""
    name = plane.location.url.rpartition("%3D")[2]
    server.run(statement, schema=name)
    assert_stopped(plane, "cannot be trusted")
    with pytest.raises(StoreUnusable):
        plane.release("ok")
    assert plane.engage("fire").stopped


def test_a_holder_makes_others_busy_and_a_stop_latches(plane, place, clock):
    """While one changes the store, another waits no longer than it may; a stop holds all the same, readers read on."""
    with plane.transaction() as change:
        change.audit(at=clock.now(), actor="kim", action="a.b")
        other = ControlPlane(place, clock, actor="lee", busy_timeout_s=0.05)
        with pytest.raises(StoreBusy, match="locked by another process"):
            other.set_gate(Gate.MOCK_ONLY, "r")
        assert not other.state().stopped
        assert not read_control(place, clock.now()).stopped
        assert other.engage("fire").stopped
    assert plane.state().stop_reason == "fire"
    assert [row.action for row in plane.audit_rows()][-1] == "a.b"


def test_changes_from_many_sides_come_one_after_the_other(place):
    """Eight threads, each with connections of its own: every change has its version and its row."""
    plane = ControlPlane(place, SystemClock(), actor="kim", busy_timeout_s=30)
    plane.create()
    versions = []

    def change():
        versions.extend(plane.set_gate(Gate.MOCK_ONLY, "r").version for _ in range(5))

    threads = [threading.Thread(target=change) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(versions) == list(range(1, 41))
    assert plane.verify_chain().rows == 41


def test_makers_at_once_share_one_store(place):
    """Of many who make it at once one does, and all use what it made."""
    plane = ControlPlane(place, SystemClock(), busy_timeout_s=30)
    threads = [threading.Thread(target=plane.create) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [row.action for row in plane.audit_rows()] == ["store.created"]


def test_a_secret_in_an_address_or_an_error_is_not_shown(server, store_path, caplog):
    """Neither the place, nor its representation, nor what goes wrong, nor a log shows a password."""
    caplog.set_level(logging.DEBUG)
    place = StoreLocation(
        path=store_path, url="postgresql://ops:hunter2@127.0.0.1:1/x?password=hunter2", password="hunter2"
    )
    assert "hunter2" not in f"{place}{place!r}{place.shown}"
    wrong = StoreLocation(path=store_path, url=server.url(), password="hunter2")
    for one in (place, wrong):
        plane = ControlPlane(one, SystemClock())
        state = plane.state()
        assert state.stopped
        assert "hunter2" not in f"{state}{read_control(one, SystemClock().now())}"
        with pytest.raises(StoreUnusable) as caught, connect(one):
            pass
        assert "hunter2" not in f"{caught.value!r}{caught.value}{caught.value.as_dict()}"
    assert "hunter2" not in caplog.text


def test_values_of_a_row_are_not_in_an_error(plane):
    """What contradicts the tables is told without what was to be written."""
    row = {"name": "lee", "public_key": "0123secret", "added_at": "t", "added_by": "kim"}
    with pytest.raises(StoreConflict) as caught, plane.transaction() as change:  # noqa: PT012 - the act that is cut off is part of the block - the second one fails
        change.execute(insert(schema.operator).values(**row))
        change.execute(insert(schema.operator).values(**{**row, "name": None}))
    assert "0123secret" not in str(caught.value)


def test_without_its_package_it_is_stopped(place, clock, monkeypatch):
    """Where psycopg is not installed, it says what to type."""
    monkeypatch.setattr(postgresql.importlib.util, "find_spec", lambda _: None)
    plane = ControlPlane(place, clock, busy_timeout_s=7.0)
    assert_stopped(plane, "needs the package psycopg")
    assert "pip install" in plane.state().remedy


@pytest.mark.slow
def test_a_server_killed_in_the_middle_of_a_change_leaves_nothing_half_done(tmp_path):
    """Its processes killed before the commit: stopped meanwhile, and afterwards everything is as it was before."""
    with own_server(*DURABLE) as server:
        place = server.location(tmp_path / "state" / "control.db", new_schema(server))
        plane = ControlPlane(place, SystemClock(), actor="kim")
        plane.create()
        plane.release("ok")
        before = plane.audit_rows()
        with pytest.raises(StoreUnusable), plane.transaction() as change:  # noqa: PT012 - it is the end that fails
            change.audit(at=SystemClock().now(), actor="kim", action="a.b")
            server.kill()
        assert_stopped(plane, "cannot be used")
        server.start(*DURABLE)
        assert plane.audit_rows() == before
        assert not plane.state().stopped
        assert plane.verify_chain().rows == len(before)


@pytest.mark.slow
def test_a_server_that_is_away_is_a_stop_and_a_stop_can_be_engaged(tmp_path):
    """Stopped with the reason, never an exception; engaging latches, and the latch outlives the return."""
    with own_server() as server:
        place = server.location(tmp_path / "state" / "control.db", new_schema(server))
        plane = ControlPlane(place, SystemClock(), actor="kim")
        plane.create()
        plane.release("ok")
        server.stop("fast")
        assert_stopped(plane, "cannot be used")
        with pytest.raises(StoreUnusable):
            plane.set_gate(Gate.MOCK_ONLY, "r")
        with pytest.raises(StoreUnusable):
            read_last_good(place, "core")
        assert plane.engage("fire").stopped
        server.start()
        assert (plane.state().stopped, plane.state().stop_reason) == (True, "fire")
        assert not plane.release("out").stopped
        assert not plane.state().stopped


@pytest.mark.slow
def test_a_server_that_says_nothing_is_not_waited_for_without_an_end(tmp_path, monkeypatch):
    """Frozen in the middle of a conversation, it is given up on this side."""
    monkeypatch.setattr(postgresql, "STATEMENT_TIMEOUT_S", 0)
    monkeypatch.setattr(postgresql, "_GRACE_S", 0.5)
    with own_server() as server:
        place = server.location(tmp_path / "state" / "control.db", new_schema(server))
        plane = ControlPlane(place, SystemClock(), actor="kim", busy_timeout_s=0.25)
        plane.create()
        frozen = []
        try:
            with pytest.raises(StoreUnusable, match="said nothing"), plane.transaction() as change:  # noqa: PT012 - cutting it off is part of the block
                children = subprocess.run(
                    ["ps", "-o", "pid=", "--ppid", str(server.pid())], capture_output=True, text=True
                )
                for pid in map(int, children.stdout.split()):
                    os.kill(pid, signal.SIGSTOP)
                    frozen.append(pid)
                change.audit(at=SystemClock().now(), actor="kim", action="a.b")
        finally:
            for pid in frozen:
                os.kill(pid, signal.SIGCONT)
        assert plane.verify_chain().rows == 1


@pytest.mark.slow
def test_a_writer_killed_in_the_middle_of_a_change_leaves_nothing_half_done(plane, place):
    """The process killed, not the server: its change is undone, and the store is free again."""
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom ops_core.clock import SystemClock\n"
        "from ops_core.control.location import StoreLocation\nfrom ops_core.control.service import ControlPlane\n"
        "place = StoreLocation(path=Path(sys.argv[1]), url=sys.argv[2], password=os.environ['SECRET'])\n"
        "with ControlPlane(place, SystemClock(), actor='x').transaction() as change:\n"
        "    change.audit(at=SystemClock().now(), actor='x', action='a.b')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    before = plane.audit_rows()
    argv = [sys.executable, "-c", code, str(place.path), place.url]
    done = subprocess.run(argv, cwd=ROOT, env={**os.environ, "SECRET": PASSWORD}, timeout=60)
    assert done.returncode == -signal.SIGKILL
    patient = ControlPlane(place, SystemClock(), actor="kim", busy_timeout_s=30)
    patient.set_gate(Gate.MOCK_ONLY, "r")
    assert patient.audit_rows()[:-1] == before
