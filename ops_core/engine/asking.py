"""A client of the engine for whoever acts: one request after the other, each within a time limit, answers bounded.

Synchronous, because it is used in the steps of a remediation and between them, where an event loop would have nothing
else to do. Probes have an instrument of their own.
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
from pathlib import Path
from typing import Any

from ops_core.engine.answers import Container, container_of, list_path, message_of, pick
from ops_core.errors import OpsError

ANSWER_S = 5.0
ANSWER_MAX_BYTES = 8 << 20


class EngineUnanswered(OpsError):
    """The engine cannot be asked: nothing is known about its containers."""


class EngineRefused(OpsError):
    """The engine answered, and did not do it."""

    def __init__(self, what: str, *, where: str, status: int) -> None:
        super().__init__(what, where=where)
        self.status = status


class Engine:
    """The engine behind a socket.

    Args:
        path: the socket.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def find(self, name: str, project: str = "") -> Container | None:
        """The container of that name, or of that service in a Compose project; None where there is none.

        Raises:
            EngineUnanswered: the engine cannot be asked, or answers what nobody understands.
            EngineRefused: it does not tell.
        """
        found = pick(
            self.ask("GET", list_path(name="" if project else name, project=project)), name=name, project=project
        )
        return None if found is None else self.inspect(found)

    def inspect(self, identity: str) -> Container | None:
        """The container of that id; None where it is gone. Errors as in `find`."""
        try:
            return container_of(self.ask("GET", f"/containers/{identity}/json"))
        except EngineRefused as error:
            if error.status == http.client.NOT_FOUND:
                return None
            raise

    def image(self, identity: str) -> dict[str, Any] | None:
        """The description of the image of that id; None where the engine does not have it. Errors as in `find`."""
        try:
            found = self.ask("GET", f"/images/{identity}/json")
        except EngineRefused as error:
            if error.status == http.client.NOT_FOUND:
                return None
            raise
        return found if isinstance(found, dict) else None

    def ask(self, method: str, path: str, body: object = None, *, limit_s: float = ANSWER_S) -> Any:
        """The decoded answer to one request; None where it is empty.

        Args:
            method: of HTTP.
            path: with the query, all of it encoded.
            body: a JSON value to send.
            limit_s: seconds for all of it.

        Raises:
            EngineUnanswered: there is no answer that could be understood.
            EngineRefused: the answer is not one of success.
        """
        where = f"{self.path}, {method} {path.partition('?')[0]}"
        connection = _Connection(str(self.path), limit_s)
        late = threading.Event()
        timer = threading.Timer(limit_s, _cut_off, (connection, late))
        timer.daemon = True
        timer.start()
        try:
            headers = {} if body is None else {"Content-Type": "application/json"}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            answer = response.read(ANSWER_MAX_BYTES + 1)
        except (OSError, http.client.HTTPException, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error) or type(error).__name__
            if late.is_set() or isinstance(error, TimeoutError):
                why = f"no answer within {limit_s:g} s"
            raise EngineUnanswered(f"the container engine cannot be asked: {why}", where=where) from None
        finally:
            timer.cancel()
            connection.close()
        if late.is_set():
            raise EngineUnanswered(f"the container engine cannot be asked: no answer within {limit_s:g} s", where=where)
        if len(answer) > ANSWER_MAX_BYTES:
            raise EngineUnanswered("the container engine's answer is too long", where=where)
        if response.status >= http.client.BAD_REQUEST:
            said = message_of(answer) or f"it answered {response.status}"
            raise EngineRefused(f"the container engine refused: {said}", where=where, status=response.status)
        try:
            return json.loads(answer) if answer.strip() else None
        except ValueError:
            raise EngineUnanswered("the container engine's answer is not JSON", where=where) from None


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str, limit_s: float) -> None:
        super().__init__("engine", timeout=limit_s)
        self._path = path
        # The response takes `sock` over as soon as its headers are there.
        self.opened: socket.socket | None = None

    def connect(self) -> None:
        self.opened = self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _cut_off(connection: _Connection, late: threading.Event) -> None:
    """End whatever waits on the connection: a limit on each read alone would let an answer drip for hours."""
    late.set()
    try:
        if connection.opened is not None:
            connection.opened.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
