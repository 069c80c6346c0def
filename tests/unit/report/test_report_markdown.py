"""Whatever a target or a table says, in Markdown it is text; and a citation is told from text that looks like one."""

from __future__ import annotations

import functools
import re
from dataclasses import replace

import pytest
from hypothesis import example as case
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from report_views import ATTACKS, SHIPPED, example, hostile, views

from ops_core.errors import RecordError
from ops_core.report.markdown import align_tables, check_citations, cite, cited_ids, code, prose
from ops_core.report.render import render_incident
from ops_core.report.text import display_width, visible

# HTML on and tables and strikethrough on: everything that could go wrong can.
PARSER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
INERT = {"text", "code_inline", "strong_open", "strong_close"}
# What GitHub brings to life in text although CommonMark does not.
GITHUB = re.compile(r"://|www\.|@|#\d|\$|GH-\d", re.IGNORECASE)
REPORTS = [name for name in SHIPPED if name.endswith(".md.j2")]


def inline(tokens):
    """All inline tokens of a parsed document."""
    return [child for token in tokens if token.type == "inline" for child in token.children]


def spoken(children):
    """The text a reader sees of inline tokens."""
    return "".join(child.content for child in children)


def blocks(tokens):
    """The block structure: what opens and closes, and which words are strong."""
    return [(t.type, t.tag, sum(c.type == "strong_open" for c in t.children or ())) for t in tokens]


@pytest.mark.parametrize("write", [prose, code], ids=["prose", "code"])
@settings(max_examples=400)
@given(text=hostile)
@case(text="|")
@case(text="`")
@case(text=" ` ")
@case(text="a\\|b")
@case(text="1.")
def test_text_is_inert_and_reads_as_written(write, text):
    """In a paragraph, a list item and a table cell it is one piece of text, and reads to the letter as it was."""
    written = write(text)
    told = visible(text) or "—"
    if write is prose:
        told = visible(text).strip(" ")
    for before, after in (("", ""), ("- ", ""), ("> ", ""), ("x ", " y"), ("1. ", "")):
        tokens = PARSER.parse(f"{before}{written}{after}\n")
        plain = PARSER.parse(f"{before}x{after}\n") if written else tokens
        assert blocks(tokens) == blocks(plain)
        assert {child.type for child in inline(tokens)} <= INERT
        lead = before if before == "x " else ""
        assert spoken(inline(tokens)).strip() == f"{lead}{told}{after}".strip()
    table = PARSER.parse(f"| a | b |\n|---|---|\n| {written} | end |\n")
    assert blocks(table) == blocks(PARSER.parse("| a | b |\n|---|---|\n| x | end |\n"))
    cells = [t for t in table if t.type == "inline"]
    assert spoken(cells[2].children).strip() == told.strip()
    assert spoken(cells[3].children) == "end"


@settings(max_examples=200)
@given(hostile)
def test_github_finds_nothing_to_bring_to_life(text):
    """Outside of code there is no address, mention, reference or formula."""
    for child in inline(PARSER.parse(prose(text))):
        assert child.type == "code_inline" or not GITHUB.search(child.content)


@given(hostile)
def test_foreign_text_cites_nothing(text):
    """Neither a sentence nor a quotation can pass for a citation."""
    assert cited_ids(f"{prose(text)} {code(text)} [{code(text)}]") <= cited_ids(f"[{code(text)}]") <= {"O1", "O99"}
    assert cited_ids(prose(text)) == set()
    assert cited_ids(str(code(text))) == set()


def _same_shape(text):
    return "x" if text else ""


