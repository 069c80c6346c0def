"""The outbox: messages that wait to leave, each with the state that says what became of it.

`PENDING -> SENDING -> SENT | FAILED | UNKNOWN`, or `WITHDRAWN`. Nothing leads out of the last four, and nothing but the
one live fire that was permitted leads into SENDING. So a message leaves once at most: whoever finds one in SENDING
whose process is gone cannot know whether it left, and calls it UNKNOWN.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ops_core.clock import isoformat, new_run_id
from ops_core.config import SecretMissing, Settings, read_secret
from ops_core.control import schema
from ops_core.control.model import OUTBOX_MAX, Channel, Permit, required_reason, tidy
from ops_core.control.service import ControlPlane
from ops_core.control.store import Transaction
from ops_core.errors import Refused, UsageError

PENDING, SENDING, SENT, FAILED, UNKNOWN, WITHDRAWN = "PENDING", "SENDING", "SENT", "FAILED", "UNKNOWN", "WITHDRAWN"
BODY_MAX_UNITS = 4096  # UTF-16 code units: that is how the Bot API counts
WAITING_MAX = 1000
CUT = "\n\n[…]"
LISTED_MAX = 200
APPRISE = "apprise"
DETAIL_MAX_CHARS = 300
ADD_COMMAND = "ops outbox add --text …"
LIST_COMMAND = "ops outbox list"

_DIRECTION = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True, kw_only=True)
class Message:
    """One message of the outbox. Instants are ISO 8601 in UTC, empty where it did not come so far."""

    id: str
    created_at: str
    created_by: str
    body: str
    state: str
    fire_id: str = ""
    claimed_at: str = ""
    ended_at: str = ""
    detail: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 over id and body: what the outbox's digest is made of."""
        return digest_of(self.id, self.body)

    def as_dict(self) -> dict[str, str]:
        """As JSON values."""
        return {
            "id": self.id,
            "state": self.state,
            "created_at": self.created_at,
            "created_by": self.created_by,
            "body": self.body,
            "fire_id": self.fire_id,
            "claimed_at": self.claimed_at,
            "ended_at": self.ended_at,
            "detail": self.detail,
        }


def add_message(plane: ControlPlane, body: str, by: str | None = None) -> str:
    """Put a message into the outbox, and return its id. It leaves with a live fire, or not at all.

    Args:
        plane: the control plane.
        body: what it says; characters that could not be sent or would hide something become blanks.
        by: whose message it is; the plane's actor unless given.

    Raises:
        UsageError: there is no text in it, or too much.
        Refused: the outbox is full.
        StoreUnusable: the store cannot be changed.
    """
    fit, who = fit_body(body), plane.actor if by is None else tidy(by, plane.actor)
    with plane.transaction() as change:
        now = plane.clock.now()
        if len(_rows(change, schema.outbox.c.state == PENDING, limit=WAITING_MAX)) >= WAITING_MAX:
            raise Refused(
                f"{WAITING_MAX} messages wait already",
                where="outbox",
                allowed=f"at most {WAITING_MAX}",
                next_step="send them, or ops outbox withdraw ID --reason …",
            )
        # The number of its audit row: unique, and of two messages of one millisecond the earlier one comes first.
        message_id = "M-" + new_run_id(now, f"{change.head[0] + 1:06d}")
        change.execute(
            schema.outbox.insert().values(
                id=message_id,
                created_at=isoformat(now),
                created_by=who,
                body=fit,
                digest=digest_of(message_id, fit),
                state=PENDING,
                detail="",
            )
        )
        detail = {"digest": digest_of(message_id, fit), "chars": len(fit)}
        change.audit(at=now, actor=who, action="outbox.added", subject=message_id, detail=detail)
    return message_id


