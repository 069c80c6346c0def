"""A runbook weakened in one place is noticed where a fault needs that place, and survives, explained, where none does."""

import ast
import contextlib
import functools
import json
import os
import shutil
import socket
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
from observing import clean_environment
from support import eventually

from ops_core.clock import SystemClock
from ops_core.config import load_settings
from ops_core.content import content_dir
from ops_core.decision.table import DecisionTable, Row, Severity
from ops_core.drill.fault import Fault
from ops_core.drill.faults import FAULTS
from ops_core.drill.matrix.results import (
    About,
    FaultResult,
    JudgedCheck,
    MatrixRun,
    Remedied,
    RunHead,
    runs_dir,
    write_head,
    write_result,
)
from ops_core.drill.mutants.absent import not_held, told_not_asked, with_absent
from ops_core.drill.mutants.judging import write_fates
from ops_core.drill.mutants.model import Change, Fate, Fates, Mutant, Part
from ops_core.drill.mutants.remedies import StepMutant, judge_steps, never_alone, noticed_by, step_mutants
from ops_core.drill.mutants.replaying import CheckFile, judge_checks
from ops_core.drill.mutants.rows import Drilled, judge_rows, row_mutants
from ops_core.drill.mutants.source import defines_fixtures, mutants_of
from ops_core.observation.launch import observe
from ops_core.observation.record import Judgement, Observation
from ops_core.remediation.catalogue import Catalogue, Remediation, load_folders
from ops_core.verdict import Judged, Verdict

AT = "2026-01-04T09:05:00.000Z"
CORE = "core-api"


def made(text, name="check_some"):
    """The mutants of a check file."""
    return mutants_of(Path(f"{name}.py"), textwrap.dedent(text), "observe", f"{name}.py")


def changes(text):
    """How the mutants of a file differ from it."""
    return [(one.mutant.change, one.mutant.was, one.mutant.becomes) for one in made(text)]


def test_assertion_is_dropped():
    """Each assertion goes once; the file stays Python, and of the checks only the one concerned is left."""
    mutants = made("""
        def check_a(seen):
            assert seen.good, "why"

        def check_b(seen):
            assert seen.fine
    """)
    assert [(one.mutant.name, one.checks) for one in mutants] == [("check_a", ("check_a",)), ("check_b", ("check_b",))]
    assert mutants[0].mutant.change is Change.ASSERTION_DROPPED
    (left,) = ast.parse(mutants[0].text).body
    assert isinstance(left, ast.FunctionDef)
    assert (left.name, ast.unparse(left.body[0])) == ("check_a", "pass")
    assert mutants[0].mutant.where == "check_some.py:3"


@pytest.mark.parametrize(
    ("test", "was", "becomes"),
    [
        ("seen.ms <= 5", "seen.ms <= 5", "seen.ms <= 5 * 10"),
        ("seen.free >= LEAST", "seen.free >= LEAST", "seen.free >= LEAST / 10"),
        ("not seen.ms > 5", "seen.ms > 5", "seen.ms > 5 * 10"),
        ("not (seen.up < 60 and seen.count)", "seen.up < 60", "seen.up < 60 / 10"),
        ("seen.bytes > 0", "seen.bytes > 0", "seen.bytes >= 0"),
        ("seen.status == 200 and seen.good", "seen.status == 200", "seen.status is not None"),
    ],
)
def test_limit_is_widened_towards_good(test, was, becomes):
    """Whichever way it is said, more counts as good than before."""
    weaker = changes(f"def check_a(seen):\n    assert {test}\n")[1:]
    assert [(one[1], one[2]) for one in weaker] == [(was, becomes)]


def test_limit_is_found_where_the_assertion_asks_a_name():
    """What was compared before the assertion is part of it."""
    weaker = changes("def check_a(seen):\n    good = seen.rate <= 0.1\n    assert good\n")
    assert (Change.THRESHOLD_WIDENED, "seen.rate <= 0.1", "seen.rate <= 0.1 * 10") in weaker


def test_what_is_no_assertion_is_left_alone():
    """When a check cannot judge is not weakened: it says nothing about what is good."""
    assert [one[0] for one in changes("def check_a(s):\n    if s.n > 5:\n        raise E\n    assert s.good\n")] == [
        Change.ASSERTION_DROPPED
    ]


