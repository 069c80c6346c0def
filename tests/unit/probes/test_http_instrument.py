"""What an exchange over HTTP looks like as evidence: real servers, real sockets."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import socket
from collections.abc import Callable

import hostile
import httpx
import pytest
from hostile import Connection, HostileServer

from ops_core.errors import CannotLook
from ops_core.probes.instruments.context import Lookout
from ops_core.probes.instruments.http import BODY_MAX_BYTES, HEADER_MAX_CHARS, HEADERS_MAX, HttpInstrument
from ops_core.probes.instruments.transport import describe_failure

Serve = Callable[..., HostileServer]
SECRET = "correct-horse-battery"


def answering(head: bytes, body: bytes = b"") -> hostile.Behaviour:
    def behave(c: Connection) -> None:
        c.read_request()
        c.send(b"HTTP/1.1 " + head + b"\r\nConnection: close\r\n\r\n" + body)

    return behave


def test_an_answer_is_recorded_with_where_the_time_went(lookout: Lookout, serve: Serve) -> None:
    """Status, headers, size, excerpt, and the split of the time; and the action is noted."""
    server = serve(answering(b"200 OK\r\nX-A: b\r\nContent-Length: 5", b"hello"))
    seen = asyncio.run(HttpInstrument(lookout).get(server.url("/x?y=1")))
    assert (seen.status, seen.size_bytes, seen.body_excerpt, seen.truncated) == (200, 5, "hello", False)
    assert seen.header("x-a") == "b"
    assert seen.error is None
    assert seen.ok
    assert None not in (seen.timing.connect_ms, seen.timing.first_byte_ms, seen.timing.body_ms)
    assert seen.timing.tls_ms is None
    assert lookout.actions[0]["status"] == 200
    assert server.requests[0].startswith(b"GET /x?y=1 HTTP/1.1\r\n")


def test_a_long_body_is_cut_and_the_connection_closed(lookout: Lookout, serve: Serve) -> None:
    """The excerpt ends at its limit, and says so."""
    seen = asyncio.run(HttpInstrument(lookout).get(serve(hostile.endless_body).url()))
    assert seen.truncated
    assert seen.size_bytes == BODY_MAX_BYTES
    with pytest.raises(ValueError, match="was cut after"):
        seen.json()


def test_more_of_the_body_can_be_asked_for(lookout: Lookout, serve: Serve) -> None:
    """body_max_bytes is the caller's."""
    body = b'{"a": "' + b"x" * 10_000 + b'"}'
    server = serve(answering(b"200 OK\r\nContent-Length: %d" % len(body), body))
    seen = asyncio.run(HttpInstrument(lookout).get(server.url(), body_max_bytes=20_000))
    assert seen.json()["a"] == "x" * 10_000


def test_headers_are_bounded(lookout: Lookout, serve: Serve) -> None:
    """Neither many nor long ones make the record large."""
    head = b"200 OK\r\n" + b"".join(b"X-%d: %s\r\n" % (i, b"y" * 900) for i in range(60)) + b"Content-Length: 0"
    seen = asyncio.run(HttpInstrument(lookout).get(serve(answering(head)).url()))
    assert len(seen.headers) == HEADERS_MAX
    assert max(len(value) for _, value in seen.headers) == HEADER_MAX_CHARS


def test_a_redirect_is_what_the_target_said(lookout: Lookout, serve: Serve) -> None:
    """It is not followed."""
    assert asyncio.run(HttpInstrument(lookout).get(serve(hostile.redirects).url())).status == 302


def test_what_the_caller_describes_is_sent(lookout: Lookout, serve: Serve) -> None:
    """Method, headers, JSON body and basic authorization, as with httpx."""
    server = serve(hostile.healthy)
    http = HttpInstrument(lookout)
    asyncio.run(http.post(server.url(), json={"a": 1}, headers={"X-B": "c"}, auth=("u", "p"), params={"q": "1"}))
    sent = server.requests[0]
    assert sent.startswith(b"POST /health?q=1 ")
    assert b"\r\nX-B: c\r\n" in sent
    assert base64.b64encode(b"u:p") in sent
    assert b"Accept-Encoding: identity" in sent
    assert asyncio.run(http.head(server.url())).size_bytes == 0
    assert asyncio.run(http.options(server.url())).method == "OPTIONS"


