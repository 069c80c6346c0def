"""Reading the control store for probes and the header: fast, read-only, and without ever raising for its sake.

The store is opened read-only, so looking changes nothing, not even to undo a change whose writer was killed; that shows
as a problem until the store is next opened for writing. The proof asked for is the one that opening for writing asks
for, so that a probe never calls released what a remediation would find unusable.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from ops_core.clock import isoformat
from ops_core.config import Settings
from ops_core.control import files, verified
from ops_core.control.location import StoreLocation, location_of
from ops_core.control.model import ControlState, effective_gate
from ops_core.control.problems import StoreMissing, distrusted, from_sqlite
from ops_core.control.shape import Query
from ops_core.control.verified import GoodVersion, Recorded
from ops_core.errors import OpsError
from ops_core.evidence import ControlEvidence

BUSY_TIMEOUT_S = 1.0
UNKNOWN_GATE = "UNKNOWN"


def read_control_of(settings: Settings, now: datetime) -> ControlEvidence:
    """The control plane of a profile at `now`. Never raises: a store that cannot even be named is stopped too."""
    try:
        location = location_of(settings)
    except OpsError as error:
        return ControlEvidence(
            store=settings.control_url,
            stopped=True,
            stop_reason="counts as engaged",
            gate=UNKNOWN_GATE,
            problem=error.what + (f" (next: {error.next_step})" if error.next_step else ""),
        )
    return read_control(location, now)


def read_control(
    place: Path | StoreLocation, now: datetime, *, busy_timeout_s: float = BUSY_TIMEOUT_S
) -> ControlEvidence:
    """The control plane at `now`. Never raises: what cannot be read or believed is stopped, with the `problem`.

    `gate` is the one that counts at `now`: an expired REAL_ENABLED is DRY_RUN, and one that cannot be known "UNKNOWN".
    """
    location = StoreLocation.of(place)
    state: ControlState | None = None
    problem = ""
    try:
        with _reading(location, busy_timeout_s) as (query, prove):
            state = prove(query).state
            gate = effective_gate(state, now).value
    except OpsError as error:
        problem = error.what + (f" (next: {error.next_step})" if error.next_step else "")
    except Exception as error:  # noqa: BLE001 — a damaged file may fail in any way; whichever it is, it is stopped
        told = distrusted(location, error)
        problem = f"{told.what} (next: {told.next_step})"
    # Read after the store, as everywhere: an engaging that found the store unusable meanwhile must not be missed.
    latch = files.read_latch(location.path)
    if state is None or problem:
        return ControlEvidence(
            store=location.shown,
            stopped=True,
            stop_reason=latch.reason if latch else "counts as engaged",
            gate=UNKNOWN_GATE,
            problem=problem or "the control store says nothing",
        )
    by, at = _last_change(state)
    reason = latch.reason if latch else state.stop_reason
    return ControlEvidence(
        store=location.shown,
        stopped=state.stopped or latch is not None,
        stop_reason=reason if state.stopped or latch else "",
        gate=gate,
        changed_by=latch.actor if latch else by,
        changed_at=(isoformat(latch.at) if latch.at else "") if latch else at,
    )


def read_last_good(
    place: Path | StoreLocation,
    target: str,
    kinds: Sequence[str] = ("release", "config"),
    *,
    busy_timeout_s: float = BUSY_TIMEOUT_S,
) -> tuple[GoodVersion | None, ...]:
    """What was last marked good for the target, by kind; None where nothing was, or no store is there.

    Raises:
        StoreUnusable: a store is there but cannot be read or believed: "not recorded" would be a guess.
    """
    location = StoreLocation.of(place)
    try:
        with _reading(location, busy_timeout_s) as (query, prove):
            prove(query)
            return tuple(verified.read_good(query, target, kind) for kind in kinds)
    except StoreMissing:
        return (None,) * len(kinds)
    except OpsError:
        raise
    except Exception as error:  # noqa: BLE001 — a damaged file may fail in any way
        raise distrusted(location, error) from None


@contextlib.contextmanager
def _reading(location: StoreLocation, busy_timeout_s: float) -> Iterator[tuple[Query, Callable[[Query], Recorded]]]:
    """A question to the store in one transaction, and the proof to ask for first."""
    if location.url:
        # Only here: a file needs nothing that is slow to import.
        from ops_core.control.database import reading

        with reading(location, busy_timeout_s) as query:
            yield query, verified.prove_database
        return
    path = location.path
    files.check_store_file(path)
    try:
        uri = f"{path.absolute().as_uri()}?mode=ro"
        with contextlib.closing(
            sqlite3.connect(uri, uri=True, timeout=min(max(busy_timeout_s, 0.0), 60.0), isolation_level=None)
        ) as connection:
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA cell_size_check = ON")
            # One transaction: values that are compared with each other must have been written together.
            connection.execute("BEGIN")

            def query(sql: str, parameters: Mapping[str, object]) -> list[tuple[Any, ...]]:
                return connection.execute(sql, parameters).fetchall()

            yield query, lambda asked: verified.prove_file(asked, path)
    except sqlite3.Error as error:
        raise from_sqlite(location, error) from None


def _last_change(state: ControlState) -> tuple[str, str]:
    if state.stopped_at is None or state.gate_at is None:
        return "", ""
    by, at = max((state.gate_by, state.gate_at), (state.stopped_by, state.stopped_at), key=lambda change: change[1])
    return by, isoformat(at)
