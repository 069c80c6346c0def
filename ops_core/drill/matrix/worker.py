"""One fault in a process of its own, as seen from outside: started, bounded, and ended with all that it started.

A drill breaks things on purpose, so whatever it runs in may crash, hang or be killed. None of that may harm the other
faults of a run, and nothing may be left behind: every process that a drill starts carries its mark, directly or through
whoever started it, and is hunted by it at the end in the way in which the emergency stop hunts works.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ops_core.clock import Clock, isoformat
from ops_core.control.running import processes
from ops_core.control.running.ending import end_works
from ops_core.control.running.records import OpenWork
from ops_core.drill.fault import Fault
from ops_core.drill.matrix.results import (
    FaultResult,
    Status,
    held_folder,
    read_result,
    result_path,
    write_result,
)
from ops_core.errors import OpsError, RecordError

PATIENCE_S = 20.0
SWEEP_S = 1.0
LOG = "drill.log"
LOG_LINES = 6
LOG_TAIL_BYTES = 16 << 10

Command = Callable[[Fault], list[str]]


@dataclass(kw_only=True)
class Worker:
    """A drill that runs. `descriptor` becomes readable when its process has ended."""

    fault: Fault
    folder: Path
    seed: int
    process: subprocess.Popen[bytes]
    descriptor: int
    mark: str
    scratch: Path
    begun_at: str
    begun_s: float
    patience_s: float
    ended: bool = field(default=False)

    def overdue(self, now_s: float, limit_s: float) -> bool:
        """Whether it has had its time."""
        return now_s - self.begun_s >= limit_s

    def ask_to_end(self) -> None:
        """Ask it to take the fault back and to end: what it was doing is lost."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def end(self, clock: Clock, why: str = "") -> FaultResult:
        """End it with everything that it started, and read what came of the fault.

        Args:
            clock: tells the time.
            why: why it is ended before its time; empty where it has ended by itself.
        """
        left = self._end_all()
        log = held_folder(self.folder, self.fault.name) / LOG
        result = self._written(why, log, clock)
        if left:
            problem = f"not everything that it started could be ended: {left}"
            result = _with_problem(result, problem)
            write_result(self.folder, result)
        shutil.rmtree(self.scratch, ignore_errors=True)
        return result

    def abandon(self) -> None:
        """End it with everything that it started, and leave no result: it is held again by whoever goes on."""
        self._end_all()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def _end_all(self) -> str:
        """Everything that bears the mark is ended; the answer names what could not be."""
        if self.ended:
            return ""
        self.ended = True
        me = processes.look_up(self.process.pid)
        work = OpenWork(
            id=self.mark,
            kind="drill",
            host="",
            boot_id="",
            pid=self.process.pid,
            ticks=me.ticks if me else "",
            begun_ticks=0,
            begun_at=self.begun_at,
        )
        running = self.process.poll() is None
        _, left = end_works(
            {self.mark: work},
            self.patience_s if running else SWEEP_S,
            still_open=lambda: (self.mark,) if self.process.poll() is None else (),
            notice_s=0.0,
        )
        if self.process.stdin is not None:
            self.process.stdin.close()
        os.close(self.descriptor)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(1.0)
        return "; ".join(one.why for one in left)

    def _written(self, why: str, log: Path, clock: Clock) -> FaultResult:
        if not why:
            try:
                return read_result(result_path(self.folder, self.fault.name))
            except RecordError as error:
                code = self.process.returncode
                how = f"was killed by {_signal_name(-code)}" if code and code < 0 else f"ended with {code}"
                missing = not result_path(self.folder, self.fault.name).exists()
                why = f"its process {how}" + ("" if missing else f", and what it wrote is damaged: {error.what}")
        said = last_lines(log)
        result = FaultResult(
            fault=self.fault.name,
            stack=self.fault.stack.PROFILE,
            driver=self.fault.driver,
            suite=self.fault.looked_at_by,
            seed=self.seed,
            begun_at=self.begun_at,
            ended_at=isoformat(clock.now()),
            status=Status.ERROR.value,
            reason=why + (f"; it said last: {said}" if said else ""),
        )
        write_result(self.folder, result)
        return result


def start(
    fault: Fault, argv: list[str], *, folder: Path, seed: int, scratch: Path, clock: Clock, patience_s: float
) -> Worker:
    """Start the process that holds a fault.

    Args:
        fault: which.
        argv: the process.
        folder: of the run.
        seed: of the run.
        scratch: a folder for this drill alone; it is removed at the end.
        clock: tells the time.
        patience_s: seconds that it gets to take its fault back when it is ended before its time.

    Raises:
        OpsError: it cannot be started.
    """
    held = held_folder(folder, fault.name)
    mark = f"drill-{secrets.token_hex(8)}"
    try:
        # What an earlier attempt left says nothing about this one.
        shutil.rmtree(held, ignore_errors=True)
        result_path(folder, fault.name).unlink(missing_ok=True)
        held.mkdir(parents=True, exist_ok=True)
        scratch.mkdir(parents=True, mode=0o711)
        with (held / LOG).open("wb") as log:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=environment(mark, scratch),
            )
    except OSError as error:
        raise OpsError(f"the drill cannot be started: {error.strerror}", where=str(error.filename or held)) from None
    return Worker(
        fault=fault,
        folder=folder,
        seed=seed,
        process=process,
        descriptor=os.pidfd_open(process.pid),
        mark=mark,
        scratch=scratch,
        begun_at=isoformat(clock.now()),
        begun_s=clock.monotonic(),
        patience_s=patience_s,
    )


def command_line(folder: Path, seed: int, root: Path | None, lang: str) -> Command:
    """How the process of a fault is started."""

    def of(fault: Fault) -> list[str]:
        module = "ops_core.drill.matrix.one"
        return [sys.executable, "-m", module, str(folder), fault.name, str(seed), str(root or ""), lang]

    return of


def environment(mark: str, scratch: Path) -> dict[str, str]:
    """What a drill finds in its environment: its mark, a place of its own for what is thrown away, no settings of ours.

    A variable that names somebody's store, reports or profile would lead a drill to what it must not touch.
    """
    outer = os.environ.get(processes.MARK, "")
    marks = outer + processes.MARKS_SEPARATOR + mark if outer else mark
    kept = {key: value for key, value in os.environ.items() if not key.startswith("OPS_")}
    return {**kept, processes.MARK: marks, "TMPDIR": str(scratch), "PYTHONUNBUFFERED": "1"}


def last_lines(log: Path) -> str:
    """What a drill said last, on one line."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - LOG_TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return " / ".join(_told(text))[-600:]


def _told(text: str) -> Iterator[str]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    yield from lines[-LOG_LINES:]


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _with_problem(result: FaultResult, problem: str) -> FaultResult:
    import dataclasses

    status = Status.FAILED.value if result.status == Status.PASSED else result.status
    return dataclasses.replace(result, status=status, problems=(*result.problems, problem))
