"""`ops drill --random`: a game day. Random faults on one stack for a while, and the runbook deals with them."""

from __future__ import annotations

from pathlib import Path

from ops_core.errors import OpsError


def hold_gameday(*, duration: str | None, seed: int | None, reports: Path, lang: str, json: bool) -> int:
    """Hold a game day.

    Raises:
        OpsError: it cannot be held.
    """
    raise OpsError(f"no game day can be held yet: {duration}, {seed}, {reports}, {lang}, {json}")
