"""The `engine` instrument: what a container engine says about a container, over its Unix socket.

Everything is asked with GET, each answer is bounded, and an engine that cannot be asked (no socket, no permission, no
answer within the budget) means that nothing was seen.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Any

from ops_core.clock import Clock, SystemClock
from ops_core.engine import answers
from ops_core.engine.answers import Container
from ops_core.errors import CannotLook, OpsError
from ops_core.evidence.containers import ContainerEvidence, HeartbeatEvidence
from ops_core.probes.instruments.context import Lookout
from ops_core.probes.instruments.request import Request
from ops_core.probes.instruments.transport import FreshConnections
from ops_core.targets import ENGINE_SOCKET, Target

ANSWER_MAX_BYTES = 4 << 20
LOG_MAX_BYTES = 2 << 20
LOG_LINES_MAX = 5000
LOG_WINDOW_S = 3600.0
LINE_MAX_CHARS = 4096
EXCERPTS_MAX = 5
EXCERPT_MAX_CHARS = 300
HEARTBEAT_WINDOW_S = 60.0
SETTLING = timedelta(seconds=1)
ERROR_PATTERN = r"(?i)error|fatal|panic|traceback"
# "0 errors" and `error=null` tell that there are none.
_NO_ERROR = re.compile(
    r"(?i)\b(?:no|0|zero|without) errors?\b|\berrors?[\"']?\s*[:=]\s*[\"']?(?:0|none|null|false|\[\])\b"
)
_FRACTION = re.compile(r"(\.\d{1,6})\d*")


class EngineInstrument:
    """Asks container engines about containers.

    Args:
        lookout: of the probe.
        clock: tells since when a log is read.
    """

    def __init__(self, lookout: Lookout, clock: Clock | None = None) -> None:
        self._lookout = lookout
        self._clock = clock or SystemClock()

    async def container(self, target: Target) -> ContainerEvidence:
        """What the engine says about a target's container, with its log since an hour.

        Raises:
            CannotLook: the engine cannot be asked, or its answer makes no sense.
        """
        good = self._lookout.read_last_good(target.name).image
        socket, found = await self._find(target)
        if found is None:
            return ContainerEvidence(name=str(target.container), engine=socket, state="missing", image_good=good)
        project = answers.labels_of(found.raw).get(answers.PROJECT_LABEL, "")
        neighbours: tuple[tuple[str, str], ...] = ()
        if project:
            listed = await self._json(socket, answers.list_path(project=project))
            neighbours = answers.states_of(_read(lambda: answers.entries(listed)))[:50]
        state: Mapping[str, Any] = found.raw["State"]
        return ContainerEvidence(
            name=str(target.container),
            engine=socket,
            state=found.state,
            id=found.id,
            health=found.health,
            health_said=self._health_said(state),
            pid=found.pid,
            exit_code=found.exit_code,
            out_of_memory=bool(state.get("OOMKilled")),
            restart_count=found.restart_count,
            uptime_s=self._uptime_s(found),
            image=found.image,
            image_id=found.image_id,
            image_good=good,
            ports=answers.ports_of(found.raw),
            project=project,
            neighbours=neighbours,
            **await self._errors(socket, found, target),
        )

    async def heartbeats(self, target: Target) -> HeartbeatEvidence:
        """The heartbeats in a container's log.

        Raises:
            CannotLook: as above, or the target's pattern or window cannot be used.
        """
        window_s = _seconds(target)
        pattern = _pattern(target, "heartbeat_pattern", "")
        socket, found = await self._find(target)
        if found is None:
            raise CannotLook(f"the engine has no container {target.container}", where=socket)
        log, cut, problem = await self._log(socket, found, window_s)
        if problem:
            raise CannotLook(problem, where=socket)
        return HeartbeatEvidence(
            name=str(target.container),
            pattern=pattern.pattern,
            window_s=window_s,
            state=found.state,
            uptime_s=self._uptime_s(found),
            count=sum(1 for _, line in log if pattern.search(line)),
            lines=len(log),
            cut=cut,
        )

    async def _find(self, target: Target) -> tuple[str, Container | None]:
        socket = str(target.engine_socket or ENGINE_SOCKET)
        name, project = str(target.container), str(target.vars.get("compose_project", ""))
        self._lookout.actions.append({"instrument": "engine", "socket": socket, "container": name})
        listed = await self._json(socket, answers.list_path(name="" if project else name, project=project))
        identity = _read(lambda: answers.pick(listed, name=name, project=project))
        if identity is None:
            return socket, None
        described = await self._json(socket, f"/containers/{identity}/json")
        return socket, _read(lambda: answers.container_of(described))

    async def _errors(self, socket: str, found: Container, target: Target) -> dict[str, Any]:
        pattern = _pattern(target, "error_pattern", ERROR_PATTERN)
        log, cut, problem = await self._log(socket, found, LOG_WINDOW_S)
        told = [(at, line) for at, line in log if pattern.search(line) and not _NO_ERROR.search(line)]
        begun = _begun(found)
        now = [line for at, line in told if at >= begun]
        return {
            "log_window_s": LOG_WINDOW_S,
            "log_lines": len(log),
            "log_errors": len(now),
            "log_errors_all": len(told),
            "log_excerpt": tuple(self._lookout.redact.text(line)[:EXCERPT_MAX_CHARS] for line in now[:EXCERPTS_MAX]),
            "log_cut": cut,
            "log_problem": problem,
        }

    async def _log(self, socket: str, found: Container, window_s: float) -> tuple[list[tuple[str, str]], bool, str]:
        """Time and text of the newest lines; whether there are more; why there are none."""
        since = int(self._clock.now().timestamp() - window_s)
        query = f"stdout=1&stderr=1&timestamps=1&since={since}&tail={LOG_LINES_MAX}"
        status, body, cut = await self._ask(socket, f"/containers/{found.id}/logs?{query}", LOG_MAX_BYTES)
        if status != 200:
            # A log driver that keeps nothing here (syslog, none) cannot be read back.
            return [], False, f"the engine does not tell it: {answers.message_of(body) or status}"
        lines = []
        for line in answers.lines_of(body, tty=found.tty):
            at, _, text = line.partition(" ")
            lines.append((at[:26], text[:LINE_MAX_CHARS]))
        return lines, cut or len(lines) >= LOG_LINES_MAX, ""

    def _health_said(self, state: Mapping[str, Any]) -> str:
        log = (state.get("Health") or {}).get("Log") or ()
        said = " ".join(str(log[-1].get("Output") or "").split()) if log else ""
        return self._lookout.redact.text(said)[:EXCERPT_MAX_CHARS]

    def _uptime_s(self, found: Container) -> float | None:
        started = _instant(found.started_at)
        if not found.running or started is None:
            return None
        return round(max(0.0, (self._clock.now() - started).total_seconds()), 1)

    async def _json(self, socket: str, path: str) -> Any:
        status, body, cut = await self._ask(socket, path, ANSWER_MAX_BYTES)
        if status != 200:
            raise CannotLook(f"the container engine answered {status}: {answers.message_of(body)}", where=socket)
        if cut:
            raise CannotLook("the container engine's answer is too long", where=socket)
        try:
            return json.loads(body)
        except ValueError:
            raise CannotLook("the container engine's answer is not JSON", where=socket) from None

    async def _ask(self, socket: str, path: str, most_bytes: int) -> tuple[int, bytes, bool]:
        """Status and body of a GET; the body is cut at so many bytes, and whether it was."""
        import h11

        request = Request(
            method="GET",
            url=f"http://engine{path}",
            scheme="http",
            host="engine",
            port=80,
            target=path.encode("ascii"),
            headers=[(b"Host", b"engine"), (b"Accept-Encoding", b"identity"), (b"Connection", b"close")],
        )
        connections = FreshConnections(self._lookout.tls, self._lookout.now, socket_path=socket)
        kept = bytearray()
        try:
            response = await connections.send(request)
            try:
                async with aclosing(response.body) as parts:
                    async for part in parts:
                        kept += part
                        if len(kept) > most_bytes:
                            break
            finally:
                response.close()
        except (OSError, h11.ProtocolError) as error:
            why = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise CannotLook(f"the container engine cannot be asked: {why}", where=socket) from None
        return response.status_code, bytes(kept[:most_bytes]), len(kept) > most_bytes


def _read(read: Any) -> Any:
    try:
        return read()
    except OpsError as error:
        raise CannotLook(error.what, where=error.where, next_step=error.next_step) from None


def _instant(text: str) -> datetime | None:
    """The engine's time, to the microsecond; None for a container that was never started."""
    if text.startswith("0001-"):
        return None
    try:
        return datetime.fromisoformat(_FRACTION.sub(r"\1", text))
    except ValueError:
        return None


