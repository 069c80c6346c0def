"""The fault catalogue as data: what it promises fits the decision table, the checks and the remediations."""

import re

import pytest

from ops_core.config import LANGUAGES
from ops_core.content import content_dir
from ops_core.decision.table import load_table
from ops_core.drill.catalogue.alone import ALONE
from ops_core.drill.catalogue.circumstances import CIRCUMSTANCES, TROUBLES, UNDER_CIRCUMSTANCES
from ops_core.drill.catalogue.pairs import PAIRS
from ops_core.drill.fault import Fault, together
from ops_core.drill.faults import CATALOGUE, FAULTS, SERVICE, fault_named
from ops_core.drill.layout import Layout
from ops_core.drill.matrix.results import FAULT_NAME
from ops_core.drill.stack import EmbeddedStack
from ops_core.errors import UsageError
from ops_core.finding import valid_code

CHECKS = content_dir() / "checks"
FINDING = re.compile(r'^@finding\("([^"]+)"\)', re.MULTILINE)
EVERY_FAULT = pytest.mark.parametrize("fault", FAULTS.values(), ids=lambda f: f.name)


@pytest.fixture(scope="module")
def table():
    """The shipped decision table."""
    return load_table([content_dir() / "remediations" / "decisions.toml"])


@EVERY_FAULT
def test_a_fault_says_all_that_is_asked(fault):
    """Each fault has a description in every language, findings that are codes, and a service that exists."""
    assert FAULT_NAME.fullmatch(fault.name)
    assert FAULTS[fault.name] is fault
    assert set(fault.description) == set(LANGUAGES)
    assert all(fault.description.values())
    # Something has to be seen of it, or it has to be refused.
    assert fault.findings or fault.unseen or fault.refused
    assert all(valid_code(code) for code in (*fault.findings, *fault.unseen, *fault.absent, *fault.facts))
    assert not set(fault.findings) & set(fault.absent)
    assert (CHECKS / fault.looked_at_by).is_dir()
    if fault.service:
        assert fault.target == fault.stack.LAYOUT.SERVICES[fault.service].target
    else:
        assert fault.target is None
        assert fault.driver == (fault.stack.DRIVER if not fault.stack.LAYOUT.SERVICES else "control")
    assert fault.heals_by in (fault.remediation, None)


@EVERY_FAULT
def test_the_decision_table_answers_a_fault_as_the_catalogue_says(fault, table):
    """The row that the catalogue names speaks of what is found and seen, and names the same remediation."""
    for one in fault.all_parts:
        if one.row is None:
            continue
        row = next(row for row in table.rows if row.id == one.row)
        assert set(row.when) <= set(one.findings)
        # What the row names may not be possible here, and then a person acts.
        assert one.remediation in (row.remediation, None)
        if one.facts and not one.parts:
            assert set(row.given) <= set(one.facts)
            assert table.first_match(one.findings, one.facts) is row


def test_names_are_unique():
    """No fault hides another."""
    every = [fault.name for fault in (*CATALOGUE, *SERVICE, *ALONE)]
    assert len(every) == len(set(every))
    assert set(every) <= set(FAULTS)


def test_every_row_of_the_table_has_a_fault(table):
    """No row of the shipped table goes without a rehearsal, and no fault names a row that is not there."""
    rehearsed = {one.row for fault in FAULTS.values() for one in fault.all_parts}
    rows = {row.id for row in table.rows}
    assert rehearsed - {None} == rows


def test_every_finding_of_a_check_has_a_fault():
    """No shipped check goes without having been made to fail."""
    codes = {code for path in CHECKS.rglob("check_*.py") for code in FINDING.findall(path.read_text(encoding="utf-8"))}
    assert codes
    assert codes <= {code for fault in FAULTS.values() for code, _ in fault.expected}


def test_every_remediation_is_carried_out_and_every_way_back_taken():
    """For each remediation there is a fault that it heals, and, where it has a way back, one that it does not."""
    names = {path.stem for path in (content_dir() / "remediations").glob("*.py")}
    healing = {one for fault in FAULTS.values() if not fault.undone for one in (fault.remediation, *fault.then)}
    taken_back = {fault.taken_back or fault.remediation for fault in FAULTS.values() if fault.undone}
    assert names <= healing
    # A restart cannot be taken back: the old process is gone.
    assert names - taken_back == {"restart_service"}


def test_troubles_and_circumstances_are_all_combined():
    """Each trouble comes under each circumstance; only where no migration can be to blame there is none."""
    without = sum(trouble.schema is None for trouble in TROUBLES)
    assert len(UNDER_CIRCUMSTANCES) == len(TROUBLES) * len(CIRCUMSTANCES) - without
    assert len({fault.row for fault in UNDER_CIRCUMSTANCES}) == len(UNDER_CIRCUMSTANCES)


def test_what_comes_together_expects_what_its_parts_expect():
    """Findings, targets and rows of both; the end is as good as that of the worse one."""
    killed, lost = FAULTS["soul-killed"], FAULTS["good-release-lost"]
    pair = together("both", {"en": "both", "ko": "둘 다"}, killed, lost)
    assert set(pair.expected) == {*killed.expected, *lost.expected}
    assert pair.about == {"soul-engine", "core-api"}
    assert (killed.ends, lost.ends, pair.ends) == ("recovered", "escalated", "escalated")
    assert all(len(pair.parts) == 2 for pair in PAIRS)


def test_a_fault_says_how_it_has_to_end():
    """Recovered where a remediation heals it, escalated where a person has to act, as it says where it says so."""
    killed = FAULTS["killed"]
    assert killed.ends == "recovered"
    assert FAULTS["incurable"].ends == "escalated"
    assert FAULTS["ids-lost"].ends == "escalated"
    assert FAULTS["bad-migration"].ends == "escalated"
    assert FAULTS["limits-lowered-too-far"].ends == "recovered"


def test_what_a_fault_needs_is_looked_for():
    """A program that is not there is named; nothing is missing where all are."""
    about = {"description": {}, "findings": (), "remediation": None, "do": None, "holds": None}
    needy = Fault(name="needy", needs=("sh", "no-such-program"), **about)
    assert needy.missing() == "it needs no-such-program"
    assert Fault(name="modest", needs=("sh",), **about).missing() == ""
    assert needy.driver == "process"


def test_an_unknown_fault_is_refused_with_what_is_close():
    """The error guesses which was meant; it lists those there are where they are few, else says what does."""
    with pytest.raises(UsageError) as caught:
        fault_named("secret-mising")
    assert caught.value.what == "there is no fault 'secret-mising'"
    assert caught.value.allowed == f"one of {len(FAULTS)}: ops drill list shows them"
    assert caught.value.next_step == "did you mean 'secret-missing'?"
    assert fault_named("killed") is FAULTS["killed"]
    with pytest.raises(UsageError) as caught:
        fault_named("frozen", {name: FAULTS[name] for name in ("killed", "slow")})
    assert caught.value.allowed == "killed, slow"


def test_a_fault_needs_a_stack_that_runs(tmp_path):
    """Nothing is broken where nothing runs."""
    with pytest.raises(UsageError, match="does not run"):
        FAULTS["killed"].inject(EmbeddedStack(tmp_path))


def test_the_files_of_a_fault_can_be_repaired_while_nothing_runs(tmp_path):
    """Withdrawing is possible without a running stack."""
    stack = EmbeddedStack(tmp_path / "w")
    stack.layout.lay_out(lambda: "s")
    stack.layout.fault_file("core").write_text("5xx")
    FAULTS["answering-5xx"].withdraw(stack)
    assert not Layout(tmp_path / "w").fault_file("core").exists()
