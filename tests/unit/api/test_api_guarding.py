"""What stands before every request, on an application that answers whatever it gets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from ops_core.api.guarding import CLIENTS_MAX, Guarding, Limits, Rate, account_of, allowed_hosts

HOSTS = allowed_hosts("127.0.0.1", 8000, ())


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the size of the body."""
    body = await Request(scope, receive).body()
    await JSONResponse({"bytes": len(body)})(scope, receive, send)


def ask(
    *requests: tuple[str, str, dict[str, str]],
    content: bytes | AsyncIterator[bytes] | None = None,
    per_minute: int = 600,
    now: float = 0.0,
) -> list[httpx.Response]:
    """The answers to (method, path, headers), one after the other."""
    app = Guarding(echo, Limits(hosts=HOSTS, body_max_bytes=1024, requests_per_minute=per_minute), lambda: now)

    async def asking() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
            return [await client.request(m, p, headers=h, content=content) for m, p, h in requests]

    return asyncio.run(asking())


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "LOCALHOST:8000", "[::1]:8000"])
def test_its_own_names_are_answered(host: str) -> None:
    """With the port that it listens on."""
    assert ask(("GET", "/", {"host": host}))[0].status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1", "127.0.0.1:8001", "localhost.evil.example:8000", "127.0.0.1:8000.evil.example", "",
     "127.0.0.1:8000 ", "localhost:8000,evil.example", "user@localhost:8000"],
)  # fmt: skip
def test_another_name_is_not_answered(host: str) -> None:
    """A name that somebody rebound to this address gets nothing."""
    found = ask(("GET", "/", {"host": host}))[0]
    assert found.status_code == 421
    assert found.json()["where"] == "Host header"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "http://127.0.0.1:8000"}, 200),
        ({"origin": "http://localhost:8000"}, 200),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "http://localhost:8001"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": ""}, 403),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "anything"}, 403),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_pages_of_others_may_not_ask(method: str, headers: dict[str, str], status: int) -> None:
    """Whatever a browser tells of another origin or site is refused, for looking too."""
    assert ask((method, "/api/emergency_stop", headers))[0].status_code == status


def test_a_body_may_be_as_large_as_configured() -> None:
    """And one byte more is refused, with the connection closed."""
    assert ask(("POST", "/", {}), content=b"x" * 1024)[0].json() == {"bytes": 1024}
    refused = ask(("POST", "/", {}), content=b"x" * 1025)[0]
    assert (refused.status_code, refused.headers["connection"]) == (413, "close")


def test_an_endless_body_is_refused_when_it_is_too_large() -> None:
    """Its length need not be announced."""
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 512
            yield b"x" * 512

    class Streamed:
        def __aiter__(self) -> AsyncIterator[bytes]:
            return endless()

    assert ask(("POST", "/", {}), content=Streamed())[0].status_code == 413  # type: ignore[arg-type] # any async iterable
    assert sent <= 4096


def test_too_many_requests_are_refused_but_never_a_stop() -> None:
    """Of one address; engaging the stop is not counted."""
    path, engage, release = "/api/emergency_stop", b'{"enabled": true}', b'{"enabled": false, "reason": "true"}'
    answers = ask(*[("GET", "/", {})] * 4, ("POST", path, {}), per_minute=3, content=engage)
    assert [found.status_code for found in answers] == [200, 200, 200, 429, 200]
    for body in (release, b"", b"{", b"[true]", b'{"enabled": 1}'):
        assert [found.status_code for found in ask(*[("POST", path, {})] * 4, per_minute=3, content=body)][-1] == 429
    assert answers[3].headers["retry-after"] == "60"


def test_the_rate_is_an_account_that_fills_again() -> None:
    """Ten a minute: ten at once, then one every six seconds, and never more than ten saved."""
    rate = Rate(10)
    assert [rate.take("a", 0.0) for _ in range(11)] == [True] * 10 + [False]
    assert rate.take("b", 0.0)
    assert not rate.take("a", 5.9)
    assert rate.take("a", 6.1)
    assert [rate.take("a", 10_000.0) for _ in range(11)] == [True] * 10 + [False]


def test_a_clock_that_goes_back_gives_nothing() -> None:
    """No account fills from time that did not pass."""
    rate = Rate(1)
    assert rate.take("a", 100.0)
    assert not rate.take("a", 50.0)


def test_the_account_of_addresses_is_bounded() -> None:
    """The one that was heard least recently is forgotten."""
    rate = Rate(1)
    for number in range(CLIENTS_MAX + 1):
        rate.take(str(number), 0.0)
    assert rate.take("0", 0.0)
    assert not rate.take(str(CLIENTS_MAX), 0.0)


@pytest.mark.parametrize(
    ("address", "account"),
    [
        ("127.0.0.1", "this host"),
        ("127.255.3.4", "this host"),
        ("::1", "this host"),
        ("::ffff:127.0.0.9", "this host"),
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", "unknown"),
    ],
)
def test_one_who_has_many_addresses_has_one_account(address: str, account: str) -> None:
    """Every program of this host has all of 127.0.0.0/8 to ask from, and whoever has IPv6 has a network."""
    assert account_of(address) == account


def test_every_answer_forbids_what_a_browser_could_do_with_it() -> None:
    """Refusals included."""
    for found in ask(("GET", "/", {}), ("GET", "/", {"origin": "null"})):
        assert found.headers["x-content-type-options"] == "nosniff"
        assert found.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in found.headers["content-security-policy"]


def test_two_host_headers_are_refused() -> None:
    """Which of them would count is nobody's guess."""

    async def both() -> list[dict[str, Any]]:
        sent: list[dict[str, Any]] = []
        app = Guarding(echo, Limits(hosts=HOSTS, body_max_bytes=1024, requests_per_minute=10), lambda: 0.0)

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(dict(message))

        headers = [(b"host", b"127.0.0.1:8000"), (b"host", b"evil.example")]
        scope = {"type": "http", "method": "GET", "path": "/", "headers": headers, "query_string": b"", "client": None}
        await app(scope, receive, send)
        return sent

    assert asyncio.run(both())[0]["status"] == 421


@pytest.mark.parametrize(
    ("host", "port", "more", "expected"),
    [
        ("127.0.0.1", 80, (), {"127.0.0.1", "127.0.0.1:80", "localhost", "localhost:80", "[::1]", "[::1]:80"}),
        ("10.0.0.1", 8000, ("ops.example.org",), {"10.0.0.1:8000", "ops.example.org:8000"}),
        ("10.0.0.1", 8000, ("ops.example.org:443",), {"10.0.0.1:8000", "ops.example.org:443"}),
        ("::1", 8000, (), {"[::1]:8000", "localhost:8000", "127.0.0.1:8000"}),
    ],
)
def test_the_names_follow_from_where_it_listens(
    host: str, port: int, more: tuple[str, ...], expected: set[str]
) -> None:
    """Without a port only on the port that a browser leaves out."""
    assert allowed_hosts(host, port, more) == expected
