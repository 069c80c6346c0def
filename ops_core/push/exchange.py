"""One request to a server outside, tried once, and what it means how it ended.

Not delivered is said only where it is certain: nothing was written yet, or the server refused. Everything else may have
arrived. The HTTP library, which likes to tell addresses, is silenced, and of its errors the class alone is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ops_core.errors import OpsError
from ops_core.push.results import NotDelivered, Result, Unknown

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    import httpx

RESPONSE_MAX_BYTES = 65_536
_LOGGERS = ("httpx", "httpcore.connection", "httpcore.http11", "httpcore.http2", "httpcore.proxy")


def post_once(
    address: str,
    content: bytes,
    headers: Mapping[str, str],
    judge: Callable[[httpx.Response], Awaitable[Result]],
    *,
    timeout_s: float,
    tls: ssl.SSLContext | bool = True,
) -> Result:
    """POST `content`, on a connection of its own, and judge the answer. Never raises for the sake of the server.

    Args:
        address: where to; it may hold a secret.
        content: JSON.
        headers: what else the server is told; they may hold a secret.
        judge: says what the answer means; its headers have been read, its body not.
        timeout_s: seconds for everything together, name look-up and answer included.
        tls: how https is verified; the system's certificates unless given.
    """
    from ops_core.observation.loop import DaemonLoop

    # Its import takes a while, which is not the server's fault.
    importlib.import_module("httpx")
    exchange = _Exchange()

    async def post() -> Result:
        import httpx

        async with (
            httpx.AsyncClient(
                trust_env=False,
                follow_redirects=False,
                verify=tls,
                # One limit stands around everything, below. Connecting and its handshake end before it by
                # themselves: a handshake that is broken off from outside would leave its socket open.
                timeout=httpx.Timeout(None, connect=0.4 * timeout_s),
                headers={"content-type": "application/json", "accept-encoding": "identity", **headers},
            ) as client,
            client.stream("POST", address, content=content, extensions={"trace": exchange.note}) as answer,
        ):
            return await judge(answer)

    # Helper threads of asyncio's own loops are waited for: one hanging name server would hold us for good.
    with _silent(), asyncio.Runner(loop_factory=DaemonLoop) as runner:
        try:
            return runner.run(asyncio.wait_for(post(), timeout_s))
        except TimeoutError:
            return exchange.broken(f"no answer within {timeout_s:g} s")
        except Exception as error:  # noqa: BLE001 — whatever it was, the message has left or it has not
            # The name of the class only: texts of the library hold the address, and the address may hold a secret.
            return exchange.broken(type(error).__name__)


async def body_of(answer: httpx.Response) -> bytes:
    """The body of an answer.

    Raises:
        ValueError: it is longer than any answer that is expected.
    """
    found = b""
    async for chunk in answer.aiter_raw():
        found += chunk
        if len(found) > RESPONSE_MAX_BYTES:
            raise ValueError("the answer is too long")
    return found


def certificates(ca_file: Path | None, url: str) -> ssl.SSLContext | bool:
    """How https to `url` is verified.

    Raises:
        OpsError: the certificates cannot be read.
    """
    if ca_file is None or not url.startswith("https:"):
        return True
    import ssl

    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise OpsError("the certificates cannot be read", where=f"{ca_file} ({error})") from None


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
