"""Holds files against the rules: every passage of shell in them, with what is suppressed and why."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ops_core.errors import OpsError
from ops_core.lint.checks import CHECKS, secret_of
from ops_core.lint.literals import found_in, masked
from ops_core.lint.rules import RULES, Hit
from ops_core.lint.sources import Passage, files_in, passages_of
from ops_core.lint.tree import parse, text_of, walk

if TYPE_CHECKING:
    from tree_sitter import Node

TEXT_MAX_CHARS = 160
HITS_MAX = 2000
REASON_CHARS_MIN = 3
SECRET = "OPS005"  # noqa: S105 - the id of a rule
_SUPPRESSION = re.compile(r"ops-lint:\s*(?:ignore\b)?\s*(OPS[0-9]{3})?\s*(.*)$")


@dataclass(frozen=True, kw_only=True)
class Linted:
    """What was found, in how many files and passages, and what could not be read."""

    files: int
    passages: int
    hits: tuple[Hit, ...]
    left_out: int = 0
    unread: tuple[OpsError, ...] = ()


def lint(paths: Iterable[Path]) -> Linted:
    """Hold all files against all rules.

    Args:
        paths: scripts, Markdown files, or folders of them.

    Raises:
        UsageError: a path is not there, or there is nothing to look at.
    """
    files = files_in(paths)
    hits: list[Hit] = []
    unread: list[OpsError] = []
    passages = 0
    for path in files:
        try:
            found = passages_of(path)
        except OpsError as error:
            unread.append(error)
            continue
        passages += len(found)
        for passage in found:
            hits.extend(hits_in(passage))
    hits.sort(key=lambda hit: (hit.path, hit.line, hit.column, hit.rule.id))
    return Linted(
        files=len(files),
        passages=passages,
        hits=tuple(hits[:HITS_MAX]),
        left_out=max(0, len(hits) - HITS_MAX),
        unread=tuple(unread),
    )


def hits_in(passage: Passage) -> list[Hit]:
    """What a passage breaks, without what is suppressed for a reason."""
    root = parse(passage.text)
    told = [*passage.suppressions]
    found: list[tuple[Hit, int]] = []
    for node in walk(root):
        if node.type == "comment" and "ops-lint:" in text_of(node):
            told.append((passage.before + node.start_point.row + 1, text_of(node).lstrip("# ")))
        for rule, check in CHECKS.items():
            place = check(node)
            if place is not None:
                found.append((_hit(passage, rule, place), passage.before + node.end_point.row + 1))
    if passage.whole and root.has_error:
        wrong = next((node for node in walk(root) if node.type == "ERROR" or node.is_missing), root)
        found.append((_hit(passage, "OPS009", wrong), passage.before + wrong.start_point.row + 1))
    return [*_bare(passage, told), *_kept(passage, found, told)]


def _hit(passage: Passage, rule: str, node: Node) -> Hit:
    row, column = node.start_point
    line = passage.lines[row] if row < len(passage.lines) else ""
    shown = masked(line, secret_of(node)) if rule == SECRET else masked(line, found_in(line))
    before = line.encode("utf-8", "replace")[:column].decode("utf-8", "replace")
    return Hit(
        rule=RULES[rule],
        path=passage.path,
        line=passage.before + row + 1,
        column=len(before) + 1,
        text=" ".join(shown.split())[:TEXT_MAX_CHARS],
    )


def _kept(passage: Passage, found: list[tuple[Hit, int]], told: list[tuple[int, str]]) -> Iterator[Hit]:
    seen: set[tuple[str, int, int]] = set()
    everywhere = {line for line, _ in passage.suppressions}
    for hit, last in found:
        key = (hit.rule.id, hit.line, hit.column)
        if key in seen:
            continue
        seen.add(key)
        if not any(
            _reasoned(text) and hit.rule.id in text and (line in everywhere or hit.line - 1 <= line <= last)
            for line, text in told
        ):
            yield hit


def _bare(passage: Passage, told: list[tuple[int, str]]) -> Iterator[Hit]:
    for line, text in told:
        if not _reasoned(text):
            yield Hit(rule=RULES["OPS000"], path=passage.path, line=line, column=1, text=text[:TEXT_MAX_CHARS])


def _reasoned(text: str) -> bool:
    match = _SUPPRESSION.search(text)
    return match is not None and match[1] in RULES and len(match[2].strip()) >= REASON_CHARS_MIN
