"""An entry is added to `Unreleased`, once, and everything else stays as it is to the byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_core.errors import UsageError
from ops_core.report.changelog import with_entry

KEPT = """# Changelog

All notable changes.

## [Unreleased]

### Added

- one

### Fixed

- two

## [1.0.0] - 2026-01-01

### Fixed

- old

[Unreleased]: https://example.org/compare
"""


def test_it_goes_behind_the_last_entry_of_its_section():
    """What follows stays where it was."""
    assert with_entry(KEPT, "three") == KEPT.replace("- two\n", "- two\n- three\n")


def test_it_is_not_added_twice():
    """An entry that stands in `Unreleased` is not added; one of an older release is another one."""
    once = with_entry(KEPT, "three")
    assert with_entry(once, "three") == once
    assert with_entry(KEPT, "old").count("- old\n") == 2


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("## Unreleased\n", "## Unreleased\n\n### Fixed\n\n- x\n"),
        ("## [Unreleased]", "## [Unreleased]\n\n### Fixed\n\n- x\n"),
        ("## [unreleased]\n\n## [1.0]\n", "## [unreleased]\n\n### Fixed\n\n- x\n\n## [1.0]\n"),
        ("## [Unreleased]\n## [1.0]\n", "## [Unreleased]\n\n### Fixed\n\n- x\n\n## [1.0]\n"),
        ("## Unreleased\n### Fixed\n## [1.0]\n", "## Unreleased\n### Fixed\n\n- x\n\n## [1.0]\n"),
        (
            "## Unreleased\n### Added\n- a\n[u]: http://e\n",
            "## Unreleased\n### Added\n- a\n\n### Fixed\n\n- x\n\n[u]: http://e\n",
        ),
        ("## Unreleased\r\n\r\n### fixed\r\n\r\n- a\r\n", "## Unreleased\r\n\r\n### fixed\r\n\r\n- a\r\n- x\r\n"),
        (
            "```\n## [Unreleased]\n```\n## [Unreleased]\n",
            "```\n## [Unreleased]\n```\n## [Unreleased]\n\n### Fixed\n\n- x\n",
        ),
    ],
)
def test_every_form_that_is_met(before, after):
    """With and without brackets, sections, blank lines, links, other line ends, and examples in code."""
    assert with_entry(before, "x") == after


@pytest.mark.parametrize("text", ["", "# Changelog\n", "```\n## [Unreleased]\n```\n", "# Unreleased\n"])
def test_a_changelog_without_the_heading_is_refused(text):
    """The heading that is needed is named."""
    with pytest.raises(UsageError) as caught:
        with_entry(text, "x")
    assert caught.value.allowed == "## [Unreleased]"


@pytest.mark.parametrize("entry", ["", " ", "a\nb", "a\r"])
def test_an_entry_is_one_line(entry):
    """It cannot bring a heading of its own."""
    with pytest.raises(UsageError, match="one line"):
        with_entry(KEPT, entry)


LINES = st.sampled_from(
    [
        "# Changelog",
        "## [Unreleased]",
        "## Unreleased",
        "## [1.0.0] - 2026-01-01",
        "## 0.9",
        "### Added",
        "### Fixed",
        "### fixed ",
        "#### Fixed",
        "- an entry",
        "- x",
        "  goes on",
        "* another",
        "```",
        "~~~",
        "[1.0.0]: https://example.org",
        "",
        "   ",
        "\t",
        "text\u2028 on one line",
        "form\x0cfeed",
        "한국어",
    ]
)
ENDS = st.sampled_from(["\n", "\n", "\r\n", "\n\n"])


@given(
    before=st.lists(st.tuples(LINES, ENDS)), cut=st.booleans(), entry=st.sampled_from(["x", "fixed it (incident 7)"])
)
def test_nothing_is_lost_and_nothing_else_is_changed(before, cut, entry):
    """Taking the added lines out again gives the bytes that were there; adding again adds nothing."""
    text = "".join(line + end for line, end in [("## [Unreleased]", "\n"), *before])
    text = text.rstrip("\r\n") if cut else text
    after = with_entry(text, entry)
    assert with_entry(after, entry) == after
    if after == text:
        assert f"- {entry}" in text
        return
    # What is added is one run of lines: it stands between a beginning and an end of the text, and both are whole.
    head = next(n for n in range(len(text) + 1) if n == len(text) or after[n] != text[n])
    tails = (n for n in range(len(text) - head + 1) if after.endswith(text[len(text) - n :]))
    tail = max(tails)
    added = after[head : len(after) - tail]
    assert after[:head] + text[head:] == text
    assert head + tail >= len(text), "something between was changed"
    allowed = [f"- {entry}", f"### Fixed - {entry}"]
    assert sorted("".join(added.split())) in [sorted("".join(one.split())) for one in allowed]
    assert after.encode().count(f"- {entry}".encode()) == text.encode().count(f"- {entry}".encode()) + 1
