"""Migrations read as text: which are the newest, what each follows, and none of it ever run."""

import pytest

from ops_core.errors import CannotLook
from ops_core.probes.migrations import FILE_MAX_BYTES, declarations, heads_of, script_folder

PROMISE = "revision = 'a'\nreversible = True\n"


@pytest.fixture
def declared(tmp_path):
    """Migrations by what they follow, as they stand in their files."""

    def write(**follows):
        (tmp_path / "versions").mkdir(exist_ok=True)
        for revision, before in follows.items():
            (tmp_path / "versions" / f"{revision}.py").write_text(
                f"revision = {revision!r}\ndown_revision = {before}\n"
            )
        return declarations(tmp_path)

    return write


@pytest.mark.parametrize(
    ("follows", "heads"),
    [
        ({}, ()),
        ({"a": None}, ("a",)),
        ({"a": None, "b": "'a'", "c": "'b'"}, ("c",)),
        ({"a": None, "b": "'a'", "c": "'a'"}, ("b", "c")),
        ({"a": None, "b": "'a'", "c": "'a'", "d": "('b', 'c')"}, ("d",)),
        ({"a": None, "b": "'a'", "c": "'a'", "d": "['b', 'c']"}, ("d",)),
        ({"a": None, "b": "None"}, ("a", "b")),
        ({"b": "'gone'"}, ("b",)),
    ],
)
def test_heads_are_what_no_other_migration_follows(declared, follows, heads):
    """A line, two branches, their join written as tuple or list, two beginnings, a file that was lost."""
    assert heads_of(declared(**follows)) == heads


def test_a_join_follows_several_and_has_no_single_one_before_it(declared):
    """So there is no single step back."""
    one = declared(a=None, b="'a'", c="('a', 'b')")["c"]
    assert (one.before, one.follows, one.several) == (None, ("a", "b"), True)
    (first,) = [each for each in declared(a=None).values() if each.revision == "a"]
    assert (first.before, first.follows, first.several) == (None, (), False)


def test_files_in_folders_count_and_what_declares_nothing_does_not(tmp_path):
    """As alembic may be told to look below its folder; helpers lie there too."""
    (tmp_path / "versions" / "2026").mkdir(parents=True)
    (tmp_path / "versions" / "2026" / "x.py").write_text('revision = "x"\ndown_revision = None\n')
    (tmp_path / "versions" / "helper.py").write_text("def revision():\n    pass\n")
    (tmp_path / "versions" / "number.py").write_text("revision = 7\n")
    assert list(declarations(tmp_path)) == ["x"]


@pytest.mark.parametrize("text", ["revision = ", f"{PROMISE}#{'x' * FILE_MAX_BYTES}", "revision = 'a'\0", "(" * 5000])
def test_what_is_no_python_is_not_seen(tmp_path, text):
    """Cut, much too long, with a zero byte, or nested without end."""
    (tmp_path / "versions").mkdir()
    (tmp_path / "versions" / "a.py").write_text(text)
    with pytest.raises(CannotLook, match="a migration cannot be read"):
        declarations(tmp_path)


def test_the_folder_is_found_as_alembic_finds_it(tmp_path):
    """From the file that configures it; a file that is not there, or none, is not seen."""
    ini = tmp_path / "alembic.ini"
    ini.write_text("[alembic]\nscript_location = %(here)s/a\n")
    assert script_folder(ini) == tmp_path / "a"
    ini.write_bytes(b"\xff\xfe[alembic]")
    with pytest.raises(CannotLook, match="the migrations are not known"):
        script_folder(ini)
    with pytest.raises(CannotLook, match="No such file"):
        script_folder(tmp_path / "none.ini")
