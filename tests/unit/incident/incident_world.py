"""A small world for incidents: services made of files and shell lines, and a suite that judges them without pytest.

What a service runs with is what the link pointed to when it was started, so rolling back needs the restart, as in life.
Everything else is real: control store, decision table, remediations, commands, reports.
"""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from pathlib import Path

from ops_core.clock import SystemClock, isoformat, new_run_id
from ops_core.config import load_settings
from ops_core.control.deployments import digest_of
from ops_core.control.reading import read_last_good
from ops_core.control.service import ControlPlane
from ops_core.evidence import EvidenceRecord, ValueEvidence
from ops_core.incident.looks import Bad, Facts, Look, Shown, Unseen
from ops_core.incident.loop import resume_incident, run_incident
from ops_core.incident.store import Incidents
from ops_core.observation.launch import Launched
from ops_core.observation.record import Judgement, Observation
from ops_core.report.render import INCIDENT, INCIDENT_LOG, POSTMORTEM, render_incident
from ops_core.verdict import Judged, verdict_of

AT = "2026-01-05T09:00:00.000Z"
TARGET = """
[profiles.default.targets.{name}]
config_link = "{name}/current.env"
driver = "command"
start_argv = ["sh", "-c", "echo start >> {name}/effects; readlink {name}/current.env > {name}/running"]
stop_argv = ["sh", "-c", "echo stop >> {name}/effects; rm -f {name}/running"]
running_argv = ["test", "-s", "{name}/running"]
"""


class ShiftedClock(SystemClock):
    """The machine's clock, moved by hand."""

    ahead_s = 0.0

    def now(self):
        return super().now() + timedelta(seconds=self.ahead_s)


class World:
    """A repository with services, and what people set in its control plane."""

    def __init__(self, root: Path, names=("web",), *, drill=True):
        self.root = root
        self.clock = ShiftedClock()
        self.said: list[str] = []
        self.looks = 0
        self.script: list[list[tuple[str, str | None, Judged]]] = []
        text = "[profiles.default]\n" + ("drill = true\n" if drill else "")
        (root / "ops.toml").write_text(text + "".join(TARGET.format(name=name) for name in names))
        self.settings = load_settings(root / "ops.toml", environ={})
        self.plane = ControlPlane(self.settings.control_store, self.clock, actor="kim")
        self.plane.create()
        for name in names:
            folder = root / name
            folder.mkdir()
            (folder / "1.env").write_text("SECRET=1\n")
            (folder / "2.env").write_text("\n")
            (folder / "current.env").symlink_to("1.env")
            (folder / "running").write_text("1.env\n")
            self.plane.mark_good(name, "config", "1.env", digest_of(folder / "1.env"))

    def permit(self, gate="MOCK_ONLY"):
        self.plane.release("rehearsal")
        self.plane.set_gate(gate, "rehearsal")

    def deploy(self, name="web", version="2.env"):
        """Put a version in force and run it."""
        link = self.root / name / "current.env"
        link.unlink()
        link.symlink_to(version)
        (self.root / name / "running").write_text(f"{version}\n")

    def crash(self, name="web"):
        (self.root / name / "running").unlink()

    def change_target(self, **changes):
        """Another way to start or stop the first target."""
        first, *others = self.settings.targets
        targets = (dataclasses.replace(first, **changes), *others)
        self.settings = dataclasses.replace(self.settings, targets=targets)

    def effects(self, name="web"):
        path = self.root / name / "effects"
        return path.read_text().split() if path.exists() else []

    def in_force(self, name="web"):
        return (self.root / name / "current.env").readlink().name

    # -- the suite -----------------------------------------------------------------------------------------------

    def judged(self):
        """What the suite says: the guard is open where 2.env runs, and what does not run is told."""
        if self.script:
            return self.script.pop(0)
        found = [("gate.real_enabled", None, Judged.BAD if self.plane.gate() == "REAL_ENABLED" else Judged.GOOD)]
        for target in self.settings.targets:
            running = self.root / target.name / "running"
            runs = running.read_text().strip() if running.exists() else ""
            found.append(("process.not_running", target.name, Judged.GOOD if runs else Judged.BAD))
            found.append(("guard.open", target.name, Judged.BAD if runs == "2.env" else Judged.GOOD))
        return found

    def observe(self, settings, *, suite, record, only=(), lang=None):
        self.looks += 1
        judged = [one for one in self.judged() if not only or nodeid(*one[:2]) in only]
        observation = observation_of(settings, suite, judged, self.clock, {} if only else self.facts())
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text("{}")
        return Launched(observation=observation, path=record, exit_code=0, output="")

    def facts(self):
        facts = {}
        for target in self.settings.targets:
            _, good = read_last_good(self.settings.control_store, target.name)
            if good is not None and self.in_force(target.name) != good.name:
                facts[target.name] = ("config.unproven",)
        return facts

    # -- the loop ------------------------------------------------------------------------------------------------

    def run(self, **changes):
        fields = {"suite": "observe", "lang": "en", "verify_s": 0.0, "observe": self.observe}
        return run_incident(
            self.settings, plane=self.plane, clock=self.clock, say=self.said.append, **{**fields, **changes}
        )

    def resume(self, incident, **changes):
        fields = {"lang": "en", "verify_s": 0.0, "observe": self.observe}
        return resume_incident(
            self.settings, incident, plane=self.plane, clock=self.clock, say=self.said.append, **{**fields, **changes}
        )

    @property
    def incidents(self):
        return Incidents(self.plane, self.clock, "kim")

    def kinds(self, incident):
        return [event.kind.value for event in self.incidents.events(incident)]

    def log(self):
        path = self.settings.reports_dir / "incidents" / "incidents.log"
        return path.read_text().splitlines() if path.exists() else []