def test_function_that_checks_share_is_weakened_for_all_of_them():
    """The assertion in it goes for every check; the call of it goes for each."""
    mutants = made("""
        def judge(seen):
            assert seen.good

        def check_a(seen):
            judge(seen)

        def check_b(seen):
            judge(seen)

        def check_c(seen):
            assert seen.fine
    """)
    assert [(one.mutant.name, one.checks) for one in mutants] == [
        ("judge", ("check_a", "check_b")),
        ("check_a", ("check_a",)),
        ("check_b", ("check_b",)),
        ("check_c", ("check_c",)),
    ]
    assert "def judge" in mutants[1].text
    assert "check_c" not in mutants[0].text


def test_check_in_a_class_and_check_without_assertion_have_mutants():
    """What raises by other means loses everything in it."""
    (one,) = made("""
        class CheckSome:
            def check_a(self, seen):
                pytest.fail("always")
    """)
    assert one.mutant.was == "everything in it"
    assert "pytest.fail" not in one.text


def test_file_that_defines_what_checks_are_given_is_told():
    """A copy of it beside it would define its probes twice."""
    assert defines_fixtures("@probe(budget_s=1)\nasync def mine(target): ...\n")
    assert not defines_fixtures("def check_a(seen): ...\n")


# --- Rows -----------------------------------------------------------------------------------------------------------


def row(name, when, severity=Severity.HIGH, **more):
    """A row of that id."""
    texts = {"cause": {"en": "why"}, "action": {"en": "do"}}
    return Row(id=name, when=(when,), severity=severity, category="control", **{**texts, **more})


TABLE = DecisionTable.of(
    row("a-new", "a.a", remediation="rollback_config"),
    row("b", "b.b"),
    row("a", "a.a", Severity.LOW, remediation="restart_service"),
)


def look(*codes):
    """What a look found about the service."""
    judgements = tuple(
        Judgement(nodeid=f"n::{code}", check="c", suite="observe", finding=code, target=CORE, judged=Judged.BAD)
        for code in codes
    )
    return Observation(
        run_id="r",
        suite="observe",
        profile="p",
        drill=True,
        gate="MOCK_ONLY",
        stopped=False,
        stop_reason="",
        started_at=AT,
        finished_at=AT,
        total_s=1.0,
        used_s=1.0,
        targets=(),
        evidence=(),
        judgements=judgements,
        verdict=Verdict.UNHEALTHY,
    )


def drilled(*codes, **promised):
    """A fault that was held, and what it promises."""
    kept = {"findings": codes, "remediation": None, **promised}
    fault = Fault(name="broken", description={"en": "x"}, do=lambda *_: None, holds=lambda *_: True, **kept)
    return Drilled(fault=fault, looks=(look(*codes),), depends_on={})


def row_fates(*held):
    """By row and what becomes of it: who noticed, or why nobody did."""
    fates = judge_rows(TABLE, row_mutants(TABLE, lambda one: f"t.toml:{one.id}"), held)
    return {(one.mutant.name, one.mutant.becomes): one for one in fates}


def test_row_that_a_fault_promises_is_missed_when_it_is_gone():
    """Another row decides then, or chooses something else."""
    fates = row_fates(drilled("a.a", row="a-new", remediation="rollback_config"))
    assert fates["a-new", "no row"].killed_by == "broken"
    assert "the row a-new would not match, but a" in fates["a-new", "no row"].how
    assert fates["a-new", "a person acts"].how == "rollback_config would not be chosen, but that a person acts"
    assert fates["a-new", "restart_service"].killed


def test_action_where_a_person_has_to_act_is_noticed():
    """A row that begins something of its own is no small thing."""
    fates = row_fates(drilled("b.b", row="b"))
    assert fates["b", "restart_service"].how == "restart_service would be begun, where a person has to act"


def test_action_is_noticed_where_only_what_depends_on_it_may_be_helped():
    """What a fault has follow for others does not allow anything else, where a person has to act on the fault itself."""
    fates = row_fates(drilled("b.b", row="b", then=("rollback_config",)))
    assert fates["b", "restart_service"].how == "restart_service would be begun, where a person has to act"


def test_row_that_nothing_needs_survives_with_the_reason():
    """A row that never matched, and one that no fault promises."""
    fates = row_fates(drilled("b.b"))
    assert fates["a", "no row"].how == "no fault of the run makes it match"
    survivor = fates["b", "no row"]
    assert not survivor.killed
    assert "broken: no row decides, a person acts" in survivor.how


def test_matrix_that_notices_nothing_leaves_only_survivors():
    """Without a drill nothing is killed."""
    assert not any(fate.killed for fate in row_fates().values())


