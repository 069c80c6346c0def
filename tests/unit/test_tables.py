"""TOML into frozen dataclasses, with errors that name file, line and key."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_core.errors import ConfigError
from ops_core.tables import Source, build, expand, read_toml

TEXT = """\
# a comment
title = "x"

[a]
one = 1
"two.b" = 2
three.deep = 3

[a.'b.c'] # another
four = "[not.a.header]"

[[row]]
id = "first"
  [row.cause]
  en = "x"

[[row]]
id = "second"
when = [
    "a.b",
    "c.d",
]
  [row.cause]
  en = "y"

["quo]ted"]
five = 5
"""


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (("title",), 2),
        (("a",), 4),
        (("a", "one"), 5),
        (("a", "two.b"), 6),
        (("a", "three", "deep"), 7),
        (("a", "b.c"), 9),
        (("a", "b.c", "four"), 10),
        (("row", 0), 12),
        (("row", 0, "id"), 13),
        (("row", 0, "cause", "en"), 15),
        (("row", 1, "id"), 18),
        (("row", 1, "when"), 19),
        (("row", 1, "when", 1), 19),
        (("row", 1, "cause", "en"), 24),
        (("row", 1, "missing"), 17),
        (("quo]ted", "five"), 27),
        (("a", "missing"), 4),
        (("nobody",), None),
    ],
)
def test_a_key_is_found_on_its_line(keys: tuple[str | int, ...], line: int | None) -> None:
    """Or the nearest table that holds it."""
    assert Source(Path("x.toml"), TEXT).line_of(keys) == line


def test_places_are_written_for_people() -> None:
    """Rows are counted from one."""
    source = Source(Path("x.toml"), TEXT)
    assert source.where(("row", 1, "when", 0)) == "x.toml:19, row[2].when[1]"
    assert source.where(("nobody",)) == "x.toml, nobody"
    assert source.where(()) == "x.toml"


names = st.text("abcdefg_-0123456789", min_size=1, max_size=6)


@given(st.dictionaries(names, st.dictionaries(names, st.integers(0, 9), max_size=4), max_size=5))
def test_every_key_of_plain_tables_is_found(tables: dict[str, dict[str, int]]) -> None:
    """Whatever they are called."""
    lines: list[str] = []
    places = {}
    for table, values in tables.items():
        lines.append(f"[{table}]")
        for key, value in values.items():
            lines.append(f"{key} = {value}")
            places[table, key] = len(lines)
    text = "\n".join(lines)
    assert tomllib.loads(text) == tables
    source = Source(Path("x"), text)
    for keys, line in places.items():
        assert source.line_of(keys) == line


@dataclasses.dataclass(frozen=True)
class Inner:
    number: float
    flag: bool = False


@dataclasses.dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner
    items: tuple[str, ...] = ()
    many: Mapping[str, Inner] = dataclasses.field(default_factory=dict)
    path: Path | None = None
    count: int = dataclasses.field(default=1, metadata={"check": lambda v: v > 0, "allowed": "more than 0"})
    anything: Any = None


def built(text: str, **environ: str) -> Outer:
    return build(Outer, tomllib.loads(text), Source(Path("x.toml"), text), environ=environ)


def test_a_table_becomes_a_frozen_dataclass() -> None:
    """Nested, with defaults, numbers as asked for, variables in texts and paths."""
    found = built(
        'name = "${N:-n}"\ninner = {number = 1}\nitems = ["a", "${N:-b}"]\npath = "${P}/x"\nmany.k = {number = 2.5, flag = true}\nanything = {a = [1]}\n',
        P="/p",
    )
    assert found == Outer("n", Inner(1.0), ("a", "b"), {"k": Inner(2.5, True)}, Path("/p/x"), 1, {"a": [1]})
    assert isinstance(found.inner.number, float)


@pytest.mark.parametrize(
    ("text", "what", "where"),
    [
        ("inner = {number = 1}\n", "the key 'name' is missing", "x.toml"),
        ('name = "x"\n[inner]\n', "the key 'number' is missing", "x.toml:2, inner"),
        ('name = "x"\n[inner]\nnumber = 1\n[many]\na = {number = "x"}\n', "expected a number, found text", "x.toml:5, many.a.number"),
        ('name = "x"\ninner = []\n', "expected a table, found a list", "x.toml:2, inner"),
        ('name = "x"\ninner = {number = 1}\nitems = ["a", 1]\n', "expected text, found a whole number", "x.toml:3, items[2]"),
        ('name = "x"\ninner = {number = 1}\ncount = 0\n', "0 is not allowed here", "x.toml:3, count"),
        ('name = "x"\ninner = {number = 1}\ncount = 1.5\n', "expected a whole number, found a number", "x.toml:3, count"),
        ('name = "x"\ninner = {number = 1, flag = 1}\n', "expected true or false, found a whole number", "x.toml:2, inner.flag"),
        ("name = 1979-05-27\ninner = {number = 1}\n", "expected text, found a date or time", "x.toml:1, name"),
        ('name = "${X}"\ninner = {number = 1}\n', "the environment variable X is not set", "x.toml:1, name"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told_with_its_place(text: str, what: str, where: str) -> None:
    """One rule each."""
    with pytest.raises(ConfigError) as error:
        built(text)
    assert (error.value.what, error.value.where) == (what, where)


def test_fields_that_are_given_may_not_stand_in_the_file() -> None:
    """They come from the table's own name."""
    source = Source(Path("x"), "")
    assert build(Inner, {"flag": True}, source, preset={"number": 1.0}) == Inner(1.0, True)
    with pytest.raises(ConfigError, match="unknown key 'number'"):
        build(Inner, {"number": 2}, source, preset={"number": 1.0})


@given(st.text(), st.dictionaries(st.from_regex(r"[A-Z]{1,3}", fullmatch=True), st.text(min_size=1)))
def test_variables_are_replaced_and_nothing_else(text: str, environ: dict[str, str]) -> None:
    """A text without variables stays as it is."""
    try:
        found = expand(text, environ, lambda: "here")
    except ConfigError as error:
        assert "${" in text
        assert error.where == "here"
    else:
        if "${" not in text:
            assert found == text
    assert expand("a${A:-b}c", {"A": "x${B}"}, lambda: "") == "ax${B}c"


def test_a_byte_order_mark_is_no_part_of_the_file(tmp_path: Path) -> None:
    """As some editors write it."""
    (tmp_path / "x.toml").write_bytes(b"\xef\xbb\xbfa = 1\n")
    source, table = read_toml(tmp_path / "x.toml")
    assert table == {"a": 1}
    assert source.line_of(("a",)) == 1
