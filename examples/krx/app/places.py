"""Where things lie, and how results are written: the same input gives the same bytes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PRICES = ROOT / "data" / "prices.parquet"
WORK = ROOT / "work"
TRADES = WORK / "trades.parquet"
EQUITY = WORK / "equity.parquet"
RUN = WORK / "run.json"
RECONCILED = WORK / "reconciled.json"
LATEST = ROOT / "reports" / "phase_c" / "latest"


def write_json(path: Path, value: Any) -> None:
    """Write JSON that is whole or not there: sorted keys, no time of writing, nothing that depends on the machine."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")
    temporary.replace(path)


def read_json(path: Path, made_by: str) -> Any:
    """Read what an earlier step wrote.

    Raises:
        SystemExit: the step has not run, or left something else.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SystemExit(f"{path.name} is not there (next: python -m app.{made_by})") from None
    except (OSError, ValueError) as error:
        raise SystemExit(f"{path.name} cannot be read: {error} (next: python -m app.{made_by})") from None
