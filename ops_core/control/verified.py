"""Reading what the control store says, believing nothing that does not prove itself.

A page that passes SQLite's own checks can still hold a flipped bit (`stopped` 1 becomes 0) or an older row that came
back. So the control row carries a seal over its values and the head of the audit chain, the head must be the newest
audit row, and the state must be the one that the audit row of its last change recorded.

What opening checks is bounded: the newest `TAIL_ROWS` rows of the chain link by link, that the chain begins at 1 and
has as many rows as its head says. An edit further back is found by `verify_whole_chain` (about 8 µs a row), which
`ControlPlane.verify_chain` runs; reading a long history at every probe would take its time from the probes. For the
same reason SQLite's own check leaves out the tables that only grow, once the file is larger than `WHOLE_PAGES_MAX`
pages: what decides lies in the others, and what is read of those proves itself. `ControlPlane.verify_chain` checks all.

Every function here must run inside one transaction, so that what is compared was written together. Questions are asked
through `Query`, so that the same proof holds for a plain `sqlite3` connection, which costs a probe no slow import, and
for SQLAlchemy on either database.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ops_core.clock import parse_instant
from ops_core.control import shape
from ops_core.control.audit import GENESIS_HASH, AuditRow, ChainCheck, canonical, digest, verify_row, verify_rows
from ops_core.control.model import ControlState, from_values
from ops_core.control.shape import Query

TAIL_ROWS = 64
WHOLE_PAGES_MAX = 4096  # 16 MiB: less than a twentieth of a second
DECIDING = ("alembic_version", "store_info", "control_state", "operator", "token", "contract", "good_version", "work")
GOOD_MARKED = "good.marked"
STATE_COLUMNS = ("version", "document", "changed_seq", "head_seq", "head_hash")
_SELECT_STATE = "SELECT id, version, document, changed_seq, head_seq, head_hash, seal FROM control_state LIMIT 2"
_SELECT_AUDIT = "SELECT seq, at, actor, action, subject, detail, prev_hash, hash FROM audit"
_COUNT_GOOD = "SELECT (SELECT count(*) FROM good_version), (SELECT count(*) FROM audit WHERE action = :action)"
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
        document = canonical(self.state.as_dict())
        return self.state.version, document, self.changed_seq, self.head_seq, self.head_hash

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


def read_recorded(query: Query) -> Recorded:
    """The control row, proven by its seal, by the head of the chain and by the audit row that made it.

    Raises:
        ValueError: it does not prove itself.
    """
    found = query(_SELECT_STATE, {})
    if len(found) != 1 or found[0][0] != 1:
        raise ValueError("its control state is missing" if not found else "it holds more than one control state")
    values, seal = tuple(found[0][1:-1]), found[0][-1]
    if digest(values) != seal:
        raise ValueError("its control state was changed by something else than this program")
    told = dict(zip(STATE_COLUMNS, values, strict=True))
    changed_seq, head_seq, head_hash = _int(told, "changed_seq"), _int(told, "head_seq"), str(told["head_hash"])
    recorded = Recorded(
        state=from_values(_document(told), _int(told, "version")),
        changed_seq=changed_seq,
        head_seq=head_seq,
        head_hash=head_hash,
    )
    newest = next(iter(audit_rows(query, newest=1)), None)
    if newest is None or (newest.seq, newest.hash) != recorded.head:
        raise ValueError(f"its newest audit row is not row {head_seq}, which the control state names")
    verify_row(newest)
    made_by = audit_row(query, changed_seq)
    if made_by is None or made_by.data.get("state") != {**recorded.state.as_dict(), "version": recorded.state.version}:
        raise ValueError(f"its control state is not the one that audit row {changed_seq} recorded")
    return recorded


def prove_file(query: Query, path: Path) -> Recorded:
    """All that opening an SQLite file verifies: identity and shape, SQLite's own check, the row and the newest chain.

    Raises:
        ValueError: naming what is wrong.
        OSError: the file cannot be looked at.
    """
    shape.check_file(query)
    check_pages(query, path)
    return prove(query)


def prove_database(query: Query) -> Recorded:
    """The same for a schema of a PostgreSQL database, which looks after its pages itself.

    Raises:
        ValueError: naming what is wrong.
    """
    shape.check_database(query)
    return prove(query)


def check_pages(query: Query, path: Path, *, whole: bool = False) -> None:
    """Check that an SQLite file is whole, as far as its length and SQLite itself can tell.

    Args:
        query: asks it.
        path: the file.
        whole: check a large file too in all its parts, not only in those that decide.

    Raises:
        ValueError: it is not.
        OSError: it cannot be looked at.
    """
    # SQLite takes a last page that was cut for a whole one if what is missing was empty. Nobody can be writing to the
    # file now: we are reading it.
    pages, page_bytes = (query(f"PRAGMA {name}", {})[0][0] for name in ("page_count", "page_size"))
    if (found := path.stat().st_size) < pages * page_bytes:
        raise ValueError(f"its file was cut: {found} bytes are left of {pages * page_bytes}")
    if whole or pages <= WHOLE_PAGES_MAX:
        said = query("PRAGMA quick_check(1)", {})[0][0]
    else:
        told = (query(f"PRAGMA quick_check({table})", {})[0][0] for table in DECIDING)
        said = next((one for one in told if one != "ok"), "ok")
    if said != "ok":
        raise ValueError(f"SQLite finds it damaged: {said}")


def prove(query: Query) -> Recorded:
    """The control row and the newest rows of the chain.

    Raises:
        ValueError: naming what is wrong.
    """
    recorded = read_recorded(query)
    check_tail(query, recorded)
    read_store_id(query)
    return recorded


def read_store_id(query: Query) -> str:
    """What tells this store from every other one, proven by the row that its chain begins with.

    Raises:
        ValueError: it does not prove itself.
    """
    found = query("SELECT store_id FROM store_info", {})
    first = audit_row(query, 1)
    if len(found) != 1 or first is None or first.data.get("store_id") != found[0][0]:
        raise ValueError("its id is not the one that audit row 1 recorded")
    return str(found[0][0])


def check_tail(query: Query, recorded: Recorded) -> None:
    """Check the newest rows of the chain link by link, and that none is missing before them.

    Raises:
        ValueError: the chain does not hold.
    """
    count, first, last = query("SELECT count(*), min(seq), max(seq) FROM audit", {})[0]
    if (count, first, last) != (recorded.head_seq, 1, recorded.head_seq):
        raise ValueError(f"{recorded.head_seq} audit rows were written, {count} are there ({first} to {last})")
    marked, recorded_marks = query(_COUNT_GOOD, {"action": GOOD_MARKED})[0]
    if marked != recorded_marks:
        raise ValueError(f"{recorded_marks} versions were marked good, {marked} of them are there")
    rows = audit_rows(query, newest=TAIL_ROWS)
    verify_rows(rows, (rows[0].seq - 1, rows[0].prev_hash if rows[0].seq > 1 else GENESIS_HASH))


def verify_whole_chain(query: Query, recorded: Recorded) -> ChainCheck:
    """Check every row of the chain.

    Raises:
        ValueError: the chain does not hold; the message names the first row that is wrong.
    """
    found = verify_rows(audit_rows(query))
    if (found.head_seq, found.head_hash) != recorded.head:
        raise ValueError(f"the audit ends at row {found.head_seq}, {recorded.head_seq} were written")
    return found


def audit_rows(query: Query, *, newest: int | None = None) -> list[AuditRow]:
    """The audit rows in ascending order; with `newest`, only that many of the latest."""
    if newest is None:
        return [_audit(row) for row in query(f"{_SELECT_AUDIT} ORDER BY seq", {})]
    found = query(f"{_SELECT_AUDIT} ORDER BY seq DESC LIMIT :newest", {"newest": newest})
    return [_audit(row) for row in reversed(found)]


def audit_row(query: Query, seq: int) -> AuditRow | None:
    """One audit row, its own hash verified, or None.

    Raises:
        ValueError: the row was changed after it was written.
    """
    found = query(f"{_SELECT_AUDIT} WHERE seq = :seq", {"seq": seq})
    if not found:
        return None
    row = _audit(found[0])
    verify_row(row)
    return row


def read_good(query: Query, target: str, kind: str) -> GoodVersion | None:
    """The version of that kind that was last marked good for the target, proven by its audit row; None if none was.

    Raises:
        ValueError: it does not prove itself.
    """
    found = query(
        "SELECT audit_seq, name, digest, marked_at FROM good_version WHERE target = :target AND kind = :kind "
        "ORDER BY audit_seq DESC LIMIT 1",
        {"target": target, "kind": kind},
    )
    if not found:
        return None
    seq, name, content_digest, marked_at = found[0]
    row = audit_row(query, seq)
    told = {"target": target, "kind": kind, "name": name, "digest": content_digest}
    if row is None or row.action != GOOD_MARKED or row.at != marked_at or row.data != told:
        raise ValueError(f"the last good {kind} of {target} is not the one that audit row {seq} recorded")
    return GoodVersion(target=target, kind=kind, name=name, digest=content_digest, marked_at=parse_instant(marked_at))


def _document(told: Mapping[str, object]) -> Mapping[str, object]:
    text = told["document"]
    value = json.loads(text) if isinstance(text, str) else None
    if not isinstance(value, dict):
        raise ValueError("its control state is no document")
    return value


def _audit(row: tuple[Any, ...]) -> AuditRow:
    for value, kind in zip(row, (_INT, *(_TEXT,) * 7), strict=True):
        if type(value) is not kind:
            raise ValueError(f"audit row {row[0]!r} holds a value of the wrong kind")
    seq, at, actor, action, subject, detail, prev_hash, hashed = row
    return AuditRow(
        seq=seq, at=at, actor=actor, action=action, subject=subject, detail=detail, prev_hash=prev_hash, hash=hashed
    )


def _int(told: Mapping[str, object], name: str) -> int:
    value = told[name]
    if type(value) is not int:
        raise ValueError(f"{name} of its control state is {value!r}, not a number")
    return value
