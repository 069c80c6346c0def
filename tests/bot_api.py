"""A server that answers like the Bot API of Telegram, or badly on purpose, and keeps a ledger of what it was told.

What it has read whole counts as delivered, whatever it answered: that is what "at most once" is measured against.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

HEAD_END = b"\r\n\r\n"
PATIENCE_S = 30.0
CANNED = {
    "ok": (200, b'{"ok": true, "result": {"message_id": 7}}'),
    "not_ok": (200, b'{"ok": false, "description": "strange"}'),
    "garbage": (200, b"\xff\xfe<html>"),
    "list": (200, b"[]"),
    "400": (400, b'{"ok": false, "error_code": 400, "description": "Bad Request: message text is empty"}'),
    "401": (401, b'{"ok": false, "error_code": 401, "description": "Unauthorized"}'),
    "403": (403, b"no JSON at all"),
    "404": (404, b'{"ok": false, "error_code": 404, "description": "Not Found"}'),
    "429": (429, b'{"ok": false, "description": "Too Many Requests: retry after 5"}'),
    "500": (500, b'{"ok": false, "description": "Internal Server Error"}'),
    "502": (502, b"<html>bad gateway</html>"),
    "endless": (200, b" " * 1_000_000 + b'{"ok": true}'),
}


@dataclass(frozen=True, kw_only=True)
class Told:
    """One request that was read whole."""

    path: str
    text: str
    chat: str
    fields: tuple[str, ...]


@dataclass
class BotApi:
    """A server on a free port, for `with`.

    Attributes:
        answers: how to treat one request after the other; the last one is for all that follow. Names of `CANNED`, or
            hang, drip, redirect, cut_before, cut_after, and hold (answer "ok" only after `release` was set).
        ledger: what was read whole, in its order.
        connections: how many there were.
        reached: set when a request was read whole.
        release: lets go of those that are held.
    """

    answers: list[str] = field(default_factory=lambda: ["ok"])
    ledger: list[Told] = field(default_factory=list)
    connections: int = 0
    reached: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ended = threading.Event()
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._acceptor = threading.Thread(target=self._accept, daemon=True)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    @property
    def texts(self) -> list[str]:
        """The texts that arrived, in their order."""
        return [told.text for told in self.ledger]

    def __enter__(self) -> Self:
        self._acceptor.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self.release.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in (self._acceptor, *self._threads):
            thread.join(PATIENCE_S)
        for one in self._open:
            one.close()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            number, self.connections = self.connections, self.connections + 1
            self._open.append(connection)
            how = self.answers[min(number, len(self.answers) - 1)]
            self._threads.append(threading.Thread(target=self._serve, args=(connection, how), daemon=True))
            self._threads[-1].start()

    def _serve(self, connection: socket.socket, how: str) -> None:
        connection.settimeout(PATIENCE_S)
        with contextlib.suppress(OSError):
            if how == "cut_before":
                # Only once something was sent: a connection that breaks earlier was never used.
                connection.recv(1, socket.MSG_PEEK)
                _reset(connection)
                return
            told = _read(connection)
            if told is None:
                return
            self.ledger.append(told)
            self.reached.set()
            self._answer(connection, how)

    def _answer(self, connection: socket.socket, how: str) -> None:
        if how == "hang":
            self._ended.wait(PATIENCE_S)
        elif how == "cut_after":
            _reset(connection)
        elif how == "drip":
            for byte in b"HTTP/1.1 200 OK\r\nx-slow: " + b"y" * 10_000:
                connection.sendall(bytes([byte]))
                if self._ended.wait(0.05):
                    return
        elif how == "redirect":
            place = f"{self.url}/elsewhere"
            connection.sendall(_response(302, b"", (f"location: {place}",)))
            _finish(connection)
        else:
            if how == "hold":
                self.release.wait(PATIENCE_S)
            status, body = CANNED["ok" if how == "hold" else how]
            connection.sendall(_response(status, body))
            _finish(connection)


def _read(connection: socket.socket) -> Told | None:
    raw = b""
    while HEAD_END not in raw:
        chunk = connection.recv(65_536)
        if not chunk:
            return None
        raw += chunk
    head, _, body = raw.partition(HEAD_END)
    lines = head.decode("latin-1").split("\r\n")
    length = next(int(line.partition(":")[2]) for line in lines if line.lower().startswith("content-length:"))
    while len(body) < length:
        chunk = connection.recv(65_536)
        if not chunk:
            return None
        body += chunk
    values = json.loads(body)
    return Told(path=lines[0].split(" ")[1], text=values["text"], chat=values["chat_id"], fields=tuple(sorted(values)))


def _response(status: int, body: bytes, more: Iterable[str] = ()) -> bytes:
    lines = [f"HTTP/1.1 {status} Said", f"content-length: {len(body)}", "connection: close", *more]
    return "\r\n".join(lines).encode() + HEAD_END + body


def _finish(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_WR)


def _reset(connection: socket.socket) -> None:
    """Close so that the other side is told that the connection broke."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    connection.close()
