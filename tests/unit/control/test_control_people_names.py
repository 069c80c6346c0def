"""One spelling for each name."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_core.control.people.names import NAME_MAX_CHARS, fold_name
from ops_core.errors import UsageError


@pytest.mark.parametrize(
    ("name", "folded"),
    [
        ("Kim", "kim"),
        (" kim ", "kim"),
        ("\uff2b\uff49\uff4d", "kim"),
        ("\u1100\u1175\u11b7", "\uae40"),
        ("김민수", "김민수"),
        ("田中さくら", "田中さくら"),
        ("E\u0301lodie", "\u00e9lodie"),
        ("Straße", "strasse"),
        ("\u0410\u043d\u0442\u043e\u043d", "\u0430\u043d\u0442\u043e\u043d"),
        ("a.b-c_d@e7", "a.b-c_d@e7"),
        ("7", "7"),
        ("x" * 64, "x" * 64),
    ],
)
def test_a_person_has_one_spelling(name, folded):
    """Capitals, wide letters, composed letters: however it is typed, it is the same name."""
    assert fold_name(name) == folded


@pytest.mark.parametrize(
    "name",
    [
        "",
        "   ",
        "x" * 65,
        "x" * 10_000,
        "kim lee",
        "kim\n",
        "kim\u200b",
        "k\u200dim",
        "k\u202eim",
        "kim\u00ad",
        "kim\ufe0f",
        "kim\x00",
        "\ud800",
        "\u3164",
        "kim\u1160",
        "k\u0456m",
        "\u0440\u0430ul",
        "\u03bfps",
        "\u0441\u043e\u0440",
        "\u03bd\u03bf",
        "\u0131lker",
        "k\u0251rl",
        "kim\u0335",
        "\u0301kim",
        "\u0661\u0662",
        "kim\u00b2\u2460\u2474",
        "김kim",
        "-kim",
        "kim.",
        "kim/lee",
        "kim;rm",
        "👩",
    ],
    ids=ascii,
)
def test_what_cannot_be_seen_typed_or_told_apart_is_no_name(name):
    """Invisible characters, look-alikes of other scripts, line breaks: refused with what is allowed."""
    with pytest.raises(UsageError) as caught:
        fold_name(name)
    assert caught.value.allowed
    assert str(caught.value).isprintable() or "\n" in str(caught.value)


@given(st.text(max_size=80) | st.text(alphabet="aKıſßéкіο가カ.-\u200b\u0301１", max_size=12))
def test_folding_ends_in_one_place(name):
    """What is accepted is folded for good, bounded, visible and without blanks."""
    try:
        folded = fold_name(name)
    except UsageError:
        return
    assert fold_name(folded) == folded
    assert fold_name(folded.upper().lower()) == fold_name(unicodedata.normalize("NFD", folded)) == folded
    assert 1 <= len(folded) <= NAME_MAX_CHARS
    assert folded.isprintable()
    assert not any(char.isspace() for char in folded)