# --- Faults that were not held --------------------------------------------------------------------------------------


def test_mutant_that_a_fault_has_to_notice_which_was_not_held_is_not_asked():
    """It neither counts as noticed nor as survivor; what is noticed, or has no fault at all, counts as ever."""
    held = drilled("b.b", row="b").fault
    away = replace(drilled("a.a", row="a-new", remediation="rollback_config").fault, name="away")
    run = MatrixRun(run_id="r", seed=1, results=(result("broken"), result("away", status="skipped")))
    absent = not_held(run, {"broken": held, "away": away})
    assert [one.name for one in absent] == ["away"]
    in_check = replace(MUTANT, name="check_a", suite="observe", codes=("a.a",))
    rows = list(row_fates(drilled("b.b", row="b")).values())
    fates = fates_of(
        *with_absent(
            [
                *rows,
                Fate(mutant=in_check, how="no fault of the run has to make it fail"),
                Fate(mutant=replace(in_check, suite="daily")),
                Fate(mutant=replace(MUTANT, part=Part.REMEDIATION, name="rollback_config")),
            ],
            absent,
        )
    )
    assert {(one.mutant.part.value, one.mutant.name) for one in fates.not_asked} == {
        ("row", "a-new"),
        ("check", "check_a"),
        ("remediation", "rollback_config"),
    }
    assert {(one.mutant.part.value, one.mutant.name) for one in fates.survivors} == {("row", "a"), ("check", "check_a")}
    killed = sum(one.killed for one in rows)
    assert killed
    assert (fates.overall.killed, fates.overall.made) == (killed, len(rows) + 3 - len(fates.not_asked))
    assert told_not_asked(fates)[0] == "checks: 1 of 2 mutants; faults for them that were not held: 1, such as away"


def test_codes_of_the_checks_that_a_change_concerns_are_known():
    """A function that checks share stands for what all of them find."""
    mutants = made("""
        def judge(seen):
            assert seen.good

        @finding("a.a")
        def check_a(seen):
            judge(seen)

        @pytest.mark.observe
        @finding("b.b")
        def check_b(seen):
            judge(seen)
    """)
    assert [one.mutant.codes for one in mutants] == [("a.a", "b.b"), ("a.a",), ("b.b",)]


# --- Remediations ---------------------------------------------------------------------------------------------------


def test_each_step_of_a_remediation_that_healed_has_a_mutant(tmp_path):
    """The plan is read from the incident; what was undone or did not help is not weakened."""
    run_folder = tmp_path
    results = []
    for name, undone in (("bad", False), ("worse", True)):
        folder = run_folder / "held" / name / "incidents" / "one"
        folder.mkdir(parents=True)
        (folder / "incident.json").write_text(
            '{"remediation": "rollback_config", "plan_steps": [{"command": "ln -s /x/1.env /y/now"}, "start"]}'
        )
        remedied = Remedied(name="rollback_config", target=CORE, applied=True, verified=not undone, undone=undone)
        results.append(result(name, remedied=(remedied,), recover_s=1.0))
    # Where another remediation was begun as well, the steps of both are told.
    both = Remedied(name="halt_rollout", target=CORE, applied=True, verified=True, undone=False)
    (run_folder / "held" / "two").symlink_to(run_folder / "held" / "bad")
    results.append(result("two", remedied=(both, results[0].remedied[0]), recover_s=0.5))
    run = MatrixRun(run_id="r", seed=1, results=tuple(results), folder=run_folder)
    catalogue = Catalogue({"rollback_config": Remediation(name="rollback_config", where="r.py:3", planner=len)})
    mutants = step_mutants(run, catalogue, lambda _: "r.py:3")
    assert [one.mutant.was for one in mutants] == ["step 1 of 2: ln -s 1.env now", "step 2 of 2: start"]
    assert [[one.fault for one in mutant.faults] for mutant in mutants] == [["bad"], ["bad"]]
    (untold,) = never_alone(run, mutants)
    assert untold.startswith("remediation halt_rollout: in every drill another one")


def test_plan_that_is_refused_is_noticed_and_a_mishap_is_not(tmp_path):
    """A plan without a step cannot be carried out, which is told; a drill that failed otherwise has shown nothing."""
    mutant = replace(MUTANT, part=Part.REMEDIATION, name="rollback_schema")
    one = StepMutant(mutant=mutant, remediation="rollback_schema", number=0, of=1, faults=())
    why = "steps has to be a tuple of 1 to 20 steps (plan 'rollback_schema' for 'ingest')"
    write_result(tmp_path, result("bad", status="error", reason=why))
    write_result(tmp_path, result("worse", status="error", reason="the stack does not start"))
    assert noticed_by(tmp_path, "bad", one) == (True, f"it could not be planned: {why}")
    assert noticed_by(tmp_path, "worse", one) == (False, "it could not be drilled: the stack does not start")
    assert not noticed_by(tmp_path, "never", one)[0]


