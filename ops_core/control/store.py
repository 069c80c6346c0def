"""The control store: an SQLite file or a PostgreSQL schema, made whole or not at all, verified whenever it is opened.

A file is built under another name and then linked into place, so nobody ever meets a half-made one, and of two
processes that make one at once exactly one wins while the other uses what the winner made. In a database it is one
transaction.

Opening verifies the file (owner, mode, kind), identity and shape, SQLite's `quick_check`, the control row's proof and
the newest part of the audit chain; every transaction proves the control row again before it changes anything.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, CursorResult, Executable, insert, update

from ops_core.clock import SystemClock, isoformat, parse_instant
from ops_core.control import database, files, model, problems, schema, shape, verified
from ops_core.control.audit import GENESIS_HASH, AuditRow, ChainCheck, next_row
from ops_core.control.location import StoreLocation
from ops_core.control.model import ControlState
from ops_core.control.problems import StoreBusy, StoreConflict, StoreMissing, StoreUnusable, from_sqlite, missing
from ops_core.control.verified import STATE_COLUMNS, GoodVersion, Recorded

__all__ = [
    "Store",
    "StoreBusy",
    "StoreConflict",
    "StoreMissing",
    "StoreUnusable",
    "Transaction",
    "connect",
]

T = TypeVar("T")
_DAMAGE = (ValueError, TypeError, KeyError, OverflowError, RecursionError, MemoryError, OSError)
BUSY_TIMEOUT_S = 5.0
MAX_SUBJECT_CHARS = 255


class Transaction:
    """What may be done inside one transaction. Made by `Store.transaction` and `Store.snapshot` only."""

    def __init__(self, location: StoreLocation, connection: Connection, recorded: Recorded) -> None:
        self._location = location
        self._connection = connection
        self._query = database.query_of(connection)
        self._recorded = recorded

    @property
    def location(self) -> StoreLocation:
        """Where the store lies."""
        return self._location

    @property
    def state(self) -> ControlState:
        """The control state, proven when the transaction began. It knows nothing of the latch beside the store."""
        return self._recorded.state

    @property
    def head(self) -> tuple[int, str]:
        """The newest audit row as (seq, hash)."""
        return self._recorded.head

    @property
    def store_id(self) -> str:
        """What tells this store from every other one.

        Raises:
            StoreUnusable: it does not prove itself.
        """
        return _believe(self._location, lambda: verified.read_store_id(self._query))

    def execute(self, statement: Executable) -> CursorResult[*tuple[Any, ...]]:
        """Run one statement of SQLAlchemy Core on tables of `schema`. A change belongs with an `audit` row."""
        found = self._connection.execute(statement)
        assert isinstance(found, CursorResult)  # noqa: S101 - what a connection returns, whatever its signature says
        return found

    def audit(self, *, at: datetime, actor: str, action: str, subject: str = "", detail: object = None) -> AuditRow:
        """Append a row to the audit chain.

        Args:
            at: when it happened.
            actor: who did it; made fit for a record if it is not.
            action: a stable `noun.verb`.
            subject: what it was done to, such as a target or an incident.
            detail: JSON values, at most 64 Ki characters as text.

        Raises:
            UsageError: the detail is too large.
        """
        row = self._append(at, actor, action, subject, {} if detail is None else detail)
        self._write(replace(self._recorded, head_seq=row.seq, head_hash=row.hash))
        return row

    def put_state(
        self, state: ControlState, *, at: datetime, actor: str, action: str, detail: Any = None
    ) -> ControlState:
        """Record another control state together with the audit row that tells of it.

        Raises:
            StoreConflict: the recorded state is no longer the one that this transaction began with.
        """
        changed = replace(state, version=self.state.version + 1)
        told = {**(detail or {}), "state": {**changed.as_dict(), "version": changed.version}}
        row = self._append(at, actor, action, "", told)
        self._write(Recorded(state=changed, changed_seq=row.seq, head_seq=row.seq, head_hash=row.hash))
        return changed

    def put_good(self, *, target: str, kind: str, name: str, digest: str, at: datetime, actor: str) -> GoodVersion:
        """Record a version as seen good, with its audit row."""
        told = {"target": target, "kind": kind, "name": name, "digest": digest}
        row = self.audit(at=at, actor=actor, action=verified.GOOD_MARKED, subject=target, detail=told)
        self._connection.execute(insert(schema.good_version).values(**told, audit_seq=row.seq, marked_at=row.at))
        return GoodVersion(target=target, kind=kind, name=name, digest=digest, marked_at=parse_instant(row.at))

    def good(self, target: str, kind: str) -> GoodVersion | None:
        """The version of that kind last marked good for the target; None if none was.

        Raises:
            StoreUnusable: the record does not prove itself.
        """
        return _believe(self._location, lambda: verified.read_good(self._query, target, kind))

    def audit_rows(self, *, newest: int | None = None) -> tuple[AuditRow, ...]:
        """The audit rows in ascending order; with `newest`, only that many of the latest."""
        return _believe(self._location, lambda: tuple(verified.audit_rows(self._query, newest=newest)))

    def verify_chain(self) -> ChainCheck:
        """Check every row of the audit chain.

        Raises:
            StoreUnusable: the chain does not hold; the message names the first row that is wrong.
        """

        def proven() -> ChainCheck:
            if not self._location.url:
                verified.check_pages(self._query, self._location.path, whole=True)
            return verified.verify_whole_chain(self._query, self._recorded)

        return _believe(self._location, proven)

    def _append(self, at: datetime, actor: str, action: str, subject: str, detail: object) -> AuditRow:
        row = next_row(
            self.head,
            at=isoformat(at),
            actor=model.tidy(actor, model.NOBODY),
            action=action,
            subject=model.tidy(subject, "-", MAX_SUBJECT_CHARS) if subject else "",
            detail=detail,
        )
        self._connection.execute(insert(schema.audit).values(**dataclasses.asdict(row)))
        return row

    def _write(self, new: Recorded) -> None:
        old = self._recorded
        table = schema.control_state
        done = self._connection.execute(
            update(table)
            .where(table.c.id == 1, table.c.version == old.state.version, table.c.head_seq == old.head_seq)
            .values(**_row_of(new))
        )
        if done.rowcount != 1:
            raise StoreConflict("the control state was changed by somebody else", next_step="look again, then decide")
        self._recorded = new


class Store:
    """An open control store. Made by `connect`; belongs to the thread that opened it."""

    def __init__(self, location: StoreLocation, connection: Connection) -> None:
        self.location = location
        self._connection = connection

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Change the store: all of the block or, when it raises, nothing.

        Raises:
            StoreBusy: others held the store for longer than the busy timeout.
            StoreUnusable: the store does not prove itself, or cannot be changed.
            StoreConflict: a constraint of the tables forbids the change.
        """
        with self._ended(commit=True):
            with distrusted(self.location):
                database.begin_write(self._connection, self.location)
            with database.translated(self.location):
                yield Transaction(self.location, self._connection, self._proven())

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Transaction]:
        """Read the store as it is at one instant; changing it here is refused.

        Raises:
            StoreUnusable: the store does not prove itself.
        """
        with self._reading(), database.translated(self.location):
            yield Transaction(self.location, self._connection, self._proven())

    def verify(self) -> None:
        """What opening verifies: identity, SQLite's own check, the control row and the newest audit rows.

        Raises:
            StoreMissing: the database holds no store.
            StoreUnusable: naming what is wrong.
        """
        with self._reading(), distrusted(self.location):
            query = database.query_of(self._connection)
            if not self.location.url:
                verified.prove_file(query, self.location.path)
            elif not database.is_there(self._connection):
                raise missing(self.location)
            else:
                verified.prove_database(query)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            with self._ended(commit=False):
                with distrusted(self.location):
                    database.begin_read(self._connection, self.location)
                yield
        finally:
            with contextlib.suppress(Exception):
                database.end_read(self._connection, self.location)

    def _proven(self) -> Recorded:
        return _believe(self.location, lambda: verified.read_recorded(database.query_of(self._connection)))

    @contextlib.contextmanager
    def _ended(self, *, commit: bool) -> Iterator[None]:
        try:
            yield
            with distrusted(self.location):
                if commit:
                    database.commit(self._connection, self.location)
                else:
                    self._connection.rollback()
        except BaseException:
            with contextlib.suppress(Exception):
                self._connection.rollback()
            raise


