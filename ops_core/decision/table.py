"""The decision table: which findings mean what, how urgent that is, and which remediation answers it.

The table is a file and not code because the people on call own it: they read it at night and change it by day. Their
own file comes before the shipped one, row by row. The order in force does not depend on where a row stands in a file
unless nothing else tells two rows apart, so that adding a row never silently disarms a more urgent one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path

from ops_core.budget import DECIDE_S, RECOVER_S
from ops_core.config import LANGUAGES
from ops_core.errors import ConfigError
from ops_core.finding import valid_code
from ops_core.tables import Source, build, read_toml

FALLBACK_LANGUAGE = "en"
CATEGORIES = ("security", "availability", "performance", "control", "deployment")
MAX_FILES = 16
MAX_ROWS = 500
MAX_CODES = 8
MAX_FACTS = 100
MAX_TEXT = 500
_ROW_HEADER = re.compile(r"\s*\[\[\s*row\s*\]\]")
_ID = re.compile(r"[a-z][a-z0-9._-]{0,63}")
_VERB = re.compile(r"[a-z][a-z0-9_]{0,63}")


class Severity(StrEnum):
    """How urgent a decision is, the most urgent first."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"

    @property
    def rank(self) -> int:
        """0 is the most urgent."""
        return _RANK[self]

    @property
    def act_within_s(self) -> float:
        """Seconds from the decision within which somebody has to act; 0 means now."""
        return _ACT_WITHIN_S[self]


