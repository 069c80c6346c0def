"""The plan of a game day follows from its seed; a fault without a good end is lost; what was recorded is verified."""

import dataclasses
import itertools
import json
from datetime import timedelta

import pytest

from ops_core.cli.drill_gameday import hold_gameday
from ops_core.clock import ManualClock, parse_instant
from ops_core.config import load_settings
from ops_core.content import content_dir
from ops_core.control.opening import plane_of
from ops_core.drill.coverage.freshness import RUNS_MAX, last_drilled
from ops_core.drill.faults import FAULTS
from ops_core.drill.gameday.pages import write_pages
from ops_core.drill.gameday.plan import drawn_from, planned
from ops_core.drill.gameday.progress import DayTeller, progress_line
from ops_core.drill.gameday.proving import History, prove
from ops_core.drill.gameday.results import (
    Ended,
    Fate,
    GameDay,
    Injected,
    Outcome,
    Verified,
    fate_of,
    figures_of,
    read_day,
    write_day,
)
from ops_core.drill.matrix.progress import REWRITE
from ops_core.drill.matrix.results import FaultResult, write_result
from ops_core.drill.matrix.running import in_order
from ops_core.errors import RecordError, UsageError
from ops_core.slo.recovery import Happened

START = parse_instant("2026-01-04T09:00:00.000Z")
RUN = "20260104T090000Z-abcdef"
DRAWN = drawn_from(FAULTS.values())


def happened(name, state="recovered", detect_s=1, recover_s=2):
    """An incident that was found and, unless it was not, recovered."""
    found = START + timedelta(seconds=detect_s)
    over = found + timedelta(seconds=recover_s)
    good = state == "recovered"
    return Happened(
        id=name,
        began_at=START,
        detected_at=found,
        recovered_at=over if good else None,
        ended_at=None if state == "open" else over,
        state=state,
        automatic=good,
        began_known=True,
        drill=True,
    )


def line(number=1, fault="killed", fate=Fate.RECOVERED, **changes):
    """What became of a fault."""
    at = "2026-01-04T09:00:00.000Z"
    return Injected(
        number=number, fault=fault, injected_at=at, fate=fate.value, **{"incident": "i", "restored": True, **changes}
    )


def day(*lines, incidents=(), **changes):
    """A game day with these lines."""
    about = {
        "run_id": RUN,
        "seed": 7,
        "duration_s": 60,
        "catalogue": ("killed", "slow"),
        "begun_at": "2026-01-04T09:00:00.000Z",
        "ended_at": "2026-01-04T09:01:00.000Z",
        "lasted_s": 60.5,
        "ended": Ended.TIME_UP.value,
        "injected": lines,
        "figures": figures_of(lines, incidents, START, START + timedelta(minutes=1)),
        "verified": Verified(stores=1, audit_rows=12, incidents=len(lines), observations=4),
    }
    return GameDay(**{**about, **changes})


def test_the_plan_follows_from_seed_and_names_alone():
    """The order in which the names are given does not matter; another seed gives another plan."""
    first = list(itertools.islice(planned(DRAWN, 7), 100))
    assert first == list(itertools.islice(planned(reversed(DRAWN), 7), 100))
    assert first != list(itertools.islice(planned(DRAWN, 8), 100))
    assert first[: len(DRAWN)] == in_order(DRAWN, 7)


def test_each_fault_comes_once_before_any_comes_again():
    """Each round of the plan holds all of them, in an order of its own."""
    drawn = list(itertools.islice(planned(DRAWN, 7), 3 * len(DRAWN)))
    rounds = [drawn[at : at + len(DRAWN)] for at in range(0, len(drawn), len(DRAWN))]
    assert [sorted(part) for part in rounds] == [list(DRAWN)] * 3
    assert len({tuple(part) for part in rounds}) == 3
    assert list(planned((), 7)) == []


def test_what_opens_no_incident_is_not_drawn():
    """One shipped fault of the embedded stack opens none by design; faults of other stacks need another stack."""
    embedded = {fault.name for fault in FAULTS.values() if fault.stack.PROFILE == "embedded"}
    assert embedded - set(DRAWN) == {"answer-withheld"}
    assert set(DRAWN) <= embedded
    some = FAULTS["killed"]
    for changed in ({"needs": ("redis-server",)}, {"prepare": some.do}, {"by_hand": True}, {"end": "unknown"}):
        assert drawn_from([dataclasses.replace(some, **changed)]) == ()