@contextlib.contextmanager
def connect(
    place: Path | StoreLocation,
    create: bool = False,
    *,
    now: datetime | None = None,
    actor: str = model.NOBODY,
    busy_timeout_s: float = BUSY_TIMEOUT_S,
) -> Iterator[Store]:
    """Open and verify the control store.

    Args:
        place: the SQLite file, or where else the store lies.
        create: make it where it is missing: stopped, gate DRY_RUN, reason "not yet released".
        now: when it is made; the system's clock unless given.
        actor: who makes it.
        busy_timeout_s: how long to wait for others, at most 60 seconds.

    Raises:
        StoreMissing: there is none and `create` is false.
        StoreUnusable: it cannot be read, trusted or made.
    """
    location = StoreLocation.of(place)
    if not location.url:
        if create and not files.exists(location.path):
            _create_file(location, now or SystemClock().now(), actor)
        files.check_store_file(location.path)
    with distrusted(location):
        connection = database.open_connection(location, busy_timeout_s)
    with connection:
        if create and location.url:
            _create_schema(location, connection, now or SystemClock().now(), actor)
        store = Store(location, connection)
        store.verify()
        yield store


def _create_file(location: StoreLocation, now: datetime, actor: str) -> None:
    path = location.path
    for suffix in files.SIDE_FILES:
        side = path.with_name(path.name + suffix)
        # SQLite would play a journal that was left by another store back into the new one.
        if files.exists(side) and not files.exists(path):
            raise StoreUnusable(
                "the control store is gone but its journal is there", where=str(side), next_step="keep both as evidence"
            )
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        files.make_folder(path.parent)
        try:
            files.make_private(temporary)
            with (
                database.open_connection(StoreLocation(path=temporary), 0.0) as connection,
                database.translated(location),
            ):
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                connection.exec_driver_sql(f"PRAGMA application_id = {shape.APPLICATION_ID}")
                _fill(connection, now, actor)
                connection.commit()
            with contextlib.suppress(FileExistsError):
                os.link(temporary, path)
            files.sync_folder(path.parent)
        finally:
            for suffix in ("", *files.SIDE_FILES):
                with contextlib.suppress(FileNotFoundError):
                    temporary.with_name(temporary.name + suffix).unlink()
    except (OSError, ValueError) as error:
        raise StoreUnusable(
            f"the control store cannot be made: {getattr(error, 'strerror', None) or error}",
            where=str(path),
            allowed="a folder of yours on a local file system",
        ) from None


