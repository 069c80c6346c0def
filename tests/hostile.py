"""Servers on the loopback interface that misbehave: real sockets, one behaviour each.

A behaviour is a function of the accepted connection; it ends when the server is closed, because closing shuts down every
connection that is still open.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator

Behaviour = Callable[["Connection"], None]
READ_BYTES = 65_536
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


class Connection:
    """One accepted connection and the means to be rude on it."""

    def __init__(self, sock: socket.socket, closing: threading.Event, server: HostileServer) -> None:
        self.socket = sock
        self.closing = closing
        self.server = server

    def read_request(self) -> bytes:
        """The head of the request."""
        data = b""
        while b"\r\n\r\n" not in data:
            part = self.socket.recv(READ_BYTES)
            if not part:
                break
            data += part
        if data:
            self.server.requests.append(data)
        return data

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def pause(self, seconds: float) -> None:
        """Wait, unless the server is being closed."""
        if self.closing.wait(seconds):
            raise ConnectionError("closing")

    def drip(self, data: bytes, every_s: float = 1.0) -> None:
        """Send byte by byte."""
        for index in range(len(data)):
            self.send(data[index : index + 1])
            self.pause(every_s)

    def reset(self) -> None:
        """End with RST instead of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class HostileServer:
    """Accepts on a free port of 127.0.0.1 and lets a behaviour loose on each connection."""

    def __init__(self, behaviour: Behaviour, tls: ssl.SSLContext | None = None, backlog: int = 1024) -> None:
        self._behaviour = behaviour
        self._tls = tls
        self._closing = threading.Event()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.connections = 0
        self.requests: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=backlog)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def url(self, path: str = "/health", host: str = "127.0.0.1") -> str:
        """An address of this server."""
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}{path}"

    def close(self) -> None:
        """Stop accepting and end every connection."""
        self._closing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for sock in self._open:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self._open.add(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, raw: socket.socket) -> None:
        sock = raw
        try:
            if self._tls is not None:
                sock = self._tls.wrap_socket(raw, server_side=True)
                with self._lock:
                    self._open.discard(raw)
                    self._open.add(sock)
            self._behaviour(Connection(sock, self._closing, self))
        except (OSError, ValueError):
            pass
        finally:
            with self._lock:
                self._open.discard(sock)
                self._open.discard(raw)
            sock.close()
            raw.close()


@contextlib.contextmanager
def black_hole() -> Iterator[int]:
    """A port on which connecting never completes: the queue of a listening socket that nobody accepts from is full."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=0)
    clients = []
    try:
        while True:
            client = socket.socket()
            clients.append(client)
            client.settimeout(0.3)
            try:
                client.connect(listener.getsockname())
            except TimeoutError:
                break
        yield listener.getsockname()[1]
    finally:
        for client in clients:
            client.close()
        listener.close()


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


# -- behaviours ----------------------------------------------------------------------------------------------------------


def healthy(c: Connection) -> None:
    if c.read_request():
        c.send(OK)


def unavailable(c: Connection) -> None:
    c.read_request()
    c.send(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy")


def never_answers(c: Connection) -> None:
    c.read_request()
    c.pause(3600)


def never_reads(c: Connection) -> None:
    c.pause(3600)


def drips_headers(c: Connection) -> None:
    c.read_request()
    c.drip(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" * 50)


def drips_body(c: Connection) -> None:
    c.read_request()
    c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    c.drip(b"x" * 1000)


def endless_body(c: Connection) -> None:
    c.read_request()
    c.send(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        c.send(b"x" * READ_BYTES)


def endless_headers(c: Connection) -> None:
    c.read_request()
    c.send(b"HTTP/1.1 200 OK\r\n")
    number = 0
    while True:
        c.send(b"".join(b"X-%d: y\r\n" % (number + i) for i in range(1000)))
        number += 1000


def endless_header_line(c: Connection) -> None:
    c.read_request()
    c.send(b"HTTP/1.1 200 OK\r\nX: ")
    while True:
        c.send(b"y" * READ_BYTES)


def resets(c: Connection) -> None:
    c.read_request()
    c.reset()


def resets_in_body(c: Connection) -> None:
    c.read_request()
    c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
    c.pause(0.2)
    c.reset()


def garbage(c: Connection) -> None:
    c.read_request()
    c.send(bytes(range(256)) * 64)


def closes_at_once(c: Connection) -> None:
    c.socket.close()


def closes_after_request(c: Connection) -> None:
    c.read_request()


def continues_for_ever(c: Connection) -> None:
    c.read_request()
    while True:
        c.send(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)


def body_too_short(c: Connection) -> None:
    c.read_request()
    c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nshort")


def content_length_not_a_number(c: Connection) -> None:
    c.read_request()
    c.send(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nx")


def bad_chunks(c: Connection) -> None:
    c.read_request()
    c.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nnope\r\n")


def redirects(c: Connection) -> None:
    c.read_request()
    c.send(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")


def stream_then_silent(c: Connection) -> None:
    """An event stream that opens and then says nothing at all."""
    c.read_request()
    c.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
    c.pause(3600)


def stream_of_heartbeats(c: Connection) -> None:
    c.read_request()
    c.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
    while True:
        c.send(b": heartbeat\n\n")
        c.pause(0.2)
