"""What stands before every request: Host, Origin, the size of bodies, the rate, and the headers of every answer.

A server on loopback can be reached by every program and every web page of the host. A page is told apart by the headers
that browsers add, and a rebound name by the Host that it asks for; both are compared exactly with what is allowed.
"""

from __future__ import annotations

import asyncio
import ipaddress
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ops_core.api.bodies import parse_json
from ops_core.api.errors import BadRequest, answer

CLIENTS_MAX = 10_000
BODY_WAIT_S = 10.0
_SAME = frozenset({"same-origin", "none"})
HEADERS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
)
ENGAGE_PATH = "/api/emergency_stop"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What is let in.

    Attributes:
        hosts: the exact values of the Host header that are answered, in small letters.
        body_max_bytes: of one request.
        requests_per_minute: of one address.
    """

    hosts: frozenset[str]
    body_max_bytes: int
    requests_per_minute: int


def allowed_hosts(host: str, port: int, more: Sequence[str]) -> frozenset[str]:
    """The Host values that a server on that address answers to: its own, `localhost` on loopback, and those named."""
    bare = f"[{host}]" if ":" in host else host
    names = {bare, *more}
    if host in {"127.0.0.1", "::1", "localhost"}:
        names |= {"localhost", "127.0.0.1", "[::1]"}
    with_port = {name if _has_port(name) else f"{name}:{port}" for name in names}
    return frozenset(name.lower() for name in (with_port | names if port == 80 else with_port))


class Rate:
    """A bucket of tokens for each address. Pure but for its own account; handed the time.

    Args:
        most: how many requests an address may make in `fills_s` seconds, all at once if it likes.
        fills_s: in how many seconds an empty account is full again.
    """

    def __init__(self, most: int, fills_s: float = 60.0) -> None:
        self._most = float(most)
        self._fills_s = fills_s
        self._accounts: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str, now: float) -> bool:
        """Whether this address may make one more request at the monotonic second `now`."""
        left, at = self._accounts.pop(client, (self._most, now))
        left = min(self._most, left + max(0.0, now - at) * self._most / self._fills_s)
        allowed = left >= 1
        self._accounts[client] = (left - 1 if allowed else left, now)
        if len(self._accounts) > CLIENTS_MAX:
            self._accounts.popitem(last=False)
        return allowed


class Allowance:
    """What all who show no token may have recorded together: a history that anybody could fill would fill the disk.

    Args:
        per_hour: how many acts, all at once if they like.
        monotonic: seconds that only grow.
    """

    def __init__(self, per_hour: int, monotonic: Callable[[], float]) -> None:
        self.per_hour = per_hour
        self._rate = Rate(per_hour, 3600.0)
        self._monotonic = monotonic
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Whether one more may be recorded."""
        with self._lock:
            return self._rate.take("", self._monotonic())


class Guarding:
    """The ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, limits: Limits, monotonic: Callable[[], float]) -> None:
        self._app = app
        self._limits = limits
        self._monotonic = monotonic
        self._rate = Rate(limits.requests_per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer it here."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *HEADERS]
            await send(message)

        try:
            self._admit(scope)
            stops = scope["method"] == "POST" and scope["path"] == ENGAGE_PATH
            if not stops:
                self._count(scope)
            body = await self._body(receive)
            # Whoever wants to stop is never told to wait; who releases on the same path is.
            if stops and not _engages(body):
                self._count(scope)
        except BadRequest as refusal:
            headers = {"Retry-After": "60"} if refusal.status == 429 else {}
            # What was not read may still be on its way: this connection is of no more use.
            await answer(refusal.status, refusal, {**headers, "Connection": "close"})(scope, receive, sending)
            return
        except ConnectionResetError:
            return
        await self._app(scope, _replayed(body, receive), sending)

    def _admit(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        if "transfer-encoding" in headers and "content-length" in headers:
            # A proxy in front may read them otherwise than we do, and see another request where we see a body.
            raise BadRequest("the body has two lengths", where="Content-Length header", allowed="one way to tell it")
        hosts = headers.getlist("host")
        if len(hosts) != 1 or hosts[0].lower() not in self._limits.hosts:
            raise BadRequest(
                "this server is not asked for by this name",
                status=421,
                where="Host header",
                allowed=", ".join(sorted(self._limits.hosts)),
                next_step="the key `hosts` of [profiles.NAME.serve] adds a name",
            )
        origin = headers.get("origin")
        if origin is not None and origin.lower().removeprefix("http://") not in self._limits.hosts:
            raise BadRequest("a page of another origin may not ask", status=403, where="Origin header")
        if headers.get("sec-fetch-site", "none").lower() not in _SAME:
            raise BadRequest("a page of another site may not ask", status=403, where="Sec-Fetch-Site header")

    def _count(self, scope: Scope) -> None:
        client = str((scope.get("client") or ("unknown",))[0])
        if not self._rate.take(account_of(client), self._monotonic()):
            raise BadRequest(
                "too many requests",
                status=429,
                where="this address",
                allowed=f"{self._limits.requests_per_minute} a minute",
                next_step="wait a minute",
            )

    async def _body(self, receive: Receive) -> bytes:
        try:
            async with asyncio.timeout(BODY_WAIT_S):
                return await self._read(receive)
        except TimeoutError:
            raise BadRequest(
                "the body did not arrive", status=408, where="body", allowed=f"within {BODY_WAIT_S:g} s"
            ) from None

    async def _read(self, receive: Receive) -> bytes:
        whole = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ConnectionResetError
            whole += message.get("body", b"")
            if len(whole) > self._limits.body_max_bytes:
                raise BadRequest(
                    "the body is too large",
                    status=413,
                    where="body",
                    allowed=f"at most {self._limits.body_max_bytes} bytes",
                )
            if not message.get("more_body", False):
                return bytes(whole)


def account_of(client: str) -> str:
    """Whose account an address belongs to: this host has millions of them, and an IPv6 network even more."""
    try:
        address = ipaddress.ip_address(client.partition("%")[0])
    except ValueError:
        return client
    mapped = getattr(address, "ipv4_mapped", None)
    address = mapped or address
    if address.is_loopback:
        return "this host"
    return str(address) if address.version == 4 else str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))


def _engages(body: bytes) -> bool:
    try:
        told = parse_json(body) if body else None
    except BadRequest:
        return False
    return isinstance(told, dict) and told.get("enabled") is True


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Hand the body that was read to the application, then what comes after it."""
    told = False

    async def receiving() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receiving


def _has_port(name: str) -> bool:
    return name.rpartition("]")[2].startswith(":") if name.startswith("[") else ":" in name
