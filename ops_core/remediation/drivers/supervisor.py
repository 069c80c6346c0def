"""The supervisor driver: supervisorctl changes, XML-RPC over supervisord's unix socket tells.

Asked synchronously and with a limit on every answer: this runs between two steps of a remediation, where an event loop
would have nothing else to do.
"""

from __future__ import annotations

import base64
import http.client
import socket
import sys
from pathlib import Path
from typing import Any

from ops_core.errors import CannotLook
from ops_core.probes.instruments.process import read_socket
from ops_core.remediation.drivers import DriverUnanswered, ProcessState
from ops_core.remediation.plan import ProcessRunning, ProcessStopped, Step, as_text

ANSWER_S = 5.0
ANSWER_MAX_BYTES = 262_144
# supervisord waits `stopwaitsecs` (10 by default) before it kills, and `startsecs` times `startretries` before it
# gives up.
STEP_S = 30.0
ENDED = frozenset({"STOPPED", "EXITED", "FATAL"})
RUNNING = "RUNNING"
KNOWN = ENDED | {RUNNING, "STARTING", "STOPPING", "BACKOFF"}


class SupervisorDriver:
    """One program of one supervisord.

    Args:
        conf: supervisord's configuration file.
        name: the program's name in it.
    """

    def __init__(self, conf: Path, name: str) -> None:
        self.conf = conf
        self.name = name

    def state(self) -> ProcessState:
        """What supervisord says about the program.

        Raises:
            DriverUnanswered: it cannot be asked, does not know the program, or says what nobody understands.
        """
        try:
            path, credentials = read_socket(self.conf)
        except CannotLook as error:
            raise DriverUnanswered(error.what, where=error.where) from None
        info = _call(path, credentials, "supervisor.getProcessInfo", self.name)
        try:
            state = str(info["statename"])
            pid, started_at, ended_at, now = (int(info[key]) for key in ("pid", "start", "stop", "now"))
        except (KeyError, TypeError, ValueError):
            raise DriverUnanswered("supervisord's answer is not a process description", where=path) from None
        if state not in KNOWN:
            raise DriverUnanswered(f"supervisord says {state[:40]!r} about {self.name}", where=path)
        return ProcessState(
            running=state not in ENDED,
            state=state,
            pid=pid or None,
            started_at=started_at,
            ended_at=ended_at,
            asked_at=now,
        )

    def stop_step(self, pid: int | None) -> Step:
        """`supervisorctl stop`: supervisord itself goes over to SIGKILL for whoever does not hear SIGTERM."""
        outcome = ProcessStopped(conf=as_text(self.conf), name=self.name, pid=pid)
        return Step(name=f"stop {self.name}", argv=self._argv("stop"), timeout_s=STEP_S, outcome=outcome)

    def start_step(self, not_pid: int | None) -> Step:
        """`supervisorctl start`."""
        outcome = ProcessRunning(conf=as_text(self.conf), name=self.name, not_pid=not_pid)
        return Step(name=f"start {self.name}", argv=self._argv("start"), timeout_s=STEP_S, outcome=outcome)

    def _argv(self, verb: str) -> tuple[str, ...]:
        # -P: what lies in the current folder must not be taken for supervisor.
        python = (as_text(sys.executable), "-P", "-m", "supervisor.supervisorctl")
        return (*python, "-c", as_text(self.conf), verb, self.name)


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("supervisor", timeout=ANSWER_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(ANSWER_S)
        self.sock.connect(self._path)


def _call(path: str, credentials: tuple[str, str] | None, method: str, *arguments: str) -> Any:
    import xmlrpc.client

    headers = {"Content-Type": "text/xml"}
    if credentials:
        headers["Authorization"] = "Basic " + base64.b64encode(":".join(credentials).encode()).decode("ascii")
    connection = _Connection(path)
    try:
        connection.request("POST", "/RPC2", xmlrpc.client.dumps(arguments, method).encode(), headers)
        response = connection.getresponse()
        answer = response.read(ANSWER_MAX_BYTES)
    except (OSError, http.client.HTTPException) as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise DriverUnanswered(f"supervisord cannot be asked: {why}", where=path) from None
    finally:
        connection.close()
    if response.status != 200:
        raise DriverUnanswered(f"supervisord answered {response.status}", where=path)
    try:
        values, _ = xmlrpc.client.loads(answer)
    except xmlrpc.client.Fault as fault:
        raise DriverUnanswered(f"supervisord refused: {fault.faultString}", where=path) from None
    except Exception as error:  # noqa: BLE001 - expat and xmlrpc raise what they like on garbage
        raise DriverUnanswered(f"supervisord's answer is not XML-RPC: {error}", where=path) from None
    return values[0] if values else None