@pytest.mark.parametrize(
    ("states", "fate", "why"),
    [
        ((), Fate.LOST, "no incident was opened"),
        (("recovered",), Fate.RECOVERED, ""),
        (("escalated",), Fate.ESCALATED, ""),
        (("recovered", "escalated"), Fate.ESCALATED, ""),
        (("open",), Fate.LOST, "its incident 0 is open: neither recovered nor escalated"),
        (("recovered", "interrupted"), Fate.LOST, "its incident 1 is interrupted: neither recovered nor escalated"),
        (("refused",), Fate.LOST, "its incident 0 is refused: neither recovered nor escalated"),
    ],
)
def test_a_fault_without_a_good_end_is_lost(states, fate, why):
    """Only recovered and escalated are good ends; whatever else there is, or is not, counts as lost."""
    assert fate_of([happened(str(number), state) for number, state in enumerate(states)]) == (fate, why)


def test_figures_are_those_of_the_slo_report():
    """Means over all that were found and over those that recovered; quantiles are values that were measured."""
    incidents = [happened(str(n), detect_s=n, recover_s=10 * n) for n in range(1, 5)]
    incidents.append(happened("5", "escalated", detect_s=10))
    lines = [line(n, fault) for n, fault in enumerate(("killed", "slow", "killed", "slow"), 1)]
    lines += [line(5, fate=Fate.ESCALATED), line(6, fate=Fate.LOST, why="x"), line(7, fate=Fate.INTERRUPTED)]
    found = figures_of(lines, incidents, START, START + timedelta(minutes=5))
    assert (found.injected, found.different, found.recovered, found.escalated, found.lost) == (6, 2, 4, 1, 1)
    assert (found.mttd_s, found.mttr_s, found.automatic_rate) == (4.0, 25.0, 0.8)
    assert (found.detect.median_s, found.detect.p95_s, found.detect.longest_s) == (3.0, 10.0, 10.0)
    assert (found.recover.count, found.recover.median_s, found.recover.p95_s) == (4, 20.0, 40.0)
    assert found.as_promised == 5


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        (day(line()), Outcome.NONE_LOST),
        (day(line(), line(2, fate=Fate.LOST, why="no incident was opened")), Outcome.LOST),
        (day(line(problems=("the row x did not match",))), Outcome.NOT_AS_PROMISED),
        (day(line(), unexplained=("i2",)), Outcome.NOT_AS_PROMISED),
        (day(line(), verified=Verified(problems=("row 3 is wrong",))), Outcome.NOT_VERIFIED),
        (day(line(), verified=None), Outcome.NOT_VERIFIED),
        (day(line(), ended=Ended.INTERRUPTED.value), Outcome.UNFINISHED),
        (day(line(), ended=Ended.BROKEN_OFF.value, why="the stack is not well"), Outcome.UNFINISHED),
        (day(), Outcome.UNFINISHED),
    ],
)
def test_an_outcome_is_good_only_where_everything_is(found, outcome, tmp_path):
    """What it came to is recorded, and it is read back as it was."""
    assert found.outcome is outcome
    path = write_day(tmp_path, found)
    assert read_day(path) == found
    assert json.loads(path.read_text("utf-8"))["outcome"] == outcome.value


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": "drill_gameday_v2"}'])
def test_a_damaged_record_is_refused(tmp_path, text):
    """It is not half understood."""
    path = tmp_path / "gameday.json"
    path.write_text(text, "utf-8")
    with pytest.raises(RecordError):
        read_day(path)


@pytest.mark.parametrize(("lang", "said"), [("en", "none was lost, and all of it verifies"), ("ko", "게임데이")])
def test_a_page_says_what_became_of_each_fault(tmp_path, lang, said):
    """In both languages; what is wrong stands in it."""
    lines = (
        line(found=("process.not_running",), rows=("r",), remedied=("restart_service",), detect_s=0.4, recover_s=1.25),
        line(2, "slow", fate=Fate.ESCALATED, rows=("r",)),
    )
    good = day(*lines, incidents=(happened("i"),))
    write_pages(tmp_path, good, lang=lang)
    text = (tmp_path / "gameday.md").read_text("utf-8")
    assert said in text
    assert "`restart_service`" in text
    assert "1.25" in text
    bad = day(line(fate=Fate.LOST, why="no incident was opened", incident=None), verified=None)
    write_pages(tmp_path, bad, lang=lang)
    assert "1 killed: no incident was opened" in (tmp_path / "gameday.md").read_text("utf-8")


