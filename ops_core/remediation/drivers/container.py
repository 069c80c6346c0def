"""The container driver: steps are `python -m ops_core.engine …`, the container engine itself tells what is the case."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ops_core.engine.acting import reference_of
from ops_core.engine.answers import DRAFT, Container
from ops_core.engine.asking import Engine
from ops_core.errors import OpsError
from ops_core.remediation.drivers import DriverUnanswered, ProcessState
from ops_core.remediation.plan import (
    ContainerImage,
    ContainerIs,
    ContainerRunning,
    ContainerStopped,
    OfContainers,
    Outcome,
    PlanRefused,
    Step,
    as_text,
)
from ops_core.targets import ENGINE_SOCKET, Target

STEP_S = 60.0
# The engine gives a container ten seconds to stop, or as long as the container says.
STOP_MAX_S = 500.0
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class ImageInForce:
    """The image that a container runs and the one that was last seen good, by id and as people know them."""

    container: str
    id: str
    shown: str
    good: str
    good_shown: str


class ContainerDriver:
    """One container of one engine.

    Args:
        socket: the engine's.
        name: the container's, or with a project its service's.
        project: of Compose.
    """

    def __init__(self, socket: Path, name: str, project: str = "") -> None:
        self.socket = socket
        self._wanted = (name, project)
        self._engine = Engine(socket)
        self._seen: Container | None = None

    @classmethod
    def of(cls, target: Target) -> ContainerDriver:
        """The driver of a target that names a container."""
        project = str(target.vars.get("compose_project", ""))
        return cls(target.engine_socket or ENGINE_SOCKET, str(target.container), project)

    def state(self) -> ProcessState:
        """What the engine says about the container.

        Raises:
            DriverUnanswered: it cannot be asked, or has no such container.
        """
        found = self._seen = self._found()
        return ProcessState(running=found.running, state=found.state, pid=found.pid)

    def stop_step(self, pid: int | None) -> Step:
        """Stop it: the engine itself goes over to SIGKILL for whoever does not hear the first signal.

        Raises:
            PlanRefused: it would be gone then.
        """
        found = self._known()
        if (found.raw.get("HostConfig") or {}).get("AutoRemove"):
            raise PlanRefused(
                f"the container {found.name} is removed as soon as it stops: nothing could start it again",
                where=str(self.socket),
                next_step="make it without --rm",
            )
        patience_s = (found.raw.get("Config") or {}).get("StopTimeout") or 0
        outcome = ContainerStopped(engine=as_text(self.socket), name=found.name, pid=pid)
        return self.step("stop", found.name, outcome=outcome, limit_s=STEP_S + min(float(patience_s), STOP_MAX_S))

    def start_step(self, not_pid: int | None) -> Step:
        """Start it."""
        name = self._known().name
        return self.step(
            "start", name, outcome=ContainerRunning(engine=as_text(self.socket), name=name, not_pid=not_pid)
        )

    def image(self, good: str | None) -> ImageInForce:
        """The image that it runs, and the good one.

        Args:
            good: the id of the image that was last seen good.

        Raises:
            PlanRefused: there is none, or the engine has it no more.
        """
        found = self._known()
        where = f"{found.name}, {self.socket}"
        if good is None:
            raise PlanRefused(
                f"no image of {found.name} was ever recorded as good",
                where=where,
                next_step="choose one by hand; a healthy observation records what runs",
            )
        image = _asked(lambda: self._engine.image(good))
        if image is None:
            raise PlanRefused(
                f"the engine does not have the last good image any more: {good[:12]}",
                where=where,
                next_step="load or pull it again, then look again",
            )
        shown = found.image if not found.image.startswith((found.image_id[:12], "sha256:")) else found.image_id[:12]
        tag = reference_of(image, good, like=found.image)
        return ImageInForce(
            container=found.id,
            id=found.image_id,
            shown=shown,
            good=good,
            good_shown=good[:12] if tag in {good, shown} else tag,
        )

    @property
    def name(self) -> str:
        """The container's own name, as the engine has it."""
        return self._known().name

    def step(self, verb: str, *words: str, outcome: Outcome, limit_s: float = STEP_S, repeatable: bool = False) -> Step:
        """One step of `python -m ops_core.engine`."""
        # -P: what lies in the current folder must not be taken for one of ours.
        module = (as_text(sys.executable), "-P", "-m", "ops_core.engine", as_text(self.socket))
        return Step(
            name=f"{verb} {words[0]}"[:120],
            argv=(*module, verb, *words),
            timeout_s=limit_s,
            outcome=outcome,
            repeatable=repeatable,
        )

    def _known(self) -> Container:
        if self._seen is None:
            self._seen = self._found()
        return self._seen

    def _found(self) -> Container:
        name, project = self._wanted
        found = _asked(lambda: self._engine.find(name, project))
        if found is None:
            raise DriverUnanswered(f"the engine has no container {name}", where=str(self.socket))
        return found


def roll_back(
    driver: ContainerDriver, found: ImageInForce, process: ProcessState
) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """The steps to the last good image, and the way back to the container that runs now.

    The new container is made while the old one still runs; the old one is only stopped and renamed. Making and renaming
    find out what is the case first, so both may be repeated.
    """
    name, engine = driver.name, as_text(driver.socket)
    made = ContainerImage(engine=engine, name=name + DRAFT, image=found.good)
    swapped = ContainerImage(engine=engine, name=name, image=found.good)
    back = ContainerIs(engine=engine, name=name, id=found.container)
    steps = (
        driver.step("draft", name, found.good, outcome=made, repeatable=True),
        *((driver.stop_step(process.pid),) if process.running else ()),
        driver.step("swap", name, name + DRAFT, outcome=swapped, repeatable=True),
        driver.start_step(process.pid),
    )
    undo = (
        driver.stop_step(None),
        driver.step("swap", name, found.container, outcome=back, repeatable=True),
        driver.start_step(None),
    )
    return steps, undo


def look_at(outcome: OfContainers) -> tuple[bool, bool, str, Mapping[str, Any]]:
    """Whether an outcome holds, whether it is about to, what was seen, and a mark that every effect changes.

    Raises:
        DriverUnanswered: nobody can tell.
    """
    engine = Engine(Path(outcome.engine))
    found = _asked(lambda: engine.find(outcome.name))
    if found is None:
        if isinstance(outcome, ContainerImage | ContainerIs):
            return False, False, f"there is no container {outcome.name}", {"container": None}
        raise DriverUnanswered(f"the engine has no container {outcome.name}", where=outcome.engine)
    mark = {
        "container": found.id,
        "state": found.state,
        "pid": found.pid,
        "started": found.started_at,
        "finished": found.finished_at,
    }
    detail = f"{found.name} ({found.id[:12]}, image {found.image_id[:12]}) is {found.state}"
    changing = False
    if isinstance(outcome, ContainerRunning):
        holds = found.state == "running" and found.pid is not None and found.pid != outcome.not_pid
        changing = found.state == "restarting"
    elif isinstance(outcome, ContainerStopped):
        holds = not found.running and found.pid is None and found.state != "removing"
    elif isinstance(outcome, ContainerImage):
        holds = found.image_id == outcome.image
    else:
        holds = found.id == outcome.id
    return holds, changing, detail, mark


def _asked(ask: Callable[[], T]) -> T:
    try:
        return ask()
    except DriverUnanswered:
        raise
    except OpsError as error:
        raise DriverUnanswered(error.what, where=error.where) from None