def _create_schema(location: StoreLocation, connection: Connection, now: datetime, actor: str) -> None:
    try:
        # The latch goes there: a stop needs no database, but it needs a folder.
        files.make_folder(location.path.parent)
        with distrusted(location):
            database.lock_for_making(connection)
            if not database.is_there(connection):
                _fill(connection, now, actor)
            connection.commit()
    finally:
        with contextlib.suppress(Exception):
            connection.rollback()


def _fill(connection: Connection, now: datetime, actor: str) -> None:
    state = model.initial(actor, now)
    # The store's id makes its chain differ from every other store's from the first row on.
    store_id = secrets.token_hex(16)
    first = next_row(
        (0, GENESIS_HASH),
        at=isoformat(now),
        actor=state.stopped_by,
        action="store.created",
        subject="",
        detail={"store_id": store_id, "state": {**state.as_dict(), "version": 0}},
    )
    recorded = Recorded(state=state, changed_seq=1, head_seq=1, head_hash=first.hash)
    schema.metadata.create_all(connection)
    connection.execute(insert(schema.alembic_version).values(version_num=shape.REVISION))
    connection.execute(insert(schema.store_info).values(id=1, store_id=store_id, created_at=first.at))
    connection.execute(insert(schema.audit).values(**dataclasses.asdict(first)))
    connection.execute(insert(schema.control_state).values(id=1, **_row_of(recorded)))


def _row_of(recorded: Recorded) -> dict[str, object]:
    return {**dict(zip(STATE_COLUMNS, recorded.values(), strict=True)), "seal": recorded.seal()}


@contextlib.contextmanager
def distrusted(location: StoreLocation) -> Iterator[None]:
    """Say what the database says in our words, for statements of our own: nothing but the store can be to blame.

    What SQLite says about a damaged schema quotes it, and Python fails to decode that: no `sqlite3.Error`.
    """
    try:
        with database.translated(location):
            yield
    except sqlite3.Error as error:
        raise from_sqlite(location, error) from None
    except _DAMAGE as error:
        raise problems.distrusted(location, error) from None


def _believe(location: StoreLocation, prove: Callable[[], T]) -> T:
    """Run a proof; where it fails, the store is unusable."""
    with distrusted(location):
        return prove()
