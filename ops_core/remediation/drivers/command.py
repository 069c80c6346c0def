"""The command driver: the operator's own commands stop, start and tell. A command knows no process numbers."""

from __future__ import annotations

from pathlib import Path

from ops_core.remediation.child import run_child
from ops_core.remediation.drivers import DriverUnanswered, ProcessState
from ops_core.remediation.plan import CommandSays, Step, shown

ANSWER_S = 10.0
STEP_S = 60.0
# What shells, env and timeout return when the command itself did not get to say anything.
NO_ANSWER_FROM = 126


class CommandDriver:
    """A target with `start_argv`, `stop_argv` and `running_argv`.

    Args:
        start: starts it.
        stop: stops it.
        running: says whether it runs: ends with 0 for yes, 1 to 125 for no.
        folder: where all three are run.
    """

    def __init__(self, start: tuple[str, ...], stop: tuple[str, ...], running: tuple[str, ...], folder: Path) -> None:
        self._start, self._stop, self._running, self._folder = start, stop, running, folder

    def state(self) -> ProcessState:
        """What `running_argv` says.

        Raises:
            DriverUnanswered: it says neither yes nor no.
        """
        yes = ask(self._running, self._folder)
        return ProcessState(running=yes, state="yes" if yes else "no")

    def stop_step(self, pid: int | None) -> Step:  # noqa: ARG002 - a command knows no process numbers
        """`stop_argv`."""
        outcome = CommandSays(argv=self._running, yes=False)
        return Step(name="stop", argv=self._stop, timeout_s=STEP_S, outcome=outcome)

    def start_step(self, not_pid: int | None) -> Step:  # noqa: ARG002 - a command knows no process numbers
        """`start_argv`."""
        outcome = CommandSays(argv=self._running, yes=True)
        return Step(name="start", argv=self._start, timeout_s=STEP_S, outcome=outcome)


def ask(argv: tuple[str, ...], folder: Path, limit_s: float = ANSWER_S) -> bool:
    """Whether a command, run in `folder`, says yes (0) or no (1 to 125).

    Raises:
        DriverUnanswered: it could not be run, did not end in time, or ended in another way.
    """
    try:
        ended = run_child(argv, timeout_s=limit_s, cwd=folder)
    except OSError as error:
        raise DriverUnanswered(f"the command cannot be run: {error.strerror}", where=shown(argv)) from None
    if ended.why or not 0 <= ended.exit_code < NO_ANSWER_FROM:
        raise DriverUnanswered(
            f"the command says neither yes nor no: {ended.why or f'exit {ended.exit_code}'}",
            where=shown(argv),
            allowed="exit 0 for yes, 1 to 125 for no",
        )
    return ended.exit_code == 0
