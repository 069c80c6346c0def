"""What every request passes: an id for it, a line about it, its measures, and the limit on its body.

A plain ASGI application around another one, so that it also counts and limits what never reaches a route.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import time
from collections.abc import Callable, MutableMapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram

Scope = MutableMapping[str, Any]
Receive = Callable[[], Any]
Send = Callable[[MutableMapping[str, Any]], Any]
Say = Callable[[dict[str, Any]], None]

BODY_S = 10.0
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
CLIENT_GONE = 499
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class ClientGone(Exception):
    """The client went away before its request was complete."""


class Edge:
    """The outermost application.

    Args:
        inner: what answers requests that may pass.
        paths: the paths that there are; all others count as one, so that strangers cannot fill the measures.
        body_max_bytes: how large a body may be; 0 for no limit.
        registry: where the measures are kept.
        say: writes a line of the log.
    """

    def __init__(
        self, inner: Any, *, paths: frozenset[str], body_max_bytes: int, registry: CollectorRegistry, say: Say
    ) -> None:
        self._inner, self._paths, self._body_max_bytes, self._say = inner, paths, body_max_bytes, say
        labels = ("method", "path", "status")
        self._total = Counter("http_requests_total", "Requests answered.", labels, registry=registry)
        self._seconds = Histogram(
            "http_request_duration_seconds",
            "Seconds from the first byte of a request to the end of its answer.",
            ("method", "path"),
            buckets=BUCKETS,
            registry=registry,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the start and end of the server."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        begun = time.perf_counter()
        request_id = _id_of(scope)
        scope["request_id"] = request_id
        status = 0

        async def send_marked(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            await send(message)

        trouble = ""
        try:
            await self._pass(scope, receive, send_marked)
        except ClientGone:
            status = CLIENT_GONE
        except Exception as error:  # noqa: BLE001 - a bug in a route answers 500, and what it says may hold what it was given
            trouble = type(error).__name__
            if not status:
                await answer(send_marked, 500, "INTERNAL", "the service has a bug")
        self._record(scope, status, time.perf_counter() - begun, trouble)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body as far as it may be, and hand the request on."""
        length = dict(scope["headers"]).get(b"content-length", b"0")
        limit = self._body_max_bytes
        if limit and length.isdigit() and (len(length) > 12 or int(length) > limit):
            await self._too_large(send)
            return
        parts, size, more = [], 0, True
        try:
            async with asyncio.timeout(BODY_S):
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ClientGone
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    more = message.get("more_body", False)
                    if limit and size > limit:
                        await self._too_large(send)
                        return
        except TimeoutError:
            await answer(send, 408, "TOO_SLOW", f"the request was not complete within {BODY_S:g} seconds")
            return
        whole: list[MutableMapping[str, Any]] = [
            {"type": "http.request", "body": b"".join(parts), "more_body": False},
        ]

        async def replay() -> Any:
            return whole.pop() if whole else await receive()

        await self._inner(scope, replay, send)

    async def _too_large(self, send: Send) -> None:
        await answer(send, 413, "PAYLOAD_TOO_LARGE", f"a request may have {self._body_max_bytes} bytes")

    def _record(self, scope: Scope, status: int, seconds: float, trouble: str) -> None:
        path = scope["path"] if scope["path"] in self._paths else "other"
        method = scope["method"] if scope["method"] in METHODS else "OTHER"
        self._total.labels(method, path, str(status)).inc()
        self._seconds.labels(method, path).observe(seconds)
        line = {
            "message": "request",
            "request_id": scope["request_id"],
            "method": method,
            "path": path,
            "status": status,
            "duration_ms": round(seconds * 1000, 1),
        }
        self._say({**line, "level": "error", "error": trouble} if trouble else line)


async def answer(
    send: Send, status: int, code: str, message: str, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> None:
    """Send an error as all of the service's errors look."""
    body = json.dumps({"error": {"code": code, "message": message}}).encode()
    head = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *headers]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})


def _id_of(scope: Scope) -> str:
    given: bytes = dict(scope["headers"]).get(b"x-request-id", b"")
    # Whatever else a stranger sends in that header reaches neither the answer nor the log.
    return given.decode("ascii") if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
