"""Markdown in which text from elsewhere says what it says and does nothing.

Three ways in, and no other: `prose` escapes a sentence, `code` quotes what a system said or what a person types, `cite`
names evidence. All three hold in a paragraph, a list and a table cell alike, on GitHub and in plain CommonMark: no
heading, link, image, HTML, table cell, emphasis, mention, issue reference or formula comes out of them. A citation can
be told from any such text, so that reports can be checked by machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Protocol

from ops_core.config import LANGUAGES
from ops_core.errors import RecordError
from ops_core.report import words
from ops_core.report.language import translator
from ops_core.report.model import ID
from ops_core.report.text import display_width, pad, shortened, visible

CODE_MAX = 400
PROSE_MAX = 4000
CELL_MAX = 72
NOTHING = "—"

_SPECIAL = re.compile(r"[\\`*\[\]<>|~]|&(?=[#A-Za-z])|(?<![^\W_])_|_(?![^\W_])")
# What GitHub turns into something on its own: addresses, mentions, references, formulas, emoji, commit ids.
_LIVE = re.compile(
    r"://|www\.|@|#\d|GH-\d|\$|:(?=[\w+-]*[a-z+-])[\w+-]+:|\b(?=[0-9a-f]*\d)(?=\d*[a-f])[0-9a-f]{7,40}\b",
    re.IGNORECASE,
)
_LEADING = re.compile(r"#+(?=\s|$)|[+-](?=\s|$)|--|=+$|[:(]|\d{1,9}(?=[.)](?:\s|$))")
_TICKS = re.compile(r"`+")
_DELIMITER = re.compile(r":?-+:?")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ITEM = re.compile(r"(?:[-*+]|\d{1,9}[.)])\s")
_HEADING = re.compile(r"(#{1,6})\s+(.*?)\s*$")


class Markdown(str):
    """Markdown of our own making. Whatever is done to it gives a plain `str` again, and that will be escaped."""

    __slots__ = ()


def prose(text: str, limit: int = PROSE_MAX) -> Markdown:
    """`text` as a sentence without any effect; words that GitHub would bring to life become code."""
    tokens = shortened(visible(text), limit).strip(" ").split(" ")
    escaped = " ".join(_quote(token) if _LIVE.search(token) else _SPECIAL.sub(r"\\\g<0>", token) for token in tokens)
    lead = _LEADING.match(escaped)
    if lead is None:
        return Markdown(escaped)
    if lead[0].isdigit():
        return Markdown(f"{lead[0]}\\{escaped[lead.end() :]}")
    return Markdown(f"\\{escaped}")


def code(text: str, limit: int = CODE_MAX) -> Markdown:
    """`text` as code, to the letter; a dash where there is none."""
    return Markdown(_quote(shortened(visible(text), limit)) or NOTHING)


def cite(ids: Iterable[str]) -> Markdown:
    """The evidence a statement rests on: [`O1:guard[core-api]`, `O2`].

    Raises:
        RecordError: there is none, or one is not an id.
    """
    cited = tuple(ids)
    if not cited or not all(ID.fullmatch(one) for one in cited):
        raise RecordError("a statement without evidence", allowed="at least one evidence id, such as O1:health[core]")
    return Markdown("[" + ", ".join(f"`{one}`" for one in cited) + "]")


def cited_ids(markdown: str) -> set[str]:
    """The evidence ids that a report cites."""
    return {one for _, line in _outside_fences(markdown) for one in _cited(line)}


class Cited(Protocol):
    """What a report is about: it has a name, and ids that may be cited."""

    @property
    def id(self) -> str:
        """Its name."""

    @property
    def ids(self) -> tuple[str, ...]:
        """What it holds."""


def check_citations(markdown: str, view: Cited) -> None:
    """Refuse a report that says what it cannot prove.

    Every id cited anywhere has to be in the record; every statement (list item, table row, paragraph) of the
    sections in `words.CITED_SECTIONS` has to cite one.

    Raises:
        RecordError: naming the line.
    """
    strange = sorted(cited_ids(markdown) - set(view.ids))
    if strange:
        raise RecordError(f"the report cites {strange[0]}, which the record does not hold", where=view.id)
    for number, statement in _statements(markdown):
        if not any(True for line in statement for _ in _cited(line)):
            raise RecordError(f"a statement without evidence: {visible(statement[0])[:80]}", where=f"line {number}")


def align_tables(markdown: str) -> str:
    """The same Markdown with the columns of its tables lined up for whoever reads it as text."""
    lines: list[str] = []
    table: list[list[str]] = []
    fenced = {number for number, _ in _outside_fences(markdown)}
    for number, line in enumerate(markdown.split("\n"), start=1):
        if line.startswith("|") and number in fenced:
            table.append(_cells(line))
            continue
        lines.extend(_aligned(table))
        table = []
        lines.append(line)
    return "\n".join([*lines, *_aligned(table)])


def _quote(text: str) -> str:
    """Code spans joined by escaped pipes: the one way to write a pipe that holds inside and outside of tables."""
    return "\\|".join(_span(part) if part else "" for part in text.split("|"))


def _span(text: str) -> str:
    fence = "`" * (1 + max((len(run) for run in _TICKS.findall(text)), default=0))
    edge = " " if text[0] == "`" or text[-1] == "`" or (text[0] == text[-1] == " " and text.strip(" ")) else ""
    return f"{fence}{edge}{text}{edge}{fence}"


def _cited(line: str) -> Iterator[str]:
    group: list[str] | None = None
    for kind, content in _tokens(line):
        if kind == "text" and content == "[":
            group = []
        elif kind == "text" and content == "]" and group is not None:
            yield from group
            group = None
        elif kind == "code" and group is not None and ID.fullmatch(content):
            group.append(content)
        elif kind == "code" or content not in ", ":
            group = None


def _tokens(line: str) -> Iterator[tuple[str, str]]:
    """Single characters of text and whole code spans, as CommonMark tells them apart."""
    at = 0
    while at < len(line):
        ticks = _TICKS.match(line, at)
        if line[at] == "\\" and at + 1 < len(line):
            yield "escaped", line[at + 1]
            at += 2
        elif ticks is None:
            yield "text", line[at]
            at += 1
        else:
            close = next((t for t in _TICKS.finditer(line, ticks.end()) if len(t[0]) == len(ticks[0])), None)
            if close is not None:
                # More than one tick is how foreign text is quoted; ids never need it.
                yield ("code" if len(ticks[0]) == 1 else "quoted"), line[ticks.end() : close.start()]
            at = (close or ticks).end()


def _outside_fences(markdown: str) -> Iterator[tuple[int, str]]:
    fence = ""
    for number, line in enumerate(markdown.split("\n"), start=1):
        mark = _FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(fence) and not line.strip(" `~"):
                fence = ""
        elif mark:
            fence = mark[1]
        else:
            yield number, line


def _statements(markdown: str) -> Iterator[tuple[int, list[str]]]:
    """The statements of the sections that have to prove theirs, with the number of their first line."""
    headings = {translator(lang)(text) for lang in LANGUAGES for text in words.CITED_SECTIONS}
    wanted, level = False, 0
    current: list[str] = []
    start, last, rows = 0, 0, 0
    for number, line in [*_outside_fences(markdown), (0, "")]:
        heading = _HEADING.match(line)
        row = line.startswith("|")
        goes_on = bool(line.strip()) and number == last + 1 and not heading and not row and not _ITEM.match(line)
        if current and not goes_on:
            yield start, current
            current = []
        rows = rows + 1 if row else 0
        last = number
        if heading:
            if not wanted or len(heading[1]) <= level:
                wanted, level = heading[2] in headings, len(heading[1])
        elif wanted and line.strip() and (not row or rows > 2):
            start = start if current else number
            current.append(line)


def _cells(line: str) -> list[str]:
    inner = line.strip()[1:]
    inner = inner[:-1] if inner.endswith("|") and not inner.endswith("\\|") else inner
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", inner)]


def _aligned(table: list[list[str]]) -> list[str]:
    if not table:
        return []
    columns = max(len(row) for row in table)
    rows = [[*row, *[""] * (columns - len(row))] for row in table]
    # A cell that is longer than the limit stands out on its own; its neighbours are not stretched for it.
    widths = [max([3, *(used for row in rows if (used := display_width(row[i])) <= CELL_MAX)]) for i in range(columns)]
    lines = []
    for row in rows:
        rule = all(_DELIMITER.fullmatch(cell) for cell in row)
        cells = [_rule(cell, width) if rule else pad(cell, width) for cell, width in zip(row, widths, strict=True)]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _rule(cell: str, width: int) -> str:
    left, right = cell.startswith(":"), cell.endswith(":")
    return ":" * left + "-" * (width - left - right) + ":" * right
