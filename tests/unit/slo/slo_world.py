"""A profile with records and incidents that say what a test wants, at the times it wants. Nothing sleeps."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ops_core.clock import ManualClock, isoformat, parse_instant
from ops_core.config import load_settings
from ops_core.control.service import ControlPlane
from ops_core.evidence import EvidenceRecord, ValueEvidence
from ops_core.incident import words
from ops_core.incident.looks import Bad, Look, Shown
from ops_core.incident.progress import Kind, State
from ops_core.incident.store import Incidents
from ops_core.observation.record import Judgement, Observation, to_plain
from ops_core.verdict import Judged, verdict_of

TOML = """
[profiles.default]
drill = true
[profiles.default.slo]
zone = "{zone}"
{slo}
[profiles.default.targets.shop]
health_url = "http://127.0.0.1:1/health"
slo_availability = 0.999
[profiles.default.targets.search]
health_url = "http://127.0.0.1:1/health"
"""


class World:
    """A repository in a folder, its clock, and its control plane, which nobody has released."""

    def __init__(self, root: Path, now: datetime, *, zone="Asia/Seoul", slo=""):
        (root / "ops.toml").write_text(TOML.format(zone=zone, slo=slo), encoding="utf-8")
        self.root = root
        self.settings = load_settings(root / "ops.toml", environ={})
        self.clock = ManualClock(now)
        self.plane = ControlPlane(self.settings.control_store, self.clock, actor="kim")
        self.plane.create()
        self.looks = 0

    def look(self, at, suite="observe", **judged):
        """Record an observation: of each target `good`, `bad` or `unknown`."""
        self.looks += 1
        write_record(self.settings, at, judged, suite=suite, number=self.looks)

    def incident(self, *, began, detected, ended, state="recovered", codes=("health.not_ok",), target="shop"):
        """An incident as the loop records one, at those instants."""
        incidents = Incidents(self.plane, self.clock, "incident")
        now = self.clock.instant
        self.clock.instant = detected
        data = {"injected_at": isoformat(began) if began else None, "fault": "core_dies", "lang": "en"}
        opened = incidents.open(self.settings, "observe", a_look(began or detected, detected, codes, target), data)
        if ended is not None:
            self.clock.instant = ended
            why = {} if state == "recovered" else words.reason("not_asked")
            incidents.close(opened.id, State(state), why)
        self.clock.instant = now
        return opened.id


def a_look(started, finished, codes, target):
    """What an incident keeps of the observation that found it."""
    bad = tuple(
        Bad(code=code, target=target, check="check", nodeid=f"checks/x.py::check[{target}]", expected="good", seen="bad", where="", evidence=("e",))
        for code in codes
    )  # fmt: skip
    return Look(
        label="O1", run_id="20260101T000000Z-000000", record="reports/observe/x.json", purpose="detection", whole=True,
        verdict="UNHEALTHY", started_at=isoformat(started), finished_at=isoformat(finished), used_s=1.0, total_s=60.0,
        targets=(target,), bad=bad, unseen=(), facts=(), evidence=(Shown(id="e", explanation="bad", reason=""),),
    )  # fmt: skip


def write_record(
    settings, at, judged, *, suite="observe", number=1, finding="health.not_ok", profile=None, replayed=""
):
    """An observation's record in the folder of its suite; `at` is when it was judged."""
    evidence = EvidenceRecord(
        id="health", probe="health", target=None, kind="ValueEvidence", seen=True, reason="", budget_s=10.0,
        started_at=isoformat(at), elapsed_s=0.1, facts=(), evidence=ValueEvidence(value=1),
    )  # fmt: skip
    judgements = tuple(
        Judgement(
            nodeid=f"checks/{suite}/check_health.py::check_health[{target}]", check="check_health", suite=suite,
            finding=finding, target=target, judged=Judged(what), evidence=("health",),
        )
        for target, what in judged.items()
    )  # fmt: skip
    observation = Observation(
        run_id=f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}-{number:06x}", suite=suite, profile=profile or settings.profile,
        drill=settings.drill, gate="DRY_RUN", stopped=False, stop_reason="", started_at=isoformat(at), finished_at=isoformat(at),
        total_s=60.0, used_s=1.0, replayed_from=replayed, targets=tuple({"name": name} for name in judged),
        evidence=(evidence,), judgements=judgements, verdict=verdict_of(j.judged for j in judgements),
    )  # fmt: skip
    folder = settings.reports_dir / suite
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{observation.run_id}.json"
    path.write_text(json.dumps({"created": 0, "runbook": to_plain(observation)}), encoding="utf-8")
    return path


def utc(text):
    """`2026-11-10 03:00` as an instant."""
    return parse_instant(f"{text.replace(' ', 'T')}Z")


def minutes(count):
    return timedelta(minutes=count)


__all__ = ["Kind", "World", "minutes", "utc", "write_record"]
