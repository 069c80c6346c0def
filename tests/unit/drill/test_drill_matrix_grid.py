"""A matrix run as tables, figures, progress and pages."""

import dataclasses
import html.parser
import json
import re

import pytest

from ops_core.clock import ManualClock, parse_instant
from ops_core.drill.matrix.grid import Mark, Outcome, outcome_of, told, view_of
from ops_core.drill.matrix.pages import write_pages
from ops_core.drill.matrix.progress import REWRITE, Teller, left_s, progress_line
from ops_core.drill.matrix.results import About, FaultResult, JudgedCheck, MatrixRun, Remedied

AT = "2026-01-04T09:05:00.000Z"
CORE = "core-api"
HOSTILE = "<script>alert(1)</script>&amp;\x1b[31m"


def judged(check, finding, value, target=CORE):
    """What a check said."""
    return JudgedCheck(suite="observe", check=check, finding=finding, target=target, judged=value)


def result(fault, **changed):
    """What came of a fault."""
    kept = {
        "stack": "embedded",
        "driver": "process",
        "suite": "observe",
        "seed": 7,
        "begun_at": AT,
        "ended_at": AT,
        "status": "passed",
        "state": "recovered",
        "restored": True,
    }
    return FaultResult(fault=fault, **{**kept, **changed})


GONE, OPEN, ALARM = (
    About(code="process.not_running", target=CORE),
    About(code="guard.open", target=CORE),
    About(code="health.slow", target="soul-engine"),
)
KILLED = result(
    "killed",
    judged=(
        judged("check_runs", GONE.code, "bad"),
        judged("check_guard", OPEN.code, "unknown"),
        judged("check_slow", ALARM.code, "good"),
        judged("check_box", None, "skipped"),
    ),
    findings=(GONE,),
    unknown=(OPEN,),
    expected=(GONE,),
    rows=("process-not-running",),
    remedied=(Remedied(name="restart_service", target=CORE, applied=True, verified=True, undone=False),),
    detect_s=0.5,
    decide_s=0.75,
    recover_s=2.0,
)
SURVIVED = result(
    "guard-gone",
    status="failed",
    judged=(
        judged("check_runs", GONE.code, "good"),
        judged("check_guard", OPEN.code, "good"),
        judged("check_slow", ALARM.code, "good"),
        judged("check_slow", ALARM.code, "bad", "soul-engine"),
    ),
    findings=(ALARM,),
    expected=(OPEN,),
    missed=(OPEN,),
    false_alarms=(ALARM,),
    rows=("slow", "slow-again"),
    remedied=(
        Remedied(name="rollback_release", target=CORE, applied=True, verified=False, undone=True),
        Remedied(name="restart_service", target=CORE, applied=True, verified=False, undone=False),
    ),
    state="escalated",
    detect_s=1.5,
    restored=False,
    problems=("guard.open was not found about core-api", HOSTILE),
)
SKIPPED = result("container-gone", status="skipped", state=None, restored=None, reason="it needs dockerd")
ERROR = result("hung", status="error", state=None, restored=None, reason=HOSTILE)


def run(*results, planned=None, damaged=()):
    """A run with these results."""
    names = tuple(one.fault for one in results) if planned is None else planned
    return MatrixRun(
        run_id="20260104T090500Z-abcdef", seed=7, begun_at=AT, results=results, planned=names, damaged=damaged
    )


def marks(view):
    """Mark by fault and check."""
    return {
        (line.fault, column): cell.mark
        for grid in view.checks
        for line in grid.lines
        for column, cell in zip(grid.columns, line.cells, strict=True)
    }


def test_each_check_has_its_mark_for_each_fault():
    """The worst of its targets counts: a false alarm before what was missed, that before what was not seen."""
    found = marks(view_of(run(KILLED, SURVIVED)))
    assert found["killed", "check_runs"] == Mark.RAISED
    assert found["killed", "check_guard"] == Mark.UNKNOWN
    assert found["killed", "check_slow"] == Mark.GOOD
    assert found["killed", "check_box"] == Mark.SKIPPED
    assert found["guard-gone", "check_runs"] == Mark.GOOD
    assert found["guard-gone", "check_guard"] == Mark.MISSED
    assert found["guard-gone", "check_slow"] == Mark.FALSE_ALARM
    assert found["guard-gone", "check_box"] == Mark.NOT_ASKED


