"""How a target's process is stopped, started and asked about: by the supervisor that runs it, or by commands.

A driver changes nothing itself. It says which steps a plan needs, and what is the case now; the runner runs the steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ops_core.errors import OpsError
from ops_core.remediation.plan import PlanRefused, Step
from ops_core.targets import Target


class DriverUnanswered(OpsError):
    """Whoever runs the process cannot be asked: nothing is known about it."""


@dataclass(frozen=True, kw_only=True)
class ProcessState:
    """What a driver says about a process.

    Attributes:
        running: whether there is a process that is, or may become, of use; None where the driver cannot tell.
        state: the supervisor's own word, such as RUNNING; `yes` or `no` from a command.
        pid: the process number; None where there is no process or the driver does not know it.
        started_at: when it was last started, in whole seconds of the supervisor's clock; 0 where unknown.
        ended_at: when it last ended, likewise.
        asked_at: when this was said, by the same clock.
    """

    running: bool | None
    state: str
    pid: int | None = None
    started_at: int = 0
    ended_at: int = 0
    asked_at: int = 0


class Driver(Protocol):
    """What plans need to know of a driver."""

    def state(self) -> ProcessState:
        """What is the case now.

        Raises:
            DriverUnanswered: nobody can tell.
        """

    def stop_step(self, pid: int | None) -> Step:
        """The step that ends the process; `pid` is the one that is to be gone, where it is known."""

    def start_step(self, not_pid: int | None) -> Step:
        """The step that starts a process; `not_pid` is the one that does not count."""


def driver_for(target: Target, folder: Path) -> Driver:
    """The driver of a target; `folder` is where commands of the operator's own are run.

    Raises:
        PlanRefused: the target has none, or its settings cannot stand in a plan.
    """
    if target.driver == "supervisor" and target.supervisor_conf and target.process:
        from ops_core.remediation.drivers.supervisor import SupervisorDriver

        return SupervisorDriver(target.supervisor_conf, target.process)
    if target.driver == "command":
        from ops_core.remediation.drivers.command import CommandDriver

        return CommandDriver(target.start_argv, target.stop_argv, target.running_argv, folder)
    if target.driver == "container" and target.container:
        from ops_core.remediation.drivers.container import ContainerDriver

        return ContainerDriver.of(target)
    raise PlanRefused(
        f"nobody knows how to stop and start {target.name}: it has no driver",
        where=f"target {target.name}",
        allowed='driver = "supervisor" with process and supervisor_conf, driver = "command", or "container"',
        next_step="set a driver in ops.toml",
    )
