"""What a decision table may say, row by row, and the order in which its rows are tried."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops_core.decision.table import MAX_FILES, MAX_ROWS, MAX_TEXT, Severity, load_table
from ops_core.errors import ConfigError

ROW = """\
[[row]]
id = "{id}"
when = {when}
severity = "{severity}"
category = "availability"
cause.en = "why"
action.en = "what"
"""


def row(name: str = "down", when: str = '["health.not_ok"]', severity: str = "critical", more: str = "") -> str:
    """The text of a row of that id; `more` starts on its eighth line."""
    return ROW.format(id=name, when=when, severity=severity) + (f"{more}\n" if more else "")


def write(folder: Path, text: str, name: str = "decisions.toml") -> Path:
    """A file with that text."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_row_carries_everything_it_says(tmp_path):
    """A row keeps its texts by language, its urgency and the line it stands on."""
    path = write(tmp_path, "# ours\n" + row(more='given = ["a.b"]\nremediation = "restart_service"\ncause.ko = "이유"'))
    (only,) = load_table([path]).rows
    assert (only.id, only.when, only.given) == ("down", ("health.not_ok",), ("a.b",))
    assert (only.cause, only.action) == ({"en": "why", "ko": "이유"}, {"en": "what"})
    assert (only.severity, only.remediation, only.where) == (Severity.CRITICAL, "restart_service", f"{path}:2")


def test_severity_says_how_soon_to_act():
    """Critical is now, high within five minutes, and less urgent never means sooner."""
    assert Severity.CRITICAL.act_within_s == 0
    assert Severity.HIGH.act_within_s == 300
    assert [s.rank for s in Severity] == [0, 1, 2, 3]
    assert [s.act_within_s for s in Severity] == sorted(s.act_within_s for s in Severity)


def test_rows_are_tried_by_urgency_then_specificity_then_file_then_line(tmp_path):
    """Where a row stands counts only between rows that are equally urgent and equally specific."""
    users = write(
        tmp_path, row("their-last", '["g.g"]', "high") + row("their-low", '["a.a", "b.b"]', "low"), "own.toml"
    )
    shipped = write(
        tmp_path,
        row("general", '["a.a"]', "high")
        + row("second", '["b.b"]', "high")
        + row("given", '["a.a"]', "high", 'given = ["f.f"]')
        + row("more", '["a.a", "b.b"]', "high")
        + row("urgent", '["c.c"]', "critical"),
        "shipped.toml",
    )
    order = [r.id for r in load_table([users, shipped]).rows]
    assert order == ["urgent", "more", "given", "their-last", "general", "second", "their-low"]


def test_row_of_the_user_replaces_the_shipped_row_of_that_id(tmp_path):
    """The shipped row is out of force, wherever the user's own one ends up."""
    users = write(tmp_path, row("down", severity="low"), "own.toml")
    shipped = write(tmp_path, row("down") + row("slow", '["health.slow"]'), "shipped.toml")
    rows = load_table([users, shipped]).rows
    assert [(r.id, r.severity) for r in rows] == [("slow", Severity.CRITICAL), ("down", Severity.LOW)]
    assert rows[1].where == f"{users}:1"


def test_a_file_may_declare_facts_only(tmp_path):
    """A user's file without rows adds its facts to the shipped rows."""
    users = write(tmp_path, 'facts = ["db.failed_over"]\n', "own.toml")
    table = load_table([users, write(tmp_path, row())])
    assert table.facts == {"db.failed_over"}
    assert len(table.rows) == 1


