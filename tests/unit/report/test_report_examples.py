"""The committed examples are what the templates write today, to the byte."""

from __future__ import annotations

import json

import pytest
from report_views import EXAMPLES, example
from write_examples import documents

DOCUMENTS = documents()
AGAIN = "PYTHONPATH=. python tests/unit/report/write_examples.py writes them again"


@pytest.mark.parametrize("path", DOCUMENTS)
def test_an_example_is_what_we_write_today(path):
    """Rendering the committed incident gives the committed document."""
    assert (EXAMPLES / path).read_bytes() == DOCUMENTS[path].encode(), AGAIN


def test_there_is_no_example_that_nobody_writes():
    """Every file below the examples is the incident or made from it; what a month of drills comes to has its own test."""
    found = {str(path.relative_to(EXAMPLES)) for path in EXAMPLES.rglob("*") if path.is_file()}
    found = {path for path in found if not path.startswith(("slo/", "response/"))}
    assert found == {"incident.json", *DOCUMENTS}


def test_the_example_incident_is_in_the_form_we_store():
    """The committed incident is the JSON that an incident is stored as."""
    text = (EXAMPLES / "incident.json").read_text(encoding="utf-8")
    assert json.loads(text) == example().to_json()