def nodeid(code, target):
    return f"checks/check_{code}.py::check[{target}]"


def observation_of(settings, suite, judged, clock, facts):
    """An observation with these judgements, each resting on one piece of evidence."""
    now = isoformat(clock.now())
    judgements, records = [], {}
    for code, target, how in judged:
        probe = code.partition(".")[0]
        one = probe if target is None else f"{probe}[{target}]"
        seen = how is not Judged.UNKNOWN
        records[one] = EvidenceRecord(
            id=one,
            probe=probe,
            target=target,
            seen=seen,
            kind="ValueEvidence" if seen else None,
            evidence=ValueEvidence(value=how.value) if seen else None,
            reason="" if seen else "it hangs",
        )
        judgements.append(
            Judgement(
                nodeid=nodeid(code, target),
                check=f"check_{code}",
                suite=suite,
                finding=code,
                target=target,
                judged=how,
                expected="good",
                seen=how.value,
                where="checks/check.py:1",
                evidence=(one,),
            )
        )
    for target, codes in facts.items():
        one = f"deployment[{target}]"
        value = ValueEvidence(value="x")
        records[one] = EvidenceRecord(
            id=one, probe="deployment", target=target, seen=True, kind="ValueEvidence", evidence=value, facts=codes
        )
    return Observation(
        run_id=new_run_id(clock.now()),
        suite=suite,
        profile=settings.profile,
        drill=settings.drill,
        gate="MOCK_ONLY",
        stopped=False,
        stop_reason="",
        started_at=now,
        finished_at=now,
        total_s=60.0,
        used_s=0.1,
        targets=tuple({"name": target.name} for target in settings.targets),
        evidence=tuple(records.values()),
        judgements=tuple(judgements),
        verdict=verdict_of(one.judged for one in judgements),
    )


def look(label="O1", bad=(), unseen=(), facts=(), *, whole=True, at=AT):
    """A look as an incident keeps it; `bad` and `unseen` are (code, target) pairs."""

    def one(code, target):
        probe = code.partition(".")[0]
        return probe if target is None else f"{probe}[{target}]"

    return Look(
        label=label,
        run_id=f"20260105T090000Z-{label.lower()}",
        record=f"reports/observe/{label}.json",
        purpose="detection",
        whole=whole,
        verdict="UNHEALTHY" if bad else "UNKNOWN" if unseen else "HEALTHY",
        started_at=at,
        finished_at=at,
        used_s=0.5,
        total_s=60.0,
        targets=("web", "api"),
        bad=tuple(
            Bad(
                code=code,
                target=target,
                check="check_it",
                nodeid=nodeid(code, target),
                expected="good",
                seen="bad",
                where="checks/check.py:1",
                evidence=(one(code, target),),
            )
            for code, target in bad
        ),
        unseen=tuple(
            Unseen(code=code, target=target, reason="it hangs", evidence=(one(code, target),))
            for code, target in unseen
        ),
        facts=tuple(Facts(target=target, codes=codes) for target, codes in facts),
        evidence=tuple(
            Shown(id=shown, explanation="as it was", reason="")
            for shown in dict.fromkeys(one(code, target) for code, target in (*bad, *unseen))
        ),
    )


def render_all(view):
    """Every report about a view, in every language; each proves that it cites evidence."""
    return [
        render_incident(dataclasses.replace(view), name, lang=lang)
        for name in (INCIDENT, POSTMORTEM, INCIDENT_LOG)
        for lang in ("en", "ko")
    ]
