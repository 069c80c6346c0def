"""Terminal lines: aligned, calm, and deaf to what targets say."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_views import codes, example, hostile, keys, names, views

from ops_core.report import words
from ops_core.report.ending import incident_lines
from ops_core.report.model import FindingView, UnknownView
from ops_core.report.terminal import LISTED_MAX, Advice, Look, Result, Row, label_lines, verdict_lines
from ops_core.report.text import display_width, visible
from ops_core.verdict import Verdict

SGR = re.compile(r"\x1b\[(?:0|1|31|32|33|1;3[123])m")

looks = st.builds(
    Look, width=st.integers(0, 200), colour=st.booleans(), unicode=st.booleans(), lang=st.sampled_from(("en", "ko"))
)
texts = st.dictionaries(st.sampled_from(("en", "ko")), hostile, max_size=2)
counts = st.integers(0, 30)
results = st.builds(
    Result,
    verdict=st.sampled_from(Verdict),
    good=counts,
    bad=counts,
    unknown=counts,
    skipped=counts,
    findings=st.lists(
        st.builds(
            FindingView,
            code=codes,
            target=st.none() | hostile,
            check=hostile,
            expected=hostile,
            seen=hostile,
            where=hostile,
            evidence=st.just(("O1",)),
        ),
        max_size=3,
    ).map(tuple),
    unseen=st.lists(
        st.builds(UnknownView, code=codes, target=st.none() | names, reason=hostile, evidence=st.just(("O1",))),
        max_size=3,
    ).map(tuple),
    advice=st.lists(
        st.builds(
            Advice,
            target=st.none() | names,
            cause=texts,
            severity=keys(words.SEVERITIES),
            action=texts,
            command=hostile,
        ),
        max_size=3,
    ).map(tuple),
    used_s=st.floats(0, 100),
    total_s=st.floats(0.1, 100),
    record=hostile,
    interrupted=hostile,
    command=hostile,
    notes=st.lists(hostile, max_size=2).map(tuple),
)


def finding(**changes):
    """A finding to start from."""
    parts = {
        "code": "guard.open",
        "target": "core-api",
        "check": "check_guard",
        "expected": "401 or 503 without the secret",
        "seen": "200",
        "where": "checks/observe/check_guard.py:31",
        "evidence": ("O1:guard[core-api]",),
    }
    return FindingView(**{**parts, **changes})


def result(**changes):
    """An observation of fourteen good checks to start from."""
    parts = {
        "verdict": Verdict.HEALTHY,
        "good": 14,
        "bad": 0,
        "unknown": 0,
        "skipped": 0,
        "findings": (),
        "unseen": (),
        "advice": (),
        "used_s": 3.2,
        "total_s": 60.0,
        "record": "reports/observe/r.json",
    }
    return Result(**{**parts, **changes})


BROKEN = result(
    verdict=Verdict.UNHEALTHY,
    good=11,
    bad=2,
    unknown=1,
    findings=(finding(),),
    unseen=(UnknownView(code="stream.silent", target="core-api", reason="budget of 10 s spent", evidence=("O1",)),),
    advice=(
        Advice(
            target="core-api",
            cause={"en": "The configuration leaves out the secret.", "ko": "설정에 시크릿이 빠져 있습니다."},
            severity="critical",
            action={"en": "Go back to the last good configuration.", "ko": "마지막 정상 설정으로 롤백합니다."},
            command="ops incident run",
        ),
        Advice(target="soul-engine", cause={"en": "It has crashed."}, severity="high", action={}, command=""),
    ),
)


def test_the_verdict_stands_last_with_what_to_do():
    """Findings, what was not seen, then the verdict block, aligned."""
    assert "\n".join(verdict_lines(BROKEN, Look())) == (
        " findings\n"
        "   guard.open   core-api\n"
        "     expected   401 or 503 without the secret\n"
        "     seen       200\n"
        "     where      checks/observe/check_guard.py:31\n"
        "\n"
        " not seen\n"
        "   stream.silent   core-api\n"
        "     why   budget of 10 s spent\n"
        "\n"
        " VERDICT    UNHEALTHY   2 of 14 checks failed, 1 not seen\n"
        " target     core-api\n"
        " cause      The configuration leaves out the secret.\n"
        " severity   critical (act now)\n"
        " action     Go back to the last good configuration.\n"
        " type       ops incident run\n"
        " also       soul-engine: It has crashed. (high)\n"
        " time       3.2 s of 60 s\n"
        " record     reports/observe/r.json"
    )


def test_korean_lines_up_by_columns():
    """Values start in the same column although Korean letters are twice as wide."""
    lines = verdict_lines(BROKEN, Look(lang="ko"))[-9:]
    assert lines[0] == " 판정      비정상   체크 14개 중 2개 실패, 1개 관측 불가"
    assert lines[5] == " 명령      ops incident run"
    starts = {display_width(re.match(r" \S+(?: \S+)?\s{3,}", line)[0]) for line in lines}
    assert starts == {11}


@pytest.mark.parametrize(
    ("lang", "label", "told"),
    [
        ("en", "dependents", "because of database: ingest ready.not_ok, errors.rate_high; web health.slow"),
        ("ko", "의존 대상", "database 때문: ingest ready.not_ok, errors.rate_high; web health.slow"),
    ],
)
def test_what_fails_because_of_a_target_is_named_at_it(lang, label, told):
    """Behind the cause of the first decision, and behind each of the others that has dependents."""
    dependents = (("ingest", ("ready.not_ok", "errors.rate_high")), ("web", ("health.slow",)))
    first = replace(BROKEN.advice[0], target="database", dependents=dependents)
    for advice in ((first,), (BROKEN.advice[1], first)):
        lines = verdict_lines(replace(BROKEN, advice=advice), Look(lang=lang, width=120))
        (line,) = [line for line in lines if label in line]
        assert line.endswith(told)
    assert not [line for line in verdict_lines(BROKEN, Look(lang=lang)) if label in line]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "HEALTHY   all 14 checks passed"),
        ({"good": 1}, "HEALTHY   1 check passed"),
        ({"skipped": 2}, "HEALTHY   all 14 checks passed, 2 skipped"),
        ({"verdict": Verdict.UNKNOWN, "unknown": 3}, "UNKNOWN   3 not seen"),
        ({"verdict": Verdict.UNHEALTHY, "good": 0, "bad": 1}, "UNHEALTHY   1 of 1 check failed"),
        ({"verdict": Verdict.SKIPPED, "good": 0, "skipped": 4}, "SKIPPED   no check judged anything"),
    ],
)
def test_the_count_says_what_the_verdict_rests_on(changes, said):
    """Failed, not seen and skipped are told apart, and nothing judged is said to be nothing."""
    (line,) = [line for line in verdict_lines(result(**changes), Look()) if "VERDICT" in line]
    assert line.endswith(said)


def test_colour_means_something():
    """The verdict, what was bad, what is critical and what to type are marked; labels are not."""
    lines = verdict_lines(BROKEN, Look(colour=True))
    marked = re.findall(r"\x1b\[([\d;]+)m([^\x1b]*)\x1b\[0m", "\n".join(lines))
    assert marked == [
        ("31", "guard.open"),
        ("33", "stream.silent"),
        ("1;31", "UNHEALTHY"),
        ("31", "critical (act now)"),
        ("1", "ops incident run"),
    ]


@settings(max_examples=200, deadline=None)
@given(results, looks)
def test_nothing_a_target_says_acts_on_the_terminal(observed, look):
    """No control, bidi or invisible character comes out but our own colours, and those only when asked for."""
    for line in verdict_lines(observed, look):
        plain = SGR.sub("", line)
        assert look.colour or plain == line
        assert visible(plain) == plain
        assert look.unicode or plain.isascii()


@settings(max_examples=60, deadline=None)
@given(views(), looks)
def test_nothing_an_incident_says_acts_on_the_terminal(view, look):
    """The same holds at the end of an incident."""
    for line in incident_lines(view, look, ["reports/x.md"]):
        plain = SGR.sub("", line)
        assert visible(plain) == plain
        assert look.unicode or plain.isascii()


@settings(max_examples=100, deadline=None)
@given(results, looks)
def test_colour_moves_nothing(observed, look):
    """Without its colours, a coloured line is the plain one."""
    plain = verdict_lines(observed, Look(width=look.width, unicode=look.unicode, lang=look.lang))
    coloured = verdict_lines(observed, Look(width=look.width, colour=True, unicode=look.unicode, lang=look.lang))
    assert [SGR.sub("", line) for line in coloured] == plain


@settings(max_examples=100)
@given(
    st.lists(st.builds(Row, label=st.sampled_from(("cause", "원인", "x")), value=hostile), max_size=4),
    st.integers(40, 120),
)
def test_long_values_go_on_below_themselves(rows, width):
    """Every line fits the terminal, and a value goes on in the column in which it began."""
    lines = label_lines(rows, Look(width=width))
    assert all(display_width(line) <= width for line in lines)


def test_what_is_to_be_copied_is_never_broken():
    """Commands and paths stay on one line, however narrow the terminal."""
    lines = verdict_lines(result(record="r/" * 60, command="ops " + "x" * 90), Look(width=40))
    assert any(line.endswith("r/" * 60) for line in lines)
    assert any(line.endswith("ops " + "x" * 90) for line in lines)


def test_ascii_terminals_are_spoken_to_in_english():
    """Where Korean cannot be shown it is not attempted, and foreign letters become escapes."""
    lines = verdict_lines(BROKEN, Look(lang="ko", unicode=False))
    assert " VERDICT    UNHEALTHY   2 of 14 checks failed, 1 not seen" in lines
    assert " cause      The configuration leaves out the secret." in lines
    shown = verdict_lines(result(findings=(finding(seen="한"),)), Look(unicode=False))
    assert "     seen       \\ud55c" in shown


def test_a_flood_of_findings_is_counted_not_printed():
    """More than a screen can hold is summed up; the record has them all."""
    lines = verdict_lines(result(findings=tuple(finding(target=f"t{n}") for n in range(300))), Look())
    assert f"   {300 - LISTED_MAX} more in the record" in lines
    assert len(lines) < 100


def test_notes_and_interruption_are_told():
    """What cut the observation short, and what else is worth knowing, stands beside the verdict."""
    lines = verdict_lines(result(interrupted="stopped by Ctrl-C", notes=("one was slow",)), Look())
    assert " ended     stopped by Ctrl-C" in lines
    assert " note      one was slow" in lines


def test_the_end_of_an_incident_tells_what_was_done_and_the_times():
    """State, cause, what was done, each phase against its goal, and the documents."""
    assert "\n".join(incident_lines(example(), Look(), ["reports/p.md"])) == (
        " INCIDENT   recovered   core-api guard.open\n"
        " drill      the fault was injected on purpose\n"
        " cause      The configuration in force leaves out the secret, so the guard lets\n"
        "            everyone in.\n"
        " severity   critical (act now)\n"
        " action     Go back to the configuration that was last seen good, and restart.\n"
        " done       The configuration of core-api was rolled back from 2.env to 1.env.\n"
        " detect     3.2 s of 60 s\n"
        " decide     0.01 s of 5 min\n"
        " recover    4.3 s of 10 min\n"
        " report     reports/p.md"
    )


def test_the_way_back_is_told_where_it_may_be_needed():
    """Once it is recovered nobody has to take anything back; before that, the command is there to be copied."""
    undo = "ops remediate undo 20260104T090500Z-3f9a1c"
    assert undo not in "\n".join(incident_lines(example(), Look()))
    left = replace(example(), state="escalated", recovered_at=None)
    assert f" undo       {undo}" in incident_lines(left, Look())
