"""Reading what the control store says, believing nothing that does not prove itself.

A page that passes SQLite's own checks can still hold a flipped bit (`stopped` 1 becomes 0) or an older row that came
back. So the control row carries a seal over its values and the head of the audit chain, the head must be the newest
audit row, and the state must be the one that the audit row of its last change recorded.

What opening checks is bounded: the newest `TAIL_ROWS` rows of the chain link by link, that the chain begins at 1 and
has as many rows as its head says. An edit further back is found by `verify_whole_chain` (about 8 µs a row), which
`ControlPlane.verify_chain` runs; reading a long history at every probe would take its time from the probes.

Every function here must run inside one transaction, so that what is compared was written together.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ops_core.clock import parse_instant
from ops_core.control.audit import GENESIS_HASH, AuditRow, ChainCheck, digest, verify_row, verify_rows
from ops_core.control.model import ControlState, from_values
from ops_core.control.schema import check_identity

TAIL_ROWS = 64
GOOD_MARKED = "good.marked"
STATE_COLUMNS = (
    "version",
    "stopped",
    "stop_reason",
    "stopped_by",
    "stopped_at",
    "gate",
    "gate_reason",
    "gate_by",
    "gate_at",
    "gate_until",
    "changed_seq",
    "head_seq",
    "head_hash",
)
_SELECT_STATE = f"SELECT id, {', '.join(STATE_COLUMNS)}, seal FROM control_state"  # noqa: S608 — constants only
_SELECT_AUDIT = "SELECT seq, at, actor, action, subject, detail, prev_hash, hash FROM audit"
_COUNT_GOOD = "SELECT (SELECT count(*) FROM good_version), (SELECT count(*) FROM audit WHERE action = ?)"
_INT, _TEXT = int, str


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """The control row: the state, the audit row that made it, and the head of the chain."""

    state: ControlState
    changed_seq: int
    head_seq: int
    head_hash: str

    @property
    def head(self) -> tuple[int, str]:
        """The newest audit row as (seq, hash)."""
        return self.head_seq, self.head_hash

    def values(self) -> tuple[object, ...]:
        """The values of `STATE_COLUMNS`."""
        told: dict[str, object] = {
            **self.state.as_dict(),
            "stopped": int(self.state.stopped),
            "version": self.state.version,
            "changed_seq": self.changed_seq,
            "head_seq": self.head_seq,
            "head_hash": self.head_hash,
        }
        return tuple(told[name] for name in STATE_COLUMNS)

    def seal(self) -> str:
        """The hash that the row carries over its own values."""
        return digest(self.values())


@dataclass(frozen=True, kw_only=True)
class GoodVersion:
    """A release or configuration that was seen good: its version's name and the digest of its content then."""

    target: str
    kind: str
    name: str
    digest: str
    marked_at: datetime


def read_recorded(connection: sqlite3.Connection) -> Recorded:
    """The control row, proven by its seal, by the head of the chain and by the audit row that made it.

    Raises:
        ValueError: it does not prove itself.
        sqlite3.Error: it cannot be read.
    """
    found = connection.execute(_SELECT_STATE).fetchmany(2)
    if len(found) != 1 or found[0][0] != 1:
        raise ValueError("its control state is missing" if not found else "it holds more than one control state")
    values, seal = found[0][1:-1], found[0][-1]
    if digest(values) != seal:
        raise ValueError("its control state was changed by something else than this program")
    told = dict(zip(STATE_COLUMNS, values, strict=True))
    changed_seq, head_seq, head_hash = _int(told, "changed_seq"), _int(told, "head_seq"), str(told["head_hash"])
    told["stopped"] = {0: False, 1: True}.get(told["stopped"])
    recorded = Recorded(
        state=from_values(told, _int(told, "version")),
        changed_seq=changed_seq,
        head_seq=head_seq,
        head_hash=head_hash,
    )
    newest = next(audit_rows(connection, newest=1), None)
    if newest is None or (newest.seq, newest.hash) != recorded.head:
        raise ValueError(f"its newest audit row is not row {head_seq}, which the control state names")
    verify_row(newest)
    made_by = audit_row(connection, changed_seq)
    if made_by is None or made_by.data.get("state") != {**recorded.state.as_dict(), "version": recorded.state.version}:
        raise ValueError(f"its control state is not the one that audit row {changed_seq} recorded")
    return recorded


