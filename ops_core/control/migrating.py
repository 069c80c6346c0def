"""Bringing an older control store up to date, and moving one to where today's program looks for it.

All of it is one transaction of the database: whoever is killed in the middle leaves the store as it was, and the next
one to open it undoes what was begun. What was believed before is proven before, and sealed anew with an audit row.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, insert, select

from ops_core.control import database, files, model, schema, shape, verified
from ops_core.control.location import StoreLocation
from ops_core.control.migrations import former
from ops_core.control.problems import StoreConflict, StoreUnusable, missing, untrusted
from ops_core.control.shape import Query
from ops_core.control.store import BUSY_TIMEOUT_S, Transaction, distrusted
from ops_core.control.verified import Recorded

MIGRATED = "store.migrated"
COPIED_AT_ONCE = 500
_FOLDER = Path(__file__).parent / "migrations"


@dataclass(frozen=True, kw_only=True)
class Migrated:
    """What became of a store: from which revision to which, and the newest row of its chain."""

    before: str
    after: str
    head_seq: int
    head_hash: str

    @property
    def changed(self) -> bool:
        """Whether there was anything to do."""
        return self.before != self.after


def migrate(
    place: Path | StoreLocation,
    now: datetime,
    actor: str,
    *,
    busy_timeout_s: float = BUSY_TIMEOUT_S,
    source: str = "",
) -> Migrated:
    """Bring a store up to date, in place and in one transaction; one that is up to date is only proven.

    Args:
        place: the SQLite file, or where else the store lies.
        now: when.
        actor: who.
        busy_timeout_s: how long to wait for others, in seconds.
        source: where it was before, for the audit row.

    Raises:
        StoreMissing: there is none.
        StoreBusy: others use it.
        StoreUnusable: it does not prove itself as what it was; nothing was changed.
    """
    location = StoreLocation.of(place)
    if not location.url:
        files.check_store_file(location.path)
    with distrusted(location):
        connection = database.open_connection(location, busy_timeout_s)
    with connection, distrusted(location):
        query = database.query_of(connection)
        if location.url and not database.is_there(connection):
            raise missing(location)
        database.begin_migration(connection, location)
        before = _revision(query, location)
        if before != shape.REVISION:
            _upgrade(connection, query, location, before)
            _seal(connection, location, now, actor, {"from": before, "to": shape.REVISION, "source": source})
        recorded = _prove(query, location)
        database.commit(connection, location)
    return Migrated(before=before, after=shape.REVISION, head_seq=recorded.head_seq, head_hash=recorded.head_hash)


def move(source: Path, place: Path | StoreLocation, now: datetime, actor: str) -> Migrated:
    """Copy an SQLite store to a place where none is yet, bringing it up to date; a stop beside it comes along.

    Nobody can change the source meanwhile. Afterwards a latch lies beside it: an older program that still looks there
    is stopped.

    Raises:
        StoreMissing: there is no source.
        StoreConflict: a store is there already.
        StoreUnusable: the source does not prove itself, or the copy cannot be made. Neither was changed.
    """
    location = StoreLocation.of(place)
    files.check_store_file(source)
    if not location.url and files.exists(location.path):
        raise StoreConflict(
            "there is a control store already", where=location.shown, next_step="set it aside first, or keep it"
        )
    temporary = location.path.with_name(f".{location.path.name}.{secrets.token_hex(8)}")
    try:
        files.make_folder(temporary.parent)
        with _held(source) as held, _removed(temporary):
            _copy_file(held, temporary)
            done = migrate(temporary, now, actor, source=str(source))
            latch = files.read_latch(source)
            if latch is not None:
                files.write_latch(location.path, latch.reason, latch.actor, latch.at or now)
            if location.url:
                _copy_rows(temporary, location)
            else:
                os.link(temporary, location.path)
                files.sync_folder(location.path.parent)
            if source.resolve().parent != location.path.resolve().parent:
                files.write_latch(source, f"this store was moved to {location.shown}", actor, now)
    except (OSError, sqlite3.Error) as error:
        raise StoreUnusable(
            f"the control store cannot be copied: {getattr(error, 'strerror', None) or error}", where=location.shown
        ) from None
    return done


def _revision(query: Query, location: StoreLocation) -> str:
    if location.url:
        tables = {row[0] for row in query("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()", {})}
    else:
        tables = {row[0] for row in query("SELECT name FROM sqlite_master WHERE type = 'table'", {})}
    if "alembic_version" in tables:
        found = [str(row[0]) for row in query("SELECT version_num FROM alembic_version", {})]
        return found[0] if len(found) == 1 else ""
    if "schema_version" in tables:
        return former.REVISION
    raise untrusted(location, "it is not a control store")


def _upgrade(connection: Connection, query: Query, location: StoreLocation, before: str) -> None:
    if not location.url:
        verified.check_pages(query, location.path, whole=True)
    if before in shape.OLDER:
        verified.verify_whole_chain(query, verified.prove(query))
    elif before == former.REVISION and not location.url:
        # Only files were ever made by the first program, so only they can be of its revision.
        former.prove(query)
        schema.alembic_version.create(connection)
        connection.execute(insert(schema.alembic_version).values(version_num=before))
    else:
        known = ", ".join((former.REVISION, *shape.OLDER))
        raise untrusted(
            location,
            f"its schema revision is {before or 'unknown'}, this program knows {known} and {shape.REVISION}",
            "use the program that made it, or a newer one",
        )
    run_alembic(connection, shape.REVISION)
    broken = [] if location.url else query("PRAGMA foreign_key_check", {})
    if broken:
        raise untrusted(location, f"a row of {broken[0][0]} refers to nothing")


def run_alembic(connection: Connection, revision: str) -> None:
    """Run the steps to a revision inside the transaction that the connection is in."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    # Its values are templates: a sign of them in a path is only a sign.
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _seal(
    connection: Connection, location: StoreLocation, now: datetime, actor: str, detail: dict[str, object]
) -> None:
    table = schema.control_state
    row = connection.execute(select(table)).mappings().one()
    told = Recorded(
        state=model.from_values(json.loads(row["document"]), row["version"]),
        changed_seq=row["changed_seq"],
        head_seq=row["head_seq"],
        head_hash=row["head_hash"],
    )
    Transaction(location, connection, told).put_state(told.state, at=now, actor=actor, action=MIGRATED, detail=detail)


