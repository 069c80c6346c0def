"""Whether the process that runs a cycle still does."""

from __future__ import annotations

import socket
from datetime import datetime

from sqlalchemy import select

from ops_core.clock import parse_instant
from ops_core.control import schema
from ops_core.control.running import processes
from ops_core.control.running.processes import Process
from ops_core.control.store import Transaction

# Of a cycle on another host nothing can be seen from here. Longer than the largest budget it cannot have run.
ELSEWHERE_MAX_S = 3600 + 900


def is_alive(tx: Transaction, work: str, now: datetime) -> bool:
    """Whether the work of that id may still go on; where that cannot be told it counts as going on, for a while."""
    row = tx.execute(select(schema.work).where(schema.work.c.id == work)).mappings().first()
    if row is None or row["ended_at"] is not None:
        return False
    boot = processes.boot_id()
    if boot and row["boot_id"] == boot:
        ticks = str(row["started_ticks"]).partition("/")[0]
        return processes.alive(Process(pid=int(row["pid"]), ppid=0, ticks=ticks))
    if row["host"] == socket.gethostname() and str(row["boot_id"]).partition(" ")[0] != boot.partition(" ")[0]:
        # This host was started anew since.
        return False
    return (now - parse_instant(str(row["begun_at"]))).total_seconds() < ELSEWHERE_MAX_S
