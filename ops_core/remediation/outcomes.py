"""What is so once a step had its effect: plain data, looked up in the world by `probing`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class LinkPointsTo:
    """The symbolic link holds exactly this text."""

    link: str
    destination: str


@dataclass(frozen=True, kw_only=True)
class ProcessRunning:
    """The supervisor says RUNNING, and the process is another one than `not_pid`."""

    conf: str
    name: str
    not_pid: int | None = None


@dataclass(frozen=True, kw_only=True)
class ProcessStopped:
    """The supervisor says that there is no process; the one that had `pid` is gone."""

    conf: str
    name: str
    pid: int | None = None


@dataclass(frozen=True, kw_only=True)
class CommandSays:
    """The command ends with 0 (`yes`), or with 1 to 125 (not `yes`). Anything else is no answer."""

    argv: tuple[str, ...]
    yes: bool


@dataclass(frozen=True, kw_only=True)
class FileHolds:
    """The file is there and its content has this SHA-256."""

    path: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class ContainerRunning:
    """The engine says that the container runs, and its first process is another one than `not_pid`."""

    engine: str
    name: str
    not_pid: int | None = None


@dataclass(frozen=True, kw_only=True)
class ContainerStopped:
    """The engine says that no process of the container is left; the one that had `pid` is gone."""

    engine: str
    name: str
    pid: int | None = None


@dataclass(frozen=True, kw_only=True)
class ContainerImage:
    """The container of that name was made from the image of this id."""

    engine: str
    name: str
    image: str


@dataclass(frozen=True, kw_only=True)
class ContainerIs:
    """The container of this id has that name."""

    engine: str
    name: str
    id: str


OfContainers = ContainerRunning | ContainerStopped | ContainerImage | ContainerIs
Outcome = LinkPointsTo | ProcessRunning | ProcessStopped | CommandSays | FileHolds | OfContainers
KINDS: Mapping[str, type[Any]] = {
    "link_points_to": LinkPointsTo,
    "process_running": ProcessRunning,
    "process_stopped": ProcessStopped,
    "command_says": CommandSays,
    "file_holds": FileHolds,
    "container_running": ContainerRunning,
    "container_stopped": ContainerStopped,
    "container_image": ContainerImage,
    "container_is": ContainerIs,
}
