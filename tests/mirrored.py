"""A control plane with everything that lies around its store: mirrors, tickets, receipts, logs, contracts.

For tests of what a change behind the program's back looks like, and of what a crash must not look like.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import insert

from ops_core.clock import ManualClock, isoformat
from ops_core.config import Settings, load_settings
from ops_core.control import schema, tickets
from ops_core.control.audit import canonical
from ops_core.control.integrity.survey import read_integrity
from ops_core.control.mirrors import Exported, export
from ops_core.control.opening import plane_of
from ops_core.control.service import ControlPlane
from ops_core.evidence import Breach

NINE = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
ALLOWLIST = "execution_allowlist_v1.json"
_TOML = """
[profiles.default]
control_dir = "control"
[profiles.default.targets.api]
health_url = "http://127.0.0.1:9/health"
"""


@contextlib.contextmanager
def past_the_program(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection to the store of somebody who takes its triggers away, and puts them back when done."""
    connection = sqlite3.connect(path)
    try:
        with connection:
            triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
            for name, _ in triggers:
                connection.execute(f"DROP TRIGGER {name}")
            yield connection
            for _, sql in triggers:
                connection.execute(sql)
    finally:
        connection.close()


class World:
    """One profile in a folder of its own, on a clock that only moves when told to."""

    def __init__(self, root: Path, *, fresh: bool = True) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root = root
        self.clock = ManualClock(NINE)
        if fresh:
            (root / "ops.toml").write_text(_TOML, encoding="utf-8")
        self.settings: Settings = load_settings(root / "ops.toml", "default", {})
        self.contracts = self.settings.contracts_dir
        self.plane: ControlPlane = plane_of(self.settings, self.clock, "kim")
        if fresh:
            self.contracts.mkdir(parents=True)
            self.allow("OPS_CYCLE", "LIVE_FIRE")
            (self.contracts / "contract_ops_scheduler_v1.md").write_text("# Contract\n", encoding="utf-8")

    @classmethod
    def opened(cls, root: Path) -> World:
        """The world that another process made."""
        return cls(root, fresh=False)

    def begin(self) -> World:
        """Make the store, released, with something in every mirror."""
        self.plane.create()
        self.plane.release("for the test")
        for _ in range(3):
            self.ticket()
        self.ticket("preflight", missing=["pandas"])
        self.cycle("R1")
        self.cycle("R2")
        self.fire("F1")
        self.export()
        self.wait()
        self.export()
        return self

    def allow(self, *types: str) -> None:
        """Write the allowlist."""
        told = {"contract": "execution_allowlist_v1", "request_types": list(types)}
        (self.contracts / ALLOWLIST).write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")

    def wait(self, seconds: float = 61.0) -> None:
        """Let time pass; after a minute logs are marked anew."""
        self.clock.sleep(seconds)

    def export(self) -> Exported:
        """Bring the mirrors up to date."""
        return export(self.plane, self.settings, whole=True)

    def breaches(self) -> tuple[Breach, ...]:
        """What a look finds."""
        return read_integrity(self.settings, self.clock).breaches

    def pending(self) -> tuple[str, ...]:
        """The mirrors that are only late."""
        return read_integrity(self.settings, self.clock).pending

    def ticket(self, journal: str = "requests", **fields: object) -> int:
        """Add a ticket, without exporting it."""
        with self.plane.transaction() as tx:
            return tickets.record(
                tx, journal, at=self.clock.now(), actor="kim", request_type="OPS_CYCLE", **{"note": "점검", **fields}
            )

    def cycle(self, run_id: str, result: str = "OK") -> None:
        """Record a cycle that has ended, without exporting it."""
        self.wait(1)
        receipt = {"schema": "ops_run_receipt_v1", "run_id": run_id, "result": result, "cause": "점검"}
        values = {"slot": None, "outcome": result}
        self._record(schema.cycle_run, run_id, receipt, values, "cycle.ended", {"result": result})

    def fire(self, fire_id: str, outcome: str = "BLOCKED", failing: tuple[str, ...] = ("gate_mode",)) -> None:
        """Record a live fire that has ended, without exporting it."""
        self.wait(1)
        receipt = {"schema": "live_fire_receipt_v1", "fire_id": fire_id, "outcome": outcome}
        values = {"window_id": None, "outcome": outcome}
        action = "live_fire.blocked" if outcome == "BLOCKED" else "live_fire.ended"
        self._record(schema.fire, fire_id, receipt, values, action, {"failing": list(failing)})

    def _record(
        self,
        table: object,
        one: str,
        receipt: object,
        values: dict[str, object],
        action: str,
        detail: dict[str, object],
    ) -> None:
        text, at = canonical(receipt), isoformat(self.clock.now())
        with self.plane.transaction() as tx:
            tx.execute(insert(table).values(id=one, actor="kim", begun_at=at, ended_at=at, receipt=text, **values))
            told = {**detail, "receipt_digest": hashlib.sha256(text.encode("ascii")).hexdigest()}
            tx.audit(at=self.clock.now(), actor="kim", action=action, subject=one, detail=told)
