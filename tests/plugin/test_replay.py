"""Recorded evidence judged again: the same judgements, nothing touched, and no damaged report gets far."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hostile
import pytest
from hostile import HostileServer
from observing import Project, Ran

from ops_core.verdict import Judged

Serve = Callable[..., HostileServer]

CHECKS = """
@dataclass(frozen=True, kw_only=True)
class Deep(Evidence):
    numbers: tuple[int, ...]
    inner: HttpEvidence
    note: str = ""

@probe(budget_s=3, needs="health_url")
async def deep(target, http):
    return Deep(numbers=(1, 2), inner=await http.get(target.health_url))

@probe(budget_s=3)
def value():
    return {"a": (1, 2), 3: None}

@probe(budget_s=3)
def unseen():
    raise RuntimeError("not today")

@finding("x.deep")
def check_deep(deep, target):
    assert deep.inner.status == 200 and deep.numbers == (1, 2) and isinstance(deep, Deep) and target.own == "v", deep

@finding("x.value")
def check_value(value):
    assert value == {"a": [1, 2], "3": None}

@finding("x.bad")
def check_bad(value):
    assert value == 5

@finding("x.unseen")
def check_unseen(unseen): pass
"""
# Put in front of everything else: whoever opens a socket, starts a process or a name look-up fails.
GUARD = """
import os, socket, subprocess
def refuse(*_args, **_more):
    os.write(2, b"TOUCHED\\n")
    os._exit(99)
def only_uname(self, args, *rest, **more):
    # pytest-metadata asks for the kind of processor.
    if args[0] != "uname":
        refuse()
    start(self, args, *rest, **more)
start = subprocess.Popen.__init__
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
subprocess.Popen.__init__ = only_uname
"""


def observed(project: Project, serve: Serve) -> Ran:
    fine, broken = serve(), serve(hostile.unavailable)
    project.suites = ("observe",)
    project.target("fine", health_url=fine.url(), vars={"own": "v"})
    project.target("broken", health_url=broken.url(), vars={"own": "v"})
    project.check(CHECKS)
    return project.run("-m", "observe", "-k", "own or health_answers or control")


def replay(project: Project, path: Path, *more: str) -> Ran:
    guard = project.write("guard/sitecustomize.py", GUARD)
    return project.run("-m", "observe", f"--replay={path}", *more, configure=False, PYTHONPATH=str(guard.parent))


def outcome(ran: Ran) -> dict[str, Any]:
    return {
        j.nodeid: (j.judged, j.seen, j.expected, j.where, j.evidence, j.finding, j.target)
        for j in ran.observation.judgements
    }


def test_the_same_checks_judge_the_same(project: Project, serve: Serve) -> None:
    """Every judgement with its text; no socket; the record says what it replays, and the latest record stays."""
    first = observed(project, serve)
    assert {j.judged for j in first.observation.judgements} == {Judged.GOOD, Judged.BAD, Judged.UNKNOWN}, first.output
    latest = (project.root / "reports/observe/latest.json").read_bytes()
    again = replay(project, first.record_path, "-k", "own or health_answers or control")
    assert "TOUCHED" not in again.output
    assert outcome(again) == outcome(first)
    assert again.exit_code == first.exit_code == 1
    observation = again.observation
    assert observation.replayed_from == first.observation.run_id
    assert observation.verdict is first.observation.verdict
    assert observation.evidence == first.observation.evidence
    assert observation.targets == first.observation.targets
    assert "replay of" in again.output
    assert (project.root / "reports/observe/latest.json").read_bytes() == latest
    assert not list(project.root.glob("reports/replay/*.jsonl"))


@pytest.mark.slow
def test_a_replay_can_be_replayed_and_run_by_workers(project: Project, serve: Serve) -> None:
    """It is a record like any other."""
    first = observed(project, serve)
    second = replay(project, first.record_path, "-k", "own or health_answers or control")
    third = replay(project, second.record_path, "-k", "own or health_answers or control")
    assert outcome(third) == outcome(first)
    by_workers = project.run(
        "-m", "observe", f"--replay={first.record_path}", "-k", "own or health_answers or control", "-n", "2"
    )
    assert outcome(by_workers) == outcome(first)


def test_a_changed_check_changes_the_judgement(project: Project, serve: Serve) -> None:
    """That is what a replay is for."""
    first = observed(project, serve)
    project.check(CHECKS.replace("assert value == 5", "assert value != 5"))
    again = replay(project, first.record_path, "-k", "own")
    assert again.judged("check_bad") == {None: Judged.GOOD}
    assert again.judged("check_value") == {None: Judged.GOOD}


def test_what_was_not_recorded_is_unknown(project: Project, serve: Serve) -> None:
    """A new probe, and the targets are those of the recording, not today's."""
    first = observed(project, serve)
    project.check(
        "@probe(budget_s=1)\ndef newer(): return 1\n@finding('x.y')\ndef check_newer(newer): pass\n",
        name="checks/observe/check_newer.py",
    )
    project.targets = {"other": {"health_url": "http://127.0.0.1:1/"}}
    project.configure()
    again = replay(project, first.record_path, "-k", "newer or deep")
    assert again.judged("check_newer") == {None: Judged.UNKNOWN}
    assert "not in the recorded observation" in again.judgement("check_newer").seen
    assert set(again.judged("check_deep")) == {"fine", "broken"}


