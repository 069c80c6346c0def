"""Every fault of the hand-off: really there, found by its check, decided by its row, left to a person, taken back."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import need_program, sampled

from ops_core.clock import SystemClock
from ops_core.drill.catalogue.bundle import BUNDLE
from ops_core.drill.fault import Fault
from ops_core.drill.rehearse import rehearse

pytestmark = pytest.mark.slow
# One that is refused, and one for which the store is made anew.
ALWAYS = {"bundle-swapped", "bundle-missing"}


@pytest.mark.parametrize("fault", sampled(BUNDLE, 0.1, always=lambda one: one.name in ALWAYS), ids=lambda f: f.name)
def test_each_fault_of_the_hand_off_is_left_to_a_person(fault: Fault, tmp_path: Path) -> None:
    """Found, decided and escalated; nothing was carried out; as before once it was withdrawn."""
    need_program("git")
    told: list[str] = []
    rehearsal = rehearse(fault, reports_dir=tmp_path, clock=SystemClock(), say=told.append)
    assert rehearsal.problems == (), "\n".join(told)
    assert rehearsal.remedied == ()
    assert (rehearsal.state, rehearsal.restored) == ("escalated", True)
