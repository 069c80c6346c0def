"""The proof that a database holds exactly our tables, without loading what made them.

The columns, keys, indexes and triggers that are found are hashed and compared with what the newest migration leaves. So
an added trigger, a dropped table or a damaged schema page is found before anything is believed. A test compares the
constants with a store that was just made.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

APPLICATION_ID = 0x4F50_5343  # "OPSC", in SQLite files only
REVISION = "0002"
FILE_SHAPE = "91f45061aa7ebff76944b0b8fc2d2b390839f7d77571fe67caec9bb44656ccec"
DATABASE_SHAPE = "?"

_FILE_OBJECTS = "SELECT type, name, tbl_name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY type, name"
_FILE_COLUMNS = (
    'SELECT m.name, p.cid, p.name, p.type, p."notnull", p.dflt_value, p.pk '
    "FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS p WHERE m.type = 'table' ORDER BY m.name, p.cid"
)
_DATABASE_COLUMNS = (
    "SELECT table_name, ordinal_position, column_name, data_type, is_nullable, column_default "
    "FROM information_schema.columns WHERE table_schema = current_schema() ORDER BY table_name, ordinal_position"
)
_DATABASE_OBJECTS = (
    "SELECT 'index', indexname, tablename FROM pg_indexes WHERE schemaname = current_schema() "
    "UNION ALL SELECT 'trigger', trigger_name, event_object_table FROM information_schema.triggers "
    "WHERE trigger_schema = current_schema() "
    "UNION ALL SELECT 'view', viewname, '' FROM pg_views WHERE schemaname = current_schema() ORDER BY 1, 2, 3"
)


def check_file(query: Callable[[str, Mapping[str, object]], Sequence[tuple[Any, ...]]]) -> None:
    """Check that an SQLite file is a control store of the revision that we know, with exactly our tables.

    Raises:
        ValueError: it is not; the message says what it is instead.
    """
    found = query("PRAGMA application_id", {})[0][0]
    if found != APPLICATION_ID:
        raise ValueError(f"it is not a control store (application id {found}, expected {APPLICATION_ID})")
    objects = [tuple(row) for row in query(_FILE_OBJECTS, {})]
    check_revision(query, {str(name) for kind, name, _ in objects if kind == "table"})
    if shape_of([objects, query(_FILE_COLUMNS, {})]) != FILE_SHAPE:
        raise ValueError(f"its schema is not ours: {', '.join(str(name) for _, name, _ in objects)[:300]}")


def check_database(query: Callable[[str, Mapping[str, object]], Sequence[tuple[Any, ...]]]) -> None:
    """Check that a PostgreSQL schema holds the control store of the revision that we know, and nothing else.

    Raises:
        ValueError: it does not; the message says what it holds instead.
    """
    columns = [tuple(row) for row in query(_DATABASE_COLUMNS, {})]
    tables = {str(row[0]) for row in columns}
    check_revision(query, tables)
    if shape_of([query(_DATABASE_OBJECTS, {}), columns]) != DATABASE_SHAPE:
        raise ValueError(f"its schema is not ours: {', '.join(sorted(tables))[:300]}")


def check_revision(query: Callable[[str, Mapping[str, object]], Sequence[tuple[Any, ...]]], tables: set[str]) -> None:
    """Check the revision before the shape is looked at: another program's store is no damaged store.

    Raises:
        ValueError: it is another one, or none.
    """
    if "alembic_version" not in tables:
        if "schema_version" in tables:
            raise ValueError("it was made by an older program: ops store migrate brings it up to date")
        raise ValueError("its table alembic_version is missing")
    revisions = [row[0] for row in query("SELECT version_num FROM alembic_version", {})]
    if revisions != [REVISION]:
        shown = ", ".join(str(one) for one in revisions) or "none"
        raise ValueError(
            f"its schema revision is {shown}, this program knows {REVISION}: ops store migrate brings an older one up "
            "to date"
        )


def shape_of(found: Sequence[Sequence[Sequence[object]]]) -> str:
    """The digest of what was found."""
    plain = [[list(row) for row in part] for part in found]
    return hashlib.sha256(json.dumps(plain, separators=(",", ":")).encode()).hexdigest()
