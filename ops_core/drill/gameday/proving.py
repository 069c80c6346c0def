"""Verifies what a game day left: the audit chain of its control stores, its records, and the reports on its incidents.

The history of a store is exported after every fault. So it is still there when a fault has taken the store away, and
anybody can verify it afterwards with `ops audit verify --export FILE`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ops_core.config import Settings
from ops_core.control import checkpoint as checkpoints
from ops_core.control.service import ControlPlane
from ops_core.drill.gameday.results import Verified
from ops_core.errors import OpsError, RecordError
from ops_core.observation.journal import write_atomically
from ops_core.observation.record import read_observation
from ops_core.report.markdown import check_citations
from ops_core.report.model import IncidentView

PROBLEMS_MAX = 100
# What lies beside the records of looks, and is none.
NO_LOOKS = ("latest.json", "incident.json")


@dataclass(frozen=True, kw_only=True)
class Noted:
    """A store as it was when it was looked at last: where its history was exported to, and the checkpoint of that."""

    store_id: str
    export: Path
    checkpoint: Mapping[str, object]


class History:
    """The control stores of a game day, the latest last.

    Args:
        settings: the profile.
        plane: its control plane.
        folder: where the histories are exported to.
    """

    def __init__(self, settings: Settings, plane: ControlPlane, folder: Path) -> None:
        self._settings, self._plane, self._folder = settings, plane, folder
        self.stores: list[Noted] = []
        self.problems: list[str] = []

    def note(self) -> None:
        """Verify the store in force, that it still holds what was noted of it, and export its history."""
        try:
            with self._plane.snapshot() as found:
                found.verify_chain()
                rows, store_id = found.audit_rows(), found.store_id
                lines = checkpoints.export_of(found, self._settings)
            before = self.stores[-1] if self.stores and self.stores[-1].store_id == store_id else None
            checkpoints.verify_history(rows, [before.checkpoint] if before else ())
            number = len(self.stores) if before else len(self.stores) + 1
            export = self._folder / f"audit-{number}.jsonl"
            write_atomically(export, "".join(f"{line}\n" for line in lines))
        except (OpsError, OSError) as error:
            self.problems.append(f"the control store: {_said(error)}")
            return
        noted = Noted(store_id=store_id, export=export, checkpoint=json.loads(lines[-1])["checkpoint"])
        self.stores[number - 1 :] = [noted]


def prove(history: History, reports: Path, states: Mapping[str, str]) -> Verified:
    """Verify everything, and say what does not hold.

    Args:
        history: the control stores.
        reports: where records and reports lie.
        states: what each incident came to, by its id.
    """
    history.note()
    problems, rows = [*history.problems], 0
    for one in history.stores:
        try:
            rows += _rows_of(one)
        except (OpsError, OSError) as error:
            problems.append(f"{one.export.name}: {_said(error)}")
    wrong = [told for name, state in states.items() for told in _told_otherwise(reports / "incidents" / name, state)]
    looks = [path for path in sorted(reports.rglob("*.json")) if path.name not in NO_LOOKS]
    damaged = [told for path in looks for told in _unreadable(path)]
    if not history.stores:
        problems.append("no control store was ever seen")
    return Verified(
        stores=len(history.stores),
        audit_rows=rows,
        incidents=len(states) - len({told.partition(":")[0] for told in wrong}),
        observations=len(looks) - len(damaged),
        problems=(*problems, *wrong, *damaged)[:PROBLEMS_MAX],
    )


def _rows_of(one: Noted) -> int:
    """The rows of an exported history that holds: complete, each behind the one before, its checkpoint signed."""
    rows, own = checkpoints.read_export(one.export.read_text(encoding="utf-8"), str(one.export))
    check = checkpoints.verify_history(rows, own)
    checkpoints.verify_end(rows, own)
    keys = [str(row.data.get("public_key", "")) for row in rows if row.action == checkpoints.KEY_MADE]
    for kept in own:
        if kept["signature"]:
            known = next((key for key in keys if checkpoints.key_id(key) == kept["key_id"]), "")
            checkpoints.verify_signature(kept, known)
    return check.rows


def _told_otherwise(folder: Path, state: str) -> Iterator[str]:
    """What is wrong with the reports on an incident: they are missing, do not hold together, or say something else."""
    path = folder / "incident.json"
    try:
        view = IncidentView.from_json(json.loads(path.read_text(encoding="utf-8")), str(path))
        view.validate()
        documents = sorted(folder.glob("*.md"))
        if view.state != state:
            raise RecordError(f"its report says {view.state}, the store {state}")
        if not documents:
            raise RecordError("there is no document about it")
        for document in documents:
            check_citations(document.read_text(encoding="utf-8"), view)
    except (OpsError, OSError, ValueError, RecursionError) as error:
        yield f"{folder.name}: {_said(error)}"


def _unreadable(path: Path) -> Iterator[str]:
    try:
        read_observation(path)
    except OpsError as error:
        yield f"{path.name}: {error.what}"


def _said(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{Path(str(error.filename or '')).name}: {error.strerror}"
    return error.what if isinstance(error, OpsError) else str(error)
