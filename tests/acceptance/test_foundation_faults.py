"""Faults of what services stand on: found, decided, remedied or left to a person, and taken back."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import sampled

from ops_core.clock import SystemClock
from ops_core.drill.catalogue.foundations import FOUNDATIONS
from ops_core.drill.fault import Fault
from ops_core.drill.rehearse import rehearse

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("fault", sampled(FOUNDATIONS, 0.2), ids=lambda f: f.name)
def test_each_fault_of_the_foundations_is_dealt_with(fault: Fault, tmp_path: Path) -> None:
    """It ends as the catalogue says, by the remedy meant for it or none, and all is as before."""
    if fault.missing():
        pytest.skip(fault.missing())
    told: list[str] = []
    rehearsal = rehearse(fault, reports_dir=tmp_path, clock=SystemClock(), say=told.append)
    assert rehearsal.problems == (), "\n".join(told)
    assert (rehearsal.state, rehearsal.restored) == (fault.ends, True)