INVALID = {
    "unknown key": (row(more='remedy = "x"'), "unknown key 'remedy'", "8, row[1].remedy", None),
    "missing key": (row().replace('id = "down"\n', ""), "the key 'id' is missing", "1, row[1]", None),
    "row is not a table": ("row = [1]", "expected a table, found a whole number", "1, row[1]", None),
    "bad id": (row("Down!"), "'Down!' is not allowed here", "2, row[1].id", "a letter first"),
    "no code": (row(when="[]"), "[] is not allowed here", "3, row[1].when", "1 to 8 finding codes, each once"),
    "bad code": (row(when='["Guard"]'), "['Guard'] is not allowed here", "3, row[1].when", "such as guard.open"),
    "code twice": (row(when='["a.a", "a.a"]'), "['a.a', 'a.a'] is not allowed here", "3, row[1].when", "each once"),
    "bad given": (row(more='given = ["x"]'), "['x'] is not allowed here", "8, row[1].given", "0 to 8 fact codes"),
    "bad fact": ('facts = ["x"]\n' + row(), "['x'] is not allowed here", "1, facts", "0 to 100 fact codes"),
    "bad severity": (
        row(severity="urgent"),
        "'urgent' is not allowed here",
        "4, row[1].severity",
        "critical, high, medium, low",
    ),
    "bad category": (
        row().replace('"availability"', '"misc"'),
        "'misc' is not allowed here",
        "5, row[1].category",
        "security, availability, performance, control, deployment",
    ),
    "bad remediation": (
        row(more='remediation = "rm -rf /"'),
        "'rm -rf /' is not allowed here",
        "8, row[1].remediation",
        "none where a person has to act",
    ),
    "no language": (
        row().replace('cause.en = "why"', 'cause = "why"'),
        "expected a table, found text",
        "6, row[1].cause",
        None,
    ),
    "unknown language": (row(more='cause.fr = "x"'), "'fr' is not a language", "8, row[1].cause.fr", "en, ko"),
    "no english": (
        row().replace("cause.en", "cause.ko"),
        "the text in English (en) is missing",
        "1, row[1].cause",
        None,
    ),
    "empty text": (row(more='action.ko = " "'), "a text of 0 characters", "8, row[1].action.ko", "1 to 500 characters"),
    "long text": (
        row(more=f'action.ko = "{"x" * (MAX_TEXT + 1)}"'),
        "a text of 501 characters",
        "8, row[1].action.ko",
        "1 to 500 characters",
    ),
    "escape character": (
        row(more=r'action.ko = "x\u001b[31m"'),
        "the text holds the control character U+001B",
        "8, row[1].action.ko",
        "printable text in one line",
    ),
    "newline": (
        row(more=r'action.ko = "x\ny"'),
        "the text holds the control character U+000A",
        "8, row[1].action.ko",
        "printable text in one line",
    ),
    "reversed text": (
        row(more=r'action.ko = "x\u202ey"'),
        "the text holds the control character U+202E",
        "8, row[1].action.ko",
        "printable text in one line",
    ),
    "environment": (
        row(more='action.ko = "${AFO_INTERNAL_SECRET}"'),
        "a decision table reads nothing from the environment",
        "8, row[1].action.ko",
        None,
    ),
    "too many rows": (row() * (MAX_ROWS + 1), "501 rows in one file", "3501, row[501]", "at most 500 rows"),
}


@pytest.mark.parametrize(("text", "what", "where", "allowed"), INVALID.values(), ids=INVALID)
def test_what_breaks_the_format_is_refused_with_its_line(tmp_path, monkeypatch, text, what, where, allowed):
    """One invalid table per rule: the message says what is wrong, on which line, and what is allowed."""
    monkeypatch.setenv("AFO_INTERNAL_SECRET", "s3cret")
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_table([path])
    assert caught.value.what == what
    assert caught.value.where == f"{path}:{where}"
    assert (allowed or "") in caught.value.allowed
    assert "s3cret" not in str(caught.value)


def test_table_without_rows_is_refused(tmp_path):
    """An empty table decides nothing, which is never what somebody wants."""
    path = write(tmp_path, "# nothing\n")
    with pytest.raises(ConfigError) as caught:
        load_table([path])
    assert str(caught.value).startswith(f"the decision table has no row\n  where    {path}\n  next     add a row")


def test_all_files_together_have_a_limit(tmp_path):
    """Rows are counted over all files, and so are the files."""
    half = MAX_ROWS // 2 + 1
    paths = [
        write(tmp_path, "".join(row(f"{name}{n}") for n in range(half)), f"{name}.toml") for name in ("own", "shipped")
    ]
    with pytest.raises(ConfigError, match=f"the decision table has {2 * half} rows"):
        load_table(paths)
    with pytest.raises(ConfigError, match="0 decision tables were named"):
        load_table([])
    with pytest.raises(ConfigError, match=f"{MAX_FILES + 1} decision tables were named"):
        load_table(paths[:1] * (MAX_FILES + 1))


def test_missing_file_is_named(tmp_path):
    """A table that does not exist is an error, never an empty table."""
    with pytest.raises(ConfigError, match=r"own\.toml does not exist"):
        load_table([tmp_path / "own.toml"])
