"""Whether a work that was begun may still go on, as far as this host can tell."""

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
        ticks = str(row["started_ticks"]).partition("/")[0]
        return processes.alive(Process(pid=int(row["pid"]), ppid=0, ticks=ticks))
    if row["host"] == socket.gethostname() and boot.partition(" ")[0] != there.partition(" ")[0]:
        # This host was started anew since.
        return False
    return (now - parse_instant(str(row["begun_at"]))).total_seconds() < out_of_sight_s