@settings(max_examples=60, deadline=None)
@given(data=st.data(), name=st.sampled_from(REPORTS), lang=st.sampled_from(("en", "ko")))
def test_no_text_of_an_incident_shapes_its_report(data, name, lang):
    """A report about a hostile incident has the blocks, cells and emphasis of the same report about a tame one."""
    view = data.draw(views())
    tame = _mapped(view, _same_shape)
    tokens = PARSER.parse(render_incident(view, name, lang=lang))
    assert blocks(tokens) == blocks(PARSER.parse(render_incident(tame, name, lang=lang)))
    assert {child.type for child in inline(tokens)} <= {*INERT, "softbreak"}
    for child in inline(tokens):
        assert child.type == "code_inline" or not GITHUB.search(child.content)


@settings(max_examples=60, deadline=None)
@given(view=views(), name=st.sampled_from(REPORTS), lang=st.sampled_from(("en", "ko")))
def test_every_statement_of_our_reports_cites_evidence(view, name, lang):
    """Whatever the incident, our templates say nothing without evidence that the record holds."""
    check_citations(render_incident(view, name, lang=lang), view)


def _mapped(view, change):
    """The view with every free text changed; what is a name, a key or an id stays."""
    fixed = {"code", "target", "outcome", "purpose", "verdict", "label", "id", "at", "kind", "run_id"}

    def walk(value, key=""):
        if hasattr(value, "__dataclass_fields__"):
            return replace(value, **{k: walk(getattr(value, k), k) for k in value.__dataclass_fields__})
        if isinstance(value, dict):
            return {k: v if k in ("severity", "outcome", "verdict") else walk(v) for k, v in value.items()}
        if isinstance(value, tuple):
            return tuple(item if key == "evidence" and isinstance(item, str) else walk(item) for item in value)
        return change(value) if isinstance(value, str) and key not in fixed else value

    free = {"row_id", "row_where", "cause", "action", "remediation", "plan_digest", "plan_steps", "undo", "resolution"}
    free |= {"prevention", "observations", "evidence", "timeline", "findings", "unknown"}
    return replace(view, **{key: walk(getattr(view, key)) for key in free})


@functools.cache
def tame_blocks(name):
    """The blocks of a report about the example with every text made harmless."""
    return blocks(PARSER.parse(render_incident(_mapped(example(), _same_shape), name)))


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_in_every_place_at_once_changes_nothing(attack):
    """Each known trick, put into every text of the example, leaves the shape of every report as it was."""
    view = _mapped(example(), lambda text: text and attack)
    for name in REPORTS:
        assert blocks(PARSER.parse(render_incident(view, name))) == tame_blocks(name)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("GET http://x/a: 200", "GET `http://x/a:` 200"),
        ("ask @kim about #12", "ask `@kim` about `#12`"),
        ("AFO_INTERNAL_SECRET", "AFO_INTERNAL_SECRET"),
        ("_x_ *y*", "\\_x\\_ \\*y\\*"),
        ("a | b", "a \\| b"),
        ("# head", "\\# head"),
        ("2. two", "2\\. two"),
        ("2.5 s", "2.5 s"),
        ("- item", "\\- item"),
        ("costs $5", "costs `$5`"),
    ],
)
def test_prose_stays_readable(text, written):
    """Only what would act is escaped; what GitHub would bring to life becomes code."""
    assert prose(text) == written


@pytest.mark.parametrize(
    ("text", "written"), [("", "—"), ("a`b", "``a`b``"), ("`", "`` ` ``"), ("a|b", "`a`\\|`b`"), (" a ", "`  a  `")]
)
def test_code_is_quoted_to_the_letter(text, written):
    """Backticks, bars and spaces come through."""
    assert code(text) == written


def test_markdown_that_was_changed_is_text_again():
    """Only what `prose`, `code` and `cite` return is taken as Markdown; anything made from it is not."""
    assert type(code("x").upper()) is str
    assert type(code("x") + "y") is str
    assert type("%s" % code("x")) is str  # noqa: UP031 - this is the operation in question


def test_citations_name_ids_and_nothing_else():
    """An id of the wrong form, or no id, is refused."""
    assert cite(["O1:guard[core-api]", "S2"]) == "[`O1:guard[core-api]`, `S2`]"
    for wrong in ([], ["guard[core-api]"], ["O1:guard[a b]"], ["O1`"], ["O1|"]):
        with pytest.raises(RecordError):
            cite(wrong)


