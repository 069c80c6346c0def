"""What would make a decision table unreliable is refused before it is needed, all of it at once."""

from __future__ import annotations

from itertools import chain, combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops_core.content import content_dir
from ops_core.decision.problems import SHOWN_MAX, Problem, TableError
from ops_core.decision.table import DecisionTable, Row, Severity, TableFile, load_table
from ops_core.decision.validate import SHIPPED_FACTS, validate
from ops_core.errors import EXIT_USAGE, ConfigError

FINDINGS = {"health.not_ok": "checks/check_health.py:7", "health.slow": "checks/check_health.py:12"}
REMEDIATIONS = ("restart_service", "rollback_release")


def row(name: str, when: str, more: str = "", severity: str = "high") -> str:
    """The text of a row of that id, seven lines and `more`."""
    return (
        f'[[row]]\nid = "{name}"\nwhen = {when}\nseverity = "{severity}"\ncategory = "availability"\n'
        f'cause.en = "why"\naction.en = "what"\n{more}'
    )


DOWN = row("down", '["health.not_ok"]')
SLOW = row("slow", '["health.slow"]')
WHENEVER = " is more urgent and matches whenever it does"
HIDES = ": it is more urgent and matches whenever that one does"


def refusal(folder, *texts: str) -> str:
    """What the person is told about these files, with the folder's name left out."""
    names = ["own.toml", "shipped.toml"] if len(texts) > 1 else ["shipped.toml"]
    for name, text in zip(names, texts, strict=True):
        (folder / name).write_text(text, encoding="utf-8")
    table = load_table([folder / name for name in names])
    with pytest.raises(TableError) as caught:
        validate(table, FINDINGS, REMEDIATIONS)
    return str(caught.value).replace(f"{folder}/", "")


ONE_FILE = {
    "a finding without a row": (
        DOWN,
        'checks/check_health.py:12: no row decides the finding "health.slow" alone',
        'add a row with when = ["health.slow"] and without given to a decision table',
    ),
    "a finding with a row that is given more": (
        DOWN + row("slow", '["health.slow"]', 'given = ["release.unproven"]\n'),
        'checks/check_health.py:12: no row decides the finding "health.slow" alone',
        'add a row with when = ["health.slow"] and without given to a decision table',
    ),
    "a code that nobody raises": (
        DOWN + SLOW + row("guard", '["guard.open"]'),
        'shipped.toml:15: row "guard" waits for the finding "guard.open", which no check raises',
        "checks raise: health.not_ok, health.slow",
    ),
    "a misspelt code": (
        DOWN + SLOW + row("slower", '["health.slo"]'),
        'shipped.toml:15: row "slower" waits for the finding "health.slo", which no check raises',
        'did you mean "health.slow"?',
    ),
    "a fact among the findings": (
        DOWN + SLOW + row("new", '["release.unproven"]'),
        'shipped.toml:15: row "new" waits for the finding "release.unproven", which no check raises',
        "it is a fact: name it in given",
    ),
    "an unknown fact": (
        DOWN + SLOW + row("failover", '["health.slow"]', 'given = ["db.failed_over"]\n'),
        'shipped.toml:15: row "failover" is given the fact "db.failed_over", which nothing reports',
        f'declare it at the top of your file, facts = ["…"], or use one of: {", ".join(sorted(SHIPPED_FACTS))}',
    ),
    "a misspelt fact": (
        DOWN + SLOW + row("new", '["health.slow"]', 'given = ["release.unprove"]\n'),
        'shipped.toml:15: row "new" is given the fact "release.unprove", which nothing reports',
        'did you mean "release.unproven"?',
    ),
    "a finding among the facts": (
        DOWN + SLOW + row("both", '["health.slow"]', 'given = ["health.not_ok"]\n'),
        'shipped.toml:15: row "both" is given the fact "health.not_ok", which nothing reports',
        "it is a finding: name it in when",
    ),
    "an unknown remediation": (
        DOWN + 'remediation = "reboot"\n' + SLOW,
        'shipped.toml:1: row "down" names the remediation "reboot", which does not exist',
        "there are: restart_service, rollback_release",
    ),
    "a misspelt remediation": (
        DOWN + 'remediation = "restart_servic"\n' + SLOW,
        'shipped.toml:1: row "down" names the remediation "restart_servic", which does not exist',
        'did you mean "restart_service"?',
    ),
    "an id twice": (
        DOWN + SLOW.replace('"slow"', '"down"'),
        'shipped.toml:8: the id "down" is taken by the row at shipped.toml:1',
        "give one of the two another id",
    ),
    "a row twice": (
        DOWN + SLOW + DOWN,
        'shipped.toml:15: the id "down" is taken by the row at shipped.toml:1',
        "give one of the two another id",
    ),
    "two rows with the same conditions": (
        DOWN + SLOW + row("dead", '["health.not_ok"]'),
        'shipped.toml:15: row "dead" has the same conditions as row "down" (shipped.toml:1)',
        "remove one of the two, or tell them apart by when or given",
    ),
    "the same conditions in another order": (
        DOWN
        + SLOW
        + row("one", '["health.slow", "health.not_ok"]')
        + row("two", '["health.not_ok", "health.slow"]', severity="critical"),
        'shipped.toml:15: row "one" has the same conditions as row "two" (shipped.toml:22)',
        "remove one of the two, or tell them apart by when or given",
    ),
    "a row behind a more urgent one": (
        DOWN + row("slow", '["health.slow"]', severity="critical") + row("both", '["health.not_ok", "health.slow"]'),
        'shipped.toml:15: row "both" is never reached: row "slow" (shipped.toml:8)' + WHENEVER,
        'give it severity = "critical" too, or remove it',
    ),
}