def _begun(found: Container) -> str:
    """From when on its log tells of what runs now, in the engine's spelling; of a container that ended, all of it does.

    The engine notes the start when the process may already have said something, and reads what the last one said when
    that may already have ended: in the middle between the two is neither.
    """
    ended, started = _instant(found.finished_at), _instant(found.started_at)
    if not found.running or ended is None or started is None or started <= ended:
        return ""
    return (ended + min(SETTLING, (started - ended) / 2)).strftime("%Y-%m-%dT%H:%M:%S.%f")


def _pattern(target: Target, name: str, default: str) -> re.Pattern[str]:
    text = target.vars.get(name, default)
    try:
        return re.compile(text)
    except (re.error, TypeError) as error:
        raise CannotLook(f"{name} is not a regular expression: {error}", where=f"target {target.name}, vars") from None


def _seconds(target: Target) -> float:
    found = target.vars.get("heartbeat_window_s", HEARTBEAT_WINDOW_S)
    if isinstance(found, bool) or not isinstance(found, (int, float)) or not 0 < found <= LOG_WINDOW_S:
        raise CannotLook(
            f"heartbeat_window_s is {found!r:.40}",
            where=f"target {target.name}, vars",
            allowed=f"seconds: more than 0, at most {LOG_WINDOW_S:g}",
        )
    return float(found)
