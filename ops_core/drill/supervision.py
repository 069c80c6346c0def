"""Talking to the stack's supervisord, with a limit on how long it may take to answer."""

from __future__ import annotations

import contextlib
import http.client
import socket
import xmlrpc.client
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops_core.errors import OpsError

ANSWER_S = 10.0
FAULT_ALREADY_STARTED = 60
FAULT_NOT_RUNNING = 70


class SupervisorError(OpsError):
    """supervisord refused, or could not be reached."""


@dataclass(frozen=True, kw_only=True)
class ProcessInfo:
    """What supervisord knows about one process. `pid` is 0 when there is none."""

    name: str
    state: str
    pid: int


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__()
        self._path, self._timeout_s = path, timeout_s

    def make_connection(self, host: tuple[str, dict[str, str]] | str) -> http.client.HTTPConnection:
        connection = _UnixConnection(self._path, self._timeout_s)
        self._connection = host, connection  # what the base class closes
        return connection


class Supervision:
    """The calls a stack needs. Each opens its own connection, closes it, and may raise `SupervisorError`.

    Args:
        socket_path: supervisord's unix socket.
    """

    def __init__(self, socket_path: Path) -> None:
        self.path = socket_path

    def pid(self) -> int:
        """The pid of supervisord itself."""
        return int(self._checked("supervisor.getPID"))

    def nudge(self) -> None:
        """Make it look around now: it starts and reaps children once a second unless something wakes it."""
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
            caller.settimeout(1.0)
            caller.connect(str(self.path))

    def info(self, name: str) -> ProcessInfo:
        """The state of one process."""
        found = self._checked("supervisor.getProcessInfo", name)
        return ProcessInfo(name=name, state=str(found["statename"]), pid=int(found["pid"]))

    def start(self, name: str) -> None:
        """Start a process; one that runs is left alone."""
        self._checked("supervisor.startProcess", name, passing=FAULT_ALREADY_STARTED)

    def stop(self, name: str) -> None:
        """Stop a process and wait until it is gone; one that does not run is left alone."""
        self._checked("supervisor.stopProcess", name, passing=FAULT_NOT_RUNNING)

    def signal(self, name: str, signal_number: int) -> None:
        """Send a signal. supervisord sends it to its own child, so it cannot reach a stranger's reused pid."""
        self._checked("supervisor.signalProcess", name, str(int(signal_number)), passing=FAULT_NOT_RUNNING)

    def shutdown(self) -> None:
        """Ask supervisord to stop everything and end."""
        self._checked("supervisor.shutdown")

    def _checked(self, method: str, *arguments: object, passing: int | None = None) -> Any:
        try:
            return self._call(method, *arguments)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode == passing:
                return None
            what = f"the supervisor refused {method.rpartition('.')[2]}: {fault.faultString}"
            raise SupervisorError(what, where=str(self.path)) from None

    def _call(self, method: str, *arguments: object) -> Any:
        try:
            with xmlrpc.client.ServerProxy("http://localhost", _UnixTransport(self.path, ANSWER_S)) as server:
                return getattr(server, method)(*arguments)
        except xmlrpc.client.Fault:
            raise
        except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
            raise SupervisorError(
                f"the supervisor of the embedded stack does not answer: {error}", where=str(self.path)
            ) from None
