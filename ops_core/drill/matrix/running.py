"""Holds the faults of a matrix run, some at once, each in a process of its own, and keeps what came of each.

The order is drawn from the seed: faults that are always held in the same order hide what one leaves behind for the
next. A run that is ended in the middle leaves a valid part of itself, and goes on with what is missing.
"""

from __future__ import annotations

import os
import random
import select
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ops_core.clock import Clock, isoformat, new_run_id
from ops_core.control.claiming import claimed
from ops_core.drill.fault import Fault
from ops_core.drill.matrix.results import (
    FaultResult,
    MatrixRun,
    RunHead,
    Status,
    load_run,
    read_head,
    runs_dir,
    write_head,
)
from ops_core.drill.matrix.worker import PATIENCE_S, Command, Worker, start
from ops_core.errors import OpsError, Refused, UsageError

FAULT_LIMIT_S = 300.0
LOOK_AGAIN_S = 0.25
JOBS_MAX = 64
LOCK = "run.lock"
HELD_FOR_GOOD = (Status.PASSED, Status.FAILED)


class Progress(Protocol):
    """Told what happens while a matrix runs."""

    def begin(self, total: int, jobs: int) -> None:
        """So many faults are to be held, so many of them at once."""

    def started(self, fault: str) -> None:
        """A fault is being held."""

    def ended(self, result: FaultResult) -> None:
        """A fault has been held, or could not be."""

    def tick(self) -> None:
        """Some time has passed."""


@dataclass(frozen=True, kw_only=True)
class Begun:
    """A run that was begun: its folder, and what it is to do."""

    folder: Path
    head: RunHead


def begin_run(
    faults: Iterable[Fault], *, reports_dir: Path, seed: int, suites: Sequence[str] = (), clock: Clock
) -> Begun:
    """Draw the order, and write down what is to be held.

    Raises:
        UsageError: there is nothing to hold.
        OpsError: it cannot be written down.
    """
    names = [fault.name for fault in faults]
    if not names:
        raise UsageError("no fault is left to be held", where="--suite", next_step="ops drill list")
    now = clock.now()
    run_id = new_run_id(now)
    folder = runs_dir(reports_dir) / run_id
    head = RunHead(
        run_id=run_id, seed=seed, begun_at=isoformat(now), suites=tuple(suites), faults=tuple(in_order(names, seed))
    )
    try:
        write_head(folder, head)
    except OSError as error:
        raise OpsError(f"the run cannot be recorded: {error.strerror}", where=str(folder)) from None
    return Begun(folder=folder, head=head)


def resumed_run(folder: Path) -> Begun:
    """A run that others began.

    Raises:
        RecordError: what it set out to do cannot be read.
    """
    return Begun(folder=folder, head=read_head(folder))


def in_order(names: Iterable[str], seed: int) -> list[str]:
    """The order in which a seed has faults held; it does not depend on the order in which they are given."""
    drawn = sorted(set(names))
    random.Random(seed).shuffle(drawn)  # noqa: S311 - an order is drawn, not a secret
    return drawn


def left_to_hold(run: MatrixRun) -> tuple[str, ...]:
    """What a run that goes on has to hold: what has no result, and what could not be held or was skipped."""
    done = {result.fault for status in HELD_FOR_GOOD for result in run.of(status)}
    return tuple(name for name in run.planned if name not in done)


def usual_jobs() -> int:
    """As many faults at once as this process has cores: most of the time each waits for its own."""
    return min(JOBS_MAX, max(1, len(os.sched_getaffinity(0))))


def hold_all(
    begun: Begun,
    faults: Sequence[Fault],
    *,
    command: Command,
    jobs: int,
    clock: Clock,
    progress: Progress,
    limit_s: float = FAULT_LIMIT_S,
    patience_s: float = PATIENCE_S,
) -> MatrixRun:
    """Hold what is left of a run, and say what the whole run came to.

    Args:
        begun: the run.
        faults: those that are there; a run goes on only if all that is left of it are.
        command: how the process of a fault is started.
        jobs: how many at once.
        clock: tells the time.
        progress: told what happens.
        limit_s: seconds that one fault may take, from the start of its stack to the end of it.
        patience_s: seconds that a drill gets to take its fault back when it is ended before its time.

    Raises:
        Refused: another process is at this run.
        UsageError: a fault that is left is not there any more.
        OpsError: nothing can be written, or no process can be started.
        KeyboardInterrupt: somebody ended it. Everything that was started has ended, and what came until then is kept.
    """
    by_name = {fault.name: fault for fault in faults}
    with _claimed(begun.folder, clock), tempfile.TemporaryDirectory(prefix="ops-matrix-") as scratch:
        left = left_to_hold(load_run(begun.folder))
        gone = [name for name in left if name not in by_name]
        if gone:
            raise UsageError(
                f"the run is to hold {gone[0]!r}, and there is no such fault any more",
                where=str(begun.folder),
                next_step="ops drill --matrix, which begins another run",
            )
        progress.begin(len(left), jobs)
        # A database server that is not root has its folder in there: it must be able to pass through.
        Path(scratch).chmod(0o711)
        pool = _Pool(begun, command, clock, progress, Path(scratch), limit_s, patience_s)
        try:
            pool.hold([by_name[name] for name in left], jobs)
        finally:
            pool.abandon()
        return load_run(begun.folder)


class _Pool:
    """The drills that run now."""

    def __init__(
        self,
        begun: Begun,
        command: Command,
        clock: Clock,
        progress: Progress,
        scratch: Path,
        limit_s: float,
        patience_s: float,
    ) -> None:
        self.begun, self.command, self.clock, self.progress = begun, command, clock, progress
        self.scratch, self.limit_s, self.patience_s = scratch, limit_s, patience_s
        self.running: list[Worker] = []
        self.number = 0

    def hold(self, faults: list[Fault], jobs: int) -> None:
        waiting = faults[::-1]
        while waiting or self.running:
            while waiting and len(self.running) < jobs:
                self._start(waiting.pop())
            self._wait()
            for worker in [*self.running]:
                overdue = worker.overdue(self.clock.monotonic(), self.limit_s)
                if worker.process.poll() is None and not overdue:
                    continue
                why = f"it did not come to an end within {self.limit_s:g} s" if worker.process.poll() is None else ""
                result = worker.end(self.clock, why)
                self.running.remove(worker)
                self.progress.ended(result)
            self.progress.tick()

    def abandon(self) -> None:
        """End whatever still runs."""
        for worker in self.running:
            worker.ask_to_end()
        while self.running:
            self.running[-1].abandon()
            self.running.pop()

    def _start(self, fault: Fault) -> None:
        self.number += 1
        worker = start(
            fault,
            self.command(fault),
            folder=self.begun.folder,
            seed=self.begun.head.seed,
            scratch=self.scratch / str(self.number),
            clock=self.clock,
            patience_s=self.patience_s,
        )
        self.running.append(worker)
        self.progress.started(fault.name)

    def _wait(self) -> None:
        """Return when one of them has ended, or after a moment."""
        poll = select.poll()
        for worker in self.running:
            poll.register(worker.descriptor, select.POLLIN)
        poll.poll(int(LOOK_AGAIN_S * 1000))


def _claimed(folder: Path, clock: Clock) -> AbstractContextManager[int]:
    """One process at a time holds the faults of a run."""

    def busy(_holder: str) -> Refused:
        return Refused(
            "another process holds the faults of this run", where=str(folder), next_step="wait for it, or end it"
        )

    return claimed(folder / LOCK, clock, busy)
