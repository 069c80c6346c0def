"""Templates: the user's first, errors that say where, nothing that leaks out or depends on the day."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given, settings
from report_views import ROOT, SHIPPED, example, views

from ops_core.errors import OpsError, RecordError, UsageError
from ops_core.report.model import TimelineEntry
from ops_core.report.render import TemplateBroken, render, render_incident
from ops_core.report.text import visible


@pytest.fixture
def mine(tmp_path):
    """A user's folder of templates, and how to write one."""

    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return tmp_path

    return write


@pytest.mark.parametrize("name", SHIPPED)
def test_a_report_is_the_same_to_the_byte_whenever_and_wherever_it_is_written(name):
    """Neither the hash seed, the time zone, nor the locale of the machine shows in a report."""
    program = (
        "import json,sys\nfrom ops_core.report.model import IncidentView\n"
        "from ops_core.report.render import render_incident\n"
        "view=IncidentView.from_json(json.load(open('reports/examples/incident.json',encoding='utf-8')));"
        "sys.stdout.buffer.write(render_incident(view,sys.argv[1],lang='ko').encode())"
    )
    outputs = set()
    for seed, zone, locale in (("1", "UTC", "C"), ("2", "Asia/Seoul", "ko_KR.UTF-8")):
        env = {**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": locale, "LANG": locale}
        run = subprocess.run(
            [sys.executable, "-c", program, name], cwd=ROOT, env=env, capture_output=True, check=True, timeout=60
        )
        outputs.add(run.stdout)
    assert outputs == {render_incident(example(), name, lang="ko").encode()}


@settings(max_examples=40, deadline=None)
@given(views())
def test_every_incident_can_be_written(view):
    """Each shipped template makes a document of any valid incident, without empty sections or stray blanks."""
    for name in SHIPPED:
        text = render_incident(view, name)
        text.encode("utf-8")
        assert text.endswith("\n")
        assert not text.endswith("\n\n")
        assert "\n\n\n" not in text
        paragraphs = text.split("\n\n")
        assert not any(a.startswith("## ") and b.startswith("## ") for a, b in itertools.pairwise(paragraphs))


@settings(max_examples=60, deadline=None)
@given(views())
def test_the_incident_log_is_one_line_in_three_parts(view):
    """The log line holds no control character and its bars part what happened, evidence and decision."""
    line = render_incident(view, "incident_log.txt.j2")
    assert line.count("\n") == 1
    assert visible(line[:-1]) == line[:-1]
    happened, evidence, decision = line[:-1].split("|")
    assert happened.split()[1] == ("RECOVERY" if view.state == "recovered" else "INCIDENT")
    assert evidence.startswith((" Evidence: O", " Evidence: A", " Evidence: G", " Evidence: S"))
    assert decision.startswith(" Decision: row ")


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("escalated", "Not recovered: handed to a person. [`O2`]"),
        ("refused", "Not recovered: a guard refused to change anything. [`O2`]"),
        ("interrupted", "Not recovered: interrupted before the end. [`O2`]"),
        ("open", "Still open. [`O2`]"),
    ],
)
def test_a_report_says_how_it_ended(state, said):
    """Each end has its sentence, and none of them claims a recovery."""
    view = replace(example(), state=state, recovered_at=None)
    text = render_incident(view, "postmortem.md.j2")
    assert said in text
    assert "not reached" in text
    assert "Recovered" not in text


def test_what_is_unknown_is_said_to_be_unknown():
    """Without a decision, a plan or an end, every section still says so in words."""
    view = replace(
        example(),
        state="open",
        severity="",
        recovered_at=None,
        ended_at=None,
        row_id=None,
        cause={},
        action={},
        decision_evidence=(),
        remediation=None,
        plan_digest=None,
        plan_steps=(),
        undo=None,
        resolution={},
        prevention=(),
        unknown=(),
        facts=(),
        timeline=(),
        evidence=tuple(e for e in example().evidence if e.seen),
    )
    text = render_incident(view, "postmortem.md.j2")
    for said in (
        "| not decided ",
        "| not known ",
        "| a person decides ",
        "| still going on ",
        "Not known: no row of the decision table matches what was seen. [`O1:guard[core-api]`]",
        "No step was planned: nothing was changed. [`O1:guard[core-api]`]",
        "None is needed: nothing was changed. [`O1`, `O2`]",
        "No event is recorded. [`O1`, `O2`]",
        "Nothing: whatever was asked could be seen. [`O1`, `O2`]",
        "- [ ] Nothing is proposed yet",
    ):
        assert said in text


def test_an_incident_that_crosses_midnight_shows_the_date():
    """An event on another day than the first look carries its day."""
    late = TimelineEntry(at="2026-01-05T00:00:01Z", kind="note", params={"text": "x"}, evidence=("O1",))
    text = render_incident(replace(example(), timeline=(*example().timeline, late)), "incident.md.j2")
    assert "| 09:05:00.000 " in text
    assert "| 2026-01-05 00:00:01.000 " in text


def test_a_users_template_comes_before_ours(mine):
    """A file of the same name replaces the whole document, and a part of the same name that part alone."""
    folder = mine("issue.md.j2", "mine: {{ view.id | code }}\n")
    assert render_incident(example(), "issue.md.j2", templates=folder) == "mine: `20260104T090500Z-3f9a1c`\n"
    folder = mine("parts/prevention.md.j2", "## Ours\n\nnothing\n")
    text = render_incident(example(), "postmortem.md.j2", templates=folder)
    assert "\n## Ours\n\nnothing\n\n## Checkpoint\n" in text
    assert "## Timeline" in text


