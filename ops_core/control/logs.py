"""The program's own log, and marks of how far every log had come, so that a shortened or rewritten one shows.

`ops.log` tells the rows of the audit, one JSON line each, for people and for whatever collects logs. What is recorded
is the audit; the log is a copy. A mark holds a log's size and the digest of its first and last part up to there: a log
may only grow. Our own log is marked whenever we write to it, others once a minute while something is exported: what was
written since is not covered. Our own log is rotated in a recorded act.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import delete, func, insert, select

from ops_core.clock import isoformat, parse_instant
from ops_core.config import Settings
from ops_core.control import schema
from ops_core.control.integrity import looking
from ops_core.control.store import Transaction

OPS_LOG = "ops.log"
ENDING = ".log"
TAMPERED_ACTION = "log.tampered"
ROTATED = "log.rotated"
REMOVED = "log.removed"
FOLLOWED = "logs/ops.log"  # in the table of mirrors: up to which audit row the log tells
MARK_EVERY = timedelta(minutes=1)
ROTATE_BYTES = 1 << 20
ROTATED_MAX = 20
LOGS_MAX = 64
COVERED_BYTES = 8 << 20  # at the beginning of a log, and as much before its mark
LINES_MAX = 1000
LEAVING = -1


@dataclass(frozen=True, kw_only=True)
class Mark:
    """How far a log had come: `size` bytes, the digest over the covered parts. A size of -1: it is being removed."""

    path: str
    size: int
    digest: str
    marked_at: str


@dataclass(frozen=True, kw_only=True)
class LogJudgement:
    """A log that is not what it was: what happened to it, when (as far as its file says), and whose it is."""

    path: str
    what: str
    changed_at: str = ""
    owner: int = -1


def write(settings: Settings, at: datetime, event: str, **fields: object) -> bool:
    """Add one line to the program's log; returns whether it could be written. Never raises: the log is a copy."""
    line = json.dumps({"at": isoformat(at), "event": event, **fields}, ensure_ascii=False, default=str)
    return _append(settings, [line])


def follow(tx: Transaction, settings: Settings) -> None:
    """Tell the rows that the audit got since the last time. Never raises for the log's sake."""
    mirror, audit = schema.mirror, schema.audit
    last = tx.execute(select(mirror.c.digest).where(mirror.c.path == FOLLOWED)).scalar()
    head = tx.head[0]
    told_until = int(last) if last is not None and str(last).isdecimal() else 0
    wanted = (
        select(audit.c.seq, audit.c.at, audit.c.actor, audit.c.action, audit.c.subject)
        .where(audit.c.seq > max(told_until, head - LINES_MAX))
        .order_by(audit.c.seq)
    )
    names = ("seq", "at", "actor", "event", "subject")
    lines = [json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False) for row in tx.execute(wanted).all()]
    known = next((one for one in _marks(tx) if one.path == OPS_LOG), None)
    if not lines or (known is not None and _judged(settings.logs_dir, {OPS_LOG: known})):
        # Written on, a log that was changed would look otherwise than it was found; the next mark records that first.
        return
    if _append(settings, lines):
        tx.execute(delete(mirror).where(mirror.c.path == FOLLOWED))
        tx.execute(insert(mirror).values(path=FOLLOWED, digest=str(head), pending=0, exported_at=""))
        if known is not None:
            size, covered, _ = _covered(settings.logs_dir, OPS_LOG, None)
            _forget(tx, OPS_LOG)
            _remember(tx, replace(known, size=size, digest=covered))


def due(tx: Transaction, now: datetime) -> bool:
    """Whether the last marks are older than a minute, or from the future."""
    newest = tx.execute(select(func.max(schema.log_mark.c.marked_at))).scalar()
    if newest is None:
        return True
    try:
        return not timedelta(0) <= now - parse_instant(str(newest)) < MARK_EVERY
    except ValueError:
        return True


def mark(tx: Transaction, settings: Settings, now: datetime, *, always: bool = False) -> tuple[LogJudgement, ...]:
    """Note how far every log has come, unless that was done within the last minute; rotate our own where it is long.

    A log that is not what it was is recorded first, once; from then on it counts as it is.

    Returns:
        The logs that were not what they were.
    """
    if not always and not due(tx, now):
        return ()
    root = settings.logs_dir
    marks = {one.path: one for one in _marks(tx)}
    _finish(tx, root, marks)
    bad = _judged(root, marks)
    for one in bad:
        detail = {"what": one.what, "changed_at": one.changed_at, "owner": one.owner}
        tx.audit(at=now, actor="ops", action=TAMPERED_ACTION, subject=one.path, detail=detail)
    for name in sorted({*marks, *_present(root)}):
        if name in marks and marks[name].size == LEAVING:
            continue
        size, covered, what = _covered(root, name, None)
        if what == looking.ABSENT and _is_being_rotated(root, marks[name]):
            continue
        _forget(tx, name)
        if covered:
            _remember(tx, Mark(path=name, size=size, digest=covered, marked_at=isoformat(now)))
    _rotate(tx, root, now)
    return bad


def judged(tx: Transaction, settings: Settings) -> tuple[LogJudgement, ...]:
    """The marked logs that are not what they were. Changes nothing."""
    return _judged(settings.logs_dir, {one.path: one for one in _marks(tx)})


