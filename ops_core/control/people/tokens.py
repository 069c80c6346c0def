"""Tokens: what speaks for an operator at the server. Only a hash is kept, and every refusal sounds the same."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import func, insert, select, update

from ops_core.clock import isoformat, parse_instant
from ops_core.control import schema
from ops_core.control.audit import canonical
from ops_core.control.people.names import fold_name
from ops_core.control.people.operators import TOKEN_DAYS, Operator, known_operator, who_acts
from ops_core.control.service import ControlPlane
from ops_core.control.store import Transaction
from ops_core.errors import Refused, UsageError

SCOPES = ("stop", "gate", "window", "approve", "sender", "fire", "cycle", "outbox", "admin", "alert")
SCOPES_DEFAULT = ("window", "approve")
TOKEN_PREFIX = "ops_"  # noqa: S105 — what every token begins with is no secret
TOKEN_BYTES = 32
TOKEN_DAYS_MAX = 365
TOKENS_MAX = 20
ISSUE_COMMAND = "ops operator token NAME"
_TOKEN = re.compile(r"ops_[A-Za-z0-9_-]{43}")


class Unauthenticated(Refused):
    """No token that counts was shown. It never says whether it is missing, wrong, expired or revoked."""


class Forbidden(Refused):
    """The token counts, and is not good for this."""


@dataclass(frozen=True, kw_only=True)
class Issued:
    """A new token, told once and kept nowhere."""

    id: str
    operator: str
    token: str = field(repr=False)
    scopes: tuple[str, ...]
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class TokenSeen:
    """A token as the list shows it: everything but itself. Instants are ISO 8601 in UTC."""

    id: str
    operator: str
    scopes: tuple[str, ...]
    issued_at: str
    expires_at: str
    revoked_at: str


def issue_token(
    plane: ControlPlane, name: str, *, scopes: Sequence[str], token_days: int = TOKEN_DAYS, actor: str | None = None
) -> Issued:
    """Issue another token to an operator.

    Raises:
        UsageError: scopes or days are not what they must be.
        Refused: there is no such operator in force, or they have too many tokens.
        StoreUnusable: the store cannot be changed.
    """
    folded, fit_scopes = fold_name(name), check_scopes(scopes)
    check_token_days(token_days)
    with plane.transaction() as change:
        known_operator(change, folded)
        who = who_acts(plane, actor)
        return put_token(change, folded, fit_scopes, token_days, at=plane.clock.now(), actor=who)


def revoke_token(plane: ControlPlane, token_id: str, *, actor: str | None = None) -> TokenSeen:
    """End one token.

    Raises:
        Refused: there is none of that id, or it was revoked already.
        StoreUnusable: the store cannot be changed.
    """
    table = schema.token
    with plane.transaction() as change:
        now, who = plane.clock.now(), who_acts(plane, actor)
        ended = change.execute(
            update(table)
            .where(table.c.id == token_id, table.c.revoked_at.is_(None))
            .values(revoked_at=isoformat(now), revoked_by=who)
        )
        if ended.rowcount != 1:
            raise Refused("there is no such token in force", where=f"token {token_id}", next_step="ops operator list")
        seen = next(one for one in _seen(change) if one.id == token_id)
        change.audit(at=now, actor=who, action="token.revoked", subject=seen.operator, detail={"token_id": token_id})
        return seen


def list_tokens(plane: ControlPlane) -> tuple[TokenSeen, ...]:
    """All tokens ever issued, by operator and time.

    Raises:
        StoreUnusable: the store cannot be read or trusted.
    """
    with plane.snapshot() as found:
        return _seen(found)


def authenticate(plane: ControlPlane, token_text: str, scope: str) -> Operator:
    """The operator for whom a token speaks, if it is good for the scope.

    Raises:
        Unauthenticated: no token, or none that counts now.
        Forbidden: it lacks the scope.
        StoreUnusable: the store cannot be read or trusted.
    """
    if scope not in SCOPES:
        raise ValueError(f"there is no scope {scope!r}")
    if not _TOKEN.fullmatch(token_text):
        raise _unauthenticated()
    hashed, table = _hash(token_text), schema.token
    with plane.snapshot() as found:
        row = found.execute(select(table).where(table.c.token_hash == hashed)).one_or_none()
        # Looked up by a hash that nobody can steer; compared once more in constant time, whatever the database does.
        if row is None or not hmac.compare_digest(row.token_hash, hashed) or row.revoked_at is not None:
            raise _unauthenticated()
        try:
            in_force = parse_instant(row.issued_at) <= plane.clock.now() < parse_instant(row.expires_at)
            scopes = check_scopes(json.loads(row.scopes))
            operator = known_operator(found, row.operator)
        except (ValueError, TypeError, UsageError, Refused):
            raise _unauthenticated() from None
        if not in_force:
            raise _unauthenticated()
    if scope not in scopes:
        raise Forbidden(
            f"the token of {operator.name} is not good for {scope!r}",
            where=f"token {row.id}",
            allowed=", ".join(scopes),
            next_step=f"ops operator token {operator.name} --scope {scope}",
        )
    return Operator(name=operator.name, public_key=operator.public_key, scopes=scopes)


def put_token(
    change: Transaction, name: str, scopes: tuple[str, ...], days: int, *, at: datetime, actor: str
) -> Issued:
    """Record a new token in a transaction: its hash, its scopes, its end."""
    table, token = schema.token, TOKEN_PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
    in_force = select(func.count()).select_from(table).where(table.c.operator == name, table.c.revoked_at.is_(None))
    if change.execute(in_force.where(table.c.expires_at > isoformat(at))).scalar_one() >= TOKENS_MAX:
        raise Refused(
            f"{name} has {TOKENS_MAX} tokens in force",
            where=f"operator {name}",
            next_step="ops operator revoke-token ID",
        )
    token_id, until = "T-" + secrets.token_hex(6), at + timedelta(days=days)
    change.audit(
        at=at,
        actor=actor,
        action="token.issued",
        subject=name,
        detail={"token_id": token_id, "scopes": list(scopes), "expires_at": isoformat(until)},
    )
    change.execute(
        insert(table).values(
            id=token_id,
            operator=name,
            token_hash=_hash(token),
            scopes=canonical(list(scopes)),
            issued_at=isoformat(at),
            expires_at=isoformat(until),
        )
    )
    return Issued(id=token_id, operator=name, token=token, scopes=scopes, expires_at=until)


def check_scopes(scopes: Sequence[str]) -> tuple[str, ...]:
    """The scopes in the order of `SCOPES`, each once.

    Raises:
        UsageError: there is none, or one that does not exist.
    """
    wanted = set(scopes)
    if not wanted or not wanted <= set(SCOPES):
        told = ", ".join(sorted(map(repr, wanted - set(SCOPES)))) or "nothing"
        raise UsageError(f"a token cannot be good for {told}", where="scope", allowed=", ".join(SCOPES))
    return tuple(scope for scope in SCOPES if scope in wanted)


def check_token_days(days: int) -> None:
    """Refuse an end that is none.

    Raises:
        UsageError: it is not within a year.
    """
    if type(days) is not int or not 1 <= days <= TOKEN_DAYS_MAX:
        raise UsageError(f"a token cannot last {days} days", where="days", allowed=f"1 to {TOKEN_DAYS_MAX}")


def _seen(found: Transaction) -> tuple[TokenSeen, ...]:
    table = schema.token
    return tuple(
        TokenSeen(
            id=row.id,
            operator=row.operator,
            scopes=tuple(json.loads(row.scopes)),
            issued_at=row.issued_at,
            expires_at=row.expires_at,
            revoked_at=row.revoked_at or "",
        )
        for row in found.execute(select(table).order_by(table.c.operator, table.c.issued_at, table.c.id))
    )


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("ascii")).hexdigest()


def _unauthenticated() -> Unauthenticated:
    return Unauthenticated(
        "this needs an operator's token",
        where="Authorization",
        allowed="Bearer ops_…, of an operator in force, not expired and not revoked",
        next_step=ISSUE_COMMAND,
    )
