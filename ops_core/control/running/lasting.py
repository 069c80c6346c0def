"""Whether a work that was begun may still go on, as far as this host can tell, and what else its process did."""

from __future__ import annotations

import socket
from datetime import datetime

from sqlalchemy import select

from ops_core.clock import parse_instant
from ops_core.control import schema
from ops_core.control.running import processes
from ops_core.control.running.processes import Process
from ops_core.control.store import Transaction


def may_go_on(found: Transaction, work: str | None, now: datetime, *, out_of_sight_s: float) -> bool:
    """Whether the work of that id may still go on.

    Args:
        found: where works are recorded.
        work: its id; one that is not recorded does not go on.
        now: the time.
        out_of_sight_s: for how long after its beginning a work that cannot be looked at from here (on another host, in
            another container) counts as going on.
    """
    row = found.execute(select(schema.work).where(schema.work.c.id == work)).mappings().first()
    if row is None or row["ended_at"]:
        return False
    boot, there = processes.boot_id(), str(row["boot_id"])
    if boot and boot == there:
        return processes.alive(Process(pid=int(row["pid"]), ppid=0, ticks=_ticks(row["started_ticks"])))
    if row["host"] == socket.gethostname() and boot.partition(" ")[0] != there.partition(" ")[0]:
        # This host was started anew since.
        return False
    return (now - parse_instant(str(row["begun_at"]))).total_seconds() < out_of_sight_s


def works_beside(found: Transaction, work: str) -> frozenset[str]:
    """The ids of all works of the process that a work ran in, its own included; empty where it is not recorded."""
    table = schema.work
    row = found.execute(select(table).where(table.c.id == work)).mappings().first()
    if row is None:
        return frozenset()
    same = select(table.c.id, table.c.started_ticks).where(
        table.c.host == row["host"], table.c.boot_id == row["boot_id"], table.c.pid == row["pid"]
    )
    return frozenset(
        str(one["id"])
        for one in found.execute(same).mappings()
        if _ticks(one["started_ticks"]) == _ticks(row["started_ticks"])
    )


def _ticks(recorded: object) -> str:
    """When the process was started; what follows tells when the work began."""
    return str(recorded).partition("/")[0]