@pytest.mark.slow
@pytest.mark.usefixtures("_clean")
def test_remediation_without_its_only_step_is_killed_by_a_real_drill(tmp_path):
    """The drill does not end as promised: nothing can be planned, and a person is called."""
    shipped = content_dir() / "remediations" / "restart_service.py"
    catalogue = load_folders((shipped.parent,))
    mutant = Mutant(
        id="remediation:restart_service:0",
        part=Part.REMEDIATION,
        change=Change.STEP_DROPPED,
        name="restart_service",
        where="restart_service.py:1",
        was="start",
        becomes="nothing",
    )
    one = StepMutant(mutant=mutant, remediation="restart_service", number=0, of=1, faults=(result("killed"),))
    run = MatrixRun(run_id="r", seed=1, results=(result("killed"),), folder=tmp_path)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    (fate,), drills = judge_steps(
        run,
        [one],
        FAULTS,
        catalogue=catalogue,
        root=None,
        scratch=scratch,
        jobs=1,
        clock=SystemClock(),
        lang="en",
        say=str,
    )
    assert (fate.killed_by, drills) == ("killed", 1), fate.how


# --- Checks, on a real recording ------------------------------------------------------------------------------------


def result(fault="killed", **changes):
    """What came of a fault."""
    kept = {
        "stack": "embedded",
        "driver": "process",
        "suite": "observe",
        "seed": 7,
        "begun_at": AT,
        "ended_at": AT,
        "status": "passed",
        "record": "record.json",
    }
    return FaultResult(fault=fault, **{**kept, **changes})


def port_nobody_listens_at():
    """A port that refuses: it was ours a moment ago."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A real observation of a service that refuses every connection, as the only fault of a run."""
    folder = tmp_path_factory.mktemp("run")
    root = tmp_path_factory.mktemp("looked")
    (root / "ops.toml").write_text(
        'default_profile = "embedded"\n[profiles.embedded]\ndrill = true\n'
        f'[profiles.embedded.targets.{CORE}]\nhealth_url = "http://127.0.0.1:{port_nobody_listens_at()}/health"\n',
        encoding="utf-8",
    )
    with pytest.MonkeyPatch.context() as patch:
        for name in set(os.environ) - set(clean_environment()):
            patch.delenv(name)
        settings = load_settings(root / "ops.toml")
        seen = observe(settings, suite="observe", record=folder / "record.json").observation
    down = About(code="health.not_ok", target=CORE)
    judged = tuple(
        JudgedCheck(suite=one.suite, check=one.check, finding=one.finding, target=one.target, judged=one.judged.value)
        for one in seen.judgements
    )
    assert (CORE, "bad") in {(one.target, one.judged) for one in judged}
    return folder, result(judged=judged, expected=(down,))


def health_file(text=None):
    """The shipped check file about health, or another one in its place."""
    path = content_dir() / "checks" / "observe" / "check_health.py"
    return CheckFile(suite="observe", path=path, where="check_health.py", text=text or path.read_text(encoding="utf-8"))


@pytest.mark.usefixtures("_clean")
def test_check_that_a_fault_needs_is_killed_by_real_replay(recorded, tmp_path):
    """One start of pytest judges all mutants; the dropped assertion is noticed, what the fault does not need is not."""
    folder, held = recorded
    run = MatrixRun(run_id="r", seed=1, results=(held,), folder=folder)
    judging = judge_checks(run, [health_file()], root=None, scratch=tmp_path, jobs=1, say=str)
    fates = {(one.mutant.name, one.mutant.change): one for one in judging.fates}
    dropped = fates["check_health_answers_200", Change.ASSERTION_DROPPED]
    assert (dropped.killed_by, dropped.how) == ("killed", f"health.not_ok about {CORE} would be missed")
    survivor = fates["check_health_answers_200", Change.STATUS_WIDENED]
    assert survivor.how.startswith("what was seen has no status at all")
    assert fates["check_health_answers_in_time", Change.THRESHOLD_WIDENED].how == (
        "no fault of the run has to make it fail"
    )
    assert (judging.replays, judging.not_judged) == (1, [])


