"""What a matrix run exercised is counted, what it did not is told with its place, and what was drilled long ago is stale."""

import dataclasses
import json
from datetime import timedelta

import pytest

from ops_core.cli.drill_coverage import cover
from ops_core.clock import parse_instant
from ops_core.config import load_settings
from ops_core.content import content_dir
from ops_core.drill.coverage.claims import claims_of, own_claims, told_from
from ops_core.drill.coverage.freshness import is_stale, last_drilled, told
from ops_core.drill.coverage.measure import Claim, Kind, measure
from ops_core.drill.faults import FAULTS
from ops_core.drill.matrix.results import (
    About,
    FaultResult,
    JudgedCheck,
    MatrixRun,
    Remedied,
    RunHead,
    result_path,
    write_head,
    write_result,
)
from ops_core.errors import UsageError

AT = "2026-01-04T09:05:00.000Z"
RUN = "20260104T090500Z-abcdef"
OLDER = "20251201T090500Z-abcdef"
CORE = "core-api"


def result(fault="killed", **changes):
    """What came of a fault that was dealt with."""
    kept = {
        "stack": "embedded",
        "driver": "process",
        "suite": "observe",
        "seed": 7,
        "begun_at": AT,
        "ended_at": AT,
        "status": "passed",
        "judged": (
            JudgedCheck(suite="observe", check="check_a", finding="a.a", target=CORE, judged="bad"),
            JudgedCheck(suite="observe", check="check_b", finding="b.b", target=CORE, judged="good"),
        ),
        "findings": (About(code="a.a", target=CORE),),
        "rows": ("row-a",),
        "remedied": (Remedied(name="restart_service", target=CORE, applied=True, verified=True, undone=False),),
        "state": "recovered",
        "recover_s": 2.1,
    }
    return FaultResult(fault=fault, **{**kept, **changes})


def run_of(*results, planned=()):
    """A run of these results."""
    return MatrixRun(run_id=RUN, seed=7, results=results, planned=planned)


def claim(kind, name, suite=""):
    """A claim at a place that says its name."""
    return Claim(kind=kind, name=name, suite=suite, where=f"{name}.py:1")


CLAIMS = (
    claim(Kind.CHECK, "check_a", "observe"),
    claim(Kind.CHECK, "check_b", "observe"),
    claim(Kind.CHECK, "check_a", "daily"),
    claim(Kind.FINDING, "a.a"),
    claim(Kind.ROW, "row-a"),
    claim(Kind.ROW, "row-b"),
    claim(Kind.REMEDIATION, "restart_service"),
    claim(Kind.UNDO, "rollback_config"),
    claim(Kind.FAULT, "killed"),
    claim(Kind.FAULT, "frozen"),
)


def gaps(coverage):
    """What was not shown, and why."""
    return {(gap.claim.kind.value, gap.claim.label): gap.why for gap in coverage.gaps}


def test_everything_that_a_run_showed_is_counted():
    """A figure for each kind and one for all; the rest is told with its place and the reason."""
    coverage = measure(run_of(result(), planned=("killed", "frozen")), CLAIMS)
    assert [(one.kind, one.shown, one.of) for one in coverage.figures] == [
        ("checks", 1, 3),
        ("findings", 1, 1),
        ("rows", 1, 2),
        ("remediations", 1, 1),
        ("undos", 0, 1),
        ("faults", 1, 2),
    ]
    assert (coverage.overall.percent, coverage.held, coverage.planned) == (50.0, 1, 2)
    assert gaps(coverage) == {
        ("check", "daily/check_a"): "no fault made it fail",
        ("check", "observe/check_b"): "no fault made it fail",
        ("row", "row-b"): "it never matched",
        ("undo", "rollback_config"): "it was never taken back",
        ("fault", "frozen"): "it was not part of the run",
    }
    assert coverage.gaps[0].as_dict()["where"] == "check_a.py:1"


def test_what_was_found_by_mistake_exercises_nothing():
    """A false alarm is no proof that a check can see."""
    mistaken = result(false_alarms=(About(code="a.a", target=CORE),))
    assert {("check", "observe/check_a"), ("finding", "a.a"), ("fault", "killed")} <= set(
        gaps(measure(run_of(mistaken), CLAIMS))
    )


def test_fault_that_was_not_held_exercises_nothing():
    """What is missing on a machine is told, and counts for nothing."""
    skipped = result(status="skipped", reason="it needs dockerd")
    coverage = measure(run_of(skipped), CLAIMS)
    assert coverage.overall.shown == 0
    assert gaps(coverage)["fault", "killed"] == "it was not held: it needs dockerd"


def test_fault_that_only_hides_something_is_seen():
    """What could not be judged is told, so the fault was noticed."""
    blind = result(judged=(), findings=(), unknown=(About(code="a.a", target=CORE),))
    assert ("fault", "killed") not in gaps(measure(run_of(blind), CLAIMS))


def test_fault_that_was_refused_at_the_door_is_seen_by_the_refusal():
    """The refusal has to be recorded: what neither a check saw nor anything refused is a gap."""
    silent = result(judged=(), findings=())
    assert gaps(measure(run_of(silent), CLAIMS))["fault", "killed"] == (
        "no check saw it, and nothing says that it was refused"
    )
    refused = measure(run_of(dataclasses.replace(silent, refusal="1 request answered with 401")), CLAIMS)
    assert ("fault", "killed") not in gaps(refused)
    assert refused.refused == (("killed", "1 request answered with 401"),)
    assert ("check", "observe/check_a") in gaps(refused)


