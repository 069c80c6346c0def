"""The items in PostgreSQL, over a few connections, and never waiting long for it."""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
from psycopg import errors

CONNECTIONS_MAX = 4
CONNECT_S = 2
STATEMENT_MS = 2000
WAIT_S = 2.0


class Away(Exception):
    """The database does not answer, or not in time."""


class WrongSchema(Exception):
    """The database has another schema than the one that this release knows."""


class BadItem(Exception):
    """An item cannot be stored: PostgreSQL's JSON has no place for what it holds."""


class Store:
    """The table of items.

    Args:
        url: of the database, without a password.
        password: the password.
    """

    def __init__(self, url: str, password: str) -> None:
        self._url, self._password = url, password
        self._idle: queue.LifoQueue[psycopg.Connection | None] = queue.LifoQueue()
        for _ in range(CONNECTIONS_MAX):
            self._idle.put(None)

    def check(self) -> None:
        """Ask the database whether it is there, and has what this release needs.

        Raises:
            Away: it is not.
            WrongSchema: it is, but has not.
        """
        with self._connection() as connection:
            connection.execute("SELECT id, payload, received_at FROM items LIMIT 0")

    def add(self, items: Sequence[str]) -> int:
        """Store items, each a JSON document, all or none; how many there were.

        Raises:
            Away, WrongSchema: see `check`.
            BadItem: one cannot be stored.
        """
        with self._connection() as connection, connection.cursor() as cursor:
            cursor.executemany("INSERT INTO items (payload) VALUES (%s)", [(item,) for item in items])
        return len(items)

    def newest(self, limit: int) -> list[dict[str, Any]]:
        """The newest items, newest first.

        Raises:
            Away, WrongSchema: see `check`.
        """
        with self._connection() as connection:
            rows = connection.execute(
                "SELECT id, payload, received_at FROM items ORDER BY received_at DESC, id DESC LIMIT %s", (limit,)
            ).fetchall()
        return [{"id": row[0], "payload": row[1], "received_at": row[2].isoformat()} for row in rows]

    def close(self) -> None:
        """Close what is idle."""
        with contextlib.suppress(queue.Empty):
            while True:
                connection = self._idle.get_nowait()
                if connection is not None:
                    connection.close()

    @contextlib.contextmanager
    def _connection(self) -> Iterator[psycopg.Connection]:
        try:
            connection = self._idle.get(timeout=WAIT_S)
        except queue.Empty:
            raise Away("all connections are busy") from None
        try:
            connection = self._alive(connection)
            with connection.transaction():
                yield connection
        except errors.DataError:
            raise BadItem from None
        except (errors.UndefinedTable, errors.UndefinedColumn, errors.NotNullViolation):
            raise WrongSchema from None
        except psycopg.Error as error:
            # Whatever it was: the next request begins with a connection that nothing has happened to.
            if connection is not None:
                connection.close()
            raise Away(type(error).__name__) from None
        finally:
            self._idle.put(connection if connection is not None and not connection.closed else None)

    def _alive(self, connection: psycopg.Connection | None) -> psycopg.Connection:
        """The connection if the database still knows it, else a new one: it may have been restarted meanwhile."""
        if connection is not None and not connection.closed:
            try:
                connection.execute("SELECT 1")
            except psycopg.Error:
                connection.close()
            else:
                return connection
        return self._connect()

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(
            self._url,
            password=self._password,
            autocommit=True,
            connect_timeout=CONNECT_S,
            options=f"-c statement_timeout={STATEMENT_MS} -c lock_timeout={STATEMENT_MS}",
            application_name="ingest",
        )
