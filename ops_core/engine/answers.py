"""What the engine's answers mean: which container a name stands for, what it does, what its log says. Pure.

A name is never put into a path. It is looked for in the engine's own list, and what is found is asked for by its id:
the path of a request would take `..` or `?` for more than a name, and the engine takes the beginning of an id for one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from ops_core.errors import OpsError

PROJECT_LABEL = "com.docker.compose.project"
SERVICE_LABEL = "com.docker.compose.service"
# What a rollback leaves or prepares beside a container bears this in its name.
BESIDE = ".ops-"
DRAFT = f"{BESIDE}next"
NEVER = "0001-01-01T00:00:00Z"
ID = re.compile(r"[0-9a-f]{12,64}")
_FRAME_HEAD_BYTES = 8
_STREAMS = (0, 1, 2)


class AnswerNotUnderstood(OpsError):
    """The engine's answer is not what its API promises."""


@dataclass(frozen=True, kw_only=True)
class Container:
    """A container as the engine describes it.

    Attributes:
        id: 64 hexadecimal digits.
        name: without the slash that the engine puts before it.
        state: `created`, `running`, `paused`, `restarting`, `removing`, `exited` or `dead`.
        health: `healthy`, `unhealthy`, `starting`, or `none` where no health check is configured.
        pid: of its first process, as the host numbers it; None where there is none.
        image: the reference that it was made from, as people know it.
        image_id: the id of that image, 64 hexadecimal digits.
        started_at: as the engine wrote it, with nanoseconds; it differs for every start.
        finished_at: likewise.
        raw: everything the engine said.
    """

    id: str
    name: str
    state: str
    health: str
    pid: int | None
    exit_code: int
    restart_count: int
    image: str
    image_id: str
    started_at: str
    finished_at: str
    raw: Mapping[str, Any]

    @property
    def running(self) -> bool:
        """Whether there is a process in it that may be of use, or soon will be."""
        return self.state in {"running", "paused", "restarting"}

    @property
    def tty(self) -> bool:
        """Whether its log is plain text instead of frames."""
        return bool(self.raw.get("Config", {}).get("Tty"))


def list_path(*, name: str = "", project: str = "") -> str:
    """The request for the containers that may be meant, stopped ones too.

    Args:
        name: the engine gives all whose name holds it, and `pick` takes the one.
        project: of Compose; the engine gives all of that project.
    """
    wanted: dict[str, list[str]] = {}
    if project:
        wanted["label"] = [f"{PROJECT_LABEL}={project}"]
    if name:
        wanted["name"] = [re.escape(name)]
    return "/containers/json?" + urlencode({"all": "true", "filters": json.dumps(wanted)})


def pick(listed: object, *, name: str, project: str = "") -> str | None:
    """The id of the one container that is meant, from the answer to `list_path`; None where there is none.

    Args:
        listed: the decoded answer.
        name: the container's name; with a project, the name of the service in it.
        project: of Compose. What a rollback left beside a container does not count.

    Raises:
        AnswerNotUnderstood: it is no list of containers, or a service has several.
    """
    found = []
    for entry in entries(listed):
        names = names_of(entry)
        if project:
            labels = entry.get("Labels") or {}
            meant = labels.get(SERVICE_LABEL) == name and not any(BESIDE in one for one in names)
        else:
            meant = name in names
        if meant:
            found.append(_id(entry.get("Id")))
    if len(found) > 1:
        raise AnswerNotUnderstood(
            f"there are {len(found)} containers of the service {name}",
            where=f"Compose project {project}" if project else name,
            next_step="name one container, without compose_project",
        )
    return found[0] if found else None


def entries(listed: object) -> list[Mapping[str, Any]]:
    """The entries of a list of containers.

    Raises:
        AnswerNotUnderstood: it is none.
    """
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        raise AnswerNotUnderstood("the engine's answer is not a list of containers")
    return listed