@pytest.mark.parametrize(
    "url", ["", "nowhere", "ftp://x/", "http://", "http://[::1", "http://x:99999/", "http://\x00/", "//x/y"]
)
def test_what_cannot_be_asked_is_not_seen(lookout: Lookout, url: str) -> None:
    """A bad URL is our own mistake, not the target's."""
    with pytest.raises(CannotLook, match=r"cannot be made|could not connect|looked up"):
        asyncio.run(HttpInstrument(lookout).get(url))


def test_a_secret_never_comes_back(lookout: Lookout, serve: Serve) -> None:
    """A server that echoes the secret in headers, body, status line and base64 shows a mask."""

    def echo(c: Connection) -> None:
        c.read_request()
        secret = SECRET.encode()
        body = secret + b" " + base64.b64encode(b"x:" + secret) + b" " + secret.hex().encode()
        c.send(b"HTTP/1.1 200 " + secret + b"\r\nX-Echo: " + secret + b"\r\nSet-Cookie: a=b\r\n\r\n" + body)

    server = serve(echo)
    http = HttpInstrument(lookout)
    seen = asyncio.run(http.get(server.url(f"/?other={SECRET}"), headers={"X-Internal-Secret": SECRET}))
    assert SECRET.encode() in server.requests[0]
    everything = repr(seen) + repr(list(lookout.actions))
    assert SECRET not in everything
    assert "[redacted]" in everything
    assert base64.b64encode(b"x:" + SECRET.encode()).decode()[4:20] not in everything
    assert SECRET.encode().hex() not in everything
    assert seen.header("set-cookie") == "[redacted]"


def test_a_secret_that_is_cut_by_the_limit_leaves_no_beginning(lookout: Lookout, serve: Serve) -> None:
    """The excerpt ends within the secret."""
    body = b"y" * (BODY_MAX_BYTES - 7) + SECRET.encode() + b"zzz"
    server = serve(answering(b"200 OK\r\nContent-Length: %d" % len(body), body))
    seen = asyncio.run(HttpInstrument(lookout).get(server.url()))
    assert seen.truncated
    assert SECRET[:4] not in seen.body_excerpt
    assert seen.body_excerpt.endswith("[redacted]")


def test_a_connection_is_closed_when_the_probe_is_cancelled(lookout: Lookout, serve: Serve) -> None:
    """The server sees the end of the connection."""
    ended = []

    def wait_for_end(c: Connection) -> None:
        c.read_request()
        ended.append(c.socket.recv(1))

    server = serve(wait_for_end)

    async def ask() -> None:
        task = asyncio.create_task(HttpInstrument(lookout).get(server.url()))
        while not server.requests:
            await asyncio.sleep(0.01)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        while not ended:
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(ask(), 10))
    assert ended == [b""]


def test_a_client_for_helpers_is_a_real_httpx_client(lookout: Lookout, serve: Serve) -> None:
    """With what httpx offers, over fresh connections, its requests noted; its time limits are left to the budget."""

    async def ask() -> httpx.Response:
        async with HttpInstrument(lookout).client(base_url=server.url(""), timeout=3, headers={"X-A": "b"}) as client:
            assert isinstance(client, httpx.AsyncClient)
            return await client.get("/some", params={"q": "ü"})

    server = serve(hostile.healthy)
    answer = asyncio.run(ask())
    assert (answer.status_code, answer.text) == (200, "ok")
    assert [a["status"] for a in lookout.actions] == [200]
    assert b"X-A: b" in server.requests[0]


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        ("garbage", httpx.RemoteProtocolError),
        ("closes_after_request", httpx.RemoteProtocolError),
        ("continues_for_ever", httpx.RemoteProtocolError),
        ("body_too_short", httpx.RemoteProtocolError),
        ("resets", httpx.ReadError),
        ("resets_in_body", httpx.ReadError),
        ("endless_body", httpx.ReadError),
    ],
)
def test_a_helper_gets_the_errors_that_httpx_documents(
    lookout: Lookout, serve: Serve, behaviour: str, error: type[Exception]
) -> None:
    """A helper written for httpx catches httpx.HTTPError."""

    async def ask() -> None:
        async with HttpInstrument(lookout).client() as client:
            await client.get(server.url())

    server = serve(getattr(hostile, behaviour))
    with pytest.raises(error):
        asyncio.run(ask())