def _prove(query: Query, location: StoreLocation) -> Recorded:
    """The proof of what a transaction leaves; a file has not got its new length yet."""
    if location.url:
        shape.check_database(query)
    else:
        shape.check_file(query)
    recorded = verified.prove(query)
    verified.verify_whole_chain(query, recorded)
    return recorded


@contextlib.contextmanager
def _held(source: Path) -> Iterator[Connection]:
    """A connection that reads the source: while it does, nobody can change it."""
    location = StoreLocation(path=source)
    with (
        distrusted(location),
        database.open_connection(location, BUSY_TIMEOUT_S) as connection,
    ):
        connection.exec_driver_sql("BEGIN")
        connection.exec_driver_sql("SELECT count(*) FROM sqlite_master")
        yield connection


@contextlib.contextmanager
def _removed(temporary: Path) -> Iterator[None]:
    try:
        yield
    finally:
        for suffix in ("", *files.SIDE_FILES):
            with contextlib.suppress(FileNotFoundError):
                temporary.with_name(temporary.name + suffix).unlink()


def _copy_file(held: Connection, to: Path) -> None:
    files.make_private(to)
    reader = held.connection.driver_connection
    if not isinstance(reader, sqlite3.Connection):
        raise TypeError("only a file can be copied")
    with contextlib.closing(sqlite3.connect(to, isolation_level=None)) as writer:
        reader.backup(writer)


def _copy_rows(source: Path, location: StoreLocation) -> None:
    """Fill a schema of a database with all rows of a file, in one transaction."""
    with (
        database.open_connection(StoreLocation(path=source), BUSY_TIMEOUT_S) as reader,
        database.open_connection(location, BUSY_TIMEOUT_S) as writer,
    ):
        database.lock_for_making(writer)
        if database.is_there(writer):
            raise StoreConflict(
                "there is a control store already", where=location.shown, next_step="set it aside first, or keep it"
            )
        schema.metadata.create_all(writer)
        for table in schema.metadata.sorted_tables:
            for part in reader.execute(select(table)).mappings().partitions(COPIED_AT_ONCE):
                writer.execute(insert(table), [dict(row) for row in part])
        _prove(database.query_of(writer), location)
        database.commit(writer, location)
