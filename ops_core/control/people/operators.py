"""Operators: one name and one key for each person, for good.

Names and keys are never used again, not even after they were revoked: a record that names somebody always means the
same person. The table is what is looked up; the audit chain is what it is believed for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sqlalchemy import insert, or_, select, update

from ops_core.clock import isoformat
from ops_core.control import schema
from ops_core.control.audit import AuditRow, verify_row
from ops_core.control.model import NOBODY, tidy
from ops_core.control.people.keys import fit_public_key, make_key
from ops_core.control.people.names import fold_name
from ops_core.control.service import ControlPlane
from ops_core.control.store import Transaction
from ops_core.errors import Refused, UsageError

ADD_COMMAND = "ops operator add NAME --public-key HEX"
LIST_COMMAND = "ops operator list"
ADDED, REVOKED = "operator.added", "operator.revoked"
TOKEN_DAYS = 90
OPERATORS_MAX = 1_000


@dataclass(frozen=True, kw_only=True)
class Operator:
    """A person in force, and what the token that spoke for them is good for."""

    name: str
    public_key: str
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Added:
    """A new operator. `token` is told once and kept nowhere; `key_file` is None where the person brought a key."""

    name: str
    public_key: str
    key_file: Path | None
    token: str = field(repr=False)
    token_id: str
    scopes: tuple[str, ...]
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class OperatorSeen:
    """An operator as the list shows them. Instants are ISO 8601 in UTC; `revoked_at` is empty while in force."""

    name: str
    public_key: str
    added_at: str
    added_by: str
    revoked_at: str
    revoked_by: str


def add_operator(
    plane: ControlPlane,
    name: str,
    *,
    public_key: str | None = None,
    key_file: Path | None = None,
    passphrase: bytes = b"",
    scopes: Sequence[str],
    token_days: int = TOKEN_DAYS,
    actor: str | None = None,
) -> Added:
    """Record a person with a key of theirs, or with one made in `key_file`, and issue a first token.

    Raises:
        UsageError: name, key, scopes or days are not what they must be.
        Refused: the name or the key belongs, or belonged, to somebody.
        StoreUnusable: the store cannot be changed; no key file is left behind.
    """
    from ops_core.control.people.tokens import check_scopes, check_token_days, put_token

    folded, fit_scopes = fold_name(name), check_scopes(scopes)
    check_token_days(token_days)
    if (public_key is None) == (key_file is None):
        raise UsageError("an operator has one key", where=folded, allowed="--public-key HEX, or --new-key FILE")
    made = None if key_file is None else key_file.absolute()
    key = fit_public_key(public_key) if public_key is not None else ""
    with contextlib.ExitStack() as undo:
        if made is not None:
            key = make_key(made, passphrase)
            undo.callback(made.unlink, missing_ok=True)
        with plane.transaction() as change:
            now, who = plane.clock.now(), who_acts(plane, actor)
            _refuse_known(change, folded, key)
            row = change.audit(at=now, actor=who, action=ADDED, subject=folded, detail={"public_key": key})
            change.execute(
                insert(schema.operator).values(name=folded, public_key=key, added_at=row.at, added_by=row.actor)
            )
            issued = put_token(change, folded, fit_scopes, token_days, at=now, actor=who)
        undo.pop_all()
    return Added(
        name=folded,
        public_key=key,
        key_file=made,
        token=issued.token,
        token_id=issued.id,
        scopes=issued.scopes,
        expires_at=issued.expires_at,
    )


def revoke_operator(plane: ControlPlane, name: str, *, actor: str | None = None) -> OperatorSeen:
    """End what a person may do: tokens are revoked, and approvals that stand are worth nothing from now on.

    Raises:
        Refused: there is no such operator, or they were revoked already.
        StoreUnusable: the store cannot be changed.
    """
    folded = fold_name(name)
    with plane.transaction() as change:
        at, who = isoformat(plane.clock.now()), who_acts(plane, actor)
        gone = {"revoked_at": at, "revoked_by": who}
        table, tokens = schema.operator, schema.token
        found = change.execute(update(table).where(table.c.name == folded, table.c.revoked_at.is_(None)).values(**gone))
        if found.rowcount != 1:
            raise _unknown(folded, "there is no operator of that name in force")
        ended = change.execute(
            update(tokens).where(tokens.c.operator == folded, tokens.c.revoked_at.is_(None)).values(**gone)
        )
        change.audit(at=plane.clock.now(), actor=who, action=REVOKED, subject=folded, detail={"tokens": ended.rowcount})
        return next(one for one in _seen(change) if one.name == folded)


def list_operators(plane: ControlPlane) -> tuple[OperatorSeen, ...]:
    """All operators ever added, by name.

    Raises:
        StoreUnusable: the store cannot be read or trusted.
    """
    with plane.snapshot() as found:
        return _seen(found)


def known_operator(found: Transaction, name: str) -> Operator:
    """The operator of that name, in force, as table and audit chain agree.

    Raises:
        Refused: there is none, they were revoked, or the table says something that was never recorded.
    """
    table = schema.operator
    row = found.execute(select(table).where(table.c.name == name)).one_or_none()
    if row is None:
        raise _unknown(name, "there is no operator of that name")
    problem = _unproven(found, name, row.public_key)
    if problem or row.revoked_at is not None:
        raise _unknown(name, problem or f"{name} was revoked {row.revoked_at}")
    return Operator(name=row.name, public_key=row.public_key)


def operator_of_key(plane: ControlPlane, public_key: str) -> Operator:
    """The operator in force whose key it is.

    Raises:
        Refused: it is nobody's, or its operator was revoked.
        StoreUnusable: the store cannot be read or trusted.
    """
    table = schema.operator
    with plane.snapshot() as found:
        row = found.execute(select(table.c.name).where(table.c.public_key == public_key)).one_or_none()
        if row is None:
            raise Refused(
                "the key belongs to no operator",
                where=f"public key {public_key}",
                allowed="the key of an operator in force",
                next_step=f"ops operator add NAME --public-key {public_key}",
            )
        return known_operator(found, row.name)


def who_acts(plane: ControlPlane, actor: str | None) -> str:
    """Whose name a record bears: the plane's unless given, made fit."""
    return plane.actor if actor is None else tidy(actor, NOBODY)


