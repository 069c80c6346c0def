"""The `sql` instrument: asks a PostgreSQL database, on the event loop, so that one that never answers can be left.

What the server or the network says to a connection is something seen; only what keeps us from looking raises
`CannotLook`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ops_core.errors import CannotLook
from ops_core.probes.instruments.context import Lookout

ROWS_MAX = 1000
# What libpq says of trouble on our own side; it has no codes for it.
_OURS = ("network is unreachable", "too many open files", "cannot assign requested address", "try again")


@dataclass(frozen=True, kw_only=True)
class SqlAnswer:
    """The rows of a statement, or why there are none: `problem` in words, `code` as SQL has it."""

    rows: tuple[tuple[Any, ...], ...] = ()
    problem: str = ""
    code: str = ""
    elapsed_ms: float = 0.0


def import_psycopg() -> Any:
    """The client of PostgreSQL.

    Raises:
        CannotLook: it is not installed.
    """
    try:
        import psycopg
    except ImportError:
        raise CannotLook(
            "the client of PostgreSQL is not installed: pip install 'pytest-runbook[postgres]'",
            next_step="pip install 'pytest-runbook[postgres]'",
        ) from None
    return psycopg


class SqlInstrument:
    """Asks databases."""

    def __init__(self, lookout: Lookout, secrets: Mapping[str, str]) -> None:
        self._lookout = lookout
        self._secrets = secrets

    async def ask(self, url: str, password: str | None, statement: str, values: Sequence[Any] = ()) -> SqlAnswer:
        """Connect, ask one statement, leave.

        Args:
            url: the database, without a password.
            password: the name of the secret that is its password, if it has one.
            statement: reads; an open transaction is never left behind.
            values: for its placeholders.

        Raises:
            CannotLook: the client is not installed, or the secret has no value, or the network is ours to blame.
        """
        psycopg = import_psycopg()
        redact = self._lookout.redact
        options = {"password": self._secrets[password]} if password else {}
        progress: dict[str, Any] = {"instrument": "sql", "method": "CONNECT", "url": redact.text(url)}
        self._lookout.actions.append(progress)
        started = self._lookout.now()
        try:
            connection = await psycopg.AsyncConnection.connect(url, autocommit=True, **options)
            progress["method"] = "ASK"
            async with connection:
                cursor = await connection.execute(statement, values or None)
                rows = tuple(map(tuple, await cursor.fetchmany(ROWS_MAX)))
        except psycopg.Error as error:
            problem = redact.text(_first_line(error))
            if any(ours in problem.lower() for ours in _OURS):
                raise CannotLook(f"could not connect: {problem}") from None
            answer = SqlAnswer(problem=problem, code=error.sqlstate or "", elapsed_ms=self._since(started))
        else:
            answer = SqlAnswer(rows=rows, elapsed_ms=self._since(started))
        progress["elapsed_ms"] = answer.elapsed_ms
        return answer

    def _since(self, started: float) -> float:
        return round((self._lookout.now() - started) * 1000, 3)


def _first_line(error: Exception) -> str:
    """What libpq or the server says, without the hints and without our own function's name."""
    line = (str(error).splitlines() or [type(error).__name__])[0]
    return line.removeprefix("connection failed: ").strip()