def test_progress_is_a_line_for_each_fault_and_one_that_is_rewritten():
    """What is wrong is said at once; below stands how far it is."""
    said = []
    clock = ManualClock(START)
    teller = DayTeller(said.append, clock, 200)
    teller.begin(600)
    teller.started("killed")
    clock.sleep(65)
    teller.ended(line(detect_s=0.4, recover_s=1.3, remedied=("restart_service",)))
    teller.started("slow")
    teller.ended(line(2, "slow", fate=Fate.LOST, why="no incident was opened"))
    teller.close()
    text = "".join(said)
    assert "1  killed" in text
    assert "recovered  detected 0.4 s, recovered 1.3 s  restart_service\n" in text
    assert "lost       no incident was opened\n" in text
    assert "1 min 5 s of 10 min: 1 recovered, 0 escalated, 0 lost; now slow" in text
    assert said[-1] == REWRITE
    assert progress_line(1.6, 60, [], "") == "1 s of 60 s: 0 recovered, 0 escalated, 0 lost"


@pytest.mark.parametrize("text", ["", "10", "0s", "-1m", "1d", "ten minutes", "9h", "99999h"])
def test_a_duration_that_is_none_is_refused(tmp_path, text):
    """Before anything is begun; the message says what would do."""
    with pytest.raises(UsageError) as refused:
        hold_gameday(duration=text or "x", seed=1, reports=tmp_path / "r", lang="en", json=False)
    assert refused.value.where == "--duration"
    assert refused.value.allowed
    assert not (tmp_path / "r").exists()


@pytest.fixture
def plane(tmp_path, monkeypatch):
    """A control plane with a store of its own, and the settings that mean it."""
    for name in ("STATE", "CONTROL", "LOGS", "REPORTS"):
        monkeypatch.setenv(f"OPS_{name}_DIR", str(tmp_path / name.lower()))
    settings = load_settings(content_dir() / "ops.toml", "embedded")
    plane = plane_of(settings, ManualClock(START), "drill")
    plane.create()
    return settings, plane


def test_history_is_exported_and_verified_also_of_a_store_that_is_gone(plane, tmp_path):
    """What is noted holds; a store that was taken away and made anew is a second one."""
    settings, control = plane
    history = History(settings, control, tmp_path / "day")
    history.note()
    control.release("for the drill")
    history.note()
    settings.control_store.unlink()
    control.create()
    verified = prove(history, tmp_path / "held", {})
    assert verified.problems == ()
    assert verified.stores == 2
    rows = [len((tmp_path / "day" / f"audit-{n}.jsonl").read_text("utf-8").splitlines()) - 1 for n in (1, 2)]
    assert verified.audit_rows == sum(rows)


def test_history_that_was_cut_or_changed_is_told(plane, tmp_path):
    """An export without its last row, or with another word in it, does not verify."""
    settings, control = plane
    history = History(settings, control, tmp_path / "day")
    control.release("for the drill")
    history.note()
    settings.control_store.unlink()
    control.create()
    export = tmp_path / "day" / "audit-1.jsonl"
    whole = export.read_text("utf-8")
    for damaged in ("".join(whole.splitlines(keepends=True)[1:]), whole.replace("for the drill", "for nobody"), ""):
        export.write_text(damaged, "utf-8")
        assert [told.partition(":")[0] for told in prove(history, tmp_path / "held", {}).problems] == ["audit-1.jsonl"]


def test_reports_that_say_something_else_than_the_store_are_told(plane, tmp_path):
    """A missing report, a look that cannot be read: each is named, and counts as not verified."""
    settings, control = plane
    history = History(settings, control, tmp_path / "day")
    looks = tmp_path / "held" / "observe"
    looks.mkdir(parents=True)
    (looks / "a.json").write_text("{", "utf-8")
    (looks / "latest.json").write_text("{", "utf-8")
    verified = prove(history, tmp_path / "held", {"i1": "recovered"})
    assert (verified.incidents, verified.observations) == (0, 0)
    assert [told.partition(":")[0] for told in verified.problems] == ["i1", "a.json"]


def test_game_days_are_not_taken_for_matrix_runs(tmp_path):
    """However many there are, a row is still known to be drilled by the matrix run before them."""
    at, name = "2026-01-04T09:00:00.000Z", "20251201T090500Z-abcdef"
    drilled = FaultResult(
        fault="killed", stack="embedded", driver="process", suite="observe", seed=7, begun_at=at, ended_at=at,
        status="passed", rows=("row-a",), recover_s=2.0,
    )  # fmt: skip
    write_result(tmp_path / "drills" / name, drilled)
    for number in range(RUNS_MAX + 1):
        write_day(tmp_path / "drills" / f"20260104T0900{number:02}Z-abcdef", day(line()))
    assert last_drilled(tmp_path, ["row-a"]).drilled["row-a"].run_id == name
