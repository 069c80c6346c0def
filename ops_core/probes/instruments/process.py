"""The `process` instrument: what a supervisor says about a process, and what the operating system says.

supervisord is asked over its own Unix socket (XML-RPC), never through a shell; `/proc` tells what supervisord cannot
know: that a process it calls RUNNING has been frozen.
"""

from __future__ import annotations

import os
from contextlib import aclosing
from pathlib import Path
from typing import Any

from ops_core.errors import CannotLook
from ops_core.evidence import ProcessEvidence
from ops_core.probes.instruments.context import Lookout
from ops_core.probes.instruments.request import build_request
from ops_core.probes.instruments.transport import FreshConnections

ANSWER_MAX_BYTES = 262_144
SOCKET_PATH_MAX_BYTES = 107


class ProcessInstrument:
    """Asks supervisors about processes."""

    def __init__(self, lookout: Lookout) -> None:
        self._lookout = lookout

    async def supervised(self, conf: Path, name: str) -> ProcessEvidence:
        """What the supervisord of the configuration file `conf` and the system say about the program `name`.

        Raises:
            CannotLook: supervisord cannot be asked.
        """
        self._lookout.actions.append({"instrument": "process", "supervisor": str(conf), "process": name})
        socket_path, auth = read_socket(conf)
        info = await self._call(socket_path, auth, "supervisor.getProcessInfo", name)
        if info is None:
            return ProcessEvidence(
                name=name, supervisor=str(conf), state="UNKNOWN", detail="supervisor does not know it"
            )
        pid = int(info["pid"]) or None
        return ProcessEvidence(
            name=name,
            supervisor=str(conf),
            state=str(info["statename"]),
            pid=pid,
            os_state=os_state(pid) if pid else None,
            uptime_s=float(info["now"] - info["start"]) if info["statename"] == "RUNNING" else None,
            exit_status=int(info["exitstatus"]),
            detail=self._lookout.redact.text(str(info["spawnerr"]))[:400],
        )

    async def _call(
        self, socket_path: str, auth: tuple[str, str] | None, method: str, *arguments: str
    ) -> dict[str, Any] | None:
        import xmlrpc.client

        import h11

        body = xmlrpc.client.dumps(arguments, method).encode()
        request = build_request(
            "POST", "http://supervisor/RPC2", headers={"Content-Type": "text/xml"}, auth=auth, content=body
        )
        connections = FreshConnections(self._lookout.tls, self._lookout.now, socket_path=socket_path)
        try:
            response = await connections.send(request)
            answer = b""
            try:
                async with aclosing(response.body) as parts:
                    async for part in parts:
                        answer += part
                        if len(answer) > ANSWER_MAX_BYTES:
                            raise CannotLook("supervisord's answer is too long", where=socket_path)
            finally:
                response.close()
        except (OSError, h11.ProtocolError) as error:
            why = getattr(error, "strerror", None) or type(error).__name__
            raise CannotLook(f"supervisord cannot be asked: {why}", where=socket_path) from None
        if response.status_code != 200:
            raise CannotLook(f"supervisord answered {response.status_code}", where=socket_path)
        try:
            values, _ = xmlrpc.client.loads(answer)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode == 10:  # BAD_NAME
                return None
            raise CannotLook(f"supervisord refused: {fault.faultString}", where=socket_path) from None
        except Exception as error:  # noqa: BLE001  # expat and xmlrpc raise what they like on garbage
            raise CannotLook(f"supervisord's answer is not XML-RPC: {error}", where=socket_path) from None
        if not isinstance(values[0], dict):
            raise CannotLook("supervisord's answer is not a process description", where=socket_path)
        return values[0]


def read_socket(conf: Path) -> tuple[str, tuple[str, str] | None]:
    """The path of supervisord's Unix socket and its credentials, from its configuration file.

    Expanded as supervisord expands it: `%(here)s`, `%(ENV_NAME)s`, `%%`.

    Raises:
        CannotLook: the file cannot be read, or names no socket that can be reached.
    """
    import configparser

    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"), strict=False)
    try:
        parser.read_string(conf.read_text(encoding="utf-8"))
        section = parser["unix_http_server"]
        environment = {f"ENV_{name}": value for name, value in os.environ.items()}
        path = str(section["file"]) % {"here": conf.parent, **environment}
    except (OSError, UnicodeDecodeError, configparser.Error, KeyError, ValueError, TypeError) as error:
        why = str(error).splitlines()[0]
        if isinstance(error, KeyError):
            why = f"no {error} in it"
        elif isinstance(error, OSError):
            why = error.strerror or why
        raise CannotLook(f"supervisord's configuration cannot be used: {why}", where=str(conf)) from None
    if len(os.fsencode(path)) > SOCKET_PATH_MAX_BYTES:
        raise CannotLook("the path of supervisord's socket is too long", where=path)
    auth = (section["username"], section["password"]) if "username" in section and "password" in section else None
    return path, auth


def os_state(pid: int) -> str | None:
    """The one-letter state of a process in `/proc` (R, S, D, T, Z, …); None when it does not exist."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    except OSError as error:
        raise CannotLook(f"the state of process {pid} cannot be read: {os.strerror(error.errno or 0)}") from None
    # The name in parentheses may itself hold parentheses and blanks.
    return stat.rpartition(")")[2].split()[0]