def test_the_figures_count_what_was_held():
    """What was skipped or not held counts nowhere but there; a check that only skips was not made to judge."""
    figures = view_of(run(KILLED, SURVIVED, SKIPPED, ERROR)).figures
    assert (figures.planned, figures.held, figures.passed, figures.failed) == (4, 2, 1, 1)
    assert (figures.errors, figures.skipped, figures.missing) == (1, 1, 0)
    assert (figures.missed, figures.false_alarms, figures.unknown, figures.not_restored) == (1, 1, 1, 1)
    assert (figures.checks_raised, figures.checks_seen) == (1, 3)
    assert (figures.findings_raised, figures.rows_matched) == (1, 3)
    assert (figures.remediations_verified, figures.undos) == (1, 1)
    assert not figures.complete


@pytest.mark.parametrize(
    ("matrix", "outcome", "complete"),
    [
        (run(KILLED), Outcome.AS_PROMISED, True),
        (run(KILLED, SKIPPED), Outcome.AS_PROMISED, False),
        (run(KILLED, SURVIVED, ERROR), Outcome.NOT_AS_PROMISED, False),
        (run(KILLED, ERROR), Outcome.NOT_HELD, False),
        (run(KILLED, planned=("killed", "frozen")), Outcome.NOT_HELD, False),
        (run(KILLED, damaged=("frozen.json: it is not JSON",)), Outcome.NOT_HELD, False),
        (run(), Outcome.NOT_HELD, True),
    ],
)
def test_what_a_run_came_to(matrix, outcome, complete):
    """Nothing that was not held is as promised, and nothing at all is not either."""
    assert outcome_of(matrix) is outcome
    assert view_of(matrix).figures.complete is complete


def test_each_remediation_is_counted_by_what_became_of_it():
    """Every one that was begun counts, not only the last one of an incident; times are those that were verified."""
    lines = {line.name: line for line in view_of(run(KILLED, SURVIVED)).remediations}
    restart, rollback = lines["restart_service"], lines["rollback_release"]
    assert (restart.applied, restart.verified, restart.undone, restart.neither) == (2, 1, 0, 1)
    assert (restart.median_s, restart.longest_s, restart.faults) == (2.0, 2.0, ("guard-gone", "killed"))
    assert (rollback.applied, rollback.verified, rollback.undone, rollback.neither) == (1, 0, 1, 0)


def test_times_are_values_that_were_measured():
    """The nearest rank, never something between two; none where nothing came so far."""
    detect, _, recover = view_of(
        run(*(dataclasses.replace(KILLED, fault=f"f{n}", detect_s=float(n), recover_s=None) for n in range(1, 21)))
    ).times
    assert (detect.count, detect.median_s, detect.p95_s, detect.longest_s) == (20, 10.0, 19.0, 20.0)
    assert (recover.count, recover.median_s) == (0, None)


def test_what_is_about_the_control_plane_says_so():
    """A finding without a target is the control plane's."""
    assert told(About(code="stop.engaged", target=None)) == "stop.engaged[control plane]"
    assert told(OPEN) == "guard.open[core-api]"


