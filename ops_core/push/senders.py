"""The ways out: the console, a chat through the Bot API of Telegram, and whatever Apprise knows (`notifying`).

A sender tries once and says one of three things: delivered, not delivered, or unknown. Not delivered is said only
where it is certain: nothing was written yet, or the server refused. Everything else may have arrived, so it is unknown.
Neither token nor chat is ever in what a sender says, and the HTTP library, which likes to tell addresses, is silenced.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from ops_core.clock import isoformat
from ops_core.config import SecretMissing, Settings, read_secret
from ops_core.control.model import Channel, tidy
from ops_core.errors import OpsError
from ops_core.probes.instruments.redact import Redactor
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

RESPONSE_MAX_BYTES = 65_536
DETAIL_MAX_CHARS = 200
_LOGGERS = ("httpx", "httpcore.connection", "httpcore.http11", "httpcore.http2", "httpcore.proxy")


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
        from ops_core.observation.loop import DaemonLoop

        # Its import takes a while, which is not the server's fault.
        importlib.import_module("httpx")
        exchange = _Exchange()
        # Helper threads of asyncio's own loops are waited for: one hanging name server would hold us for good.
        with _silent(), asyncio.Runner(loop_factory=DaemonLoop) as runner:
            try:
                return runner.run(asyncio.wait_for(self._post(body, exchange), self.timeout_s))
            except TimeoutError:
                return exchange.broken(f"no answer within {self.timeout_s:g} s")
            except Exception as error:  # noqa: BLE001 — whatever it was, the message has left or it has not
                # The name of the class only: texts of the library hold the address, and the address the token.
                return exchange.broken(type(error).__name__)

    async def _post(self, body: str, exchange: _Exchange) -> Result:
        import httpx

        address = f"{self.url.rstrip('/')}/bot{quote(self.token, safe=':')}/sendMessage"
        content = json.dumps({"chat_id": self.chat, "text": fit_for_json(body)}).encode("ascii")
        async with (
            httpx.AsyncClient(
                trust_env=False,
                follow_redirects=False,
                verify=self.tls,
                # One limit stands around everything, in `send`. Connecting and its handshake end before it by
                # themselves: a handshake that is broken off from outside would leave its socket open.
                timeout=httpx.Timeout(None, connect=0.4 * self.timeout_s),
                headers={"content-type": "application/json", "accept-encoding": "identity"},
            ) as client,
            client.stream("POST", address, content=content, extensions={"trace": exchange.note}) as answer,
        ):
            if answer.status_code in REFUSALS:
                return await self._refused(answer)
            if answer.status_code != 200:
                return Unknown(detail=f"the server answered {answer.status_code}")
            return _judged(await _body_of(answer))

    async def _refused(self, answer: httpx.Response) -> Result:
        said = ""
        with contextlib.suppress(Exception):
            told = json.loads(await asyncio.wait_for(_body_of(answer), 1.0))
            said = str(told.get("description", "")) if isinstance(told, dict) else ""
        said = tidy(Redactor((self.token, self.chat)).text(said), "", DETAIL_MAX_CHARS)
        detail = f"refused with {answer.status_code}" + (f": {said}" if said else "")
        return NotDelivered(detail=detail, way_out=answer.status_code != 400)


@dataclass(kw_only=True)
class _Exchange:
    """How far one exchange came, as the library tells it while it goes on."""

    last: str = ""

    async def note(self, name: str, _info: dict[str, Any]) -> None:
        """Take down an event such as `connection.connect_tcp.started`."""
        self.last = name

    def broken(self, why: str) -> Result:
        """What it means that the exchange ended without an answer."""
        # Certain only while the last thing heard of was connecting; silence proves nothing.
        if self.last.startswith("connection."):
            return NotDelivered(detail=f"not connected: {why}")
        return Unknown(detail=f"broken off after connecting: {why}")


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
    tls: ssl.SSLContext | bool = True
    if settings.ca_file is not None and push.telegram_url.startswith("https:"):
        import ssl

        try:
            tls = ssl.create_default_context(cafile=str(settings.ca_file))
        except (OSError, ssl.SSLError) as error:
            raise OpsError("the certificates cannot be read", where=f"{settings.ca_file} ({error})") from None
    return TelegramSender(url=push.telegram_url, token=token, chat=chat, timeout_s=push.timeout_s, tls=tls)


async def _body_of(answer: httpx.Response) -> bytes:
    found = b""
    async for chunk in answer.aiter_raw():
        found += chunk
        if len(found) > RESPONSE_MAX_BYTES:
            raise ValueError("the answer is too long")
    return found


def _judged(body: bytes) -> Result:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return Unknown(detail="the server answered 200 and something that is no JSON")
    if not isinstance(told, dict) or told.get("ok") is not True:
        return Unknown(detail="the server answered 200 without ok")
    result = told.get("result")
    number = result.get("message_id") if isinstance(result, dict) else None
    return Delivered(detail=f"message {number} of the chat" if type(number) is int else "accepted by the server")


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Let the HTTP library log nothing, whatever anybody has configured: its lines hold the address with the token."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        yield
    finally:
        for logger, was in zip(loggers, before, strict=True):
            logger.disabled = was
