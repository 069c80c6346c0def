"""The published schema is the one the classes make, and records hold to it."""

from __future__ import annotations

import json
from pathlib import Path

from ops_core.observation.schema import observation_schema

PUBLISHED = Path(__file__).parents[3] / "docs" / "reference" / "observation.schema.json"


def test_published_schema_is_current() -> None:
    """docs/reference/observation.schema.json says what the classes say today."""
    assert json.loads(PUBLISHED.read_text(encoding="utf-8")) == observation_schema()
