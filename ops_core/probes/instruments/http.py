"""The `http` instrument: httpx's way of asking, one fresh connection each time, everything it did recorded.

A refused connection, a reset, a broken answer, a 503 are things *seen*: they come back as evidence. Only what keeps us
from looking raises `CannotLook`. Redirects are not followed: a probe reports what the target said.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from typing import Any

from ops_core.evidence import HttpEvidence, Timing
from ops_core.probes.instruments.context import Lookout
from ops_core.probes.instruments.request import Request, build_request, import_httpx
from ops_core.probes.instruments.transport import (
    FreshConnections,
    Response,
    Split,
    describe_failure,
    httpx_transport,
)

BODY_MAX_BYTES = 4096
HEADERS_MAX = 40
HEADER_MAX_CHARS = 400


class HttpInstrument:
    """Asks over HTTP. The methods take what httpx's client methods take to describe a request."""

    def __init__(self, lookout: Lookout) -> None:
        self._lookout = lookout
        self._connections = FreshConnections(lookout.tls, lookout.now)

    async def get(self, url: str, **request: Any) -> HttpEvidence:
        """GET `url`; see `request` for the arguments."""
        return await self.request("GET", url, **request)

    async def head(self, url: str, **request: Any) -> HttpEvidence:
        """HEAD `url`; see `request` for the arguments."""
        return await self.request("HEAD", url, **request)

    async def options(self, url: str, **request: Any) -> HttpEvidence:
        """OPTIONS `url`; see `request` for the arguments."""
        return await self.request("OPTIONS", url, **request)

    async def post(self, url: str, **request: Any) -> HttpEvidence:
        """POST to `url`; see `request` for the arguments. A probe should change nothing: mind what you post."""
        return await self.request("POST", url, **request)

    async def request(
        self,
        method: str,
        url: str,
        *,
        params: Any = None,
        headers: Mapping[str, str] | None = None,
        cookies: Any = None,
        content: Any = None,
        data: Any = None,
        json: Any = None,
        auth: tuple[str, str] | None = None,
        body_max_bytes: int = BODY_MAX_BYTES,
    ) -> HttpEvidence:
        """Make one request and return what came back, up to `body_max_bytes` of the body.

        Raises:
            CannotLook: the request cannot be made from here (bad URL, no network, no file descriptors).
        """
        request = build_request(
            method,
            url,
            params=params,
            headers=headers,
            cookies=cookies,
            content=content,
            data=data,
            json=json,
            auth=auth,
        )
        started = self._lookout.now()
        progress: dict[str, Any] = {
            "instrument": "http",
            "method": method,
            "url": self._lookout.redact.text(request.url),
        }
        self._lookout.actions.append(progress)
        try:
            response = await self._connections.send(request)
            progress.update(status=response.status_code)
            body, truncated = await _read_body(response, body_max_bytes, progress)
        except Exception as error:  # noqa: BLE001  # describe_failure lets through what it does not know
            kind, detail = describe_failure(error)
            elapsed_ms = (self._lookout.now() - started) * 1000
            evidence = HttpEvidence(
                method=method,
                url=progress["url"],
                status=progress.get("status"),
                error=kind,
                error_detail=self._lookout.redact.text(detail)[:HEADER_MAX_CHARS],
                elapsed_ms=round(elapsed_ms, 3),
                size_bytes=progress.get("size_bytes", 0),
            )
        else:
            evidence = self._evidence(request, response, body, truncated=truncated, started=started)
        progress.update(elapsed_ms=evidence.elapsed_ms, error=evidence.error)
        return evidence

    def client(self, **options: Any) -> Any:
        """A real `httpx.AsyncClient` on the same transport, for helpers that want one. Use it with `async with`.

        Args:
            options: as for httpx; `timeout`, `transport` and `trust_env` are ours.
        """

        def note(request: Request) -> dict[str, Any]:
            action = {"instrument": "http", "method": request.method, "url": self._lookout.redact.text(request.url)}
            self._lookout.actions.append(action)
            return action

        transport = httpx_transport(self._connections, note)
        # Time limits are the probe's budget; a limit of httpx's own would charge the target for a busy machine.
        ours = {"transport": transport, "timeout": None, "trust_env": False}
        headers = {"Accept-Encoding": "identity", **(options.pop("headers", None) or {})}
        return import_httpx().AsyncClient(**{**options, **ours}, headers=headers)

    def _evidence(
        self, request: Request, response: Response, body: bytes, *, truncated: bool, started: float
    ) -> HttpEvidence:
        redact = self._lookout.redact
        elapsed_ms = (self._lookout.now() - started) * 1000
        return HttpEvidence(
            method=request.method,
            url=redact.text(request.url),
            status=response.status_code,
            elapsed_ms=round(elapsed_ms, 3),
            timing=timing_of(response.split, elapsed_ms),
            http_version=response.http_version,
            headers=bounded_headers(redact.headers(_decode(response.headers))),
            size_bytes=len(body),
            truncated=truncated,
            body_excerpt=redact.text(body.decode("utf-8", "replace"), cut=truncated),
        )


def timing_of(split: Split, elapsed_ms: float) -> Timing:
    """Durations of the steps, from the instants at which they ended."""
    connect, secured, answered = split.connected_ms, split.secured_ms, split.answered_ms
    before = secured if secured is not None else connect
    return Timing(
        connect_ms=_round(connect),
        tls_ms=_round(secured - connect) if secured is not None and connect is not None else None,
        first_byte_ms=_round(answered - before) if answered is not None and before is not None else None,
        body_ms=_round(elapsed_ms - answered) if answered is not None else None,
    )


def bounded_headers(headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """At most forty headers of at most four hundred characters."""
    return tuple((name[:HEADER_MAX_CHARS], value[:HEADER_MAX_CHARS]) for name, value in headers[:HEADERS_MAX])


async def _read_body(response: Response, limit_bytes: int, progress: dict[str, Any]) -> tuple[bytes, bool]:
    """At most `limit_bytes` of the body, and whether there was more."""
    body = bytearray()
    try:
        async with aclosing(response.body) as parts:
            async for part in parts:
                body += part
                progress["size_bytes"] = len(body)
                if len(body) > limit_bytes:
                    return bytes(body[:limit_bytes]), True
    finally:
        response.close()
    return bytes(body), False


def _decode(raw: Any) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw]


def _round(value: float | None) -> float | None:
    return None if value is None else round(max(0.0, value), 3)
