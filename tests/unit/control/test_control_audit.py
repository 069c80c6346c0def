"""The audit chain, without a store."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_core.control.audit import DETAIL_MAX_CHARS, GENESIS_HASH, canonical, next_row, verify_row, verify_rows
from ops_core.errors import UsageError


def chain(length):
    """A chain of that many rows."""
    rows, head = [], (0, GENESIS_HASH)
    for number in range(length):
        row = next_row(head, at="2026-01-05T09:00:00.000Z", actor="kim", action="a.b", subject="", detail={"n": number})
        rows.append(row)
        head = (row.seq, row.hash)
    return rows


def test_a_chain_that_was_written_holds():
    """Rows written one after another verify, and the check hands out the newest as checkpoint."""
    rows = chain(5)
    check = verify_rows(rows)
    assert (check.rows, check.head_seq, check.head_hash) == (5, 5, rows[-1].hash)


def test_no_rows_are_no_error_but_head_says_so():
    """An empty chain ends at row 0: the caller compares that with what was written."""
    assert verify_rows([]).head_seq == 0


def test_the_form_that_is_hashed_never_changes():
    """The hash of a given row is a contract: the constant is what sha256sum says of the documented JSON array."""
    assert chain(1)[0].hash == "511c1451a080a2462152b83f7133d6e73f0c8a3fa93428da0b712014feb5f21e"


@given(st.integers(0, 5), st.sampled_from(["at", "actor", "action", "subject", "detail", "prev_hash", "hash"]))
def test_any_edited_value_is_found(place, field):
    """Whichever value of whichever row is edited, the chain no longer holds, and the row is named."""
    rows = chain(6)
    rows[place] = replace(rows[place], **{field: getattr(rows[place], field) + "x"})
    with pytest.raises(ValueError, match=rf"audit row {place + 1}\b"):
        verify_rows(rows)


@given(st.integers(0, 4))
def test_a_missing_row_is_found(place):
    """A row taken out of the middle is named as missing."""
    rows = chain(6)
    del rows[place]
    with pytest.raises(ValueError, match=f"audit row {place + 1} is missing"):
        verify_rows(rows)


def test_swapped_rows_are_found():
    """Rows out of order do not verify."""
    rows = chain(3)
    with pytest.raises(ValueError, match="audit row 1 is missing"):
        verify_rows([rows[1], rows[0], rows[2]])


def test_a_row_recomputed_alone_breaks_its_successor():
    """Whoever edits a row and recomputes its hash has to rewrite everything after it."""
    rows = chain(3)
    edited = replace(rows[1], actor="lee")
    rows[1] = replace(edited, hash=edited.expected_hash())
    verify_row(rows[1])
    with pytest.raises(ValueError, match="audit row 3 does not follow audit row 2"):
        verify_rows(rows)


def test_detail_is_bounded():
    """A detail that is too large is refused with its size and the limit."""
    with pytest.raises(UsageError, match="characters long"):
        next_row((0, GENESIS_HASH), at="", actor="", action="a.b", subject="", detail="x" * DETAIL_MAX_CHARS)


def test_canonical_form_is_sorted_ascii_without_blanks():
    """The same values always give the same text."""
    assert canonical({"b": "정지", "a": [1, None]}) == '{"a":[1,null],"b":"\\uc815\\uc9c0"}'
    with pytest.raises(ValueError, match="JSON"):
        canonical(float("nan"))


def test_detail_reads_back_as_values():
    """The detail's text is JSON; one that is no object reads as empty."""
    assert chain(1)[0].data == {"n": 0}
    assert replace(chain(1)[0], detail="3").data == {}