def names_of(entry: Mapping[str, Any]) -> list[str]:
    """The names of an entry; a name with a slash in it is an alias inside another container."""
    return [str(name).removeprefix("/") for name in entry.get("Names") or ()]


def container_of(described: object) -> Container:
    """A container from the engine's description.

    Raises:
        AnswerNotUnderstood: it is none.
    """
    try:
        assert isinstance(described, dict)  # noqa: S101 - told as what it is below
        state, config = described["State"], described["Config"]
        health = state.get("Health") or state.get("Healthcheck") or {}
        return Container(
            id=_id(described["Id"]),
            name=str(described["Name"]).removeprefix("/"),
            state=str(state["Status"]),
            health=str(health.get("Status") or "none"),
            pid=int(state.get("Pid") or 0) or None,
            exit_code=int(state.get("ExitCode") or 0),
            restart_count=int(described.get("RestartCount") or 0),
            image=str(config.get("Image") or ""),
            image_id=_id(str(described["Image"]).removeprefix("sha256:")),
            started_at=str(state.get("StartedAt") or NEVER),
            finished_at=str(state.get("FinishedAt") or NEVER),
            raw=described,
        )
    except (AssertionError, KeyError, TypeError, ValueError, AttributeError):
        raise AnswerNotUnderstood("the engine's answer is not the description of a container") from None


def message_of(body: bytes) -> str:
    """What the engine says about a request that it refused, in one line."""
    try:
        said = json.loads(body)
        text = str(said.get("message") or said.get("cause") or "")
    except (ValueError, AttributeError):
        text = body.decode("utf-8", "replace")
    return " ".join(text.split())[:300]


def lines_of(log: bytes, *, tty: bool) -> Iterator[str]:
    """The lines of a log as the engine sends it: frames of both streams, or plain text of a terminal.

    A line that is not finished is a line too. Bytes that are no frames are taken for plain text.

    Args:
        log: the body of the answer, possibly cut.
        tty: whether the container has a terminal.
    """
    plain = log if tty else b"".join(_payloads(log))
    yield from plain.decode("utf-8", "replace").splitlines()


def _payloads(log: bytes) -> Iterator[bytes]:
    at = 0
    while at + _FRAME_HEAD_BYTES <= len(log):
        head = log[at : at + _FRAME_HEAD_BYTES]
        if head[0] not in _STREAMS or head[1:4] != b"\0\0\0":
            yield log[at:]
            return
        size = int.from_bytes(head[4:], "big")
        yield log[at + _FRAME_HEAD_BYTES : at + _FRAME_HEAD_BYTES + size]
        at += _FRAME_HEAD_BYTES + size


def ports_of(described: Mapping[str, Any]) -> tuple[str, ...]:
    """Which port of the host leads to which of the container, as `docker ps` writes it; `host` for its network."""
    if (described.get("HostConfig") or {}).get("NetworkMode") == "host":
        return ("host",)
    found = []
    for inside, bound in sorted(((described.get("NetworkSettings") or {}).get("Ports") or {}).items()):
        found += [f"{one.get('HostIp') or '*'}:{one.get('HostPort')}->{inside}" for one in bound or ()] or [str(inside)]
    return tuple(found)


def labels_of(described: Mapping[str, Any]) -> Mapping[str, str]:
    """The labels of a container."""
    return (described.get("Config") or {}).get("Labels") or {}


def states_of(listed: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, str], ...]:
    """Name and status (`Up 3 minutes (healthy)`) of each entry of a list, by name."""
    named = ((names_of(entry), str(entry.get("Status") or entry.get("State") or "")) for entry in listed)
    return tuple(sorted((names[0], status) for names, status in named if names))


def _id(value: object) -> str:
    if not isinstance(value, str) or not ID.fullmatch(value):
        raise AnswerNotUnderstood(f"the engine names {value!r:.80}, which is no id")
    return value