@pytest.mark.parametrize(("text", "what", "next_step"), ONE_FILE.values(), ids=ONE_FILE)
def test_unreliable_table_is_refused(tmp_path, text, what, next_step):
    """One unreliable table per rule: the message says where, what, and what to do."""
    assert refusal(tmp_path, text) == f"the decision table has 1 problem\n  {what}\n    next  {next_step}"


NEW = 'given = ["release.unproven"]\n'
TWO_FILES = {
    "the same conditions": (
        row("mine", '["health.slow"]'),
        DOWN + SLOW,
        'own.toml:1: row "mine" has the same conditions as row "slow" (shipped.toml:8)',
        'to replace that row give this one its id: id = "slow"',
    ),
    "the same conditions, less urgent": (
        row("mine", '["health.slow"]', severity="low"),
        DOWN + SLOW,
        'own.toml:1: row "mine" has the same conditions as row "slow" (shipped.toml:8)',
        'to replace that row give this one its id: id = "slow"',
    ),
    "a shipped row hidden": (
        row("slow", '["health.slow"]', severity="critical"),
        DOWN + SLOW + row("slow-new", '["health.slow"]', NEW),
        'own.toml:1: row "slow" hides row "slow-new" (shipped.toml:15)' + HIDES,
        'add a row with id = "slow-new" and severity = "critical" to this file',
    ),
    "a row of the user hidden": (
        row("mine", '["health.slow"]', NEW, severity="low"),
        DOWN + SLOW,
        'own.toml:1: row "mine" is never reached: row "slow" (shipped.toml:8)' + WHENEVER,
        'give it severity = "high" too, or remove it',
    ),
    "a row replaced by one for something else": (
        row("slow", '["health.not_ok"]', NEW),
        DOWN + SLOW,
        'checks/check_health.py:12: no row decides the finding "health.slow" alone',
        'add a row with when = ["health.slow"] and without given to a decision table',
    ),
}


@pytest.mark.parametrize(("own", "shipped", "what", "next_step"), TWO_FILES.values(), ids=TWO_FILES)
def test_user_is_told_what_to_change_in_the_own_file(tmp_path, own, shipped, what, next_step):
    """Where a user's file and the shipped one do not go together, the user's file is what can be changed."""
    assert refusal(tmp_path, own, shipped) == f"the decision table has 1 problem\n  {what}\n    next  {next_step}"


