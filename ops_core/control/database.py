"""Connections to the control store through SQLAlchemy, and what a database says in our words.

SQLite runs with a rollback journal and `synchronous=EXTRA`: a change that was acknowledged survives a power cut, and
one that was not is undone by whoever opens the store next. (Write-ahead logging has a corruption bug in SQLite versions
still shipped.) On PostgreSQL writers take the control row first, so that there too one change follows the other.

An engine is only a recipe: it holds no connection. It is kept because it also holds the statements it has compiled.
"""

from __future__ import annotations

import contextlib
import functools
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, Engine, NullPool, create_engine, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from ops_core.control.location import StoreLocation
from ops_core.control.problems import StoreBusy, StoreConflict, StoreUnusable, from_sqlite, missing, untrusted
from ops_core.control.shape import Query
from ops_core.errors import OpsError

BUSY_TIMEOUT_MAX_S = 60.0
MAKING_KEY = 0x4F50_5343
ENGINES_KEPT = 16
SAID_MAX_CHARS = 300
_BUSY = frozenset({"55P03", "40001", "40P01"})  # lock not available, serialization failure, deadlock
_LATCH = "bring the database back; until then it is stopped, and can be stopped by the latch file"
_RELATIONS = (
    "SELECT count(*) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace "
    "WHERE n.nspname = current_schema()"
)


def open_connection(location: StoreLocation, busy_timeout_s: float) -> Connection:
    """A connection with no transaction begun.

    Raises:
        StoreUnusable: there is none to be had.
    """
    timeout_s = min(max(busy_timeout_s, 0.0), BUSY_TIMEOUT_MAX_S)
    with translated(location):
        return _engine(location, timeout_s).connect()


def begin_write(connection: Connection, location: StoreLocation) -> None:
    """Begin a transaction in which nobody else can change the store."""
    if location.url:
        connection.exec_driver_sql("SELECT id FROM control_state WHERE id = 1 FOR UPDATE")
    else:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def begin_read(connection: Connection, location: StoreLocation) -> None:
    """Begin a transaction that sees the store as it is at one instant and cannot change it."""
    if location.url:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
    else:
        connection.exec_driver_sql("PRAGMA query_only = ON")
        connection.exec_driver_sql("BEGIN")


def end_read(connection: Connection, location: StoreLocation) -> None:
    """Let the connection change things again."""
    if not location.url:
        connection.exec_driver_sql("PRAGMA query_only = OFF")
        connection.rollback()


def begin_migration(connection: Connection, location: StoreLocation) -> None:
    """Begin a transaction in which nobody else can even read the store."""
    if location.url:
        connection.exec_driver_sql("LOCK TABLE control_state IN ACCESS EXCLUSIVE MODE")
    else:
        # Tables that others refer to are made anew; that nothing refers to nowhere is checked at the end.
        connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
        connection.exec_driver_sql("BEGIN EXCLUSIVE")


def commit(connection: Connection, location: StoreLocation) -> None:
    """End a transaction so that its change is there for good.

    Raises:
        StoreBusy: others prevent it. The change was not made.
        StoreUnusable: it cannot be made; or a database went away and nobody knows whether it was made.
    """
    try:
        connection.commit()
    except DBAPIError as error:
        # A commit that others prevent leaves SQLite inside the transaction, and SQLAlchemy takes it for ended.
        with contextlib.suppress(Exception):
            if not connection.invalidated and connection.connection.driver_connection is not None:
                connection.connection.driver_connection.rollback()
        if location.url and error.connection_invalidated:
            raise StoreUnusable(
                "the database went away while a change was being recorded: it may be there, or not",
                where=location.shown,
                next_step="once it is back, look first: ops store show, then ops estop status",
            ) from None
        raise


def is_there(connection: Connection) -> bool:
    """Whether the PostgreSQL schema that the address names holds anything."""
    return bool(connection.exec_driver_sql(_RELATIONS).scalar_one())


