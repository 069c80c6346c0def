"""Text from elsewhere is shown, not obeyed, and measured in columns."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_views import hostile

from ops_core.report.language import translator
from ops_core.report.text import ascii_only, display_width, duration, pad, shortened, visible, wrap

ENGLISH = translator("en")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("two\nlines\r\n", "two\\nlines\\r\\n"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("abc\u202edef", "abc\\u202edef"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("\u2028", "\\u2028"),
        ("\U000e0041", "\\U000e0041"),
        ("\ud800", "\\ud800"),
        ("\u3164", "\\u3164"),
        ("한국어 é e\u0301 ✓", "한국어 é e\u0301 ✓"),
        ("a" + "\u0301" * 6, "a" + "\u0301" * 4 + "\\u0301" * 2),
    ],
)
def test_what_acts_or_hides_is_shown_as_an_escape(text, shown):
    """Controls, bidi overrides, invisible and piled-up characters become escapes; all else stays as it is."""
    assert visible(text) == shown


@given(hostile)
def test_visible_text_holds_nothing_that_acts(text):
    """Nothing of a control, format, surrogate or line-separator kind is left, and it can be written as UTF-8."""
    shown = visible(text)
    assert not {unicodedata.category(c) for c in shown} & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    shown.encode("utf-8")


@given(hostile)
def test_showing_twice_changes_nothing(text):
    """What is visible already stays as it is."""
    assert visible(visible(text)) == visible(text)


@given(hostile)
def test_ascii_only_is_ascii(text):
    """A terminal that knows ASCII alone is given ASCII alone."""
    assert ascii_only(visible(text)).isascii()


@pytest.mark.parametrize(
    ("text", "columns"), [("abc", 3), ("한국", 4), ("e\u0301", 1), ("\uff21", 2), ("…", 1), ("", 0)]
)
def test_width_is_counted_in_columns(text, columns):
    """Wide characters take two columns, combining marks none."""
    assert display_width(text) == columns


@given(st.text(max_size=20), st.integers(0, 40))
def test_padding_reaches_the_width(text, width):
    """A padded text takes the columns asked for, or its own where those are more."""
    assert display_width(pad(text, width)) == max(width, display_width(text))


@given(hostile.map(visible), st.integers(2, 40))
def test_wrapped_lines_fit_and_lose_nothing(text, width):
    """No line is wider than asked for, and the characters are all there in their order."""
    lines = wrap(text, width)
    assert all(display_width(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_a_shortened_text_says_how_much_is_missing():
    """The count of the characters left out stands at the end, and an accent stays with its letter."""
    assert shortened("abcdef", 6) == "abcdef"
    assert shortened("abcdef", 4) == "abcd… (+2)"
    assert shortened("abe\u0301f", 3) == "ab… (+3)"


@pytest.mark.parametrize(
    ("seconds", "digits", "told"),
    [
        (0, 3, "0 s"),
        (3.204, 3, "3.204 s"),
        (3.204, 1, "3.2 s"),
        (0.007, 1, "0.01 s"),
        (45.0, 3, "45 s"),
        (60, 3, "60 s"),
        (61.5, 3, "1 min 1.5 s"),
        (300, 3, "5 min"),
        (3600, 3, "1 h"),
        (3723.04, 3, "1 h 2 min 3.04 s"),
        (59.9996, 3, "60 s"),
        (-2.5, 3, "-2.5 s"),
        (600, 0, "10 min"),
    ],
)
def test_a_length_of_time_is_exact_and_readable(seconds, digits, told):
    """Hours, minutes and seconds, without zeros that say nothing."""
    assert duration(seconds, ENGLISH, digits) == told


def test_a_length_of_time_speaks_korean():
    """The units come from the catalogue."""
    assert duration(3723.5, translator("ko")) == "1시간 2분 3.5초"