class Page(html.parser.HTMLParser):
    """The tags of a page, in order, with what a reader must not meet."""

    VOID = frozenset({"meta", "br", "link", "img", "input"})

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.ids, self.links, self.texts = [], [], set(), [], []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append(tag)
        self.ids.add(attributes.get("id"))
        self.links += [attributes[name] for name in ("href", "src") if name in attributes]
        assert not [name for name in attributes if name.startswith("on")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_the_page_is_whole_and_asks_nobody(tmp_path, lang):
    """One file: well formed, no script, nothing from elsewhere, every link within it or the run, foreign text as text."""
    view = view_of(
        run(KILLED, SURVIVED, SKIPPED, ERROR, planned=("killed", "guard-gone", "container-gone", "hung", "x"))
    )
    written = write_pages(tmp_path, view, lang=lang)
    assert [path.name for path in written] == ["matrix.json", "matrix.md", "matrix.html"]
    text = (tmp_path / "matrix.html").read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    page.close()
    assert page.open == []
    assert "script" not in page.tags
    assert "url(" not in text
    assert "@import" not in text
    for link in page.links:
        assert link[1:] in page.ids if link.startswith("#") else re.fullmatch(r"held/[a-z-]+/drill\.log", link)
    shown = "".join(page.texts)
    assert "<script>alert(1)</script>&amp;\\x1b[31m" in shown
    assert "\x1b" not in text
    for name in (
        "killed",
        "guard-gone",
        "container-gone",
        "hung",
        "process-not-running",
        "rollback_release",
        "it needs dockerd",
    ):
        assert name in shown
    assert json.loads((tmp_path / "matrix.json").read_text(encoding="utf-8")) == view.to_json()


def test_the_markdown_tells_the_same(tmp_path):
    """What went wrong stands there with its reason, and foreign text has no effect."""
    write_pages(tmp_path, view_of(run(KILLED, SURVIVED, SKIPPED, ERROR)), lang="en")
    text = (tmp_path / "matrix.md").read_text(encoding="utf-8")
    assert "**The runbook did not keep what it promises.**" in text
    assert "guard.open was not found about core-api" in text
    assert "`container-gone`: it needs dockerd" in text
    assert "<script>" not in text


def test_elsewhere_each_fault_has_its_line():
    """Where nobody looks at a terminal, nothing is rewritten, and every fault is told once."""
    said = []
    teller = Teller(said.append, ManualClock(parse_instant(AT)), 0)
    teller.begin(2, 1)
    teller.started("killed")
    teller.tick()
    teller.ended(KILLED)
    teller.ended(SURVIVED)
    teller.close()
    assert said[0] == "1/2  killed                            as promised  detected 0.5 s, recovered 2.0 s\n"
    assert said[1].startswith("2/2  guard-gone                        NOT as promised  guard.open was not found")
    assert "\x1b" not in "".join(said)


def test_at_a_terminal_one_line_is_rewritten():
    """It fits the terminal and is not written again unchanged; what went wrong stays above it."""
    said, clock = [], ManualClock(parse_instant(AT))
    teller = Teller(said.append, clock, 50)
    teller.begin(3, 2)
    teller.started("killed")
    teller.tick()
    before = len(said)
    teller.tick()
    assert len(said) == before
    clock.sleep(30)
    teller.ended(KILLED)
    assert said[-1] == f"{REWRITE}1/3 held, about 60 s left"
    teller.ended(SURVIVED)
    assert any(line.endswith("\n") and "guard-gone" in line for line in said)
    teller.close()
    assert said[-1] == REWRITE
    assert all(len(line.removeprefix(REWRITE)) < 50 for line in said if line.startswith(REWRITE))


def test_the_line_says_what_is_known():
    """Before the first end nobody knows how long it takes; later it goes on like this."""
    assert progress_line(done=0, total=9, bad=0, running=["a", "b"], left_s=None) == "0/9 held: a, b"
    assert (
        progress_line(done=3, total=9, bad=1, running=[], left_s=200.0)
        == "3/9 held, 1 not as promised, about 3 min left"
    )
    assert left_s(0, 9, 5.0) is None
    assert left_s(3, 9, 30.0) == 60.0


def test_what_was_refused_at_the_door_says_how(tmp_path):
    """No check saw it, and whoever reads the page sees why that is right."""
    refused = result("forged", refusal="2 requests answered with 401, 401")
    write_pages(tmp_path, view_of(run(refused)), lang="en")
    for name in ("matrix.md", "matrix.html"):
        assert "refused: 2 requests answered with 401, 401" in (tmp_path / name).read_text(encoding="utf-8")
