"""How long ago each row of the decision table was last drilled, from the newest matrix runs.

Asked beside an advice at night, so it is bounded and quick: a few runs, the newest first, and no longer than until
every row that is asked for was met. A file that is damaged is told, and shows nothing.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ops_core.clock import isoformat, parse_instant
from ops_core.drill.matrix.results import RESULT_MAX_BYTES, RESULTS, RUN_ID, FaultResult, Status, runs_dir
from ops_core.errors import RecordError

STALE_AFTER_DAYS = 30
RUNS_MAX = 20
FILES_MAX = 4000
BYTES_MAX = 64 << 20
DAMAGED_MAX = 5
DAY_S = 86_400.0


@dataclass(frozen=True, kw_only=True)
class LastDrill:
    """The newest drill in which a row matched and everything was as promised."""

    row: str
    at: datetime
    fault: str
    run_id: str
    state: str
    recover_s: float | None

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "at": isoformat(self.at),
            "fault": self.fault,
            "run_id": self.run_id,
            "state": self.state,
            "recover_s": self.recover_s,
        }

    def age_days(self, now: datetime) -> float:
        """Days since then; a drill from the future (the clock was put back) is of today."""
        return max(0.0, (now - self.at).total_seconds() / DAY_S)


@dataclass(frozen=True, kw_only=True)
class Freshness:
    """By row, when it was last drilled; rows that are not here never were. `damaged` names files and why."""

    drilled: dict[str, LastDrill]
    damaged: tuple[str, ...] = ()


def last_drilled(reports_dir: Path, rows: Collection[str]) -> Freshness:
    """When each of these rows was last drilled, as far as the newest matrix runs tell.

    Args:
        reports_dir: below which matrix runs lie.
        rows: ids of rows.
    """
    found: dict[str, LastDrill] = {}
    damaged: list[str] = []
    files_left, bytes_left = FILES_MAX, BYTES_MAX
    for folder in _newest(reports_dir):
        if len(found) == len(set(rows)) or not (files_left and bytes_left > 0):
            break
        for path in sorted((folder / RESULTS).glob("*.json"))[:files_left]:
            files_left -= 1
            try:
                result, read = _read(path, set(rows) - set(found))
            except RecordError as error:
                damaged.append(f"{path.relative_to(reports_dir)}: {error.what}")
                continue
            bytes_left -= read
            if result is not None and result.status == Status.PASSED:
                _keep(found, result, folder.name, set(rows))
    more = [f"and {len(damaged) - DAMAGED_MAX} more"] if len(damaged) > DAMAGED_MAX else []
    return Freshness(drilled=found, damaged=(*damaged[:DAMAGED_MAX], *more))


def told(last: LastDrill | None, now: datetime, stale_after_days: float = STALE_AFTER_DAYS) -> str:
    """One line for a person: "last drilled 3 days ago, recovered in 2.1 s"."""
    if last is None:
        return "never drilled"
    days = int(last.age_days(now))
    when = "today" if not days else "yesterday" if days == 1 else f"{days} days ago"
    took = f" in {last.recover_s:.1f} s" if last.recover_s is not None else ""
    stale = f"; STALE: older than {stale_after_days:g} days" if is_stale(last, now, stale_after_days) else ""
    return f"last drilled {when}, {last.state}{took}{stale}"


def is_stale(last: LastDrill | None, now: datetime, stale_after_days: float = STALE_AFTER_DAYS) -> bool:
    """Whether nobody has seen the row work for too long."""
    return last is None or last.age_days(now) > stale_after_days


def _newest(reports_dir: Path) -> list[Path]:
    try:
        named = [path for path in runs_dir(reports_dir).iterdir() if RUN_ID.fullmatch(path.name)]
        # Beside matrix runs there lie game days and healthy rounds, which have no results of this kind.
        runs = [path for path in named if (path / RESULTS).is_dir()]
    except OSError:
        return []
    return sorted(runs, key=lambda path: path.name, reverse=True)[:RUNS_MAX]


def _read(path: Path, rows: Collection[str]) -> tuple[FaultResult | None, int]:
    """The result, if it is about one of the rows, and how much was read. The whole of it is only checked then."""
    try:
        with path.open("rb") as file:
            raw = file.read(RESULT_MAX_BYTES + 1)
        if len(raw) > RESULT_MAX_BYTES:
            raise RecordError(f"it is larger than {RESULT_MAX_BYTES} bytes")
        value = json.loads(raw)
    except OSError as error:
        raise RecordError(f"it cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise RecordError("it is not JSON") from None
    matched = value.get("rows") if isinstance(value, dict) else None
    if not isinstance(matched, list):
        raise RecordError("it is not what came of a fault")
    if not any(isinstance(row, str) and row in rows for row in matched):
        return None, len(raw)
    return FaultResult.from_json(value, path.name), len(raw)


def _keep(found: dict[str, LastDrill], result: FaultResult, run_id: str, rows: Collection[str]) -> None:
    try:
        at = parse_instant(result.ended_at)
    except ValueError:
        return
    for row in result.rows:
        # The row that came last is the one whose remedy ended it; times are the fault's.
        known = found.get(row)
        if row in rows and (known is None or (known.run_id == run_id and known.at < at)):
            found[row] = LastDrill(
                row=row,
                at=at,
                fault=result.fault,
                run_id=run_id,
                state=result.state or "ended",
                recover_s=result.recover_s,
            )
