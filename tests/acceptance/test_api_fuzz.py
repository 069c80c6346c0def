"""Hostile requests against a real server, some hundred of them; `make fuzz` asks many thousands.

What finds nothing wrong has to find each planted defect first.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import pytest

from tests.fuzz.planted import DEFECTS
from tests.fuzz.run import fuzz

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("defect", list(DEFECTS))
def test_a_planted_defect_is_found(tmp_path: Path, defect: str) -> None:
    """By what it does, soon."""
    requests = 60 if defect in {"leak", "secret"} else 1_000  # what those do shows at the end
    found = fuzz(tmp_path / "site", seed=7, requests=requests, defect=defect, until=DEFECTS[defect]).found
    assert any(DEFECTS[defect] in one for one in found), found


def test_hostile_requests_do_no_harm(tmp_path: Path) -> None:
    """No 5xx, no secret, nothing sent told again, nothing changed by who may not; another seed each time, told on failure."""
    seed = int(os.environ.get("SEED") or secrets.randbelow(10**9))
    outcome = fuzz(tmp_path / "site", seed, int(os.environ.get("REQUESTS") or 1_500))
    assert not outcome.found, outcome.as_text()
    assert outcome.answered > outcome.asked * 0.8
    assert {200, 400, 401, 403, 404, 405, 413, 415, 421, 422} <= set(outcome.statuses)
