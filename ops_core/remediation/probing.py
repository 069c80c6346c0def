"""Is the outcome of a step there? And if not: can it be said that the step was never begun?

After a crash nobody knows whether an armed step had its effect. The answer is looked up in the world, never guessed;
what cannot be told is told so, and then a person looks. To be able to say "never begun", a step is armed together with
a `Mark`: what the world looked like just before. The process number, the second of its last start and the identity of
a link change with every effect, so the same mark later means that nothing happened. A command that only says yes or no
has no such mark.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from ops_core.remediation.drivers import DriverUnanswered, ProcessState
from ops_core.remediation.drivers.command import ask
from ops_core.remediation.drivers.supervisor import ENDED, RUNNING, SupervisorDriver
from ops_core.remediation.plan import (
    CommandSays,
    FileHolds,
    LinkPointsTo,
    OfContainers,
    Outcome,
    ProcessRunning,
    ProcessStopped,
    shown,
)

Mark = Mapping[str, Any]


class Answer(StrEnum):
    """Whether an outcome holds."""

    HOLDS = "holds"
    HOLDS_NOT = "holds_not"
    CHANGING = "changing"
    CANNOT_TELL = "cannot_tell"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What was seen of an outcome. `mark` is empty where nothing tells two states of the world apart."""

    answer: Answer
    detail: str
    mark: Mark


def look(outcome: Outcome, folder: Path) -> Seen:
    """Look whether an outcome holds now. Never raises for what it looks at: that is `CANNOT_TELL`.

    Args:
        outcome: what should be so.
        folder: where commands of the operator's own are run.
    """
    try:
        if isinstance(outcome, LinkPointsTo):
            return _link(outcome)
        if isinstance(outcome, CommandSays):
            return _command(outcome, folder)
        if isinstance(outcome, FileHolds):
            return _file(outcome)
        if isinstance(outcome, OfContainers):
            # Only here: most plans have nothing to do with containers.
            from ops_core.remediation.drivers.container import look_at

            holds, changing, detail, mark = look_at(outcome)
            answer = Answer.HOLDS if holds else Answer.CHANGING if changing else Answer.HOLDS_NOT
            return Seen(answer=answer, detail=detail, mark=mark)
        return _process(outcome, SupervisorDriver(Path(outcome.conf), outcome.name).state())
    except DriverUnanswered as error:
        return Seen(answer=Answer.CANNOT_TELL, detail=error.what, mark={})


def never_begun(mark: Mark, seen: Seen) -> bool:
    """Whether a step that was armed under `mark` had no effect, as far as `seen` proves it.

    To be relied on only when it holds twice in a row: a request of whoever was killed may still lie in the
    supervisor's socket, and has been taken from there by the time it answers a second one.
    """
    if not mark or seen.answer is not Answer.HOLDS_NOT or not seen.mark:
        return False
    if "link" in mark or "container" in mark:
        return mark == seen.mark
    if any(mark.get(key) != seen.mark.get(key) for key in ("state", "pid", "started_at", "ended_at")):
        return False
    # Whatever was started after the mark bears a later second than this, unless the last start was in that same second.
    return mark.get("pid") is not None or int(mark["started_at"]) < int(mark["asked_at"])


def _link(outcome: LinkPointsTo) -> Seen:
    try:
        found, stat = os.readlink(outcome.link), os.lstat(outcome.link)  # noqa: PTH115 - the text as it stands
    except FileNotFoundError:
        return Seen(answer=Answer.HOLDS_NOT, detail=f"{outcome.link} is not there", mark={})
    except OSError as error:
        return Seen(answer=Answer.CANNOT_TELL, detail=f"{outcome.link}: {error.strerror}", mark={})
    answer = Answer.HOLDS if found == outcome.destination else Answer.HOLDS_NOT
    # A link that was swapped and swapped back says the same, but is another file.
    mark = {"link": found, "file": f"{stat.st_dev}:{stat.st_ino}:{stat.st_ctime_ns}"}
    return Seen(answer=answer, detail=f"{outcome.link} points to {found}", mark=mark)


def _command(outcome: CommandSays, folder: Path) -> Seen:
    said = ask(outcome.argv, folder)
    answer = Answer.HOLDS if said is outcome.yes else Answer.HOLDS_NOT
    return Seen(answer=answer, detail=f"{shown(outcome.argv)} says {'yes' if said else 'no'}", mark={})


def _file(outcome: FileHolds) -> Seen:
    try:
        with Path(outcome.path).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return Seen(answer=Answer.HOLDS_NOT, detail=f"{outcome.path} is not there", mark={})
    except OSError as error:
        return Seen(answer=Answer.CANNOT_TELL, detail=f"{outcome.path}: {error.strerror}", mark={})
    answer = Answer.HOLDS if found == outcome.sha256 else Answer.HOLDS_NOT
    return Seen(answer=answer, detail=f"{outcome.path} has the content {found[:12]}", mark={})


def _process(outcome: ProcessRunning | ProcessStopped, found: ProcessState) -> Seen:
    if isinstance(outcome, ProcessRunning):
        holds = found.state == RUNNING and found.pid is not None and found.pid != outcome.not_pid
        changing = found.state in {"STARTING", "STOPPING", "BACKOFF"}
    else:
        holds = found.state in ENDED and (found.pid is None or found.pid != outcome.pid)
        changing = found.state == "STOPPING"
    answer = Answer.HOLDS if holds else Answer.CHANGING if changing else Answer.HOLDS_NOT
    mark = {
        "state": found.state,
        "pid": found.pid,
        "started_at": found.started_at,
        "ended_at": found.ended_at,
        "asked_at": found.asked_at,
    }
    detail = f"{outcome.name} is {found.state}" + (f", pid {found.pid}" if found.pid else "")
    return Seen(answer=answer, detail=detail, mark=mark)
