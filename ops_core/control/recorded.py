"""Receipts that are their own audit rows: how the newest ones, or a certain one, are read back.

What is told once and never changed needs no table beside the audit: the row is hashed, chained, and written in the
transaction of what it tells of. Newest means by number, never by time: clocks can be put back. A row whose hash is not
the one of its values is believed by nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, select

from ops_core.control import problems, schema
from ops_core.control.audit import AuditRow, verify_row
from ops_core.control.store import Transaction

NEWEST_MAX = 1000
_audit = schema.audit


def latest_of(tx: Transaction, action: str) -> dict[str, Any] | None:
    """What the newest row of that action tells; None where there is none.

    Raises:
        StoreUnusable: the row was changed after it was written.
    """
    found = newest_of(tx, (action,), 1)
    return found[0].data if found else None


def one_of(tx: Transaction, action: str, subject: str) -> dict[str, Any] | None:
    """What the newest row of that action about exactly that subject tells; None where there is none.

    Raises:
        StoreUnusable: the row was changed after it was written.
    """
    wanted = select(_audit).where(_audit.c.action == action, _audit.c.subject == subject)
    found = _read(tx, wanted, 1)
    return found[0].data if found else None


def newest_of(tx: Transaction, actions: Sequence[str], limit: int) -> tuple[AuditRow, ...]:
    """The newest rows of any of these actions, the newest first; at most 1000 of them.

    Raises:
        StoreUnusable: one of them was changed after it was written.
    """
    return _read(tx, select(_audit).where(_audit.c.action.in_(tuple(actions))), limit)


def _read(tx: Transaction, wanted: Select[Any], limit: int) -> tuple[AuditRow, ...]:
    newest = wanted.order_by(_audit.c.seq.desc()).limit(max(1, min(limit, NEWEST_MAX)))
    found = tuple(AuditRow(**row) for row in tx.execute(newest).mappings())
    for row in found:
        try:
            verify_row(row)
        except ValueError as error:
            raise problems.distrusted(tx.location, error) from None
    return found
