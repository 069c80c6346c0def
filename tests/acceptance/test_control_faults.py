"""Every fault of the control plane: really there, found by its check, decided by its row, left to a person, taken back."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import sampled

from ops_core.clock import SystemClock
from ops_core.drill.catalogue.control import CONTROL
from ops_core.drill.fault import Fault
from ops_core.drill.rehearse import rehearse

pytestmark = pytest.mark.slow
# Of each suite one, and the one in which nothing may be found.
ALWAYS = {"gate-mirror-forced", "webhook-forged", "cycle-killed", "fire-after-hours"}


@pytest.mark.parametrize("fault", sampled(CONTROL, 0.15, always=lambda one: one.name in ALWAYS), ids=lambda f: f.name)
def test_each_fault_of_the_control_plane_is_left_to_a_person(fault: Fault, tmp_path: Path) -> None:
    """Found, decided and escalated; nothing was carried out; as before once it was withdrawn."""
    told: list[str] = []
    rehearsal = rehearse(fault, reports_dir=tmp_path, clock=SystemClock(), say=told.append)
    assert rehearsal.problems == (), "\n".join(told)
    assert rehearsal.remedied == ()
    assert (rehearsal.state, rehearsal.restored) == (fault.ends, True)
    assert ([one.code for one in rehearsal.findings] == []) == (fault.name == "webhook-forged")