def withdraw(plane: ControlPlane, message_id: str, reason: str, by: str | None = None) -> Message:
    """Take a message back that nobody began to send.

    Raises:
        UsageError: there is no message of that id, or no fit reason.
        Refused: it does not wait any more.
        StoreUnusable: the store cannot be changed.
    """
    fit_reason = required_reason(reason, "withdrawing a message", "ops outbox withdraw ID --reason …")
    who = plane.actor if by is None else tidy(by, plane.actor)
    with plane.transaction() as change:
        now = plane.clock.now()
        if not _move(
            change, message_id, PENDING, {"state": WITHDRAWN, "ended_at": isoformat(now), "detail": fit_reason}
        ):
            found = find(change, message_id)
            raise Refused(
                f"the message is {found.state} and cannot be withdrawn",
                where=f"message {message_id}",
                allowed=f"a message that is {PENDING}",
                next_step=LIST_COMMAND,
            )
        change.audit(at=now, actor=who, action="outbox.withdrawn", subject=message_id, detail={"reason": fit_reason})
        return find(change, message_id)


def find(found: Transaction, message_id: str) -> Message:
    """The message of that id.

    Raises:
        UsageError: there is none.
    """
    rows = _rows(found, schema.outbox.c.id == message_id, limit=1)
    if not rows:
        raise UsageError(f"there is no message {tidy(message_id, '?')!r}", where="outbox", next_step=LIST_COMMAND)
    return rows[0]


