"""The control store: one SQLite file, made whole or not at all, verified whenever it is opened.

Rollback journal and `synchronous=EXTRA`: a change that was acknowledged survives a power cut, and one that was not is
undone by whoever opens the store next. (Write-ahead logging has a corruption bug in SQLite versions still shipped.)
A store is built under another name and then linked into place, so nobody ever meets a half-made one, and of two
processes that make one at once exactly one wins while the other uses what the winner made.

Opening verifies the file (owner, mode, kind), its identity and schema, SQLite's `quick_check`, the control row's proof
and the newest part of the audit chain; every transaction proves the control row again before it changes anything.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from ops_core.clock import SystemClock, isoformat, parse_instant
from ops_core.control import files, model, schema, verified
from ops_core.control.audit import GENESIS_HASH, AuditRow, ChainCheck, next_row
from ops_core.control.model import ControlState
from ops_core.control.problems import StoreBusy, StoreConflict, StoreMissing, StoreUnusable, from_sqlite, untrusted
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
BUSY_TIMEOUT_MAX_S = 60.0
MAX_SUBJECT_CHARS = 255

_SET_STATE = (
    f"UPDATE control_state SET {', '.join(f'{name} = ?' for name in STATE_COLUMNS)}, seal = ? "  # noqa: S608  # the names are constants of ours
    "WHERE id = 1 AND version = ? AND head_seq = ?"
)
_NEW_AUDIT = (
    "INSERT INTO audit (seq, at, actor, action, subject, detail, prev_hash, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_NEW_STATE = (
    f"INSERT INTO control_state (id, {', '.join(STATE_COLUMNS)}, seal) "  # noqa: S608 — constants only
    f"VALUES (1, {', '.join('?' * len(STATE_COLUMNS))}, ?)"
)


class Transaction:
    """What may be done inside one transaction. Made by `Store.transaction` and `Store.snapshot` only."""

    def __init__(self, path: Path, connection: sqlite3.Connection, recorded: Recorded) -> None:
        self._path = path
        self._connection = connection
        self._recorded = recorded

    @property
    def state(self) -> ControlState:
        """The control state, proven when the transaction began. It knows nothing of the latch beside the store."""
        return self._recorded.state

    @property
    def head(self) -> tuple[int, str]:
        """The newest audit row as (seq, hash)."""
        return self._recorded.head

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> sqlite3.Cursor:
        """Run one statement on the tables of incidents and steps. A change belongs with an `audit` row."""
        return self._connection.execute(sql, tuple(parameters))

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
        self._connection.execute(
            "INSERT INTO good_version (audit_seq, target, kind, name, digest, marked_at) VALUES (?, ?, ?, ?, ?, ?)",
            (row.seq, target, kind, name, digest, row.at),
        )
        return GoodVersion(target=target, kind=kind, name=name, digest=digest, marked_at=parse_instant(row.at))

    def good(self, target: str, kind: str) -> GoodVersion | None:
        """The version of that kind last marked good for the target; None if none was.

        Raises:
            StoreUnusable: the record does not prove itself.
        """
        return _believe(self._path, lambda: verified.read_good(self._connection, target, kind))

    def audit_rows(self, *, newest: int | None = None) -> tuple[AuditRow, ...]:
        """The audit rows in ascending order; with `newest`, only that many of the latest."""
        return _believe(self._path, lambda: tuple(verified.audit_rows(self._connection, newest=newest)))

    def verify_chain(self) -> ChainCheck:
        """Check every row of the audit chain.

        Raises:
            StoreUnusable: the chain does not hold; the message names the first row that is wrong.
        """
        return _believe(self._path, lambda: verified.verify_whole_chain(self._connection, self._recorded))

    def _append(self, at: datetime, actor: str, action: str, subject: str, detail: object) -> AuditRow:
        row = next_row(
            self.head,
            at=isoformat(at),
            actor=model.tidy(actor, model.NOBODY),
            action=action,
            subject=model.tidy(subject, "-", MAX_SUBJECT_CHARS) if subject else "",
            detail=detail,
        )
        self._connection.execute(_NEW_AUDIT, dataclasses.astuple(row))
        return row

    def _write(self, new: Recorded) -> None:
        old = self._recorded
        parameters = (*new.values(), new.seal(), old.state.version, old.head_seq)
        if self._connection.execute(_SET_STATE, parameters).rowcount != 1:
            raise StoreConflict("the control state was changed by somebody else", next_step="look again, then decide")
        self._recorded = new


class Store:
    """An open control store. Made by `connect`; belongs to the thread that opened it."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Change the store: all of the block or, when it raises, nothing.

        Raises:
            StoreBusy: others held the store for longer than the busy timeout.
            StoreUnusable: the store does not prove itself, or cannot be changed.
            StoreConflict: a constraint of the tables forbids the change.
        """
        with _distrusted(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
        with self._ended_by("COMMIT"), _translated(self.path):
            yield Transaction(self.path, self._connection, self._proven())

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Transaction]:
        """Read the store as it is at one instant; changing it here is refused.

        Raises:
            StoreUnusable: the store does not prove itself.
        """
        with _distrusted(self.path):
            self._connection.execute("PRAGMA query_only = ON")
            self._connection.execute("BEGIN")
        try:
            with self._ended_by("ROLLBACK"), _translated(self.path):
                yield Transaction(self.path, self._connection, self._proven())
        finally:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("PRAGMA query_only = OFF")

    def verify(self) -> None:
        """What opening verifies: identity, SQLite's own check, the control row and the newest audit rows.

        Raises:
            StoreUnusable: naming what is wrong.
        """
        with _distrusted(self.path):
            self._connection.execute("BEGIN")
        with self._ended_by("ROLLBACK"), _distrusted(self.path):
            verified.prove(self._connection, self.path)

    def _proven(self) -> Recorded:
        return _believe(self.path, lambda: verified.read_recorded(self._connection))

    @contextlib.contextmanager
    def _ended_by(self, statement: str) -> Iterator[None]:
        try:
            yield
            with _distrusted(self.path):
                self._connection.execute(statement)
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise


@contextlib.contextmanager
def connect(
    path: Path,
    create: bool = False,
    *,
    now: datetime | None = None,
    actor: str = model.NOBODY,
    busy_timeout_s: float = BUSY_TIMEOUT_S,
) -> Iterator[Store]:
    """Open and verify the control store.

    Args:
        path: the SQLite file.
        create: make it where it is missing: stopped, gate DRY_RUN, reason "not yet released".
        now: when it is made; the system's clock unless given.
        actor: who makes it.
        busy_timeout_s: how long to wait for others, at most 60 seconds.

    Raises:
        StoreMissing: there is none and `create` is false.
        StoreUnusable: it cannot be read, trusted or made.
    """
    if create and not files.exists(path):
        _create(path, now or SystemClock().now(), actor)
    files.check_store_file(path)
    connection = _open(path, busy_timeout_s)
    try:
        store = Store(path, connection)
        store.verify()
        yield store
    finally:
        connection.close()


def _open(path: Path, busy_timeout_s: float) -> sqlite3.Connection:
    timeout_s = min(max(busy_timeout_s, 0.0), BUSY_TIMEOUT_MAX_S)
    with _distrusted(path):
        # mode=rw: a store that vanished meanwhile must not come back empty.
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=timeout_s, isolation_level=None
        )
        try:
            _set_up(connection)
        except BaseException:
            connection.close()
            raise
    return connection


def _set_up(connection: sqlite3.Connection) -> None:
    for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "foreign_keys = ON", "synchronous = EXTRA"):
        connection.execute(f"PRAGMA {pragma}")
    (mode,) = connection.execute("PRAGMA journal_mode = DELETE").fetchone()
    if mode != "delete":
        raise sqlite3.OperationalError(f"its journal mode is {mode}, and must be delete")


def _create(path: Path, now: datetime, actor: str) -> None:
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
            _fill(temporary, now, actor)
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


def _fill(path: Path, now: datetime, actor: str) -> None:
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
    connection = _open(path, 0.0)
    try:
        with _translated(path):
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
            schema.create_tables(connection)
            connection.execute(
                "INSERT INTO schema_version (id, version, store_id, created_at) VALUES (1, ?, ?, ?)",
                (schema.SCHEMA_VERSION, store_id, first.at),
            )
            connection.execute(_NEW_AUDIT, dataclasses.astuple(first))
            connection.execute(_NEW_STATE, (*recorded.values(), recorded.seal()))
            connection.execute("COMMIT")
    finally:
        connection.close()


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Say what SQLite says in our words; errors of the block itself pass."""
    try:
        yield
    except sqlite3.Error as error:
        raise from_sqlite(path, error) from None


@contextlib.contextmanager
def _distrusted(path: Path) -> Iterator[None]:
    """The same for statements of our own, for which the file can only be to blame if anything else goes wrong.

    What SQLite says about a damaged schema quotes it, and Python fails to decode that: no `sqlite3.Error`.
    """
    try:
        with _translated(path):
            yield
    except _DAMAGE as error:
        raise untrusted(path, str(error) or type(error).__name__) from None


def _believe(path: Path, prove: Callable[[], T]) -> T:
    """Run a proof; where it fails, the store is unusable."""
    with _distrusted(path):
        return prove()
