"""What can be wrong with the control store, in the words that a person gets to read."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from ops_core.control.location import StoreLocation
from ops_core.errors import OpsError

CREATE_COMMAND = "ops estop release --reason …"
STATUS_COMMAND = "ops estop status"


class StoreUnusable(OpsError):
    """The control store cannot be read, trusted or changed. Whatever it says, the emergency stop counts as engaged."""


class StoreMissing(StoreUnusable):
    """There is no control store."""


class StoreBusy(StoreUnusable):
    """Somebody else held the control store for longer than we may wait."""


class StoreConflict(OpsError):
    """The control state changed under our hands: the change was not made, or does not have the effect it promised."""


def missing(place: Path | StoreLocation) -> StoreMissing:
    """The error for a store that does not exist."""
    return StoreMissing(
        "the control store does not exist",
        where=shown(place),
        next_step=f"{CREATE_COMMAND}: it makes one, and records who released it and why",
    )


def untrusted(place: Path | StoreLocation, problem: str, next_step: str = "") -> StoreUnusable:
    """The error for a store whose content or surroundings are not as they must be."""
    return StoreUnusable(
        f"the control store cannot be trusted: {problem}",
        where=shown(place),
        next_step=next_step or _set_aside(place),
    )


def distrusted(place: Path | StoreLocation, error: Exception) -> StoreUnusable:
    """The error for what a proof, or a statement of ours, failed with; what knows a way out says it."""
    return untrusted(place, str(error) or type(error).__name__, getattr(error, "next_step", ""))


def from_sqlite(place: Path | StoreLocation, error: sqlite3.Error) -> OpsError:
    """The error for what SQLite said about the store."""
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreBusy("the control store is locked by another process", where=shown(place), next_step="try again")
    if name == "SQLITE_READONLY_ROLLBACK":
        return StoreUnusable(
            "a change of the control store was interrupted and is not yet undone",
            where=shown(place),
            next_step=f"{STATUS_COMMAND}: opening the store for writing undoes it",
        )
    if name.startswith("SQLITE_FULL"):
        return StoreUnusable("the control store cannot be changed: the disk is full", where=shown(place))
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_READONLY", "SQLITE_AUTH", "SQLITE_IOERR")):
        return StoreUnusable(f"the control store cannot be used: {error}", where=f"{shown(place)} ({name})")
    if isinstance(error, sqlite3.IntegrityError):
        return StoreConflict(f"the change contradicts what is recorded: {error}", where=shown(place))
    return untrusted(place, f"{error}" + (f" ({name})" if name else ""))


def shown(place: Path | StoreLocation) -> str:
    """The place as people read it: without a password."""
    return StoreLocation.of(place).shown


def _set_aside(place: Path | StoreLocation) -> str:
    location = StoreLocation.of(place)
    if location.url:
        return f"keep it as evidence (another database in ops.toml), then {CREATE_COMMAND}: it makes a new store"
    path = location.path
    return f"keep it as evidence (mv {path} {path}.damaged), then {CREATE_COMMAND}: it makes a new one"
