"""Finding codes are contracts, so their form is checked where they are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_core.errors import UsageError
from ops_core.finding import Finding, finding, valid_code

part = st.from_regex(r"[a-z][a-z0-9_]*", fullmatch=True)


@given(st.lists(part, min_size=2, max_size=4).map(".".join))
def test_lower_case_words_joined_by_dots_are_codes(code: str) -> None:
    """Whatever the words."""
    assert valid_code(code)


@pytest.mark.parametrize(
    "code", ["", "a", "A.b", "a.B", "a..b", ".a.b", "a.b.", "a b.c", "a-b.c", "1a.b", "a.1", "ä.b", "a.b\n", None, 1]
)
def test_anything_else_is_none(code: object) -> None:
    """And the decorator says so."""
    assert not valid_code(code)
    with pytest.raises(UsageError, match="is not a finding code"):
        finding(code)


def test_a_check_keeps_its_code_as_a_mark() -> None:
    """Which pytest's own machinery carries."""

    @finding("x.y")
    def check() -> None: ...

    assert [(mark.name, mark.args) for mark in check.pytestmark] == [("finding", ("x.y",))]


def test_findings_sort() -> None:
    """By code first."""
    findings = [Finding(code="b.c", target="t", check="x"), Finding(code="a.b", target="t", check="x")]
    assert [one.code for one in sorted(findings)] == ["a.b", "b.c"]
