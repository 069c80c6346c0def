"""`python -m tests.fuzz`: thousands of hostile requests; `SEED=…` repeats a run, `REQUESTS=…` says how many."""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
from pathlib import Path

from tests.fuzz.run import fuzz

seed = int(os.environ.get("SEED") or secrets.randbelow(10**9))
print(f"SEED={seed}", flush=True)
with tempfile.TemporaryDirectory() as folder:
    outcome = fuzz(Path(folder) / "site", seed, int(os.environ.get("REQUESTS") or 20_000))
print(outcome.as_text())
sys.exit(bool(outcome.found))
