"""The request journals: entries that are only ever added, each in the transaction of its audit row.

The journal is the table; `state/tickets/<journal>.jsonl` shows its lines to people and scripts. The audit row holds the
digest of the line, so that an entry that was edited, removed or added behind the program's back shows in the store too.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, insert, select

from ops_core.clock import isoformat
from ops_core.control import schema
from ops_core.control.audit import AuditRow, canonical
from ops_core.control.model import NOBODY, tidy
from ops_core.control.store import Transaction
from ops_core.errors import UsageError

RECORDED = "ticket.recorded"
JOURNALS = ("requests", "results", "approvals", "preflight")
LINE_MAX_CHARS = 32_768
_JOURNAL = re.compile(r"[a-z][a-z0-9_]{0,31}")
_OWN_FIELDS = ("seq", "journal", "at", "actor", "request_type")


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """One entry. `line` is canonical JSON, exactly as it is mirrored, without the line's end."""

    seq: int
    audit_seq: int
    journal: str
    line: str


def record(tx: Transaction, journal: str, *, at: datetime, actor: str, request_type: str, **fields: object) -> int:
    """Add an entry to a journal, with its audit row.

    Args:
        tx: the transaction that it belongs to.
        journal: "requests", "results", "approvals" or "preflight".
        at: when it happened.
        actor: who asked, or did it.
        request_type: what was asked for, such as OPS_CYCLE or LIVE_FIRE.
        fields: what else the entry says, as JSON values.

    Returns:
        The entry's number; they grow over all journals.

    Raises:
        UsageError: there cannot be such a journal, or the entry is too large or takes a name that every entry has.
    """
    if not _JOURNAL.fullmatch(journal):
        raise UsageError(f"{journal!r} is not the name of a journal", where="ticket", allowed=", ".join(JOURNALS))
    taken = sorted(set(fields).intersection(_OWN_FIELDS))
    if taken:
        raise UsageError(f"every ticket has a field {taken[0]!r}", where=f"journal {journal}")
    seq = int(tx.execute(select(func.coalesce(func.max(schema.ticket.c.seq), 0))).scalar_one()) + 1
    told = {
        **fields,
        "seq": seq,
        "journal": journal,
        "at": isoformat(at),
        "actor": tidy(actor, NOBODY),
        "request_type": tidy(request_type, "-"),
    }
    line = canonical(told)
    if len(line) > LINE_MAX_CHARS:
        raise UsageError(
            f"the ticket is {len(line)} characters long",
            where=f"journal {journal}",
            allowed=f"at most {LINE_MAX_CHARS} characters of JSON",
        )
    row = tx.audit(
        at=at, actor=actor, action=RECORDED, subject=journal, detail={"seq": seq, "line_digest": line_digest(line)}
    )
    tx.execute(insert(schema.ticket).values(seq=seq, audit_seq=row.seq, journal=journal, line=line))
    return seq


def line_digest(line: str) -> str:
    """SHA-256 of an entry's line, in hexadecimal: what its audit row holds."""
    return hashlib.sha256(line.encode("ascii")).hexdigest()


def journals(tx: Transaction) -> dict[str, int]:
    """The journals that have entries, with the number of the last entry of each."""
    table = schema.ticket
    rows = tx.execute(select(table.c.journal, func.max(table.c.seq)).group_by(table.c.journal)).all()
    return {str(name): int(last) for name, last in sorted(map(tuple, rows))}


def entries(tx: Transaction, journal: str | None = None) -> Iterator[Ticket]:
    """The entries in the order in which they were made; of one journal, or of all."""
    table = schema.ticket
    wanted = select(table.c.seq, table.c.audit_seq, table.c.journal, table.c.line).order_by(table.c.seq)
    if journal is not None:
        wanted = wanted.where(table.c.journal == journal)
    for seq, audit_seq, name, line in map(tuple, tx.execute(wanted).all()):
        yield Ticket(seq=int(seq), audit_seq=int(audit_seq), journal=str(name), line=str(line))


def problem(tx: Transaction, history: Sequence[AuditRow]) -> str:
    """What is wrong with the entries as the store holds them; empty where each is proven by its row of the history."""
    rows = {row.seq: row for row in history if row.action == RECORDED}
    last = 0
    for ticket in entries(tx):
        row = rows.pop(ticket.audit_seq, None)
        if ticket.seq != last + 1:
            return f"ticket {last + 1} is missing"
        last = ticket.seq
        told = {"seq": ticket.seq, "line_digest": _digest_of_any(ticket.line)}
        if row is None or row.subject != ticket.journal or row.data != told:
            return f"ticket {ticket.seq} is not the one that was recorded"
    if rows:
        return f"ticket {min(row.data.get('seq', 0) for row in rows.values())} is missing"
    return ""


def _digest_of_any(line: str) -> str:
    return hashlib.sha256(line.encode("utf-8", "surrogatepass")).hexdigest()
