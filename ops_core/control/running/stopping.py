"""The emergency stop whole: something durable stops at once, then what runs is ended, then that is acknowledged.

The latch comes first. It needs no store, so neither a long line of others who want to write nor a store that hangs can
hold the stop up. Once the store has it too, the latch is taken away again: releasing is one act then, not two.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ops_core.clock import Clock
from ops_core.control import files, model
from ops_core.control.mirrors import held_back
from ops_core.control.model import ControlState
from ops_core.control.problems import StoreConflict, StoreMissing, StoreUnusable
from ops_core.control.running import processes
from ops_core.control.running.ending import end_works
from ops_core.control.running.records import Acknowledged, EndedWork, Ending, LeftWork, OpenWork, store_mark, work_mark
from ops_core.control.running.registry import close, open_works, works_by_descriptor
from ops_core.control.service import ControlPlane
from ops_core.errors import OpsError

PATIENCE_S = 3.0
BUSY_S = 0.4
ASK_OPEN_S = 0.2
RECORDED_MAX = 100
STARTED_ANEW = "was gone already: its host was started anew"
ACKNOWLEDGED = "stop.acknowledged"

Say = Callable[[str], None]


def engage_and_end(
    plane: ControlPlane,
    reason: str,
    actor: str | None = None,
    *,
    patience_s: float = PATIENCE_S,
    say: Say = lambda _line: None,
) -> Acknowledged:
    """Engage the emergency stop, and end everything that runs.

    Args:
        plane: the control plane.
        reason: why; an unfit one is made fit.
        actor: who; the plane's unless given.
        patience_s: seconds between asking a work to end and killing it.
        say: told what happens, a line at a time.

    Raises:
        StoreUnusable: neither store nor latch could be written. Nothing is acknowledged then.
    """
    quick = plane.impatient(BUSY_S)
    # Mirrors wait for the end: showing that it is stopped must not hold up the stopping.
    with held_back():
        state = _engage(quick, reason, actor)
    say(f"stopped: {state.stop_reason}")
    ending = end_all(quick, plane.clock, patience_s, say=say)
    complete = not ending.left
    detail = {
        "complete": complete,
        "ended": [one.as_dict() for one in ending.ended[:RECORDED_MAX]],
        "left": [one.as_dict() for one in ending.left[:RECORDED_MAX]],
        "counted": {"ended": len(ending.ended), "left": len(ending.left)},
    }
    # Where the store is broken there is nothing to write to; that it is stopped does not depend on it.
    with contextlib.suppress(OpsError), quick.transaction() as change:
        who = plane.actor if actor is None else actor
        change.audit(at=plane.clock.now(), actor=who, action=ACKNOWLEDGED, detail=detail)
    plane.show()
    return Acknowledged(state=state, ended=ending.ended, left=ending.left, complete=complete)


def end_all(
    plane: ControlPlane, clock: Clock, patience_s: float = PATIENCE_S, *, say: Say = lambda _line: None
) -> Ending:
    """End every work that runs on this host, and say what cannot be ended from here. Engage the stop first."""
    roll = _Roll(plane=plane)
    here: dict[str, OpenWork] = {}
    ended: list[EndedWork] = []
    elsewhere: list[tuple[OpenWork, LeftWork]] = []
    boot = processes.boot_id()
    for work in roll.begin():
        if work.boot_id == boot and boot:
            here[work_mark(plane.path, work.id)] = work
        elif work.host == socket.gethostname() and work.boot_id.partition(" ")[0] != boot.partition(" ")[0]:
            ended.append(EndedWork(id=work.id, kind=work.kind, how=STARTED_ANEW))
        else:
            elsewhere.append((work, _elsewhere(work)))
    if here:
        say(f"ending {len(here)} running work{'s' if len(here) > 1 else ''}…")
        done, left = end_works(here, patience_s, still_open=roll.still_open)
    else:
        done, left = [], []
    until = clock.monotonic() + patience_s
    # They notice by themselves, if they can.
    while elsewhere and {work.id for work, _ in elsewhere} & set(roll.still_open()) and clock.monotonic() < until:
        clock.sleep(ASK_OPEN_S)
    now_open = set(roll.still_open())
    for work, told in elsewhere:
        if work.id in now_open:
            left.append(told)
        else:
            done.append(EndedWork(id=work.id, kind=work.kind, how=f"ended by itself on host {work.host}"))
    if roll.problem:
        left.extend(_unaccounted(plane, here, roll.problem))
    ended.extend(done)
    roll.close_all(ended)
    return Ending(ended=tuple(ended), left=tuple(left))


@dataclass(kw_only=True)
class _Roll:
    """Who works, as the store tells it; where it cannot, as the descriptors of processes tell it."""

    plane: ControlPlane
    problem: str = ""
    works: dict[str, OpenWork] = field(default_factory=dict)
    _open: tuple[str, ...] = ()
    _asked_at: float = float("-inf")

    def begin(self) -> tuple[OpenWork, ...]:
        """The works to end."""
        try:
            found = open_works(self.plane)
        except StoreMissing:
            # Nothing was ever permitted by a store that does not exist, unless it was taken away under somebody.
            found = works_by_descriptor(self.plane.path)
        except Exception as error:  # noqa: BLE001 - a damaged store may fail in any way, and the stop goes on
            self.problem = error.what if isinstance(error, OpsError) else repr(error)
            found = works_by_descriptor(self.plane.path)
        self.works = {work.id: work for work in found}
        self._open = tuple(self.works)
        return found

    def still_open(self) -> Iterable[str]:
        """The ids of those that have not said that they have ended; asked anew a few times a second."""
        now = time.monotonic()
        if now - self._asked_at >= ASK_OPEN_S:
            try:
                found = open_works(self.plane)
            except Exception:  # noqa: BLE001 - as above; who still holds its mark has not ended
                found = works_by_descriptor(self.plane.path)
            self._open = tuple(work.id for work in found)
            self._asked_at = time.monotonic()
        return self._open

    def close_all(self, ended: Iterable[EndedWork]) -> None:
        """Record those that did not record it themselves. Where that fails they are found gone the next time."""
        how = {one.id: one.how for one in ended}
        with contextlib.suppress(OpsError), self.plane.transaction() as change:
            for name, told in how.items():
                close(change, self.plane, self.works[name], f"stopped: {told}")


def _engage(plane: ControlPlane, reason: str, actor: str | None) -> ControlState:
    who = plane.actor if actor is None else model.tidy(actor, model.NOBODY)
    fit_reason = model.tidy(reason, model.ENGAGED, model.REASON_MAX_CHARS)
    latch = None
    if files.read_latch(plane.path) is None:
        # Should that fail, the store may still work; should both, engaging says so.
        try:
            latch = files.write_latch(plane.path, fit_reason, who, plane.clock.now())
        except StoreUnusable:
            latch = None
        except BaseException:
            # The impatient Ctrl-C: the stop has to hold all the same.
            plane.engage(fit_reason, actor=who)
            raise
    state = plane.engage(fit_reason, actor=who)
    if latch is not None and state.stopped and not state.problem:
        # Somebody else's latch, made meanwhile, is not ours to remove.
        with contextlib.suppress(StoreConflict, StoreUnusable):
            files.remove_latch(plane.path, latch)
    return state


def _elsewhere(work: OpenWork) -> LeftWork:
    return LeftWork(
        id=work.id,
        kind=work.kind,
        why=f"it runs on host {work.host} (process {work.pid}) and cannot be ended from here",
        next_step=f"on {work.host}: ops estop engage",
        pids=(),
    )


def _unaccounted(plane: ControlPlane, here: dict[str, OpenWork], problem: str) -> list[LeftWork]:
    """What bears a mark of this store while nobody can tell whether its work has ended: left to a person.

    What a work that has ended left running is its result, such as a service that it started. A stop must not kill that.
    """
    before, found = store_mark(plane.path) + ":", dict[str, list[int]]()
    me = processes.myself()
    for process in processes.newest_first():
        for mark in processes.marks_of(process.pid):
            if mark.startswith(before) and mark not in here and process.key != me.key:
                found.setdefault(mark.removeprefix(before), []).append(process.pid)
    left = [
        LeftWork(
            id=name,
            kind=name.partition("-")[0],
            why=f"was started by a work that may have ended, which cannot be looked up ({problem})",
            next_step=f"look what it is; if it must not run: kill -KILL {' '.join(map(str, pids))}",
            pids=tuple(pids),
        )
        for name, pids in found.items()
    ]
    if plane.location.url:
        left.append(
            LeftWork(
                id="-",
                kind="unknown",
                why=f"what runs on other hosts cannot be looked up ({problem})",
                next_step="on each of them: ops estop engage",
            )
        )
    return left
