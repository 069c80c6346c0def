"""Connections to the control store through SQLAlchemy, and what a database says in our words.

SQLite runs with a rollback journal and `synchronous=EXTRA`: a change that was acknowledged survives a power cut, and
one that was not is undone by whoever opens the store next. (Write-ahead logging has a corruption bug in SQLite versions
still shipped.) On PostgreSQL writers take the control row first, so that there too one change follows the other.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, Engine, NullPool, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from ops_core.control.location import StoreLocation
from ops_core.control.problems import StoreBusy, StoreConflict, StoreUnusable, from_sqlite, missing
from ops_core.control.shape import Query
from ops_core.errors import OpsError

BUSY_TIMEOUT_MAX_S = 60.0
CONNECT_TIMEOUT_S = 5
STATEMENT_TIMEOUT_S = 30
_BUSY = frozenset({"55P03", "40001", "40P01"})  # lock not available, serialization failure, deadlock
_MISSING = frozenset({"42P01", "3D000"})  # no such table, no such database


def open_connection(location: StoreLocation, busy_timeout_s: float) -> Connection:
    """A connection with no transaction begun.

    Raises:
        StoreUnusable: there is none to be had.
    """
    timeout_s = min(max(busy_timeout_s, 0.0), BUSY_TIMEOUT_MAX_S)
    with translated(location):
        return _engine(location, timeout_s).connect()


def begin_write(connection: Connection, location: StoreLocation, busy_timeout_s: float) -> None:
    """Begin a transaction in which nobody else can change the store."""
    if not location.url:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        return
    timeout_ms = round(1000 * min(max(busy_timeout_s, 0.001), BUSY_TIMEOUT_MAX_S))
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = {timeout_ms}")
    connection.exec_driver_sql("SET LOCAL synchronous_commit = on")
    connection.exec_driver_sql("SELECT id FROM control_state WHERE id = 1 FOR UPDATE")


def begin_read(connection: Connection, location: StoreLocation) -> None:
    """Begin a transaction that sees the store as it is at one instant and cannot change it."""
    if not location.url:
        connection.exec_driver_sql("PRAGMA query_only = ON")
        connection.exec_driver_sql("BEGIN")
        return
    connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")


def end_read(connection: Connection, location: StoreLocation) -> None:
    """Let the connection change things again."""
    if not location.url:
        connection.exec_driver_sql("PRAGMA query_only = OFF")
        connection.rollback()


def is_there(connection: Connection) -> bool:
    """Whether a PostgreSQL schema holds a control store, or an older program's."""
    found = connection.exec_driver_sql("SELECT to_regclass('alembic_version')").scalar_one()
    return found is not None


def query_of(connection: Connection) -> Query:
    """Questions in SQL with :named parameters, asked on this connection."""

    def query(sql: str, parameters: Mapping[str, object]) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in connection.execute(text(sql), parameters)]

    return query


@contextlib.contextmanager
def reading(location: StoreLocation, busy_timeout_s: float) -> Iterator[Query]:
    """Questions to the store as it is at one instant.

    Raises:
        StoreUnusable: it cannot be asked.
    """
    with open_connection(location, busy_timeout_s) as connection, translated(location):
        begin_read(connection, location)
        yield query_of(connection)


@contextlib.contextmanager
def translated(location: StoreLocation) -> Iterator[None]:
    """Say what the database says in our words; errors of the block itself pass."""
    try:
        yield
    except DBAPIError as error:
        raise _told(location, error) from None
    except SQLAlchemyError as error:
        raise StoreUnusable(f"the control store cannot be used: {type(error).__name__}", where=location.shown) from None


def _told(location: StoreLocation, error: DBAPIError) -> OpsError:
    original = error.orig
    if isinstance(original, sqlite3.Error):
        return from_sqlite(location, original)
    state = str(getattr(original, "sqlstate", None) or "")
    if state in _BUSY:
        return StoreBusy("the control store is locked by another process", where=location.shown, next_step="try again")
    if state in _MISSING:
        return missing(location)
    if state.startswith("23"):
        return StoreConflict("the change contradicts what is recorded", where=location.shown)
    # The text of a connection error may quote the whole connection string.
    why = f"SQLSTATE {state}" if state else "the database does not answer"
    return StoreUnusable(
        f"the control store cannot be used: {why}",
        where=location.shown,
        next_step="look after the database; until then `touch` of the latch file stops everything",
    )


def _engine(location: StoreLocation, timeout_s: float) -> Engine:
    if location.url:
        url = make_url(location.url).set(drivername="postgresql+psycopg", password=location.password or None)
        options = {
            "connect_timeout": CONNECT_TIMEOUT_S,
            "options": f"-c statement_timeout={STATEMENT_TIMEOUT_S * 1000} {url.query.get('options', '')}".strip(),
        }
        return create_engine(url.difference_update_query(["options"]), poolclass=NullPool, connect_args=options)
    return create_engine("sqlite://", poolclass=NullPool, creator=_file(location, timeout_s))


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
