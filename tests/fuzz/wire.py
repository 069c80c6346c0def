"""A connection as plain as it gets: bytes out, answers in. No HTTP library that would tidy up what is sent or seen."""

from __future__ import annotations

import select
import socket
from types import TracebackType
from typing import Self

from tests.fuzz.oracle import Reply

ANSWER_MAX = 4_000_000


class Wire:
    """One connection to the server.

    Args:
        port: on 127.0.0.1.
        patience_s: how long to wait for bytes, in seconds.
    """

    def __init__(self, port: int, patience_s: float = 30.0) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=patience_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def wait(self, patience_s: float) -> None:
        """Wait this long for bytes from now on."""
        self._socket.settimeout(patience_s)

    def send(self, raw: bytes) -> bool:
        """Send; False where the server has hung up, which does not mean that it has said nothing."""
        try:
            self._socket.sendall(raw)
        except OSError:
            return False
        return True

    def end(self) -> None:
        """Say that nothing more will come."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def reply(self, method: str = "GET") -> Reply | None:
        """The next answer; None where none came whole before the end or in time."""
        while True:
            while b"\r\n\r\n" not in self._buffer:
                if not self._more():
                    return None
            head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            version, status, *_ = first.split(" ")
            if not version.startswith("HTTP/1."):
                raise AssertionError(f"no answer of HTTP: {first[:80]!r}")
            if status == "100":
                continue
            headers = {key.lower(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
            body = b"" if method == "HEAD" or status in {"204", "304"} else self._body(headers)
            closed = headers.get("connection", "").lower() == "close"
            return None if body is None else Reply(status=int(status), headers=headers, body=body, closed=closed)

    def arrived(self) -> bool:
        """Whether anything has come that was not read, or the end; waits for nothing."""
        return bool(self._buffer) or bool(select.select([self._socket], [], [], 0)[0])

    def _body(self, headers: dict[str, str]) -> bytes | None:
        if "content-length" not in headers:
            while self._more():
                pass
            body, self._buffer = self._buffer, b""
            return body
        length = int(headers["content-length"])
        while len(self._buffer) < length:
            if not self._more():
                return None
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return body

    def _more(self) -> bool:
        try:
            got = self._socket.recv(65_536)
        except OSError:
            return False
        self._buffer += got
        return bool(got) and len(self._buffer) < ANSWER_MAX
