"""Every mirror against its place: what the export has to write, and what the suite `integrity` has to tell."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from sqlalchemy import select

from ops_core.config import Settings
from ops_core.control import files, schema
from ops_core.control.integrity import looking
from ops_core.control.integrity.comparing import (
    EQUAL,
    TAMPERED,
    Judgement,
    digest_of,
    judge,
)
from ops_core.control.integrity.shown import LATEST_CYCLE, LATEST_FIRE, OURS, Shown, place, shown
from ops_core.control.store import Transaction

READ_SLACK_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is at every mirror's place, and what has to be there.

    Attributes:
        judgements: one for each mirror, and one for each file that should not be there.
        wanted: what each mirror has to hold.
        notes: what the exports have noted, by path.
        inherited: what an earlier store left in folders of ours, by path, with its digest.
    """

    judgements: tuple[Judgement, ...]
    wanted: dict[str, Shown]
    notes: dict[str, tuple[str, str]] = field(default_factory=dict)
    inherited: dict[str, str] = field(default_factory=dict)

    @property
    def tampered(self) -> tuple[Judgement, ...]:
        """What somebody else put there."""
        return tuple(one for one in self.judgements if one.state == TAMPERED)

    @property
    def to_write(self) -> tuple[Judgement, ...]:
        """What is not as it has to be, or not yet noted as being so."""
        return tuple(one for one in self.judgements if one.state != EQUAL or self._unnoted(one))

    def _unnoted(self, one: Judgement) -> bool:
        return one.path in self.wanted and self.notes.get(one.path, ("", ""))[0] != one.digest


def plan(tx: Transaction, settings: Settings, *, snapshots: int) -> Plan:
    """Look at every mirror. Never raises for a mirror's sake.

    Args:
        tx: the store at one instant.
        settings: where the mirrors lie.
        snapshots: how many of the newest runs to look at one by one.
    """
    wanted = shown(tx, files.read_latch(settings.control_store), snapshots=snapshots)
    table = schema.mirror
    rows = tx.execute(select(table.c.path, table.c.digest, table.c.exported_at)).all()
    notes = {str(path): (str(digest), str(at)) for path, digest, at in map(tuple, rows)}
    others = _others(wanted, notes, settings)
    inherited: dict[str, str] = {}
    if not notes:
        # A store that has never exported: the files that an earlier one left are history, not somebody's addition.
        seen = {path: looking.look(*place(settings, path)) for path in others}
        inherited = {path: one.digest for path, one in seen.items() if one.kind == looking.FILE}
        others = []
    judgements = [_judge(settings, path, wanted.get(path), notes) for path in (*wanted, *others)]
    return Plan(judgements=tuple(judgements), wanted=wanted, notes=notes, inherited=inherited)


def _judge(settings: Settings, path: str, one: Shown | None, notes: dict[str, tuple[str, str]]) -> Judgement:
    root, below = place(settings, path)
    expected = None if one is None else one.data
    keep = 0 if expected is None else len(expected) + READ_SLACK_BYTES
    seen = looking.look(root, below, keep_bytes=keep)
    noted = notes[path][0] if path in notes else None
    if not notes and seen.kind != looking.ABSENT and expected is not None:
        # A store that has never exported anything: what lies there is an earlier store's, and is replaced.
        noted = seen.digest
    return judge(path, expected, noted, seen, os.geteuid())


def _others(wanted: dict[str, Shown], notes: dict[str, tuple[str, str]], settings: Settings) -> list[str]:
    """Places where nothing of ours may be: what looks like a mirror and is none."""
    found = [path for path in (LATEST_CYCLE, LATEST_FIRE) if path not in wanted and path not in notes]
    for folder, ending in OURS.items():
        root, below = place(settings, folder)
        listed = (f"{folder}/{name}" for name in looking.names(root, below) if name.endswith(ending))
        # A snapshot that is older than those asked for was noted when it was exported.
        found += [path for path in listed if path not in wanted and path not in notes]
    return found


def right_digest(shown_there: Shown) -> str:
    """The digest that a mirror has once it is exported."""
    return digest_of(shown_there.data)