def queue_update(plane: ControlPlane, document: str, by: str) -> str:
    """Put an update about an incident into the outbox, and return the message's id.

    It waits there like every message: it leaves with a live fire, or not at all. What is longer than a message may be
    is cut where a paragraph ends, and says so.

    Args:
        plane: the control plane.
        document: the update as it was written for people.
        by: who gave it.

    Raises:
        Refused: the outbox is full.
        StoreUnusable: the store cannot be changed.
    """
    text = document.strip()
    while len(f"{text}{CUT}".encode("utf-16-le")) // 2 > BODY_MAX_UNITS:
        text = text.rpartition("\n\n")[0] or text[: len(text) // 2]
    return add_message(plane, text if text == document.strip() else text + CUT, by)


def messages(found: Transaction, limit: int = LISTED_MAX) -> tuple[Message, ...]:
    """The newest messages whatever their state, newest first."""
    table = schema.outbox
    rows = found.execute(table.select().order_by(table.c.created_at.desc(), table.c.id.desc()).limit(limit))
    return tuple(_message(row) for row in rows.mappings())


def pending(found: Transaction) -> tuple[Message, ...]:
    """The messages that wait, oldest first, at most `OUTBOX_MAX`: what a window may permit."""
    return _rows(found, schema.outbox.c.state == PENDING, limit=OUTBOX_MAX)


def of_fire(found: Transaction, fire_id: str) -> tuple[Message, ...]:
    """The messages that a live fire began to send, oldest first."""
    return _rows(found, schema.outbox.c.fire_id == fire_id, limit=OUTBOX_MAX)


def offer(found: Transaction, settings: Settings, run_id: str) -> Permit:
    """What would be sent now if it were permitted: the messages that wait, and where they would go."""
    from ops_core.control.contracts import allowlist_digest

    waiting = pending(found)
    return Permit(
        run_id=run_id,
        message_ids=tuple(message.id for message in waiting),
        outbox_digest=outbox_digest(waiting),
        allowlist_digest=allowlist_digest(settings),
        channel=channel_of(settings),
        destination=destination_of(settings),
    )


def outbox_digest(waiting: Sequence[Message]) -> str:
    """SHA-256 over ids and bodies, in their order."""
    return _sha256(json.dumps([[message.id, message.digest] for message in waiting], separators=(",", ":")))


def channel_of(settings: Settings) -> Channel:
    """Where messages of this profile go: to the channel it names, else to its Telegram chat, else to the console."""
    if settings.push.channel:
        return Channel.NOTIFY_ONLY
    named = settings.push.telegram_token and settings.push.telegram_chat
    return Channel.TELEGRAM_ONLY if named else Channel.CONSOLE_ONLY


def destination_of(settings: Settings) -> str:
    """Server, bot and chat, or channel and address, as one digest that names none of them. Empty for the console.

    Where a secret has no value there is no destination either; the self test says so.
    """
    channel = channel_of(settings)
    if channel is Channel.CONSOLE_ONLY:
        return ""
    try:
        if channel is Channel.NOTIFY_ONLY:
            name = settings.push.channel or ""
            return destination_digest(APPRISE, read_secret(settings, settings.push.notify[name]), name)
        token = read_secret(settings, settings.push.telegram_token or "")
        chat = read_secret(settings, settings.push.telegram_chat or "")
    except SecretMissing:
        return "unknown"
    return destination_digest(settings.push.telegram_url, token, chat)


def destination_digest(url: str, token: str, chat: str) -> str:
    """Server, bot and chat as one digest, in hexadecimal."""
    place = f"{url}\n{chat}".encode("utf-8", "surrogateescape")
    return hmac.new(token.encode("utf-8", "surrogateescape"), place, hashlib.sha256).hexdigest()


def claim(change: Transaction, message: Message, fire_id: str, now: datetime) -> bool:
    """PENDING -> SENDING for one live fire; false where it is not PENDING any more, or says something else now."""
    rows = _rows(change, schema.outbox.c.id == message.id, limit=1)
    if not rows or rows[0].body != message.body:
        return False
    return _move(change, message.id, PENDING, {"state": SENDING, "fire_id": fire_id, "claimed_at": isoformat(now)})


def settle(change: Transaction, message_id: str, fire_id: str, state: str, detail: str, now: datetime) -> bool:
    """SENDING -> SENT, FAILED or UNKNOWN; false where this fire is not sending it any more."""
    table = schema.outbox
    values = {"state": state, "ended_at": isoformat(now), "detail": tidy(detail, "-", DETAIL_MAX_CHARS)}
    statement = table.update().where(table.c.id == message_id, table.c.state == SENDING, table.c.fire_id == fire_id)
    return bool(change.execute(statement.values(**values)).rowcount == 1)


def fit_body(body: str) -> str:
    """The text as it is kept: line ends as one character, nothing that hides or cannot be encoded.

    Raises:
        UsageError: nothing is left, or more than may be sent.
    """
    allowed = f"1 to {BODY_MAX_UNITS} characters; an emoji counts as two"
    # Cut first: nobody has to clean megabytes.
    if len(body) > 4 * BODY_MAX_UNITS:
        raise UsageError("the message is too long", where="text", allowed=allowed, next_step="send it in parts")
    lines = body.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    text = "\n".join("".join(" " if _unfit(char) else char for char in line).rstrip() for line in lines).strip()
    if not text:
        raise UsageError("the message says nothing", where="text", allowed=allowed, next_step=ADD_COMMAND)
    if len(text.encode("utf-16-le")) // 2 > BODY_MAX_UNITS:
        raise UsageError("the message is too long", where="text", allowed=allowed, next_step="send it in parts")
    return text


def digest_of(message_id: str, body: str) -> str:
    """SHA-256 over the id and the body of a message."""
    return _sha256(json.dumps([message_id, body]))


def _unfit(char: str) -> bool:
    return unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} or char in _DIRECTION


def _move(change: Transaction, message_id: str, state: str, values: dict[str, str]) -> bool:
    table = schema.outbox
    statement = table.update().where(table.c.id == message_id, table.c.state == state).values(**values)
    return bool(change.execute(statement).rowcount == 1)


def _rows(found: Transaction, condition: Any, *, limit: int) -> tuple[Message, ...]:
    table = schema.outbox
    statement = table.select().where(condition).order_by(table.c.created_at, table.c.id).limit(limit)
    return tuple(_message(row) for row in found.execute(statement).mappings())


def _message(row: Any) -> Message:
    return Message(
        id=row["id"],
        created_at=row["created_at"],
        created_by=row["created_by"],
        body=row["body"],
        state=row["state"],
        fire_id=row["fire_id"] or "",
        claimed_at=row["claimed_at"] or "",
        ended_at=row["ended_at"] or "",
        detail=row["detail"],
    )


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("ascii")).hexdigest()
