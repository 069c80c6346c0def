"""One fresh connection per request: what the `http`, `sse` and `process` instruments look through.

httpx's own pool is quadratic in open requests, and a health probe wants a fresh connection anyway: a pooled one can
hide that nobody can connect any more. h11 does the protocol, asyncio's streams do the I/O; what stands here is the
glue, the split of the time, and the decision which failure was *seen* and which means that we could not look.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops_core.errors import CannotLook
from ops_core.probes.instruments.request import Request, import_httpx, of_httpx

READ_BYTES = 65_536
HEADERS_MAX_BYTES = 65_536
CLIENT_BODY_MAX_BYTES = 16 << 20
INTERIM_MAX = 20
BREATHE_EVERY = 16
_OURS = {
    errno.EMFILE: "this process has no file descriptors left",
    errno.ENFILE: "this machine has no file descriptors left",
    errno.ENOMEM: "this machine has no memory left",
    errno.ENOBUFS: "this machine has no socket buffers left",
    errno.EADDRNOTAVAIL: "this machine has no free local port or no such address",
    errno.ENETUNREACH: "this machine has no route to that network",
    errno.ENETDOWN: "this machine's network is down",
    errno.EACCES: "this machine may not connect there",
    errno.EPERM: "this machine may not connect there",
}


class ClosedWithoutAnswer(ConnectionError):
    """The server took the connection and closed it before it answered."""


class TooManyInterim(ConnectionError):
    """The server sends interim (1xx) answers and no end of them."""


@dataclass
class Split:
    """Charged milliseconds since the start of a request at which each step had ended."""

    connected_ms: float | None = None
    secured_ms: float | None = None
    answered_ms: float | None = None


class TlsContexts:
    """One SSL context, made when first needed: each costs 25 ms."""

    def __init__(self, ca_file: Path | None) -> None:
        self._ca_file = ca_file
        self._context: ssl.SSLContext | None = None

    def get(self) -> ssl.SSLContext:
        """The shared client context.

        Raises:
            CannotLook: the configured CA file cannot be used.
        """
        if self._context is None:
            try:
                context = ssl.create_default_context(cafile=str(self._ca_file) if self._ca_file else None)
            except (OSError, ssl.SSLError) as error:
                raise CannotLook(f"the CA file cannot be used: {error}", where=str(self._ca_file)) from None
            # Python 3.13 began to refuse private authorities that older ones accept; a target must not become bad
            # because the operator's Python was updated.
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
            context.set_alpn_protocols(["http/1.1"])
            self._context = context
        return self._context


def describe_failure(error: BaseException) -> tuple[str, str]:  # noqa: C901, PLR0912  # one failure a line
    """Sort a failed exchange: (kind, detail) where the target was seen to fail.

    Raises:
        CannotLook: the failure lies on our side or in between, so nothing was seen.
    """
    import h11

    if isinstance(error, ssl.SSLCertVerificationError):
        return "certificate refused", error.verify_message
    if isinstance(error, ssl.SSLError):
        return "TLS failed", str(error.reason or error)
    if isinstance(error, ConnectionRefusedError):
        return "connection refused", ""
    if isinstance(error, ClosedWithoutAnswer):
        return "closed without an answer", ""
    if isinstance(error, TooManyInterim):
        return "not valid HTTP", f"more than {INTERIM_MAX} interim answers"
    if isinstance(error, (ConnectionResetError, BrokenPipeError, ConnectionAbortedError)):
        return "connection reset", ""
    if isinstance(error, socket.gaierror):
        if error.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)):
            return "name does not resolve", ""
        raise CannotLook(f"the name could not be looked up: {error.strerror}") from None
    if isinstance(error, h11.RemoteProtocolError):
        return "not valid HTTP", str(error)
    if isinstance(error, h11.LocalProtocolError):
        raise CannotLook(f"the request is not valid HTTP: {error}") from None
    if isinstance(error, FileNotFoundError):
        return "socket does not exist", ""
    if isinstance(error, OSError):
        if error.errno is None and f"[Errno {errno.ECONNREFUSED}]" in str(error):
            # asyncio tried several addresses of one name and joined what they said.
            return "connection refused", ""
        why = _OURS.get(error.errno or 0) or error.strerror or type(error).__name__
        raise CannotLook(f"could not connect: {why}") from None
    raise error


@dataclass(kw_only=True)
class Response:
    """An answer whose body is still to be read. `headers` are as sent; `split` and `started` are charged time."""

    status_code: int
    http_version: str
    headers: list[tuple[bytes, bytes]]
    split: Split
    started: float
    body: AsyncGenerator[bytes]
    close: Callable[[], None]

    def header(self, name: str) -> str | None:
        """The first value of a header, by its name in lower case."""
        return next((v.decode("latin-1") for k, v in self.headers if k.lower() == name.encode()), None)


class FreshConnections:
    """Opens a connection for each request, which is closed with the response.

    Failures leave as they come from the operating system, TLS or h11; `describe_failure` sorts them. Time limits are
    the caller's: cancelling the task closes the connection.
    """

    def __init__(self, tls: TlsContexts, now: Callable[[], float], socket_path: str | None = None) -> None:
        self._tls = tls
        self._now = now
        self._socket_path = socket_path

    async def send(self, request: Request) -> Response:
        """Send a request, return the response when its headers are there. Whoever gets it must close it."""
        import h11

        started = self._now()
        split = Split()
        reader, writer = await self._connect(request, split, started)
        try:
            connection = h11.Connection(our_role=h11.CLIENT, max_incomplete_event_size=HEADERS_MAX_BYTES)
            head = h11.Request(method=request.method, target=request.target, headers=request.headers)
            writer.write(connection.send(head))
            if isinstance(request.content, bytes) and len(request.content) > READ_BYTES:
                event = await _send_until_answered(connection, reader, writer, request.content)
            else:
                async for part in _parts(request.content):
                    writer.write(connection.send(h11.Data(data=part)))
                    await writer.drain()
                writer.write(connection.send(h11.EndOfMessage()))
                await writer.drain()
                event = await _final_answer(connection, reader)
            split.answered_ms = (self._now() - started) * 1000
        except BaseException:
            writer.close()
            raise
        return Response(
            status_code=event.status_code,
            http_version="HTTP/" + event.http_version.decode("ascii", "replace"),
            headers=event.headers.raw_items(),
            split=split,
            started=started,
            body=_body(connection, reader),
            close=writer.close,
        )

    async def _connect(
        self, request: Request, split: Split, started: float
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._socket_path is not None:
            reader, writer = await asyncio.open_unix_connection(self._socket_path)
        else:
            reader, writer = await asyncio.open_connection(request.host, request.port)
        split.connected_ms = (self._now() - started) * 1000
        if request.scheme == "https":
            try:
                await writer.start_tls(self._tls.get(), server_hostname=request.host)
            except BaseException:
                writer.close()
                raise
            split.secured_ms = (self._now() - started) * 1000
        return reader, writer


def httpx_transport(connections: FreshConnections, note: Callable[[Request], dict[str, Any]]) -> Any:
    """An `httpx.AsyncBaseTransport` over fresh connections. `note` is told of each request and gives its notes."""
    httpx = import_httpx()

    class Body(httpx.AsyncByteStream):  # type: ignore[misc,name-defined]  # httpx is imported where it is used
        def __init__(self, response: Response, request: Any) -> None:
            self._response = response
            self._request = request

        async def __aiter__(self) -> AsyncIterator[bytes]:
            size_bytes = 0
            with _told_as_httpx_does(httpx, self._request):
                async for part in self._response.body:
                    size_bytes += len(part)
                    if size_bytes > CLIENT_BODY_MAX_BYTES:
                        # httpx reads whole bodies into memory; an endless one would take all of it.
                        much = f"the body is larger than {CLIENT_BODY_MAX_BYTES >> 20} MiB"
                        raise httpx.ReadError(much, request=self._request)
                    yield part

        async def aclose(self) -> None:
            self._response.close()
            await self._response.body.aclose()

    class Transport(httpx.AsyncBaseTransport):  # type: ignore[misc,name-defined]  # as above
        async def handle_async_request(self, request: Any) -> Any:
            outgoing = of_httpx(request)
            action = note(outgoing)
            with _told_as_httpx_does(httpx, request):
                response = await connections.send(outgoing)
            action["status"] = response.status_code
            return httpx.Response(
                status_code=response.status_code,
                headers=_not_packed(response.headers, asked=request.headers.get("accept-encoding", "")),
                stream=Body(response, request),
                extensions={"split": response.split, "http_version": response.http_version.encode()},
            )

    return Transport()


@contextlib.contextmanager
def _told_as_httpx_does(httpx: Any, request: Any) -> Iterator[None]:
    """Failures of an exchange as the exceptions that a helper written for httpx knows."""
    import h11

    try:
        yield
    except h11.RemoteProtocolError as error:
        raise httpx.RemoteProtocolError(str(error), request=request) from error
    except h11.LocalProtocolError as error:
        raise httpx.LocalProtocolError(str(error), request=request) from error
    except (ClosedWithoutAnswer, TooManyInterim) as error:
        raise httpx.RemoteProtocolError(describe_failure(error)[0], request=request) from error
    except (ConnectionResetError, BrokenPipeError) as error:
        raise httpx.ReadError(str(error), request=request) from error
    except OSError as error:
        raise httpx.ConnectError(str(error), request=request) from error


def _not_packed(headers: list[tuple[bytes, bytes]], asked: str) -> list[tuple[bytes, bytes]]:
    """The headers without word of a packing that nobody asked for: httpx would unpack it to any size."""
    if asked != "identity":
        return headers
    return [(name, value) for name, value in headers if name.lower() != b"content-encoding"]


async def _parts(content: bytes | AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    if not isinstance(content, bytes):
        async for part in content:
            yield part
    elif content:
        yield content


async def _send_until_answered(
    connection: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, content: bytes
) -> Any:
    """Send a large body in parts and listen meanwhile: who refuses it early is not sent the rest.

    Whoever sends on gets a reset for an answer, because the other side has closed with bytes unread.
    """
    import h11

    answer = asyncio.ensure_future(_final_answer(connection, reader))
    try:
        for start in range(0, len(content), READ_BYTES):
            writer.write(connection.send(h11.Data(data=content[start : start + READ_BYTES])))
            drained = asyncio.ensure_future(writer.drain())
            await asyncio.wait({drained, answer}, return_when=asyncio.FIRST_COMPLETED)
            drained.cancel()
            # What became of sending does not matter where an answer came; where none did, reading says why.
            await asyncio.gather(drained, return_exceptions=True)
            if answer.done():
                return answer.result()
        writer.write(connection.send(h11.EndOfMessage()))
        return await answer
    finally:
        answer.cancel()
        await asyncio.gather(answer, return_exceptions=True)


async def _final_answer(connection: Any, reader: asyncio.StreamReader) -> Any:
    """The response, past a few interim ones."""
    import h11

    for _ in range(INTERIM_MAX + 1):
        event = await _next_event(connection, reader)
        if isinstance(event, h11.Response):
            return event
    raise TooManyInterim


async def _next_event(connection: Any, reader: asyncio.StreamReader) -> Any:
    import h11

    while True:
        event = connection.next_event()
        if event is not h11.NEED_DATA:
            return event
        data = await reader.read(READ_BYTES)
        if not data and connection.their_state is h11.SEND_RESPONSE and not connection.trailing_data[0]:
            raise ClosedWithoutAnswer
        connection.receive_data(data)


async def _body(connection: Any, reader: asyncio.StreamReader) -> AsyncGenerator[bytes]:
    import h11

    for number in itertools.count(1):
        event = await _next_event(connection, reader)
        if not isinstance(event, h11.Data):
            # End of message, or the server closed where its framing allows that.
            return
        yield bytes(event.data)
        if number % BREATHE_EVERY == 0:
            # Reading what has already come does not suspend: a flood must not keep the loop to itself.
            await asyncio.sleep(0)