@pytest.mark.parametrize(
    ("markdown", "ids"),
    [
        ("said [`O1`, `S2`].", {"O1", "S2"}),
        ("| [`O1:guard[core-api]`] | x |", {"O1:guard[core-api]"}),
        ("`O1` alone", set()),
        ("\\[`O1`]", set()),
        ("[see `O1`]", set()),
        ("``[`O1`]``", set()),
        ("[``O1``]", set()),
        ("```\n[`O1`]\n```\n[`O2`]", {"O2"}),
        ("[`O1`", set()),
        ("[[`O1`]]", {"O1"}),
    ],
)
def test_citations_are_found_as_markdown_has_them(markdown, ids):
    """Escapes, quotations and fenced blocks hold no citation."""
    assert cited_ids(markdown) == ids


def test_an_id_that_is_not_in_the_record_is_refused():
    """A report may not cite what the record does not hold, wherever it stands."""
    with pytest.raises(RecordError, match="the report cites O9, which the record does not hold"):
        check_citations("# Anything\n\nwords [`O9`]\n", example())


@pytest.mark.parametrize(
    ("statement", "line"),
    [
        ("- it was down", 3),
        ("- it was down [`O1`]\n- and slow", 4),
        ("it was down", 3),
        ("| a | b |\n|---|---|\n| x | y |", 5),
        ("| a | b |\n|---|---|\n| x | [`O1`] |\n| x | y |", 6),
        ("### Part\n\nit was down", 5),
        ("> it was down", 3),
    ],
)
@pytest.mark.parametrize("heading", ["Impact", "Root cause", "Resolution", "Timeline", "Evidence", "영향", "근본 원인"])
def test_a_statement_without_evidence_is_refused(heading, statement, line):
    """List items, paragraphs and rows of the sections that state facts have to cite; in every language."""
    with pytest.raises(RecordError, match="a statement without evidence") as caught:
        check_citations(f"## {heading}\n\n{statement}\n", example())
    assert caught.value.where == f"line {line}"


@pytest.mark.parametrize(
    "markdown",
    [
        "## Impact\n\n- it was down [`O1`]\n  - expected: up\n  - seen: down\n",
        "## Impact\n\nit was down\nfor an hour [`O1`]\n",
        "## Impact\n\n```\nfree text\n```\n",
        "## Impact\n\n| a | b |\n|---|---|\n| x | [`O1`] |\n",
        "## Prevention\n\n- [ ] be careful\n",
        "## Impact\n\n- down [`O1`]\n\n## Thoughts\n\nno evidence here\n",
    ],
)
def test_what_is_no_statement_needs_no_evidence(markdown):
    """Details of a cited item, fenced text and proposals stand without a citation of their own."""
    check_citations(markdown, example())


def test_tables_line_up_by_columns():
    """Wide characters are counted as two, rules keep their alignment, and a long cell stretches no other."""
    table = f"| 판정 | b |\n|---|--:|\n| x | {'y' * 99} |\n| 정상입니다 | 1 |"
    lines = align_tables(table).split("\n")
    assert lines == [
        "| 판정       | b   |",
        "| ---------- | --: |",
        f"| x          | {'y' * 99} |",
        "| 정상입니다 | 1   |",
    ]
    assert len({display_width(line) for line in (lines[0], lines[1], lines[3])}) == 1


def test_aligning_leaves_everything_else_alone():
    """Text outside of tables, fenced text, and escaped bars stay as they are."""
    text = "a | b\n\n```\n| x | y |\n```\n\n| a\\|b | c |\n|---|---|\n| d | e |\n"
    assert align_tables(text).startswith("a | b\n\n```\n| x | y |\n```\n\n| a\\|b | c   |\n")
    assert align_tables(align_tables(text)) == align_tables(text)
