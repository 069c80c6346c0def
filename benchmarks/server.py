"""The system that is looked at: a small HTTP/1.1 server on loopback, in a process of its own.

It answers every GET after a fixed delay, holds thousands of connections at once, and can be told by the path to behave
otherwise (`/hang` never answers, `/guard` wants a secret, `/sse` sends a heartbeat). It ends when its standard input is
closed, so it cannot outlive whoever started it.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import resource
import ssl
import sys
from typing import cast

SECRET = "benchmark-secret"
BODY = b'{"status":"ok"}'
BACKLOG = 4096


def answer(status: bytes, body: bytes, *, close: bool) -> bytes:
    """A whole HTTP/1.1 response."""
    kept = b"close" if close else b"keep-alive"
    return (
        b"HTTP/1.1 " + status + b"\r\nContent-Type: application/json\r\nContent-Length: " + str(len(body)).encode()
        + b"\r\nConnection: " + kept + b"\r\n\r\n" + body
    )  # fmt: skip


class Service(asyncio.Protocol):
    """One connection. Requests are not pipelined by any client measured here."""

    delay_s = 0.0
    loop: asyncio.AbstractEventLoop

    def __init__(self) -> None:
        self._seen = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._seen += data
        end = self._seen.find(b"\r\n\r\n")
        if end < 0:
            return
        head, self._seen = self._seen[:end].lower(), self._seen[end + 4 :]
        path = head.split(b" ", 2)[1]
        close = b"connection: close" in head
        if path == b"/hang":
            return
        if path == b"/sse":
            self._transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n: heartbeat\n\n"
            )
            return
        status = b"200 OK"
        if path == b"/guard" and f"x-internal-secret: {SECRET}".encode() not in head:
            status = b"401 Unauthorized"
        if self.delay_s:
            self.loop.call_later(self.delay_s, self._send, answer(status, BODY, close=close), close)
        else:
            self._send(answer(status, BODY, close=close), close)

    def _send(self, whole: bytes, close: bool) -> None:
        if not self._transport.is_closing():
            self._transport.write(whole)
            if close:
                self._transport.close()


async def serve(options: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    Service.loop = loop
    Service.delay_s = options.delay_ms / 1000
    tls = None
    if options.tls:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*options.tls)
        tls.set_alpn_protocols(["http/1.1"])
        # No resumption: real targets are strangers to each other, and a client must not gain by their sharing a key.
        tls.options |= ssl.OP_NO_TICKET
        tls.num_tickets = 0
    origins = []
    for number in range(options.origins):
        address = f"127.0.0.{number % options.addresses + 1}"
        listener = await loop.create_server(Service, address, 0, backlog=BACKLOG, ssl=tls)
        origins.append(f"{'https' if tls else 'http'}://{address}:{listener.sockets[0].getsockname()[1]}")
    gc.freeze()
    print(json.dumps(origins), flush=True)
    ended = asyncio.Event()
    loop.add_reader(sys.stdin, ended.set)
    await ended.wait()
    loop.remove_reader(sys.stdin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--delay-ms", type=float, default=0.0)
    parser.add_argument("--origins", type=int, default=1, help="how many (address, port) pairs to listen on")
    parser.add_argument(
        "--addresses", type=int, default=1, help="how many addresses of 127.0.0.0/24 to spread them over"
    )
    parser.add_argument("--tls", nargs=2, metavar=("CERTIFICATE", "KEY"))
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve(options))
    else:
        uvloop.run(serve(options))


if __name__ == "__main__":
    main()
