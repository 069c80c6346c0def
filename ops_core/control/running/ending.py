"""Ends works with everything that they started: asks first, then does not ask.

A process belongs to a work when it is the one that the work was recorded with, carries the work's mark in its
environment, descends from one that belongs, or ever did so while we looked: who was seen once is followed by its
identity, however often its parents change. Killing begins with stopping (SIGSTOP): who is stopped cannot fork, so not
even a process that starts itself anew wins.

We ourselves, and whoever started us within the same work, are left alone: a stop that is engaged by a work would
otherwise end before it can say what it ended. Such a work is told as left.

The time here is the machine's: processes know no other.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from ops_core.control.running import processes
from ops_core.control.running.processes import Process
from ops_core.control.running.records import EndedWork, LeftWork, OpenWork

NOTICE_S = 1.0
KILLING_S = 10.0
LOOK_AGAIN_S = 0.05
FREEZE_ROUNDS = 50
BY_ITSELF = "ended by itself"
ASKED = "ended when asked to"
KILLED = "killed"
GONE = "was gone already"


@dataclass(kw_only=True)
class _Chase:
    """One work that is to end, and who belongs to it as far as anybody has seen."""

    work: OpenWork
    mark: str
    known: dict[tuple[int, str], Process] = field(default_factory=dict)
    signalled: dict[int, str] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)
    seen: bool = False
    ourselves: bool = False


def end_works(
    works: Mapping[str, OpenWork],
    patience_s: float,
    *,
    still_open: Callable[[], Iterable[str]],
    notice_s: float = NOTICE_S,
) -> tuple[list[EndedWork], list[LeftWork]]:
    """End works of this host and boot.

    Args:
        works: by their marks.
        patience_s: seconds between asking (SIGTERM) and killing (SIGKILL).
        still_open: the ids of those works that have not said themselves that they have ended.
        notice_s: seconds that a work gets beforehand, to notice the stop by itself and leave a clean record.
    """
    chases = [_Chase(work=work, mark=mark) for mark, work in works.items()]
    me = processes.myself()
    spared = frozenset({me.key}) | processes.ancestors_of(me)
    ending = _EndWorks(chases=chases, me=me.key, spared=spared, still_open=still_open)
    ending.wait(notice_s)
    ending.ask(patience_s)
    ending.kill()
    return ending.told()


@dataclass(kw_only=True)
class _EndWorks:
    chases: list[_Chase]
    me: tuple[int, str]
    spared: frozenset[tuple[int, str]]
    still_open: Callable[[], Iterable[str]]

    def wait(self, limit_s: float) -> None:
        """Let works notice by themselves."""
        until = time.monotonic() + limit_s
        while (running := self._look()) and time.monotonic() < until:
            processes.wait_for_one(running, LOOK_AGAIN_S)

    def ask(self, patience_s: float) -> None:
        """Ask everybody once, and wait."""
        until = time.monotonic() + patience_s
        while running := self._look():
            for chase in self.chases:
                for process in self._members(chase):
                    if process.pid not in chase.signalled:
                        self._send(chase, process, signal.SIGTERM, ASKED)
            if time.monotonic() >= until:
                return
            processes.wait_for_one(running, LOOK_AGAIN_S)

    def kill(self) -> None:
        """Stop everybody so that nobody multiplies, then kill them; until nobody is left or nothing helps."""
        until = time.monotonic() + KILLING_S
        while (running := self._look()) and time.monotonic() < until:
            frozen: set[tuple[int, str]] = set()
            for _ in range(FREEZE_ROUNDS):
                fresh = [process for process in running if process.key not in frozen]
                if not fresh:
                    break
                for chase in self.chases:
                    for process in self._members(chase):
                        if process.key not in frozen:
                            self._send(chase, process, signal.SIGSTOP, KILLED)
                frozen.update(process.key for process in fresh)
                # Whoever was born before its parent was stopped.
                running = self._look(signal.SIGSTOP)
            for chase in self.chases:
                for process in self._members(chase):
                    self._send(chase, process, signal.SIGKILL, KILLED)
            processes.wait_for_one(running, LOOK_AGAIN_S)

    def told(self) -> tuple[list[EndedWork], list[LeftWork]]:
        """What became of each."""
        self._look()
        ended, left = [], []
        for chase in self.chases:
            work, members = chase.work, self._members(chase)
            if members:
                left.append(_left(chase, members))
            elif chase.ourselves:
                left.append(
                    LeftWork(
                        id=work.id,
                        kind=work.kind,
                        why=f"this stop came from within it (process {work.pid}); the rest of it has ended",
                        next_step="it must end now; engage the stop once more from outside to see that it did",
                    )
                )
            else:
                ended.append(EndedWork(id=work.id, kind=work.kind, how=self._how(chase), pids=tuple(chase.signalled)))
        return ended, left

    def _look(self, at_once: signal.Signals | None = None) -> list[Process]:
        """See who belongs to whom now; the answer is everybody that has to end. `at_once`: sent to who bears a mark."""
        open_ids = set(self.still_open())
        everybody: list[Process] = []
        above: set[str] = set()
        for process in processes.newest_first():
            everybody.append(process)
            marks = processes.marks_of(process.pid)
            if process.key in self.spared:
                if process.key != self.me:
                    above |= marks
                continue
            for chase in self.chases:
                if chase.mark in marks:
                    if at_once is not None and process.key not in chase.known:
                        self._send(chase, process, at_once, KILLED)
                    chase.known[process.key] = process
        for chase in self.chases:
            self._follow(chase, everybody, is_open=chase.work.id in open_ids, above=chase.mark in above)
        return [process for chase in self.chases for process in self._members(chase)]

    def _follow(self, chase: _Chase, everybody: list[Process], *, is_open: bool, above: bool) -> None:
        """Add who descends from the work, through whomever."""
        root = (chase.work.pid, chase.work.ticks)
        there = {process.key: process for process in everybody}
        if not is_open:
            # Who has said that it has ended may go on with what is no work, such as writing its report.
            chase.known.pop(root, None)
        elif root in there and root not in self.spared:
            chase.known[root] = there[root]
        chase.ourselves = above or (is_open and root in there and root in self.spared)
        pids = {pid for pid, ticks in chase.known if (pid, ticks) in there and (pid, ticks) != root}
        if is_open and root in there:
            for one in everybody:
                if one.ppid == root[0] and int(one.ticks) >= chase.work.begun_ticks and one.key not in self.spared:
                    chase.known[one.key] = one
                    pids.add(one.pid)
        while found := [
            one for one in everybody if one.ppid in pids and one.pid not in pids and one.key not in self.spared
        ]:
            for one in found:
                chase.known[one.key] = one
                pids.add(one.pid)

    @staticmethod
    def _members(chase: _Chase) -> list[Process]:
        chase.seen = chase.seen or bool(chase.known)
        chase.known = {key: process for key, process in chase.known.items() if processes.alive(process)}
        return list(chase.known.values())

    def _send(self, chase: _Chase, process: Process, number: signal.Signals, how: str) -> None:
        problem = processes.send(process, number)
        chase.signalled[process.pid] = how
        if problem:
            chase.refused[process.pid] = problem

    @staticmethod
    def _how(chase: _Chase) -> str:
        if KILLED in chase.signalled.values():
            return KILLED
        if chase.signalled:
            return ASKED
        return BY_ITSELF if chase.seen else GONE


def _left(chase: _Chase, members: list[Process]) -> LeftWork:
    work, pids = chase.work, tuple(process.pid for process in members)
    shown = ", ".join(f"{process.pid} ({processes.name_of(process)})" for process in members[:5])
    told = "process " + shown if len(pids) == 1 else f"{len(pids)} processes: {shown}"
    refused = [process for process in members if process.pid in chase.refused]
    if refused:
        owner = processes.owner_of(refused[0])
        why = f"{told} cannot be signalled: {chase.refused[refused[0].pid]}"
        step = f"as user {owner} or root: kill -KILL {' '.join(str(process.pid) for process in refused)}"
    else:
        why = f"{told} did not end, not even when killed"
        step = f"find out what holds it: cat /proc/{pids[0]}/stack; a process in the kernel ends when that lets it go"
    return LeftWork(id=work.id, kind=work.kind, why=why, next_step=step, pids=pids)