def test_a_helper_is_told_of_a_refused_connection_by_httpx(lookout: Lookout) -> None:
    """ConnectError, as from httpx's own transport."""

    async def ask() -> None:
        async with HttpInstrument(lookout).client() as client:
            await client.get(f"http://127.0.0.1:{hostile.free_port()}/")

    with pytest.raises(httpx.ConnectError):
        asyncio.run(ask())


def test_an_answer_that_unpacks_to_a_gigabyte_is_not_unpacked(lookout: Lookout, serve: Serve) -> None:
    """Nobody asked for a packed answer."""
    bomb = gzip.compress(b"0" * 50_000_000)
    server = serve(answering(b"200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d" % len(bomb), bomb))

    async def ask() -> httpx.Response:
        async with HttpInstrument(lookout).client() as client:
            return await client.get(server.url())

    assert len(asyncio.run(ask()).content) == len(bomb)
    assert b"accept-encoding: identity" in server.requests[0].lower()


def test_failures_on_our_side_are_not_the_targets() -> None:
    """No descriptors, no route, no permission: could not look. An unknown error stays what it is."""
    for error in (
        OSError(24, "x"),
        OSError(101, "x"),
        PermissionError(13, "x"),
        OSError(99, "x"),
        TimeoutError(110, "x"),
    ):
        with pytest.raises(CannotLook):
            describe_failure(error)
    with pytest.raises(CannotLook, match="looked up"):
        describe_failure(socket.gaierror(socket.EAI_AGAIN, "try again"))
    assert describe_failure(socket.gaierror(socket.EAI_NONAME, "x")) == ("name does not resolve", "")
    assert describe_failure(OSError("Multiple exceptions: [Errno 111] a, [Errno 99] b"))[0] == "connection refused"
    with pytest.raises(KeyError):
        describe_failure(KeyError("x"))


def test_who_refuses_a_large_body_early_is_understood_and_not_sent_the_rest(lookout: Lookout, serve: Serve) -> None:
    """The answer counts although the server closed with most of the body unread: no reset is taken for it."""

    def refuse(c: Connection) -> None:
        c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        c.read_request()
        c.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\nConnection: close\r\n\r\nmuch")

    server = serve(refuse)
    seen = asyncio.run(HttpInstrument(lookout).post(server.url(), content=b" " * (16 << 20)))
    assert (seen.status, seen.error, seen.body_excerpt) == (413, None, "much")


@pytest.mark.parametrize("behaviour", ["resets", "closes_at_once"])
def test_who_ends_a_large_body_without_a_word_is_told_so(lookout: Lookout, serve: Serve, behaviour: str) -> None:
    """What reading says counts, whatever became of sending."""
    server = serve(getattr(hostile, behaviour))
    seen = asyncio.run(HttpInstrument(lookout).post(server.url(), content=b" " * (16 << 20)))
    assert seen.status is None
    assert seen.error in {"connection reset", "closed without an answer"}


def test_a_large_body_arrives_whole(lookout: Lookout, serve: Serve) -> None:
    """Sent in parts, with its length, to its last byte."""
    body, got = bytes(range(256)) * 1024, bytearray()

    def take(c: Connection) -> None:
        head, _, first = c.read_request().partition(b"\r\n\r\n")
        assert f"content-length: {len(body)}".encode() in head.lower()
        got.extend(first)
        while len(got) < len(body):
            got.extend(c.socket.recv(65_536))
        c.send(hostile.OK)

    seen = asyncio.run(HttpInstrument(lookout).post(serve(take).url(), content=body))
    assert seen.status == 200
    assert bytes(got) == body
