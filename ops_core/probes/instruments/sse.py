"""The `sse` instrument: watches a server-sent event stream for a while and counts what came.

Heartbeat comments count: they are what tells a quiet stream from a dead one. Watching ends with the first bytes that
make the case (by default one event or comment), at the end of the window, or when the server ends the stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from ops_core.evidence import StreamEvidence
from ops_core.probes.instruments.context import Lookout
from ops_core.probes.instruments.request import build_request
from ops_core.probes.instruments.transport import FreshConnections, Response, describe_failure

EXCERPT_BYTES = 1024
PENDING_MAX_BYTES = 65_536
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass
class Tally:
    """Counts over the lines of an event stream, fed in pieces of any size (WHATWG: lines end in CR, LF or CRLF)."""

    size_bytes: int = 0
    events: int = 0
    comments: int = 0
    excerpt: bytes = b""
    _pending: bytes = b""
    _has_data: bool = False
    _after_cr: bool = False
    _first: bool = True

    def feed(self, part: bytes) -> None:
        """Count the lines that `part` completes. Of a line beyond 64 KiB the beginning counts: it says the kind."""
        self.size_bytes += len(part)
        self.excerpt += part[: max(0, EXCERPT_BYTES - len(self.excerpt))]
        if self._after_cr and part:
            part = part.removeprefix(b"\n")
            self._after_cr = False
        if not part:
            return
        self._after_cr = part.endswith(b"\r")
        first, *others = part.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._pending += first[: PENDING_MAX_BYTES - len(self._pending)]
        for line in others:
            self._line(self._pending)
            self._pending = line[:PENDING_MAX_BYTES]

    def _line(self, line: bytes) -> None:
        if self._first:
            line = line.removeprefix(BYTE_ORDER_MARK)
            self._first = False
        if line.startswith(b":"):
            self.comments += 1
        elif line.startswith(b"data:") or line == b"data":
            self._has_data = True
        elif not line and self._has_data:
            self.events += 1
            self._has_data = False


class SseInstrument:
    """Watches event streams."""

    def __init__(self, lookout: Lookout) -> None:
        self._lookout = lookout
        self._connections = FreshConnections(lookout.tls, lookout.now)

    async def watch(
        self, url: str, *, window_s: float, enough: int = 1, headers: Mapping[str, str] | None = None
    ) -> StreamEvidence:
        """Watch `url` until `enough` events and comments came, or for `window_s` seconds after its headers.

        Raises:
            CannotLook: the request cannot be made from here.
        """
        request = build_request(
            "GET", url, headers={"Accept": "text/event-stream", "Cache-Control": "no-store", **(headers or {})}
        )
        shown = self._lookout.redact.text(request.url)
        action: dict[str, Any] = {"instrument": "sse", "method": "GET", "url": shown}
        self._lookout.actions.append(action)
        started = self._lookout.now()
        tally = Tally()
        try:
            response = await self._connections.send(request)
            action["status"] = response.status_code
            opened = self._lookout.now()
            first_byte_ms, ended = await self._read(response, tally, opened + window_s, enough, started)
        except Exception as error:  # noqa: BLE001  # describe_failure lets through what it does not know
            kind, detail = describe_failure(error)
            action.update(error=kind, size_bytes=tally.size_bytes)
            return StreamEvidence(
                url=shown,
                status=action.get("status"),
                error=kind,
                error_detail=self._lookout.redact.text(detail)[:400],
                window_s=window_s,
                size_bytes=tally.size_bytes,
            )
        action.update(size_bytes=tally.size_bytes, events=tally.events, comments=tally.comments)
        return StreamEvidence(
            url=shown,
            status=response.status_code,
            content_type=self._lookout.redact.text(response.header("content-type") or "")[:200],
            first_byte_ms=first_byte_ms,
            watched_ms=round((self._lookout.now() - opened) * 1000, 3),
            window_s=window_s,
            size_bytes=tally.size_bytes,
            events=tally.events,
            comments=tally.comments,
            ended_by_server=ended,
            excerpt=self._lookout.redact.text(
                tally.excerpt.decode("utf-8", "replace"), cut=tally.size_bytes > len(tally.excerpt)
            ),
        )

    async def _read(
        self, response: Response, tally: Tally, until: float, enough: int, started: float
    ) -> tuple[float | None, bool]:
        """Feed the tally; returns the milliseconds to the first byte and whether the server ended the stream."""
        first_byte_ms: float | None = None
        try:
            async with aclosing(response.body) as parts:
                pending = asyncio.ensure_future(anext(parts, None))
                try:
                    while tally.events + tally.comments < enough:
                        left_s = until - self._lookout.now()
                        if left_s <= 0 and not pending.done():
                            return first_byte_ms, False
                        done, _ = await asyncio.wait({pending}, timeout=max(0.0, left_s))
                        if not done:
                            # The window is charged time: look again how much of it is left.
                            continue
                        part = pending.result()
                        if part is None:
                            return first_byte_ms, True
                        if first_byte_ms is None:
                            first_byte_ms = round((self._lookout.now() - started) * 1000, 3)
                        tally.feed(part)
                        pending = asyncio.ensure_future(anext(parts, None))
                    return first_byte_ms, False
                finally:
                    pending.cancel()
                    await asyncio.wait({pending})
        finally:
            response.close()