@pytest.mark.slow
def test_judging_that_is_ended_leaves_nothing_running_and_keeps_what_it_has(recorded, tmp_path):
    """Ended while remediations are drilled: what was judged is on disk, and what was not is told with it."""
    folder = runs_dir(tmp_path / "reports") / "20260104T090500Z-abcdef"
    incident = folder / "held" / "killed" / "incidents" / "one" / "incident.json"
    incident.parent.mkdir(parents=True)
    incident.write_text('{"remediation": "restart_service", "plan_steps": ["start", "start again"]}', encoding="utf-8")
    record = "held/killed/observe/record.json"
    (folder / record).parent.mkdir()
    shutil.copyfile(recorded[0] / "record.json", folder / record)
    remedied = Remedied(name="restart_service", target=CORE, applied=True, verified=True, undone=False)
    write_head(folder, RunHead(run_id=folder.name, seed=1, begun_at=AT, faults=("killed",)))
    write_result(folder, replace(recorded[1], remedied=(remedied,), recover_s=1.0, record=record))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", "from ops_core.cli import run; run()", "drill", "--mutate"],
        cwd=tmp_path,
        env={**clean_environment(), "TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    begun = functools.partial(scratch.rglob, "drill.log")
    eventually(lambda: any("up and HEALTHY" in log.read_text("utf-8") for log in begun()), "no drill begins", 60)
    process.terminate()
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert "what came until then is in reports/drills/" in error
    assert list(scratch.iterdir()) == []
    assert [line for line in command_lines() if str(scratch) in line] == []
    fates = json.loads((folder / "mutants.json").read_text("utf-8"))
    assert {one["of"] for one in fates["by_part"]} == {"checks", "rows"}
    assert any(one["killed_by"] == "killed" for one in fates["mutants"])
    assert fates["not_judged"] == ["2 of 2 mutants of remediations: their drills were not held"]


def command_lines():
    """How each process was called, and in which environment."""
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            told = (place / "cmdline").read_bytes() + b"\0" + (place / "environ").read_bytes()
            if int(place.name) != os.getpid():
                yield told.decode("utf-8", "replace")


@pytest.mark.usefixtures("_clean")
def test_matrix_that_expects_nothing_kills_no_check(recorded, tmp_path):
    """Where no fault promises a finding, every mutant survives, and nothing is replayed for it."""
    folder, held = recorded
    run = MatrixRun(run_id="r", seed=1, results=(replace(held, expected=()),), folder=folder)
    judging = judge_checks(run, [health_file()], root=None, scratch=tmp_path, jobs=1, say=str)
    assert not any(one.killed for one in judging.fates)
    assert judging.replays == 0


def test_record_that_is_gone_is_told(recorded, tmp_path):
    """A record that cannot be replayed notices nothing, and that is said."""
    _, held = recorded
    run = MatrixRun(run_id="r", seed=1, results=(held,), folder=tmp_path / "elsewhere")
    judging = judge_checks(run, [health_file()], root=None, scratch=tmp_path / "scratch", jobs=1, say=str)
    assert not any(one.killed for one in judging.fates)
    assert "killed" in judging.not_judged[0]


@pytest.fixture
def _clean(monkeypatch):
    """As on an operator's machine, without what this run of pytest has set."""
    for name in set(os.environ) - set(clean_environment()):
        monkeypatch.delenv(name)


def fates_of(*fates):
    """Some fates of a run."""
    return Fates(run_id="r", fates=fates, took_s=1.0, replays=1, drills=0)


MUTANT = Mutant(
    id="check:x:0",
    part=Part.CHECK,
    change=Change.ASSERTION_DROPPED,
    name="check_a",
    where="c.py:1",
    was="a",
    becomes="b",
)


def test_figures_and_survivors_are_written_beside_the_run(tmp_path):
    """Both files hold every survivor with its reason; a percentage is never rounded up."""
    killed = [Fate(mutant=replace(MUTANT, id=str(n)), killed_by="killed") for n in range(999)]
    fates = fates_of(*killed, Fate(mutant=MUTANT, how="no `fault` needs it"))
    assert fates.overall.percent == 99.9
    paths = write_fates(tmp_path, fates)
    text = paths[1].read_text(encoding="utf-8")
    assert "| checks | 999 | 1000 | 99.9 |" in text
    assert "no 'fault' needs it" in text


def test_no_mutant_is_no_success():
    """Where nothing was weakened nothing was shown."""
    assert fates_of().overall.percent == 0.0