def test_advice_about_a_hidden_row_works(tmp_path):
    """Who does what the message says has a table that is accepted."""
    own = row("slow", '["health.slow"]', severity="critical") + row("slow-new", '["health.slow"]', NEW, "critical")
    shipped = DOWN + SLOW + row("slow-new", '["health.slow"]', NEW)
    for name, text in (("own.toml", own), ("shipped.toml", shipped)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    validate(load_table([tmp_path / "own.toml", tmp_path / "shipped.toml"]), FINDINGS, REMEDIATIONS)


def test_replaced_row_may_name_what_no_longer_exists(tmp_path):
    """Only rows in force count: a user who removed a check replaces the row that waited for it."""
    (tmp_path / "own.toml").write_text(row("old", '["health.not_ok", "health.slow"]'), encoding="utf-8")
    (tmp_path / "shipped.toml").write_text(DOWN + SLOW + row("old", '["gone.by"]', 'remediation = "gone"\n'))
    validate(load_table([tmp_path / "own.toml", tmp_path / "shipped.toml"]), FINDINGS, REMEDIATIONS)


def test_facts_declared_by_the_user_are_known(tmp_path):
    """A user's own probe may report facts; a declaration makes them usable in all files."""
    text = 'facts = ["db.failed_over"]\n' + DOWN + SLOW + row("db", '["health.slow"]', 'given = ["db.failed_over"]\n')
    (tmp_path / "own.toml").write_text(text, encoding="utf-8")
    validate(load_table([tmp_path / "own.toml"]), FINDINGS, REMEDIATIONS)


def test_everything_wrong_is_told_at_once(tmp_path):
    """Nobody has to repair a table one error message at a time."""
    text = DOWN + row("down", '["guard.open"]', 'given = ["x.y"]\nremediation = "reboot"\n')
    told = refusal(tmp_path, text)
    assert told.startswith("the decision table has 5 problems\n")
    assert [line.split(": ")[0].strip() for line in told.splitlines()[1::2]] == [
        "shipped.toml:8",
        "shipped.toml:8",
        "shipped.toml:8",
        "shipped.toml:8",
        "checks/check_health.py:12",
    ]


def test_problems_are_a_usage_error_and_can_be_read_one_by_one():
    """Programs get the problems as data; a person gets a list of bounded length."""
    problems = [Problem(where=f"t.toml:{n}", what="bad", next_step="good") for n in range(SHOWN_MAX + 2)]
    error = TableError(problems)
    assert isinstance(error, ConfigError)
    assert error.exit_code == EXIT_USAGE
    assert error.problems == tuple(problems)
    assert str(error).endswith("  t.toml:49: bad\n    next  good\n  and 2 more")


# --- The pairwise argument against trying every combination ---

CODES = ("a.a", "b.b", "c.c")
FACTS = ("f.f", "g.g")
ROWS = st.lists(
    st.tuples(
        st.lists(st.sampled_from(CODES), min_size=1, unique=True).map(tuple),
        st.lists(st.sampled_from(FACTS), unique=True).map(tuple),
        st.sampled_from(Severity),
        st.sampled_from((0, 1)),
    ),
    min_size=1,
    max_size=7,
)


def table_of(shapes) -> DecisionTable:
    """A table of two files from (when, given, severity, file)."""
    files: tuple[list[Row], list[Row]] = ([], [])
    for number, (when, facts, severity, file) in enumerate(shapes):
        files[file].append(
            Row(
                id=f"r{number}",
                when=when,
                given=facts,
                cause={"en": "why"},
                action={"en": "what"},
                severity=severity,
                category="control",
                where=f"t:{number}",
            )
        )
    return DecisionTable(tuple(TableFile(path=content_dir(), rows=tuple(rows)) for rows in files))


def subsets(items):
    """All combinations of the items."""
    return chain.from_iterable(combinations(items, n) for n in range(len(items) + 1))


@settings(deadline=None)
@given(shapes=ROWS)
def test_table_is_accepted_exactly_if_every_row_is_reached_and_every_finding_decided(shapes):
    """Looking at pairs of rows finds the same tables wrong as trying every combination of findings and facts."""
    table = table_of(shapes)
    reached = {table.first_match(codes, facts) for codes in subsets(CODES) for facts in subsets(FACTS)}
    total = all(table.first_match((code,), ()) for code in CODES)
    try:
        validate(table, dict.fromkeys(CODES, "c:1"), (), FACTS)
        accepted = True
    except TableError:
        accepted = False
    assert accepted == (total and reached - {None} == set(table.rows))