def test_undo_counts_where_it_was_taken_back():
    """An undo is shown by a drill in which the remedy was taken back."""
    back = Remedied(name="rollback_config", target=CORE, applied=True, verified=False, undone=True)
    assert ("undo", "rollback_config") not in gaps(measure(run_of(result(remedied=(back,))), CLAIMS))


def test_percent_is_never_rounded_up_to_all():
    """100 means all of it."""
    many = tuple(claim(Kind.ROW, f"row-{number}") for number in range(2000))
    coverage = measure(run_of(result(rows=tuple(f"row-{number}" for number in range(1999)))), many)
    assert coverage.overall.percent == 99.9


def test_claims_are_all_that_is_shipped_each_with_its_place():
    """Every check, finding, row, remediation and fault has a file and a line that exist."""
    claims = told_from(claims_of(load_settings(content_dir() / "ops.toml", environ={}), FAULTS), content_dir())
    assert {one.kind for one in claims} == set(Kind)
    for one in claims:
        path, _, line = one.where.rpartition(":")
        text = (content_dir() / path).read_text(encoding="utf-8").splitlines()
        assert 1 <= int(line) <= len(text), one
    undos = {one.name for one in claims if one.kind is Kind.UNDO}
    assert "rollback_config" in undos
    assert "restart_service" not in undos


def test_own_claims_are_those_of_the_repository(tmp_path):
    """Only what lies below it counts, however its path is written; a folder whose name begins alike is another one."""
    root = tmp_path / "repository"
    root.mkdir()
    (tmp_path / "link").symlink_to(root)
    places = {"own": root / "a.py", "linked": tmp_path / "link" / "b.py", "other": tmp_path / "repository-2" / "c.py"}
    claims = [Claim(kind=Kind.ROW, name=name, where=f"{path}:3") for name, path in places.items()]
    assert [one.name for one in own_claims(claims, root)] == ["own", "linked"]
    assert next(one.where for one in told_from(claims, root)) == "a.py:3"


def test_own_parts_are_those_of_a_repository(tmp_path, monkeypatch):
    """Where there is none, nothing would be claimed, and that is not all of it: it is refused."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "reports" / "drills" / RUN
    write_head(folder, RunHead(run_id=RUN, seed=7, begun_at=AT, faults=("killed",)))
    with pytest.raises(UsageError) as caught:
        cover(run="newest", reports=tmp_path / "reports", fail_under=100, own=True, json=False)
    assert caught.value.where == "--own"


def test_command_fails_below_what_is_asked_for(tmp_path, monkeypatch, capsys):
    """The figures are written beside the run, and the exit code says whether they suffice."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "reports" / "drills" / RUN
    write_head(folder, RunHead(run_id=RUN, seed=7, begun_at=AT, faults=("killed",)))
    write_result(folder, result())
    reports = tmp_path / "reports"
    assert cover(run="newest", reports=reports, fail_under=100, json=False) == 1
    out = capsys.readouterr().out
    assert "no fault made it fail" in out
    assert "is less than 100 %" in out
    assert cover(run=RUN, reports=reports, fail_under=0, json=True) == 0
    written = json.loads((folder / "coverage.json").read_text(encoding="utf-8"))
    assert json.loads(capsys.readouterr().out)["overall"] == written["overall"]


@pytest.fixture
def reports(tmp_path):
    """Two runs: in the newer one a row failed and another one passed."""
    for run, one in (
        (
            OLDER,
            result(rows=("row-a", "row-b"), ended_at="2025-12-01T09:06:00.000Z", recover_s=None, state="escalated"),
        ),
        (RUN, result()),
        (RUN, result("frozen", rows=("row-b",), status="failed")),
    ):
        write_result(tmp_path / "drills" / run, one)
    return tmp_path


def test_last_drill_is_the_newest_that_went_as_promised(reports):
    """A failed drill shows nothing; an older one that passed counts."""
    fresh = last_drilled(reports, {"row-a", "row-b", "row-c"})
    assert {row: last.run_id for row, last in fresh.drilled.items()} == {"row-a": RUN, "row-b": OLDER}
    assert fresh.damaged == ()


def test_last_drill_is_told_for_people(reports):
    """When, how it ended, how long it took; and that it is too long ago."""
    fresh = last_drilled(reports, {"row-a", "row-b"}).drilled
    now = parse_instant(AT) + timedelta(days=3, hours=1)
    assert told(fresh["row-a"], now) == "last drilled 3 days ago, recovered in 2.1 s"
    assert told(fresh["row-b"], now) == "last drilled 37 days ago, escalated; STALE: older than 30 days"
    assert told(None, now) == "never drilled"
    assert [is_stale(one, now) for one in (fresh["row-a"], fresh["row-b"], None)] == [False, True, True]
    assert told(dataclasses.replace(fresh["row-a"], at=now + timedelta(hours=5)), now).startswith("last drilled today")


@pytest.mark.parametrize("text", ["{", "[]", '{"rows": 1}', '{"rows": ["row-a"]}'])
def test_damaged_drill_is_told_and_shows_nothing(reports, text):
    """One damaged file costs one file."""
    path = result_path(reports / "drills" / RUN, "killed")
    path.write_text(text, encoding="utf-8")
    fresh = last_drilled(reports, {"row-a"})
    assert fresh.drilled["row-a"].run_id == OLDER
    assert "killed.json" in fresh.damaged[0]


def test_nothing_was_ever_drilled(tmp_path):
    """No folder of runs is no error."""
    assert last_drilled(tmp_path, {"row-a"}).drilled == {}
