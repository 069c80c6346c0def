"""The audit chain: each row's hash covers the row and the hash before it, so an edited or missing row shows.

What a chain on the same host can do: find damage, and find edits by someone who did not recompute everything after
them. What it cannot: find a rewrite by whoever may write the file and knows this code, or the loss of the whole file.
Against that, hand `(seq, hash)` of the newest row to others (a checkpoint) and verify the chain against it later.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ops_core.errors import UsageError

GENESIS_HASH = "0" * 64
DETAIL_MAX_CHARS = 65_536


@dataclass(frozen=True, kw_only=True)
class AuditRow:
    """One recorded act. `at` is ISO 8601 UTC; `detail` is the canonical JSON text that the hash covers."""

    seq: int
    at: str
    actor: str
    action: str
    subject: str
    detail: str
    prev_hash: str
    hash: str

    def expected_hash(self) -> str:
        """The hash that these values call for."""
        return digest((self.seq, self.at, self.actor, self.action, self.subject, self.detail, self.prev_hash))

    @property
    def data(self) -> dict[str, Any]:
        """The detail as JSON values."""
        found = json.loads(self.detail)
        return found if isinstance(found, dict) else {}


@dataclass(frozen=True, kw_only=True)
class ChainCheck:
    """A chain that holds: how many rows were verified and the checkpoint to hand out."""

    rows: int
    head_seq: int
    head_hash: str


def canonical(value: object) -> str:
    """JSON in the one form that is hashed: sorted keys, no blanks, ASCII only, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(values: Sequence[object]) -> str:
    """SHA-256 over the canonical JSON of the values, in hexadecimal."""
    return hashlib.sha256(canonical(list(values)).encode("ascii")).hexdigest()


def next_row(head: tuple[int, str], *, at: str, actor: str, action: str, subject: str, detail: object) -> AuditRow:
    """The row that follows the one with `head` = (seq, hash).

    Raises:
        UsageError: the detail is too large.
    """
    text = canonical(detail)
    if len(text) > DETAIL_MAX_CHARS:
        raise UsageError(
            f"the detail of an audit row is {len(text)} characters long",
            where=action,
            allowed=f"at most {DETAIL_MAX_CHARS} characters of JSON",
        )
    row = AuditRow(
        seq=head[0] + 1, at=at, actor=actor, action=action, subject=subject, detail=text, prev_hash=head[1], hash=""
    )
    return replace(row, hash=row.expected_hash())


def verify_row(row: AuditRow) -> None:
    """Check that the row's hash is the one of its values.

    Raises:
        ValueError: it is not.
    """
    if row.hash != row.expected_hash():
        raise ValueError(f"audit row {row.seq} was changed after it was written")


def verify_rows(rows: Iterable[AuditRow], before: tuple[int, str] = (0, GENESIS_HASH)) -> ChainCheck:
    """Check rows in ascending order that follow the row `before` = (seq, hash).

    Raises:
        ValueError: a row was changed, is missing, or is out of place; the message names it.
    """
    count, (seq, hashed) = 0, before
    for row in rows:
        if row.seq != seq + 1:
            raise ValueError(f"audit row {seq + 1} is missing")
        if row.prev_hash != hashed:
            raise ValueError(f"audit row {row.seq} does not follow audit row {seq}")
        verify_row(row)
        count, seq, hashed = count + 1, row.seq, row.hash
    return ChainCheck(rows=count, head_seq=seq, head_hash=hashed)