def _judged(root: Path, marks: dict[str, Mark]) -> tuple[LogJudgement, ...]:
    found = []
    for name, known in sorted(marks.items()):
        if known.size == LEAVING:
            continue
        size, covered, what = _covered(root, name, known.size)
        if what == looking.ABSENT and _is_being_rotated(root, known):
            continue
        problem = ""
        if not covered:
            problem = "deleted" if what == looking.ABSENT else f"replaced by something else ({what})"
        elif size < known.size:
            problem = f"cut: {size} bytes are left of {known.size}"
        elif covered != known.digest:
            problem = f"changed within its first {known.size} bytes"
        if problem:
            seen = looking.look(root, name, read_max_bytes=0)
            found.append(LogJudgement(path=name, what=problem, changed_at=seen.changed_at, owner=seen.owner))
    return tuple(found)


def _is_being_rotated(root: Path, known: Mark) -> bool:
    """Whether our log, which got this name in the store, still has its old one: the renaming was interrupted."""
    if not known.path.startswith("ops.") or known.path == OPS_LOG:
        return False
    size, covered, _ = _covered(root, OPS_LOG, known.size)
    return size >= known.size and covered == known.digest


def _finish(tx: Transaction, root: Path, marks: dict[str, Mark]) -> None:
    """Do what an earlier transaction recorded: rename our rotated log, remove the oldest ones."""
    for name, known in list(marks.items()):
        if known.size == LEAVING:
            with contextlib.suppress(OSError):
                (root / name).unlink(missing_ok=True)
                _forget(tx, name)
                del marks[name]
        elif looking.kind_of(root, name) == looking.ABSENT and _is_being_rotated(root, known):
            with contextlib.suppress(OSError):
                (root / OPS_LOG).rename(root / name)


def _rotate(tx: Transaction, root: Path, now: datetime) -> None:
    marks = {one.path: one for one in _marks(tx)}
    ours = marks.get(OPS_LOG)
    if ours is None or ours.size < ROTATE_BYTES:
        return
    # The file is renamed by whoever marks next, once this is committed: until then it is there under its old name.
    name = f"ops.{isoformat(now).replace(':', '').replace('-', '')}{ENDING}"
    if name in marks or looking.kind_of(root, name) != looking.ABSENT:
        return
    tx.audit(at=now, actor="ops", action=ROTATED, subject=name, detail={"size": ours.size, "digest": ours.digest})
    _forget(tx, OPS_LOG)
    _remember(tx, Mark(path=name, size=ours.size, digest=ours.digest, marked_at=isoformat(now)))
    rotated = sorted(one for one in (*marks, name) if one.startswith("ops.") and one != OPS_LOG)
    for old in rotated[:-ROTATED_MAX]:
        tx.audit(at=now, actor="ops", action=REMOVED, subject=old, detail={"why": f"{ROTATED_MAX} newer ones are kept"})
        _forget(tx, old)
        _remember(tx, Mark(path=old, size=LEAVING, digest="", marked_at=isoformat(now)))


def _covered(root: Path, name: str, until: int | None) -> tuple[int, str, str]:
    """A log's size, the digest over what a mark at `until` bytes covers, and what it is instead of a file."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        descriptor = os.open(root / name, flags)
    except (FileNotFoundError, NotADirectoryError):
        return 0, "", looking.ABSENT
    except (OSError, ValueError) as error:
        return 0, "", getattr(error, "strerror", None) or str(error)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            return 0, "", "no plain file"
        end = min(found.st_size if until is None else until, found.st_size)
        hashed = hashlib.sha256()
        _add(descriptor, hashed, 0, min(end, COVERED_BYTES))
        _add(descriptor, hashed, max(end - COVERED_BYTES, min(end, COVERED_BYTES)), end)
        return (found.st_size if until is not None else end), hashed.hexdigest(), ""
    except OSError as error:
        return 0, "", error.strerror or str(error)
    finally:
        os.close(descriptor)


def _add(descriptor: int, hashed: hashlib._Hash, start: int, end: int) -> None:
    while start < end:
        block = os.pread(descriptor, min(looking.READ_BYTES, end - start), start)
        if not block:
            return
        hashed.update(block)
        start += len(block)


def _append(settings: Settings, lines: list[str]) -> bool:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    data = "".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace")
    try:
        settings.logs_dir.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(settings.logs_dir / OPS_LOG, flags, 0o640)
        try:
            return stat.S_ISREG(os.fstat(descriptor).st_mode) and os.write(descriptor, data) == len(data)
        finally:
            os.close(descriptor)
    except OSError:
        return False


def _present(root: Path) -> tuple[str, ...]:
    found = [one for one in looking.names(root, ".") if one.endswith(ENDING)]
    return tuple(one for one in found if looking.kind_of(root, one) == looking.FILE and one.isprintable())[:LOGS_MAX]


def _marks(tx: Transaction) -> tuple[Mark, ...]:
    table = schema.log_mark
    rows = tx.execute(select(table.c.path, table.c.size, table.c.digest, table.c.marked_at)).all()
    return tuple(
        Mark(path=str(path), size=int(size), digest=str(digest), marked_at=str(at))
        for path, size, digest, at in map(tuple, rows)
    )


def _remember(tx: Transaction, one: Mark) -> None:
    tx.execute(insert(schema.log_mark).values(path=one.path, size=one.size, digest=one.digest, marked_at=one.marked_at))


def _forget(tx: Transaction, name: str) -> None:
    tx.execute(delete(schema.log_mark).where(schema.log_mark.c.path == name))