def _unproven(found: Transaction, name: str, public_key: str) -> str:
    """Why the audit chain does not bear out that this name has this key; empty where it does."""
    rows = found.execute(
        select(schema.audit)
        .where(schema.audit.c.action.in_((ADDED, REVOKED)), schema.audit.c.subject == name)
        .order_by(schema.audit.c.seq)
    ).all()
    try:
        acts = [AuditRow(**row._mapping) for row in rows]  # noqa: SLF001 — public in SQLAlchemy despite its name
        for act in acts:
            verify_row(act)
        if [act.action for act in acts][:1] != [ADDED] or acts[0].data.get("public_key") != public_key:
            return f"the audit does not say that {name} was added with that key"
    except (ValueError, TypeError) as error:
        return f"the audit of {name} is damaged: {error}"
    return f"{name} was revoked {acts[1].at}" if len(acts) > 1 else ""


def _refuse_known(change: Transaction, name: str, public_key: str) -> None:
    table = schema.operator
    for row in change.execute(select(table).where(or_(table.c.name == name, table.c.public_key == public_key))):
        what = f"there is an operator {row.name} already" if row.name == name else f"the key is that of {row.name}"
        ended = f", revoked {row.revoked_at}: names and keys are never used again" if row.revoked_at else ""
        raise Refused(what + ended, where=name, allowed="a new name with a new key", next_step=LIST_COMMAND)
    if len(change.execute(select(table.c.name).limit(OPERATORS_MAX)).all()) >= OPERATORS_MAX:
        raise Refused("there are too many operators", where=name, allowed=f"at most {OPERATORS_MAX}")


def _seen(found: Transaction) -> tuple[OperatorSeen, ...]:
    rows = found.execute(select(schema.operator).order_by(schema.operator.c.name))
    return tuple(
        OperatorSeen(
            name=row.name,
            public_key=row.public_key,
            added_at=row.added_at,
            added_by=row.added_by,
            revoked_at=row.revoked_at or "",
            revoked_by=row.revoked_by or "",
        )
        for row in rows
    )


def _unknown(name: str, what: str) -> Refused:
    return Refused(what, where=f"operator {name}", allowed="an operator in force", next_step=LIST_COMMAND)
