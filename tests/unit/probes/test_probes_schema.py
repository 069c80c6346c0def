"""The schema in force against its migrations, asked of a real PostgreSQL."""

import pytest
from postgresql import PASSWORD, new_schema

from ops_core.errors import CannotLook

PROMISES = "reversible = True\ndata_safe = True\n"


@pytest.fixture
def migrations(tmp_path):
    """Two migrations; the second promises to be reversible."""
    folder = tmp_path / "schema"
    (folder / "versions").mkdir(parents=True)
    (folder / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s\n")
    (folder / "versions" / "1.py").write_text('revision = "0001"\ndown_revision = None\n')
    (folder / "versions" / "2.py").write_text(f'revision = "0002"\ndown_revision = "0001"\n{PROMISES}')
    return folder / "alembic.ini"


@pytest.fixture
def asked(look, postgres, migrations):
    """Look at a database whose table says that these revisions are in force; None means that there is no table."""

    def ask(revisions):
        name = new_schema(postgres)
        if revisions is not None:
            postgres.run("CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)", schema=name)
            for one in revisions:
                postgres.run(f"INSERT INTO alembic_version VALUES ('{one}')", schema=name)
        url = postgres.url(name)
        return look("schema", {"PG": PASSWORD}, database_url=url, database_password="PG", migrations=migrations)

    return ask


@pytest.mark.parametrize(
    ("revisions", "unknown", "facts"),
    [
        (["0002"], (), ("schema.reversible", "schema.unproven")),
        (["0001"], (), ()),
        (["0009"], ("0009",), ("schema.unproven",)),
        (["0002", "0009"], ("0009",), ("schema.unproven",)),
        ([], (), ()),
        (None, (), ()),
    ],
)
def test_revisions_in_force_are_told_with_what_is_known_of_them(asked, revisions, unknown, facts):
    """The newest, an older one, one that no migration has, none, or no table at all; 0001 was last seen good."""
    seen = asked(revisions)
    assert seen.current == tuple(revisions or ())
    assert (seen.heads, seen.unknown, seen.facts) == (("0002",), unknown, facts)
    assert ("in no file of" in seen.explain()) is bool(unknown)


def test_a_database_that_cannot_be_asked_says_nothing_of_the_schema(look, postgres, migrations):
    """That it is away is the finding of another check."""
    with pytest.raises(CannotLook, match=r"cannot be asked for its revision.*authentication failed"):
        look("schema", {"PG": "wrong"}, database_url=postgres.url(), database_password="PG", migrations=migrations)


def test_migrations_that_cannot_be_read_are_not_seen(asked, migrations):
    """No Python, or no folder named: nobody can tell what is the newest."""
    (migrations.parent / "versions" / "3.py").write_text("revision = ")
    with pytest.raises(CannotLook, match="a migration cannot be read"):
        asked(["0002"])
    migrations.write_text("")
    with pytest.raises(CannotLook, match="the migrations are not known"):
        asked(["0002"])
