"""What is known about works that run, and what became of them when they were to end: plain data."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops_core.control.model import ControlState

SHOWN_PIDS_MAX = 20


@dataclass(frozen=True, kw_only=True)
class OpenWork:
    """A work that has begun and not ended, as the store has it.

    `ticks` is when its process was started, `begun_ticks` when the work began: what that process had started before is
    not the work's. Both are clock ticks since boot.
    """

    id: str
    kind: str
    host: str
    boot_id: str
    pid: int
    ticks: str
    begun_ticks: int
    begun_at: str

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "id": self.id,
            "kind": self.kind,
            "host": self.host,
            "pid": self.pid,
            "begun_at": self.begun_at,
        }


@dataclass(frozen=True, kw_only=True)
class EndedWork:
    """A work that has ended. `pids` are the processes that were signalled for it; `how` says how it ended."""

    id: str
    kind: str
    how: str
    pids: tuple[int, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {"id": self.id, "kind": self.kind, "how": self.how, "pids": list(self.pids[:SHOWN_PIDS_MAX])}


@dataclass(frozen=True, kw_only=True)
class LeftWork:
    """A work of which something may still run: why, and what a person does about it."""

    id: str
    kind: str
    why: str
    next_step: str
    pids: tuple[int, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "id": self.id,
            "kind": self.kind,
            "why": self.why,
            "next": self.next_step,
            "pids": list(self.pids[:SHOWN_PIDS_MAX]),
        }


@dataclass(frozen=True, kw_only=True)
class Ending:
    """What became of the works that were to end."""

    ended: tuple[EndedWork, ...] = ()
    left: tuple[LeftWork, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Acknowledged:
    """The answer to an emergency stop. `complete`: everything that ran has ended; if not, `left` says what has not."""

    state: ControlState
    ended: tuple[EndedWork, ...]
    left: tuple[LeftWork, ...]
    complete: bool

    def as_dict(self) -> dict[str, Any]:
        """As JSON values, the state left out."""
        return {
            "complete": self.complete,
            "ended": [one.as_dict() for one in self.ended],
            "left": [one.as_dict() for one in self.left],
        }


def store_mark(store: Path) -> str:
    """What tells the works of this control folder from those of every other one of the host."""
    return hashlib.sha256(str(store.parent.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def work_mark(store: Path, work: str) -> str:
    """The mark of one work."""
    return f"{store_mark(store)}:{work}"
