"""What a matrix run keeps of each fault: written whole, read back strictly, damaged files told and not fatal."""

import json

import pytest

from ops_core.drill.matrix.results import (
    About,
    Decided,
    FaultResult,
    JudgedCheck,
    Remedied,
    RunHead,
    Status,
    load_run,
    newest_run,
    read_result,
    result_path,
    run_folder,
    write_head,
    write_result,
)
from ops_core.errors import RecordError, UsageError

AT = "2026-01-04T09:05:00.000Z"
RUN = "20260104T090500Z-abcdef"


def result(fault="killed", **changes):
    """What came of a fault that was dealt with."""
    core = "core-api"
    kept = {
        "stack": "embedded",
        "driver": "process",
        "suite": "observe",
        "seed": 7,
        "begun_at": AT,
        "ended_at": AT,
        "status": Status.PASSED.value,
        "judged": (
            JudgedCheck(suite="observe", check="check_a", finding="process.not_running", target=core, judged="bad"),
        ),
        "findings": (About(code="process.not_running", target=core), About(code="stop.engaged", target=None)),
        "expected": (About(code="process.not_running", target=core),),
        "rows": ("process-not-running",),
        "decisions": (Decided(target=core, row="process-not-running", remediation="restart_service"),),
        "remediation": Remedied(name="restart_service", target=core, applied=True, verified=True, undone=False),
        "state": "recovered",
        "detect_s": 1,
        "decide_s": 1.25,
        "recover_s": 3.5,
        "record": "held/killed/observe/x.json",
        "restored": True,
    }
    return FaultResult(fault=fault, **{**kept, **changes})


@pytest.fixture
def folder(tmp_path):
    """The folder of a run that is to hold three faults."""
    place = tmp_path / "drills" / RUN
    write_head(place, RunHead(run_id=RUN, seed=7, begun_at=AT, faults=("frozen", "killed", "slow")))
    return place


def test_a_result_is_read_back_as_it_was_written(folder):
    """Nothing of it is lost or changed on the way through the file."""
    assert read_result(write_result(folder, result())) == result()


def test_a_run_is_read_as_far_as_it_came(folder):
    """Results come in the order of the run, and what has none is missing."""
    write_result(folder, result("slow"))
    write_result(folder, result("frozen", status="skipped", reason="no docker"))
    run = load_run(folder)
    assert [one.fault for one in run.results] == ["frozen", "slow"]
    assert run.missing == ("killed",)
    assert (run.run_id, run.seed, run.damaged) == (RUN, 7, ())
    assert [one.fault for one in run.of(Status.SKIPPED)] == ["frozen"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:40],
        lambda text: "[]",
        lambda text: text.replace('"passed"', '"fine"'),
        lambda text: text.replace("drill_fault_v1", "drill_fault_v9"),
        lambda text: text.replace('"fault": "killed"', '"fault": "slow"'),
        lambda text: text.replace('"fault": "killed"', '"fault": "../killed"'),
        lambda text: text.replace('"judged": "bad"', '"judged": "worse"'),
        lambda text: text.replace('"seed": 7', '"seed": "7"'),
        lambda text: text.replace('"seed": 7', '"seed": 7, "more": 1'),
        lambda text: text.replace('"detect_s": 1', '"detect_s": NaN'),
        lambda text: "[" * 100_000,
    ],
)
def test_a_damaged_result_counts_as_not_held(folder, damage):
    """It is told by name, and the others are read all the same."""
    write_result(folder, result("frozen"))
    path = write_result(folder, result())
    changed = damage(path.read_text(encoding="utf-8"))
    assert changed != path.read_text(encoding="utf-8")
    path.write_text(changed, encoding="utf-8")
    run = load_run(folder)
    assert [one.fault for one in run.results] == ["frozen"]
    assert run.missing == ("killed", "slow")
    assert len(run.damaged) == 1
    assert run.damaged[0].startswith("killed.json: ")


def test_a_result_of_another_run_is_told(folder):
    """A fault that the run was not to hold is not slipped in."""
    write_result(folder, result("bad-release"))
    run = load_run(folder)
    assert run.results == ()
    assert run.damaged == ("bad-release.json: the run was not to hold that fault",)


def test_a_run_without_its_head_is_refused(folder):
    """Without what it set out to do, nobody can say what is missing."""
    (folder / "run.json").write_text(json.dumps({"schema": "drill_run_v1"}), encoding="utf-8")
    with pytest.raises(RecordError, match="missing"):
        load_run(folder)
    (folder / "run.json").unlink()
    with pytest.raises(RecordError, match="cannot be read"):
        load_run(folder)


def test_the_newest_run_is_found_among_other_things(folder, tmp_path):
    """Other folders, and runs that were never begun, do not count."""
    assert newest_run(tmp_path / "elsewhere") is None
    (folder.parent / "zzz").mkdir()
    (folder.parent / "20270104T090500Z-abcdef").mkdir()
    assert newest_run(tmp_path) == folder
    assert run_folder(tmp_path, "newest") == folder
    assert run_folder(tmp_path, RUN) == folder


@pytest.mark.parametrize("name", ["../x", "20270104T090500Z-abcdef", "", "."])
def test_a_run_that_is_not_there_is_told(folder, tmp_path, name):
    """The message says which is the newest, and what to type."""
    with pytest.raises(UsageError) as caught:
        run_folder(tmp_path, name)
    assert caught.value.allowed == RUN


def test_a_result_lies_where_it_is_looked_for(folder):
    """The place is a function of the fault's name."""
    assert write_result(folder, result()) == result_path(folder, "killed") == folder / "faults" / "killed.json"
