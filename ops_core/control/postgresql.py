"""How a PostgreSQL server is reached: durable, serial, and never waited for without an end.

The server bounds what it does itself. What bounds a server that says nothing any more, or a network that swallows what
it says, is the patience of the connection on this side.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Generator
from math import ceil
from typing import Any

from sqlalchemy import Engine, NullPool, create_engine, event, make_url

from ops_core.control.location import StoreLocation
from ops_core.control.problems import StoreUnusable

CONNECT_TIMEOUT_S = 5
STATEMENT_TIMEOUT_S = 10
ABANDONED_AFTER_S = 60
_GRACE_S = 2.0


def engine(location: StoreLocation, busy_timeout_s: float) -> Engine:
    """Connections to the database of that address; each waits at most `busy_timeout_s` for others.

    Raises:
        StoreUnusable: what speaks to PostgreSQL is not installed.
    """
    if importlib.util.find_spec("psycopg") is None:
        raise StoreUnusable(
            "a control store in PostgreSQL needs the package psycopg",
            where=location.shown,
            next_step="pip install 'pytest-runbook[postgres]'",
        )
    url = make_url(location.url).set(drivername="postgresql+psycopg")
    if location.password:
        url = url.set(password=location.password)
    options = str(url.query.get("options", ""))
    statement_s = busy_timeout_s + STATEMENT_TIMEOUT_S
    ours = {
        "lock_timeout": max(1, round(1000 * busy_timeout_s)),
        "statement_timeout": round(1000 * statement_s),
        # Whoever hangs inside a transaction must not hold everybody else for good.
        "idle_in_transaction_session_timeout": 1000 * ABANDONED_AFTER_S,
        "synchronous_commit": "on",
        "default_transaction_isolation": r"read\ committed",
    }
    made = create_engine(
        url.difference_update_query(["options"]),
        poolclass=NullPool,
        hide_parameters=True,
        use_native_hstore=False,
        connect_args={
            "application_name": "ops",
            "connect_timeout": CONNECT_TIMEOUT_S,
            "tcp_user_timeout": 1000 * ceil(statement_s),
            "prepare_threshold": None,
            # Ours last: what the address says cannot take durability away.
            "options": " ".join([options, *(f"-c {name}={value}" for name, value in ours.items())]).strip(),
        },
    )
    connection_class = _impatient(statement_s + _GRACE_S)

    def connect(_dialect: object, _record: object, arguments: list[Any], named: dict[str, Any]) -> object:
        return connection_class.connect(*arguments, **named)

    event.listen(made, "do_connect", connect)
    return made


def _impatient(patience_s: float) -> Any:
    import psycopg

    def hurried(connection: psycopg.Connection[Any], waiting: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        ends_at = time.monotonic() + patience_s
        try:
            wanted = next(waiting)
            while True:
                ready = yield wanted
                if not ready and time.monotonic() > ends_at:
                    connection.pgconn.finish()
                    raise psycopg.OperationalError(f"the server said nothing for {patience_s:g} s")
                wanted = waiting.send(ready)
        except StopIteration as end:
            return end.value

    class Impatient(psycopg.Connection[Any]):
        """A connection that gives up on a server that says nothing."""

        def wait(self, gen: Any, *arguments: Any, **named: Any) -> Any:
            return super().wait(hurried(self, gen), *arguments, **named)

    return Impatient
