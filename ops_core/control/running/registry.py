"""Who works: a work is registered in the transaction that finds the stop released, and closed once it has ended.

So there is no moment between the permission and the entry: an emergency stop that comes later finds the work in the
store. Where only the latch stops, because the store was busy or broken, the work looks for it once more after its
entry; where the store cannot be read, it is found by a descriptor that it holds (`processes.mark_process`).
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from ops_core.clock import isoformat
from ops_core.control import files, model
from ops_core.control.running import processes
from ops_core.control.running.ending import end_works
from ops_core.control.running.records import OpenWork, work_mark
from ops_core.control.service import ControlPlane
from ops_core.control.store import Transaction
from ops_core.errors import OpsError, Refused

ASK_S = 0.1
ASK_STORE_S = 0.5
SWEEP_S = 0.5
KINDS = ("cycle", "live_fire", "remediation", "rollout", "alert", "live_cycle", "handoff")
STOPPED = "ended by the emergency stop"
DONE = "ended"
FAILED = "ended by an error"


class WorkEnded(Refused):
    """An emergency stop took this work for ended while it went on. What it did since then is not to be relied on."""


class Work:
    """A registered work.

    Attributes:
        id: what it is called in the store.
        kind: cycle, live_fire, remediation or rollout.
        environ: the environment that every child must be given: its mark is how the emergency stop finds the child.
    """

    def __init__(self, plane: ControlPlane, entry: OpenWork, environ: Mapping[str, str]) -> None:
        self.id, self.kind = entry.id, entry.kind
        self.entry = entry
        self.mark = work_mark(plane.path, entry.id)
        outer = environ.get(processes.MARK, "")
        marks = outer + processes.MARKS_SEPARATOR + self.mark if outer else self.mark
        self.environ: dict[str, str] = {**environ, processes.MARK: marks}
        self._plane = plane
        self._reason = ""
        self._asked_at = self._store_asked_at = float("-inf")
        self._stamp: tuple[int, ...] | None = None

    def must_end(self) -> str:
        """Why this work has to end now, or nothing. Cheap: ask as often as you like. Once told, it stays so."""
        now = time.monotonic()
        if not self._reason and now - self._asked_at >= ASK_S:
            self._asked_at = now
            stamp = _stamp(self._plane.path)
            # A change within the clock tick of the one before would not show in the stamp, so it is not trusted long.
            known = stamp is not None and stamp == self._stamp and now - self._store_asked_at < ASK_STORE_S
            if files.exists(files.latch_path(self._plane.path)) or not known:
                self._reason = self.ask()
                self._stamp, self._store_asked_at = stamp, now
        return self._reason

    def ask(self) -> str:
        """The same, asked now."""
        return model.why_stopped(self._plane.state())


@contextlib.contextmanager
def registered(plane: ControlPlane, kind: str, *, environ: Mapping[str, str] = os.environ) -> Iterator[Work]:
    """Work that an emergency stop ends before it is acknowledged.

    The process that calls it is ended with all its children that were started meanwhile; it should do nothing else.

    Args:
        plane: the control plane that may stop it.
        kind: cycle, live_fire, remediation or rollout.
        environ: what children would be given without us.

    Raises:
        Refused: the emergency stop is engaged; nothing was registered, or it was taken back.
        WorkEnded: the work was recorded as ended before it ended.
        StoreUnusable: the work cannot be recorded.
    """
    me = processes.myself()
    entry = OpenWork(
        id=f"{kind}-{secrets.token_hex(8)}",
        kind=kind,
        host=socket.gethostname(),
        boot_id=processes.boot_id(),
        pid=me.pid,
        ticks=me.ticks,
        begun_ticks=processes.ticks_now(),
        begun_at=isoformat(plane.clock.now()),
    )
    work = Work(plane, entry, environ)
    descriptor = processes.mark_process(work.mark)
    try:
        with plane.transaction() as change:
            _refuse(plane, model.why_stopped(plane.counting(change.state)))
            _insert(change, entry, plane)
        how = FAILED
        try:
            # A latch that came while the entry was being written: whoever made it may not have seen the entry.
            _refuse(plane, _latched(plane.path))
            yield work
            how = DONE
        except Refused:
            how = "refused"
            raise
        finally:
            closed = _end(work, how)
        if not closed:
            raise WorkEnded(
                "this work was recorded as ended while it went on",
                where=f"work {work.id}",
                next_step="ops estop status",
            )
    finally:
        os.close(descriptor)


def open_works(plane: ControlPlane) -> tuple[OpenWork, ...]:
    """The works that have begun and not ended, the oldest first.

    Raises:
        StoreUnusable: the store cannot be read or trusted.
    """
    from sqlalchemy import select

    from ops_core.control import schema

    table = schema.work
    with plane.snapshot() as found:
        rows = found.execute(
            select(table).where(table.c.ended_at.is_(None)).order_by(table.c.begun_at, table.c.id)
        ).mappings()
        return tuple(_work(dict(row)) for row in rows)


def works_by_descriptor(store: Path) -> tuple[OpenWork, ...]:
    """The works of this store whose process holds their mark: who runs on this host, asked without a store."""
    before = work_mark(store, "")
    found = []
    for process in processes.newest_first():
        for mark in processes.descriptor_marks_of(process.pid):
            if mark.startswith(before):
                name = mark.removeprefix(before)
                found.append(
                    OpenWork(
                        id=name,
                        kind=name.partition("-")[0],
                        host=socket.gethostname(),
                        boot_id=processes.boot_id(),
                        pid=process.pid,
                        ticks=process.ticks,
                        begun_ticks=int(process.ticks),
                        begun_at="",
                    )
                )
    return tuple(found)


def close(change: Transaction, plane: ControlPlane, work: OpenWork, how: str) -> bool:
    """Record that a work has ended; False where that was recorded before."""
    from sqlalchemy import update

    from ops_core.control import schema

    table, now = schema.work, plane.clock.now()
    done = change.execute(
        update(table)
        .where(table.c.id == work.id, table.c.ended_at.is_(None))
        .values(ended_at=isoformat(now), ended_how=how)
    )
    if done.rowcount != 1:
        return False
    told = {"kind": work.kind, "how": how, "host": work.host, "pid": work.pid}
    change.audit(at=now, actor=plane.actor, action="work.ended", subject=work.id, detail=told)
    return True


def _insert(change: Transaction, entry: OpenWork, plane: ControlPlane) -> None:
    from sqlalchemy import insert

    from ops_core.control import schema

    change.execute(
        insert(schema.work).values(
            id=entry.id,
            kind=entry.kind,
            host=entry.host,
            boot_id=entry.boot_id,
            pid=entry.pid,
            started_ticks=f"{entry.ticks}/{entry.begun_ticks}",
            begun_at=entry.begun_at,
            ended_at=None,
            ended_how="",
        )
    )
    told = {"kind": entry.kind, "host": entry.host, "pid": entry.pid}
    change.audit(at=plane.clock.now(), actor=plane.actor, action="work.begun", subject=entry.id, detail=told)


def _work(row: Mapping[str, object]) -> OpenWork:
    ticks, _, begun = str(row["started_ticks"]).partition("/")
    return OpenWork(
        id=str(row["id"]),
        kind=str(row["kind"]),
        host=str(row["host"]),
        boot_id=str(row["boot_id"]),
        pid=int(str(row["pid"])),
        ticks=ticks,
        begun_ticks=int(begun) if begun.isdecimal() else 0,
        begun_at=str(row["begun_at"]),
    )


def _end(work: Work, how: str) -> bool:
    """End what the work started, if a stop wants that, and then record its end."""
    plane = work._plane  # noqa: SLF001 - of this very module
    if work.ask():
        # Before the entry is closed: afterwards nobody would look for what is left of it.
        end_works({work.mark: work.entry}, SWEEP_S, still_open=lambda: (work.id,), notice_s=0.0)
        how = STOPPED
    try:
        with plane.transaction() as change:
            return close(change, plane, work.entry, how)
    except OpsError:
        # It stays open: a stop will look for it, and find that it is gone. What was done is not less done.
        return True


def _latched(store: Path) -> str:
    latch = files.read_latch(store)
    return f"the emergency stop is engaged: {latch.reason}" if latch else ""


def _refuse(plane: ControlPlane, why: str) -> None:
    if why:
        raise Refused(why, where=str(plane.path), next_step=model.RELEASE_COMMAND)


def _stamp(store: Path) -> tuple[int, ...] | None:
    try:
        found = store.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