def lock_for_making(connection: Connection) -> None:
    """Let nobody else make a store in this PostgreSQL schema until the transaction ends."""
    connection.exec_driver_sql(
        f"SELECT pg_advisory_xact_lock({MAKING_KEY}, hashtext(coalesce(current_schema(), '')))"  # a number of ours
    )


def query_of(connection: Connection) -> Query:
    """Questions in SQL with :named parameters, asked on this connection."""

    def query(sql: str, parameters: Mapping[str, object]) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in connection.execute(text(sql), parameters)]

    return query


@contextlib.contextmanager
def reading(location: StoreLocation, busy_timeout_s: float) -> Iterator[Query]:
    """Questions to the store as it is at one instant.

    Raises:
        StoreMissing: the database holds none.
        StoreUnusable: it cannot be asked.
    """
    with open_connection(location, busy_timeout_s) as connection, translated(location):
        begin_read(connection, location)
        if location.url and not is_there(connection):
            raise missing(location)
        yield query_of(connection)


@contextlib.contextmanager
def translated(location: StoreLocation) -> Iterator[None]:
    """Say what the database says in our words; errors of the block itself pass."""
    try:
        yield
    except DBAPIError as error:
        raise _told(location, error) from None
    except SQLAlchemyError as error:
        # Its text quotes the statement with its values: only what kind it is may be told.
        raise StoreUnusable(f"the control store cannot be used: {type(error).__name__}", where=location.shown) from None


def _told(location: StoreLocation, error: DBAPIError) -> OpsError:
    original = error.orig
    if isinstance(original, sqlite3.Error):
        return from_sqlite(location, original)
    state = str(getattr(original, "sqlstate", None) or "")
    said = _said(location, original)
    if state in _BUSY:
        return StoreBusy("the control store is locked by another process", where=location.shown, next_step="try again")
    if state.startswith("23"):
        return StoreConflict(f"the change contradicts what is recorded: {said}", where=location.shown)
    if state in {"42P01", "42703"}:  # no such table, no such column
        return untrusted(location, said)
    if state == "3F000":
        return StoreUnusable(
            "the schema that the address of the control store names does not exist",
            where=location.shown,
            next_step="CREATE SCHEMA …, owned by the user of the address",
        )
    return StoreUnusable(f"the control store cannot be used: {said}", where=location.shown, next_step=_LATCH)


def _said(location: StoreLocation, error: object) -> str:
    """What PostgreSQL says, in one line, without the values of a row and without the password."""
    diagnosis = getattr(error, "diag", None)
    words = " ".join(str(getattr(diagnosis, "message_primary", None) or error).split()) or type(error).__name__
    if location.password:
        words = words.replace(location.password, "…")
    return words[:SAID_MAX_CHARS]


@functools.lru_cache(maxsize=ENGINES_KEPT)
def _engine(location: StoreLocation, timeout_s: float) -> Engine:
    if location.url:
        # Only here: psycopg is there only where it was asked for.
        from ops_core.control.postgresql import engine

        return engine(location, timeout_s)
    return create_engine("sqlite://", poolclass=NullPool, hide_parameters=True, creator=_file(location, timeout_s))


def _file(location: StoreLocation, timeout_s: float) -> Callable[[], sqlite3.Connection]:
    def connect() -> sqlite3.Connection:
        # mode=rw: a store that vanished meanwhile must not come back empty.
        uri = f"{location.path.absolute().as_uri()}?mode=rw"
        connection = sqlite3.connect(uri, uri=True, timeout=timeout_s, isolation_level=None)
        try:
            _set_up(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    return connect


def _set_up(connection: sqlite3.Connection) -> None:
    for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "foreign_keys = ON", "synchronous = EXTRA"):
        connection.execute(f"PRAGMA {pragma}")
    (mode,) = connection.execute("PRAGMA journal_mode = DELETE").fetchone()
    if mode != "delete":
        raise sqlite3.OperationalError(f"its journal mode is {mode}, and must be delete")