def test_a_users_template_may_have_a_name_of_its_own(mine):
    """Templates that we do not ship are found too, and everything they say is escaped."""
    folder = mine("weekly.md.j2", "# {{ title }}\n\n{{ _('Impact') }}: {{ body }}\n")
    text = render("weekly.md.j2", {"title": "a\n# b", "body": "<b>"}, lang="ko", templates=folder)
    assert text == "# a\\\\n# b\n\n영향: \\<b\\>\n"


def test_a_changed_template_is_read_again(mine):
    """Templates are kept compiled, but not longer than their file stays the same."""
    folder = mine("x.md.j2", "one\n")
    assert render("x.md.j2", {}, templates=folder) == "one\n"
    os.utime(folder / "x.md.j2", (1, 1))
    mine("x.md.j2", "two\n")
    assert render("x.md.j2", {}, templates=folder) == "two\n"


@pytest.mark.parametrize(
    ("text", "what", "line"),
    [
        ("a\n{{ view.colour }}\n", "has no attribute 'colour'", 2),
        ("a\nb\n{{ nothing }}\n", "'nothing' is undefined", 3),
        ("{% for f in view.findings %}\n{{ f.smell }}\n{% endfor %}\n", "has no attribute 'smell'", 2),
        ("a\n{% if %}\n", "the template x.md.j2 is not valid", 2),
        ("{{ view.id | shout }}\n", "No filter named 'shout'", 1),
        ("a\n{{ 1 / 0 }}\n", "ZeroDivisionError: division by zero", 2),
        ("{{ view.state | term('mood') }}\n", "KeyError: 'mood'", 1),
        ("a\n{{ view.__class__ }}\n", "unsafe", 2),
        ("a\n{% include 'gone.md.j2' %}\n", "there is no template gone.md.j2", 2),
        ("a\n{% include '../../etc/passwd' %}\n", "there is no template ../../etc/passwd", 2),
        ("{% set x = view.to_json() %}{{ x.update({}) }}\n", "is unsafe", 1),
    ],
)
def test_a_broken_template_says_what_and_where(mine, text, what, line):
    """Undefined names, syntax, unknown filters and forbidden access end in one error with file and line."""
    folder = mine("x.md.j2", text)
    with pytest.raises(TemplateBroken) as caught:
        render_incident(example(), "x.md.j2", templates=folder)
    assert isinstance(caught.value, OpsError)
    assert "x.md.j2" in str(caught.value)
    assert what in caught.value.what
    assert caught.value.where == f"{folder / 'x.md.j2'}:{line}"


def test_an_error_in_a_part_names_the_part(mine):
    """The place is the innermost template, not the one that was asked for."""
    folder = mine("parts/impact.md.j2", "\n\n{{ view.smell }}\n")
    with pytest.raises(TemplateBroken) as caught:
        render_incident(example(), "postmortem.md.j2", templates=folder)
    assert caught.value.where == f"{folder / 'parts' / 'impact.md.j2'}:3"


def test_a_template_that_is_not_text_is_refused(mine):
    """Bytes that are not UTF-8 end in an error, not in a traceback."""
    folder = mine("x.md.j2", "")
    (folder / "x.md.j2").write_bytes(b"a\xff")
    with pytest.raises(TemplateBroken, match="not UTF-8"):
        render("x.md.j2", {}, templates=folder)


@pytest.mark.parametrize(
    "name",
    [
        "../x.md.j2",
        "/etc/passwd",
        "parts/impact.md.j2",
        "x.html",
        "x.md.j2\n",
        "",
        ".md.j2",
        "a/../x.md.j2",
        "x\x00.md.j2",
    ],
)
def test_only_plain_names_are_templates(mine, name):
    """A name with a path, another ending or anything odd is refused before a file is touched."""
    with pytest.raises(TemplateBroken, match="is not the name of a template"):
        render(name, {}, templates=mine("x.md.j2", "x"))


def test_a_template_that_is_not_there_is_said_so(mine):
    """The error names the folders that were looked in."""
    folder = mine("x.md.j2", "x")
    with pytest.raises(TemplateBroken, match=r"there is no template y\.md\.j2") as caught:
        render("y.md.j2", {}, templates=folder)
    assert str(folder) in caught.value.allowed


@pytest.mark.parametrize(
    "expression",
    [
        "x",
        "x | safe",
        "x | upper",
        "x ~ ''",
        "x | code | string ~ x",
        "'%s' | format(x)",
        "x | e | safe",
        "[x] | join",
        "(x | code) + x",
    ],
)
def test_nothing_a_template_does_lets_text_act(mine, expression):
    """Filters, concatenation and formatting all end in escaped text, `safe` included."""
    from markdown_it import MarkdownIt

    folder = mine("x.md.j2", f"a {{{{ {expression} }}}} b\n")
    text = render("x.md.j2", {"x": "<b>[l](http://e.x) *i*\n# H"}, templates=folder)
    tokens = MarkdownIt("commonmark", {"html": True}).parse(text)
    assert [t.type for t in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    assert {c.type for c in tokens[1].children} <= {"text", "code_inline"}


def test_a_users_report_may_not_cite_what_is_not_there(mine):
    """An id of the wrong form is refused when the template runs."""
    folder = mine("x.md.j2", "{{ ['nonsense'] | cite }}\n")
    with pytest.raises(RecordError, match="a statement without evidence"):
        render_incident(example(), "x.md.j2", templates=folder)


def test_an_incident_that_does_not_hold_together_is_not_written():
    """Rendering checks the record first."""
    with pytest.raises(RecordError, match="is cited but not there"):
        render_incident(replace(example(), evidence=()), "incident.md.j2")


def test_there_is_no_third_language():
    """An unknown language is refused by name."""
    with pytest.raises(UsageError, match="there is no language 'fr'"):
        render_incident(example(), "incident.md.j2", lang="fr")