def prove(connection: sqlite3.Connection, path: Path) -> Recorded:
    """All that opening verifies: identity and schema, SQLite's own check, the control row, the newest audit rows.

    Raises:
        ValueError: naming what is wrong.
        sqlite3.Error: the file cannot be read as a database.
        OSError: the file cannot be looked at.
    """
    check_identity(connection)
    # SQLite takes a last page that was cut for a whole one if what is missing was empty. Nobody can be writing to the
    # file now: we are reading it.
    (pages,), (page_bytes,) = (connection.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "page_size"))
    if (found := path.stat().st_size) < pages * page_bytes:
        raise ValueError(f"its file was cut: {found} bytes are left of {pages * page_bytes}")
    (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if said != "ok":
        raise ValueError(f"SQLite finds it damaged: {said}")
    recorded = read_recorded(connection)
    check_tail(connection, recorded)
    return recorded


def check_tail(connection: sqlite3.Connection, recorded: Recorded) -> None:
    """Check the newest rows of the chain link by link, and that none is missing before them.

    Raises:
        ValueError: the chain does not hold.
        sqlite3.Error: it cannot be read.
    """
    count, first, last = connection.execute("SELECT count(*), min(seq), max(seq) FROM audit").fetchone()
    if (count, first, last) != (recorded.head_seq, 1, recorded.head_seq):
        raise ValueError(f"{recorded.head_seq} audit rows were written, {count} are there ({first} to {last})")
    marked, recorded_marks = connection.execute(_COUNT_GOOD, (GOOD_MARKED,)).fetchone()
    if marked != recorded_marks:
        raise ValueError(f"{recorded_marks} versions were marked good, {marked} of them are there")
    rows = tuple(audit_rows(connection, newest=TAIL_ROWS))
    verify_rows(rows, (rows[0].seq - 1, rows[0].prev_hash if rows[0].seq > 1 else GENESIS_HASH))


def verify_whole_chain(connection: sqlite3.Connection, recorded: Recorded) -> ChainCheck:
    """Check every row of the chain.

    Raises:
        ValueError: the chain does not hold; the message names the first row that is wrong.
        sqlite3.Error: it cannot be read.
    """
    found = verify_rows(audit_rows(connection))
    if (found.head_seq, found.head_hash) != recorded.head:
        raise ValueError(f"the audit ends at row {found.head_seq}, {recorded.head_seq} were written")
    return found


def audit_rows(connection: sqlite3.Connection, *, newest: int | None = None) -> Iterator[AuditRow]:
    """The audit rows in ascending order; with `newest`, only that many of the latest."""
    if newest is None:
        yield from (_audit(row) for row in connection.execute(f"{_SELECT_AUDIT} ORDER BY seq"))
        return
    found = connection.execute(f"{_SELECT_AUDIT} ORDER BY seq DESC LIMIT ?", (newest,)).fetchall()
    yield from (_audit(row) for row in reversed(found))


def audit_row(connection: sqlite3.Connection, seq: int) -> AuditRow | None:
    """One audit row, its own hash verified, or None.

    Raises:
        ValueError: the row was changed after it was written.
    """
    found = connection.execute(f"{_SELECT_AUDIT} WHERE seq = ?", (seq,)).fetchone()
    if found is None:
        return None
    row = _audit(found)
    verify_row(row)
    return row


def read_good(connection: sqlite3.Connection, target: str, kind: str) -> GoodVersion | None:
    """The version of that kind that was last marked good for the target, proven by its audit row; None if none was.

    Raises:
        ValueError: it does not prove itself.
        sqlite3.Error: it cannot be read.
    """
    found = connection.execute(
        "SELECT audit_seq, name, digest, marked_at FROM good_version WHERE target = ? AND kind = ? "
        "ORDER BY audit_seq DESC LIMIT 1",
        (target, kind),
    ).fetchone()
    if found is None:
        return None
    seq, name, content_digest, marked_at = found
    row = audit_row(connection, seq)
    told = {"target": target, "kind": kind, "name": name, "digest": content_digest}
    if row is None or row.action != GOOD_MARKED or row.at != marked_at or row.data != told:
        raise ValueError(f"the last good {kind} of {target} is not the one that audit row {seq} recorded")
    return GoodVersion(target=target, kind=kind, name=name, digest=content_digest, marked_at=parse_instant(marked_at))


def _audit(row: tuple[int, str, str, str, str, str, str, str]) -> AuditRow:
    for value, kind in zip(row, (_INT, *(_TEXT,) * 7), strict=True):
        if type(value) is not kind:
            raise ValueError(f"audit row {row[0]!r} holds a value of the wrong kind")
    seq, at, actor, action, subject, detail, prev_hash, hashed = row
    return AuditRow(
        seq=seq, at=at, actor=actor, action=action, subject=subject, detail=detail, prev_hash=prev_hash, hash=hashed
    )


def _int(told: dict[str, object], name: str) -> int:
    value = told[name]
    if type(value) is not int:
        raise ValueError(f"{name} of its control state is {value!r}, not a number")
    return value