def damage(report: dict[str, Any]) -> dict[str, bytes]:
    """Reports that are none, each in its own way."""

    def changed(change: Callable[[dict[str, Any]], object]) -> bytes:
        copied = json.loads(json.dumps(report))
        change(copied["runbook"])
        return json.dumps(copied).encode()

    whole = json.dumps(report).encode()
    return {
        "empty": b"",
        "not-json": b"not json",
        "binary": b"\xff\xfe\x00\x01" * 100,
        "truncated": whole[: len(whole) // 2],
        "another-report": b'{"tests": []}',
        "a-list": b"[]",
        "a-number": b"5",
        "nested": b"[" * 100_000,
        "nested-inside": b'{"runbook": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001,
        "wrong-schema": changed(lambda r: r.update(schema=99)),
        "no-schema": changed(lambda r: r.pop("schema")),
        "no-targets": changed(lambda r: r.update(targets=[])),
        "targets-of-wrong-type": changed(lambda r: r.update(targets="x")),
        "target-unnamed": changed(lambda r: r["targets"][0].pop("name")),
        "target-with-unknown-field": changed(lambda r: r["targets"][0].update(more=1)),
        "target-with-wrong-type": changed(lambda r: r["targets"][0].update(health_latency_max_ms="fast")),
        "target-vars-of-wrong-type": changed(lambda r: r["targets"][0].update(vars=5)),
        "target-argv-of-wrong-type": changed(lambda r: r["targets"][0].update(start_argv={"a": 1})),
        "evidence-of-wrong-type": changed(lambda r: r.update(evidence=5)),
        "unknown-kind": changed(lambda r: r["evidence"][0].update(kind="Nobody")),
        "no-evidence": changed(lambda r: r.update(evidence=[])),
        "evidence-missing": changed(lambda r: r["evidence"].pop()),
        "evidence-twice": changed(lambda r: r["evidence"].append(r["evidence"][0])),
        "field-of-wrong-type": changed(lambda r: r["evidence"][0]["evidence"].update(numbers="x")),
        "field-missing": changed(lambda r: r["evidence"][0]["evidence"].pop("numbers")),
        "judged-otherwise": changed(lambda r: r["judgements"][0].update(judged="fine")),
        "verdict-otherwise": changed(lambda r: r.update(verdict=[])),
        "times-of-wrong-type": changed(lambda r: r.update(total_s={})),
    }


def test_no_damaged_report_gets_far(project: Project, serve: Serve, tmp_path: Path) -> None:
    """A clear message, exit code 4, no traceback, nothing touched, no record."""
    project.target("fine", health_url=serve().url(), vars={"own": "v"})
    project.check(CHECKS)
    first = project.run("checks/")
    before = set(project.root.glob("reports/**/*"))
    for name, content in damage(first.report).items():
        path = tmp_path / f"{name}.json"
        path.write_bytes(content)
        ran = replay(project, path)
        assert ran.exit_code == 4, (name, ran.output)
        assert "report" in ran.output or "observation" in ran.output, (name, ran.output)
        assert str(path) in ran.output, (name, ran.output)
        for fallen in ("Traceback", "INTERNALERROR", "TOUCHED", "VERDICT"):
            assert fallen not in ran.output, (name, ran.output)
    assert set(project.root.glob("reports/**/*")) == before


test_no_damaged_report_gets_far = pytest.mark.slow(test_no_damaged_report_gets_far)


def test_a_report_that_is_not_there_is_told(project: Project) -> None:
    """Missing, or a folder; named relative to where one stands."""
    project.check(CHECKS)
    project.configure()
    for path, said in (("nowhere.json", "the report does not exist"), (".", "Is a directory")):
        ran = replay(project, Path(path))
        assert ran.exit_code == 4
        assert said in ran.output
        assert "Traceback" not in ran.output
