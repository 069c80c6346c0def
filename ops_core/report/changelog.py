"""Adding an entry to a changelog in the form of Keep a Changelog, losing nothing of what stands there. Pure.

Everything but the lines that are added stays as it is, to the byte: line ends, blanks, whatever else is in the file.
"""

from __future__ import annotations

import re

from ops_core.errors import UsageError

SECTION = "Fixed"
_UNRELEASED = re.compile(r"## +\[?unreleased\]?(?:\([^)\r\n]*\))?[ \t]*\r?\n?", re.IGNORECASE)
_RELEASE = re.compile(r"##? +\S")
_GROUP = re.compile(r"###+ +(.*?)[ \t]*\r?\n?")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
# Links to releases stand at the end, behind the last entry.
_LINK = re.compile(r" {0,3}\[[^\]\r\n]+\]: +\S")


def with_entry(text: str, entry: str, section: str = SECTION) -> str:
    """The changelog with an entry at the end of a section of `Unreleased`; the section is made where there is none.

    An entry that stands in `Unreleased` already is not added again.

    Args:
        text: the changelog.
        entry: one line, without its dash.
        section: such as `Fixed`.

    Raises:
        UsageError: there is no heading `Unreleased` in it.
    """
    if "\n" in entry or "\r" in entry or not entry.strip():
        raise UsageError("an entry of a changelog is one line", where="entry")
    lines = _lines(text)
    marks = _outside_fences(lines)
    start = next((number for number in marks if _UNRELEASED.fullmatch(lines[number])), None)
    if start is None:
        raise UsageError(
            "the changelog has no heading for what is not released yet",
            where="changelog",
            allowed="## [Unreleased]",
            next_step="write it above the newest release",
        )
    ends = (
        number for number in marks if number > start and (_RELEASE.match(lines[number]) or _LINK.match(lines[number]))
    )
    end = next(ends, len(lines))
    if any(line.rstrip("\r\n") == f"- {entry}" for line in lines[start:end]):
        return text
    newline = "\r\n" if lines[start].endswith("\r\n") else "\n"
    at, added = _place(lines, marks, start, end, section)
    before = "".join(lines[:at])
    if before and not before.endswith("\n"):
        before += newline
    return (
        before + "".join(line + newline for line in [*added, f"- {entry}", *_behind(lines, at)]) + "".join(lines[at:])
    )


def _place(lines: list[str], marks: list[int], start: int, end: int, section: str) -> tuple[int, list[str]]:
    """Where the entry goes, and the lines that have to stand before it."""
    groups = [number for number in marks if start < number < end and _GROUP.fullmatch(lines[number])]
    for index, number in enumerate(groups):
        found = _GROUP.fullmatch(lines[number])
        if found is not None and found[1].casefold() == section.casefold():
            last = _last_filled(lines, number, groups[index + 1] if index + 1 < len(groups) else end)
            return last + 1, [""] if last == number else []
    last = _last_filled(lines, start, end)
    return last + 1, ["", f"### {section}", ""]


def _behind(lines: list[str], at: int) -> list[str]:
    """A blank line, where what follows would otherwise stand right behind the entry."""
    return [""] if at < len(lines) and lines[at].strip() else []


def _last_filled(lines: list[str], start: int, end: int) -> int:
    return max(number for number in range(start, end) if number == start or lines[number].strip())


def _outside_fences(lines: list[str]) -> list[int]:
    """The lines that are no example of something else."""
    fence, found = "", []
    for number, line in enumerate(lines):
        mark = _FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(fence) and not line.strip(" \t\r\n`~"):
                fence = ""
        elif mark:
            fence = mark[1]
        else:
            found.append(number)
    return found


def _lines(text: str) -> list[str]:
    """Lines as a changelog has them: other characters that end a line for Python are part of one."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)
