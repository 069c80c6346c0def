"""The ways out: the console, a chat through the Bot API of Telegram, and whatever Apprise knows (`notifying`).

A sender tries once and says one of three things: delivered, not delivered, or unknown. Not delivered is said only
where it is certain: nothing was written yet, or the server refused. Everything else may have arrived, so it is unknown.
Neither token nor chat is ever in what a sender says, and the HTTP library, which likes to tell addresses, is silenced.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

from ops_core.clock import isoformat
from ops_core.config import SecretMissing, Settings, read_secret
from ops_core.control.model import Channel, tidy
from ops_core.errors import OpsError
from ops_core.probes.instruments.redact import Redactor
from ops_core.push.exchange import body_of, certificates, post_once
from ops_core.push.outbox import destination_digest
from ops_core.push.results import REFUSALS, Delivered, NotDelivered, Result, Unknown, fit_for_json

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from datetime import datetime

    import httpx

__all__ = [
    "ConsoleSender",
    "Delivered",
    "NotDelivered",
    "Sender",
    "TelegramSender",
    "Unknown",
    "fit_for_json",
    "sender_for",
]

DETAIL_MAX_CHARS = 200


class Sender(Protocol):
    """A way out for messages. `destination` is the digest of where it leads, as permits name it."""

    @property
    def destination(self) -> str:
        """Where it leads, as a digest; empty for the console."""

    def send(self, body: str) -> Result:
        """Try once to send a message. Never raises for the sake of the way out."""


@dataclass(kw_only=True)
class ConsoleSender:
    """Messages as lines on standard error, for whoever looks at it or keeps it in a log."""

    now: Callable[[], datetime]

    @property
    def destination(self) -> str:
        return ""

    def send(self, body: str) -> Result:
        """Write the message as one line."""
        line = json.dumps({"at": isoformat(self.now()), "channel": Channel.CONSOLE_ONLY.value, "message": body})
        try:
            # Standard output belongs to the receipt.
            sys.stderr.write(line + "\n")
            sys.stderr.flush()
        except (OSError, ValueError) as error:
            return Unknown(detail=f"the console broke: {type(error).__name__}")
        return Delivered(detail="written to the console")


@dataclass(kw_only=True)
class TelegramSender:
    """Messages to one chat, each with a connection of its own: none is ever repeated by the library.

    Args:
        url: the server of the Bot API, without a path.
        token: the bot's.
        chat: where to.
        timeout_s: seconds for everything together, name look-up and answer included.
        tls: how https is verified; the system's certificates unless given.
    """

    url: str
    token: str = field(repr=False)
    chat: str = field(repr=False)
    timeout_s: float
    tls: ssl.SSLContext | bool = True

    @property
    def destination(self) -> str:
        return destination_digest(self.url, self.token, self.chat)

    def send(self, body: str) -> Result:
        """Send the text as it is, without any mark-up."""
        address = f"{self.url.rstrip('/')}/bot{quote(self.token, safe=':')}/sendMessage"
        content = json.dumps({"chat_id": self.chat, "text": fit_for_json(body)}).encode("ascii")
        return post_once(address, content, {}, self._judged, timeout_s=self.timeout_s, tls=self.tls)

    async def _judged(self, answer: httpx.Response) -> Result:
        if answer.status_code in REFUSALS:
            return await self._refused(answer)
        if answer.status_code != 200:
            return Unknown(detail=f"the server answered {answer.status_code}")
        return _accepted(await body_of(answer))

    async def _refused(self, answer: httpx.Response) -> Result:
        said = ""
        with contextlib.suppress(Exception):
            told = json.loads(await asyncio.wait_for(body_of(answer), 1.0))
            said = str(told.get("description", "")) if isinstance(told, dict) else ""
        said = tidy(Redactor((self.token, self.chat)).text(said), "", DETAIL_MAX_CHARS)
        detail = f"refused with {answer.status_code}" + (f": {said}" if said else "")
        return NotDelivered(detail=detail, way_out=answer.status_code != 400)


def sender_for(settings: Settings, channel: Channel, now: Callable[[], datetime]) -> Sender:
    """The way out of a channel.

    Raises:
        OpsError: the channel's secrets have no values here; nothing was tried.
    """
    if channel is Channel.CONSOLE_ONLY:
        return ConsoleSender(now=now)
    if channel is Channel.NOTIFY_ONLY:
        from ops_core.push.notifying import notify_sender

        return notify_sender(settings)
    push = settings.push
    try:
        token, chat = read_secret(settings, push.telegram_token or ""), read_secret(settings, push.telegram_chat or "")
    except SecretMissing as missing:
        raise OpsError(missing.what, where=missing.where, next_step="ops secrets") from None
    tls = certificates(settings.ca_file, push.telegram_url)
    return TelegramSender(url=push.telegram_url, token=token, chat=chat, timeout_s=push.timeout_s, tls=tls)


def _accepted(body: bytes) -> Result:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return Unknown(detail="the server answered 200 and something that is no JSON")
    if not isinstance(told, dict) or told.get("ok") is not True:
        return Unknown(detail="the server answered 200 without ok")
    result = told.get("result")
    number = result.get("message_id") if isinstance(result, dict) else None
    return Delivered(detail=f"message {number} of the chat" if type(number) is int else "accepted by the server")
