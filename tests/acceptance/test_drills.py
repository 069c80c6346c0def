"""The main job, on real processes with real faults: detected, decided, remedied, recovered, verified, reported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support import sampled

from ops_core.clock import SystemClock
from ops_core.drill.fault import Fault
from ops_core.drill.faults import CATALOGUE, FAULTS
from ops_core.drill.rehearse import rehearse
from ops_core.observation.record import read_observation
from ops_core.report.markdown import check_citations
from ops_core.report.model import IncidentView
from ops_core.verdict import Verdict

# The faults of the runbook that this replaces; the others are variations of them.
ALWAYS = {
    "killed": ("process.not_running", "restart_service"),
    "frozen": ("process.frozen", "restart_service"),
    "answering-5xx": ("health.not_ok", "restart_service"),
    "secret-missing": ("guard.open", "rollback_config"),
    "wrong-secret": ("guard.rejects_secret", "rollback_config"),
    "stream-silent": ("stream.silent", "restart_service"),
    "slow": ("health.slow", "restart_service"),
    "bad-release": ("health.not_ok", "rollback_release"),
}


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(f, id=f.name, marks=() if f.name in ALWAYS else pytest.mark.slow)
        for f in sampled(CATALOGUE, 0.2, always=lambda one: one.name in ALWAYS)
    ],
)
def test_each_fault_is_dealt_with(fault: Fault, tmp_path: Path) -> None:
    """A curable fault ends recovered by its remedy, an incurable one escalated; then the stack is as before."""
    told: list[str] = []
    rehearsal = rehearse(fault, reports_dir=tmp_path, clock=SystemClock(), say=told.append, verify_s=8)
    assert rehearsal.problems == (), "\n".join(told)
    view = rehearsal.view
    assert view.state == fault.ends
    assert rehearsal.restored
    assert fault.row in rehearsal.rows
    if fault.name in ALWAYS:
        assert (fault.findings[0], fault.remediation) == ALWAYS[fault.name]
    looks = [read_observation(_record(tmp_path, one.record)) for one in view.observations]
    assert looks[0].verdict is Verdict.UNHEALTHY
    assert {finding.code for finding in looks[0].findings} >= set(fault.findings)
    assert (looks[-1].verdict is Verdict.HEALTHY) == (fault.ends == "recovered")
    folder = tmp_path / "incidents" / view.id
    assert IncidentView.from_json(json.loads((folder / "incident.json").read_text(encoding="utf-8"))) == view
    for name in ("incident.md", "postmortem.md"):
        check_citations((folder / name).read_text(encoding="utf-8"), view)
    log = (tmp_path / "incidents" / "incidents.log").read_text(encoding="utf-8").splitlines()
    assert len(log) == 2


def test_every_fault_that_the_runbook_names_is_in_the_catalogue() -> None:
    """Nothing of the old runbook's table was left out of the drills."""
    assert set(ALWAYS) <= set(FAULTS)


def test_a_drill_speaks_korean_as_well(tmp_path: Path) -> None:
    """The whole way in Korean: what is told, and the postmortem."""
    told: list[str] = []
    rehearsal = rehearse(FAULTS["soul-killed"], reports_dir=tmp_path, clock=SystemClock(), say=told.append, lang="ko")
    assert rehearsal.problems == ()
    postmortem = (tmp_path / "incidents" / rehearsal.view.id / "postmortem.md").read_text(encoding="utf-8")
    assert "사후" in postmortem
    assert any("관측" in line for line in told)


def _record(reports: Path, shown: str) -> Path:
    path = Path(shown)
    return path if path.is_absolute() else reports / path.relative_to("reports")
