"""The fault catalogue as data."""

import pytest

from ops_core.config import LANGUAGES
from ops_core.content import content_dir
from ops_core.decision.table import load_table
from ops_core.drill.faults import CATALOGUE, FAULTS, SERVICE, fault_named
from ops_core.drill.layout import Layout
from ops_core.errors import UsageError
from ops_core.finding import valid_code

# What the suite `observe` finds about processes, releases and what services answer.
EMBEDDED_CODES = {code for fault in CATALOGUE for code in fault.findings}
EVERY_FAULT = pytest.mark.parametrize("fault", FAULTS.values(), ids=lambda f: f.name)


@pytest.fixture(scope="module")
def table():
    """The shipped decision table."""
    return load_table([content_dir() / "remediations" / "decisions.toml"])


def test_names_are_unique():
    """No fault hides another."""
    assert len(FAULTS) == len(CATALOGUE) + len(SERVICE)


@EVERY_FAULT
def test_a_fault_says_all_that_is_asked(fault):
    """Each fault has a description in every language, findings that are codes, and a service that exists."""
    assert set(fault.description) == set(LANGUAGES)
    assert all(fault.description.values())
    assert fault.findings
    assert all(valid_code(code) for code in (*fault.findings, *fault.facts))
    assert fault.target == fault.stack.LAYOUT.SERVICES[fault.service].target
    assert fault.heals_by in (fault.remediation, None)


@EVERY_FAULT
def test_the_decision_table_answers_a_fault_as_the_catalogue_says(fault, table):
    """What a fault shows leads to the remediation that the catalogue expects."""
    row = table.first_match(fault.findings, fault.facts)
    assert row is not None
    assert row.remediation == fault.remediation


def test_every_row_that_remediates_has_a_fault(table):
    """No row about what the embedded stack shows goes without a rehearsal."""
    rehearsed = {table.first_match(fault.findings, fault.facts).id for fault in FAULTS.values()}
    rows = {row.id for row in table.rows if row.remediation and set(row.when) <= EMBEDDED_CODES}
    assert rows
    assert rows <= rehearsed


def test_every_remedy_of_what_was_deployed_has_a_fault_in_the_service_stack(table):
    """Rows about a service repeat the same few remedies for each of its answers: each remedy is rehearsed."""
    rehearsed = {fault.remediation for fault in SERVICE}
    assert rehearsed >= {"restart_service", "rollback_release", "rollback_config", "rollback_schema", "lower_limits"}
    assert rehearsed <= {row.remediation for row in table.rows}


def test_an_unknown_fault_is_refused_with_what_is_close():
    """The error lists the faults there are and guesses which was meant."""
    with pytest.raises(UsageError) as caught:
        fault_named("secret-mising")
    assert caught.value.what == "there is no fault 'secret-mising'"
    assert caught.value.allowed == ", ".join(FAULTS)
    assert caught.value.next_step == "did you mean 'secret-missing'?"
    assert fault_named("killed") is FAULTS["killed"]


def test_a_fault_needs_a_stack_that_runs(tmp_path):
    """Nothing is broken where nothing runs."""
    from ops_core.drill.stack import EmbeddedStack

    with pytest.raises(UsageError, match="does not run"):
        FAULTS["killed"].inject(EmbeddedStack(tmp_path))


def test_the_files_of_a_fault_can_be_repaired_while_nothing_runs(tmp_path):
    """Withdrawing is possible without a running stack."""
    from ops_core.drill.stack import EmbeddedStack

    stack = EmbeddedStack(tmp_path / "w")
    stack.layout.lay_out(lambda: "s")
    stack.layout.fault_file("core").write_text("5xx")
    FAULTS["answering-5xx"].withdraw(stack)
    assert not Layout(tmp_path / "w").fault_file("core").exists()