_RANK = {severity: rank for rank, severity in enumerate(Severity)}
_ACT_WITHIN_S = {
    Severity.CRITICAL: 0.0,
    Severity.HIGH: DECIDE_S,
    Severity.MEDIUM: RECOVER_S,
    Severity.LOW: 86_400.0,  # by the next daily checklist
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row: when all codes of `when` were found on one target and all facts of `given` were seen there.

    `cause` and `action` hold a text per language, English always among them. What an `independent` row speaks of never
    comes from a target that this one depends on. `for_dependents` is the remediation of the targets that depend on this
    one, for when its own remediation did not help. `where` is `file:line`.
    """

    id: str
    when: tuple[str, ...]
    given: tuple[str, ...] = ()
    cause: Mapping[str, str] = field(hash=False)
    action: Mapping[str, str] = field(hash=False)
    severity: Severity
    category: str
    remediation: str | None = None
    independent: bool = False
    for_dependents: str | None = None
    where: str = ""

    def matches(self, codes: Collection[str], facts: Collection[str]) -> bool:
        """Whether everything that the row asks for is there. More being there never unmatches it."""
        return all(code in codes for code in self.when) and all(fact in facts for fact in self.given)


@dataclass(frozen=True, kw_only=True)
class TableFile:
    """What one file says: its rows in the order of the file, and the facts that it declares."""

    path: Path
    rows: tuple[Row, ...]
    facts: tuple[str, ...] = ()


@dataclass(frozen=True)
class DecisionTable:
    """All rows in the order in force. `files` are in order of precedence: the user's first, the shipped one last."""

    files: tuple[TableFile, ...]

    @classmethod
    def of(cls, *rows: Row) -> DecisionTable:
        """A table of these rows, as if they stood in one file."""
        return cls((TableFile(path=Path("-"), rows=rows),))

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """The rows in force: the first that matches is the decision.

        More urgent rows come first, then those that ask for more findings, then those that ask for more facts, then
        those of an earlier file, then those further up in the file. A row is out of force where an earlier file has
        a row of the same id.
        """
        keyed = []
        taken: set[str] = set()
        for rank, file in enumerate(self.files):
            for line, row in enumerate(file.rows):
                if row.id not in taken:
                    keyed.append(((row.severity.rank, -len(row.when), -len(row.given), rank, line), row))
            taken.update(row.id for row in file.rows)
        return tuple(row for _, row in sorted(keyed, key=lambda pair: pair[0]))

    @property
    def facts(self) -> frozenset[str]:
        """The facts that the files declare."""
        return frozenset(fact for file in self.files for fact in file.facts)

    def first_match(self, codes: Collection[str], facts: Collection[str]) -> Row | None:
        """The row in force for what was found on one target, or None."""
        places = sorted(place for code in set(codes) for place in self._places.get(code, ()))
        return next((self.rows[place] for place in places if self.rows[place].matches(codes, facts)), None)

    @cached_property
    def _places(self) -> Mapping[str, Sequence[int]]:
        """By the first finding that a row asks for, the places of such rows: no other row has to be tried."""
        places: dict[str, list[int]] = {}
        for place, row in enumerate(self.rows):
            places.setdefault(row.when[0], []).append(place)
        return places


def load_table(paths: Sequence[Path]) -> DecisionTable:
    """Read decision tables, the user's first and the shipped one last.

    What a single row may say is checked here; whether the rows together can be relied on is `validate`'s work.

    Raises:
        ConfigError: a file is missing or damaged, or a row breaks the format; the message names file and line.
    """
    if not 1 <= len(paths) <= MAX_FILES:
        raise ConfigError(f"{len(paths)} decision tables were named", allowed=f"1 to {MAX_FILES} files")
    table = DecisionTable(tuple(_read(path) for path in paths))
    if not table.rows:
        raise ConfigError(
            "the decision table has no row",
            where=", ".join(str(path) for path in paths),
            next_step="add a row: [[row]] with id, when, cause, action, severity and category",
        )
    if len(table.rows) > MAX_ROWS:
        raise ConfigError(
            f"the decision table has {len(table.rows)} rows",
            where=", ".join(str(path) for path in paths),
            allowed=f"at most {MAX_ROWS} in all files together",
        )
    return table


def _codes(least: int, most: int, what: str) -> dict[str, object]:
    # A repeated code would count as more specific than it is.
    return {
        "check": lambda v: least <= len(v) <= most and len(set(v)) == len(v) and all(map(valid_code, v)),
        "allowed": f"{least} to {most} {what} codes, each once: lower-case words joined by dots, such as guard.open",
    }


@dataclass(frozen=True, kw_only=True)
class _RowShape:
    """The keys of `[[row]]`."""

    id: str = field(
        metadata={
            "check": lambda v: bool(_ID.fullmatch(v)),
            "allowed": "at most 64 of: lower-case letters, digits, dot, dash and underscore, a letter first",
        }
    )
    when: tuple[str, ...] = field(metadata=_codes(1, MAX_CODES, "finding"))
    given: tuple[str, ...] = field(default=(), metadata=_codes(0, MAX_CODES, "fact"))
    cause: Mapping[str, str] = field(metadata={"allowed": 'a text per language, such as cause.en = "…"'})
    action: Mapping[str, str] = field(metadata={"allowed": 'a text per language, such as action.en = "…"'})
    severity: str = field(metadata={"check": lambda v: v in set(Severity), "allowed": ", ".join(Severity)})
    category: str = field(metadata={"check": lambda v: v in CATEGORIES, "allowed": ", ".join(CATEGORIES)})
    remediation: str | None = field(
        default=None,
        metadata={
            "check": lambda v: bool(_VERB.fullmatch(v)),
            "allowed": "the name of a remediation, such as restart_service; none where a person has to act",
        },
    )
    independent: bool = False
    for_dependents: str | None = field(
        default=None,
        metadata={
            "check": lambda v: bool(_VERB.fullmatch(v)),
            "allowed": "the name of a remediation for targets that depend on this one, such as enter_degraded_mode",
        },
    )


@dataclass(frozen=True, kw_only=True)
class _FileShape:
    """The keys of a decision table."""

    facts: tuple[str, ...] = field(default=(), metadata=_codes(0, MAX_FACTS, "fact"))
    row: tuple[_RowShape, ...] = ()


def _read(path: Path) -> TableFile:
    source, raw = read_toml(path)
    rows = raw.get("row")
    if isinstance(rows, list) and len(rows) > MAX_ROWS:
        raise ConfigError(
            f"{len(rows)} rows in one file", where=source.where(("row", MAX_ROWS)), allowed=f"at most {MAX_ROWS} rows"
        )
    for keys, text in _texts_of(raw, ()):
        if "${" in text:
            # The environment holds secrets, and what stands in the table ends up in reports.
            raise ConfigError(
                "a decision table reads nothing from the environment",
                where=source.where(keys),
                next_step="write the text itself in place of ${…}",
            )
    shape = build(_FileShape, raw, source, environ={})
    lines = _row_lines(source, len(shape.row))
    return TableFile(
        path=path,
        rows=tuple(
            _row(row, source, ("row", number), line)
            for number, (row, line) in enumerate(zip(shape.row, lines, strict=True))
        ),
        facts=shape.facts,
    )


def _row_lines(source: Source, count: int) -> list[int]:
    """The line of each row. Asking the source row by row would read the file once for each."""
    lines = [n for n, line in enumerate(source.text.splitlines(), start=1) if _ROW_HEADER.match(line)]
    return lines if len(lines) == count else [source.line_of(("row", n)) or 1 for n in range(count)]


def _row(shape: _RowShape, source: Source, keys: tuple[str | int, ...], line: int) -> Row:
    for name, texts in (("cause", shape.cause), ("action", shape.action)):
        _check_texts(texts, source, (*keys, name))
    return Row(
        id=shape.id,
        when=shape.when,
        given=shape.given,
        cause=shape.cause,
        action=shape.action,
        severity=Severity(shape.severity),
        category=shape.category,
        remediation=shape.remediation,
        independent=shape.independent,
        for_dependents=shape.for_dependents,
        where=f"{source.path}:{line}",
    )


def _check_texts(texts: Mapping[str, str], source: Source, keys: tuple[str | int, ...]) -> None:
    for lang, text in texts.items():
        if wrong := _wrong_with(lang, text):
            raise ConfigError(wrong[0], where=source.where((*keys, lang)), allowed=wrong[1])
    if FALLBACK_LANGUAGE not in texts:
        raise ConfigError(
            f"the text in English ({FALLBACK_LANGUAGE}) is missing",
            where=source.where(keys),
            next_step=f'{keys[-1]}.{FALLBACK_LANGUAGE} = "…"',
        )


def _wrong_with(lang: str, text: str) -> tuple[str, str] | None:
    """What is wrong with a text, and what is allowed. Control characters could rewrite a terminal or a report."""
    if lang not in LANGUAGES:
        return f"{lang!r} is not a language", ", ".join(LANGUAGES)
    length = len(text.strip())
    if not 1 <= length <= MAX_TEXT:
        return f"a text of {length} characters", f"1 to {MAX_TEXT} characters"
    for character in text:
        category = unicodedata.category(character)
        if category.startswith("C") or category in ("Zl", "Zp"):
            return f"the text holds the control character U+{ord(character):04X}", "printable text in one line"
    return None


def _texts_of(value: object, keys: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(value, str):
        yield keys, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts_of(item, (*keys, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _texts_of(item, (*keys, number))
