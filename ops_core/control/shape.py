"""The proof that a database holds exactly our tables, without loading what made them.

What `schema` defines stands here once more, as plain data, because probes must not pay for SQLAlchemy; a test compares
the two. Columns, keys, indexes, triggers and whatever else is found are compared, so that an added trigger, a dropped
table or a damaged schema page is found before anything is believed. The texts that made a table are not: they depend on
the version of a library.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

APPLICATION_ID = 0x4F50_5343  # "OPSC", in SQLite files only
REVISION = "0003"
OLDER = ("0002",)  # whose tables prove themselves as those of today do
MIGRATE_COMMAND = "ops store migrate"
NAMED_MAX = 5

# Habit, not defence: they keep a careless UPDATE in a shell from breaking the chain. In SQLite files only.
TRIGGERS = {
    f"audit_keeps_{act.lower()}": (
        f"CREATE TRIGGER audit_keeps_{act.lower()} BEFORE {act} ON audit "
        "BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END"
    )
    for act in ("DELETE", "UPDATE")
}
# `*` belongs to the primary key, `?` may be NULL, `#` is a number, `>` refers to a column; all others are texts.
_TABLES = {
    "alembic_version": "version_num*(32)",
    "audit": "seq*# at actor action subject detail prev_hash hash",
    "contract": "name* digest audit_seq#>audit.seq",
    "control_state": "id*# version# document changed_seq#>audit.seq head_seq#>audit.seq head_hash seal",
    "cycle_run": "id* slot? actor begun_at ended_at? outcome receipt",
    "fire": "id* window_id? actor begun_at ended_at? outcome receipt",
    "good_version": "audit_seq*#>audit.seq target kind name digest marked_at",
    "incident": "id* opened_at state profile suite version# data",
    "incident_event": "incident_id*>incident.id seq*# at kind data",
    "log_mark": "path* size# digest marked_at",
    "mirror": "path* digest pending# exported_at",
    "operator": "name* public_key added_at added_by revoked_at? revoked_by?",
    "outbox": "id* created_at created_by body digest state fire_id?>fire.id claimed_at? ended_at? detail",
    "step": "incident_id*>incident.id plan_digest phase* idx*# state armed_at? ended_at? data",
    "store_info": "id*# store_id created_at",
    "ticket": "seq*# audit_seq#>audit.seq journal line",
    "token": "id* operator>operator.name token_hash scopes issued_at expires_at revoked_at? revoked_by?",
    "work": "id* kind host boot_id pid# started_ticks begun_at ended_at? ended_how",
}
_INDEXES = (
    "unique index of cycle_run (slot)",
    "unique index of fire (window_id)",
    "unique index of operator (public_key)",
    "unique index of ticket (audit_seq)",
    "unique index of token (token_hash)",
    "index ix_audit_action of audit (action)",
    "index ix_outbox_state of outbox (state)",
    "index ix_work_open of work (ended_at)",
)
_TYPES = {"INTEGER": "#", "TEXT": "", "VARCHAR(32)": "(32)", "CHARACTER VARYING(32)": "(32)"}

_FILE_COLUMNS = (
    "SELECT m.name, p.name, p.type, p.\"notnull\", p.pk, p.dflt_value IS NOT NULL OR p.hidden <> 0, 'r' "
    "FROM sqlite_master AS m JOIN pragma_table_xinfo(m.name) AS p WHERE m.type = 'table' ORDER BY m.name, p.cid"
)
_FILE_REFERENCES = (
    'SELECT m.name, f."from", f."table", f."to" FROM sqlite_master AS m JOIN pragma_foreign_key_list(m.name) AS f '
    "WHERE m.type = 'table'"
)
_FILE_INDEXES = (
    'SELECT m.name, l.name, l."unique", l.partial, i.name FROM sqlite_master AS m '
    "JOIN pragma_index_list(m.name) AS l JOIN pragma_index_info(l.name) AS i "
    "WHERE m.type = 'table' AND l.origin <> 'pk' ORDER BY l.name, i.seqno"
)
_FILE_OTHERS = "SELECT type, name, sql FROM sqlite_master WHERE type NOT IN ('table', 'index')"
_OURS = "c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())"
_DATABASE_COLUMNS = (
    "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, "  # noqa: S608 - a constant of ours
    "coalesce(a.attnum = ANY (i.indkey), false), "
    "a.atthasdef OR a.attidentity <> '' OR a.attgenerated <> '' OR c.relpersistence <> 'p', c.relkind "
    "FROM pg_class AS c LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "
    "LEFT JOIN pg_index AS i ON i.indrelid = c.oid AND i.indisprimary "
    f"WHERE {_OURS} AND c.relkind NOT IN ('i', 't') ORDER BY c.relname, a.attnum"
)
_DATABASE_REFERENCES = (
    "SELECT c.relname, a.attname, r.relname, b.attname FROM pg_constraint AS k "  # noqa: S608 - a constant of ours
    "JOIN pg_class AS c ON c.oid = k.conrelid JOIN pg_class AS r ON r.oid = k.confrelid "
    "JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = ANY (k.conkey) "
    "JOIN pg_attribute AS b ON b.attrelid = r.oid AND b.attnum = ANY (k.confkey) "
    f"WHERE k.contype = 'f' AND k.convalidated AND {_OURS}"
)
_DATABASE_INDEXES = (
    "SELECT c.relname, x.relname, i.indisunique, i.indpred IS NOT NULL OR NOT i.indisvalid, "  # noqa: S608 - see above
    "coalesce(a.attname, '') FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid "
    "JOIN pg_class AS x ON x.oid = i.indexrelid CROSS JOIN unnest(i.indkey) WITH ORDINALITY AS k (attnum, place) "
    "LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = k.attnum "
    f"WHERE NOT i.indisprimary AND {_OURS} ORDER BY x.relname, k.place"
)
_DATABASE_OTHERS = (
    "SELECT 'trigger', t.tgname, '' FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid "  # noqa: S608 - see above
    f"WHERE NOT t.tgisinternal AND {_OURS} "
    "UNION ALL SELECT 'rule', w.rulename, '' FROM pg_rewrite AS w JOIN pg_class AS c ON c.oid = w.ev_class "
    f"WHERE c.relkind = 'r' AND {_OURS}"
)

# A question in SQL with :named parameters, to its rows.
Query = Callable[[str, Mapping[str, object]], Sequence[tuple[Any, ...]]]


class OtherRevision(ValueError):
    """A store of another program: nothing is wrong with it, but this program cannot read it."""

    next_step = f"{MIGRATE_COMMAND} brings an older one up to date; a newer one needs a newer program"


def check_file(query: Query) -> None:
    """Check that an SQLite file is a control store of the revision that we know, with exactly our tables.

    Raises:
        ValueError: it is not; the message says what it is instead.
    """
    found = query("PRAGMA application_id", {})[0][0]
    if found != APPLICATION_ID:
        raise ValueError(f"it is not a control store (application id {found}, expected {APPLICATION_ID})")
    _check(query, describe_file(query), {*expected(), *(f"trigger {name}: {sql}" for name, sql in TRIGGERS.items())})


def check_database(query: Query) -> None:
    """Check that a PostgreSQL schema holds the control store of the revision that we know, and nothing else.

    Raises:
        ValueError: it does not; the message says what it holds instead.
    """
    _check(query, describe_database(query), expected())


def expected() -> set[str]:
    """Our tables, columns and indexes, described as the functions below describe what they find."""
    columns = {f"{table}.{column}" for table, told in _TABLES.items() for column in told.split()}
    return {*(f"table {table}" for table in _TABLES), *columns, *_INDEXES}


def describe_file(query: Query) -> set[str]:
    """What an SQLite file holds, a line each."""
    return _describe(
        *(query(sql, {}) for sql in (_FILE_COLUMNS, _FILE_REFERENCES, _FILE_INDEXES, _FILE_OTHERS)),
    )


def describe_database(query: Query) -> set[str]:
    """What a PostgreSQL schema holds, a line each."""
    return _describe(
        *(query(sql, {}) for sql in (_DATABASE_COLUMNS, _DATABASE_REFERENCES, _DATABASE_INDEXES, _DATABASE_OTHERS)),
    )


def _describe(
    columns: Iterable[tuple[Any, ...]],
    references: Iterable[tuple[Any, ...]],
    indexes: Iterable[tuple[Any, ...]],
    others: Iterable[tuple[Any, ...]],
) -> set[str]:
    refers = {(table, column): f">{other}.{there}" for table, column, other, there in references}
    found: set[str] = set()
    for table, column, kind, needed, key, odd, relation in columns:
        found.add(f"table {table}" if _plain(relation) == "r" else f"relation {table}")
        # SQLite says nothing about NULL in a key of one number: it cannot be there.
        mark = "*" if key else "" if needed else "?"
        typed = _TYPES.get(str(kind).upper(), f":{kind}")
        found.add(f"{table}.{column}{mark}{typed}{refers.get((table, column), '')}{' (odd)' if odd else ''}")
    members: dict[tuple[object, object, bool, bool], list[str]] = {}
    for table, name, unique, odd, column in indexes:
        members.setdefault((table, name, bool(unique), bool(odd)), []).append(str(column))
    for (table, name, unique, odd), parts in members.items():
        called = "unique index" if unique else f"index {name}"
        found.add(f"{called} of {table} ({', '.join(parts)}){' (odd)' if odd else ''}")
    found.update(f"{kind} {name}: {sql}" for kind, name, sql in others)
    return found


def _check(query: Query, found: set[str], wanted: set[str]) -> None:
    # The revision is looked at before the shape: another program's store is no damaged store.
    tables = {line.removeprefix("table ") for line in found if line.startswith("table ")}
    if "alembic_version" not in tables:
        if "schema_version" in tables:
            raise OtherRevision(f"it was made by an older program ({MIGRATE_COMMAND} brings it up to date)")
        raise ValueError("its table alembic_version is missing")
    revisions = [row[0] for row in query("SELECT version_num FROM alembic_version", {})]
    if len(revisions) == 1 and revisions[0] in OLDER:
        raise OtherRevision(f"it was made by an older program ({MIGRATE_COMMAND} brings it up to date)")
    if revisions != [REVISION]:
        shown = ", ".join(str(one) for one in revisions) or "none"
        raise OtherRevision(f"its schema revision is {shown}, this program knows {REVISION}")
    missing, more = _told_once(wanted - found), _told_once(found - wanted)
    if missing or more:
        named = [f"{line} is missing" for line in missing] + [f"{line} is not ours" for line in more]
        rest = f", and {len(named) - NAMED_MAX} more" if len(named) > NAMED_MAX else ""
        raise ValueError(f"its schema is not ours: {', '.join(named[:NAMED_MAX])}{rest}")


def _told_once(lines: set[str]) -> list[str]:
    """Sorted, without the columns of a table that stands among them itself."""
    tables = {line.removeprefix("table ") for line in lines if line.startswith("table ")}
    return sorted(line for line in lines if line.partition(".")[0] not in tables)


def _plain(value: object) -> str:
    # PostgreSQL's "char" comes as bytes.
    return value.decode() if isinstance(value, bytes) else str(value)
