"""The tables of the control store, and the proof that a file holds exactly these.

The texts are compared with what SQLite recorded when it made the tables, so that an added trigger, a dropped table or
a damaged schema page is found before anything is believed. A changed table needs a new `SCHEMA_VERSION`.
"""

from __future__ import annotations

import sqlite3

APPLICATION_ID = 0x4F50_5343  # "OPSC"
SCHEMA_VERSION = 1

TABLES: tuple[tuple[str, str], ...] = (
    (
        "schema_version",
        """CREATE TABLE schema_version (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL,
    store_id TEXT NOT NULL,
    created_at TEXT NOT NULL
)""",
    ),
    (
        "control_state",
        """CREATE TABLE control_state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL,
    stopped INTEGER NOT NULL CHECK (stopped IN (0, 1)),
    stop_reason TEXT NOT NULL,
    stopped_by TEXT NOT NULL,
    stopped_at TEXT NOT NULL,
    gate TEXT NOT NULL CHECK (gate IN ('MOCK_ONLY', 'DRY_RUN', 'REAL_ENABLED')),
    gate_reason TEXT NOT NULL,
    gate_by TEXT NOT NULL,
    gate_at TEXT NOT NULL,
    gate_until TEXT,
    changed_seq INTEGER NOT NULL REFERENCES audit (seq),
    head_seq INTEGER NOT NULL REFERENCES audit (seq),
    head_hash TEXT NOT NULL,
    seal TEXT NOT NULL
)""",
    ),
    (
        "audit",
        """CREATE TABLE audit (
    seq INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL,
    prev_hash TEXT NOT NULL,
    hash TEXT NOT NULL
)""",
    ),
    (
        "good_version",
        """CREATE TABLE good_version (
    audit_seq INTEGER PRIMARY KEY REFERENCES audit (seq),
    target TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('release', 'config')),
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    marked_at TEXT NOT NULL
)""",
    ),
    (
        "incident",
        """CREATE TABLE incident (
    id TEXT PRIMARY KEY NOT NULL,
    opened_at TEXT NOT NULL,
    state TEXT NOT NULL,
    profile TEXT NOT NULL,
    suite TEXT NOT NULL,
    version INTEGER NOT NULL,
    data TEXT NOT NULL
)""",
    ),
    (
        "incident_event",
        """CREATE TABLE incident_event (
    incident_id TEXT NOT NULL REFERENCES incident (id),
    seq INTEGER NOT NULL,
    at TEXT NOT NULL,
    kind TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (incident_id, seq)
)""",
    ),
    (
        "step",
        """CREATE TABLE step (
    incident_id TEXT NOT NULL REFERENCES incident (id),
    plan_digest TEXT NOT NULL,
    phase TEXT NOT NULL CHECK (phase IN ('apply', 'undo')),
    idx INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('planned', 'armed', 'done', 'failed', 'unknown')),
    armed_at TEXT,
    ended_at TEXT,
    data TEXT NOT NULL,
    PRIMARY KEY (incident_id, phase, idx)
)""",
    ),
)

# Habit, not defence: they keep a careless UPDATE in a shell from breaking the chain.
TRIGGERS: tuple[tuple[str, str], ...] = (
    (
        "audit_keeps_rows",
        """CREATE TRIGGER audit_keeps_rows BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END""",
    ),
    (
        "audit_keeps_values",
        """CREATE TRIGGER audit_keeps_values BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END""",
    ),
)

_EXPECTED = frozenset((name, sql) for group in (TABLES, TRIGGERS) for name, sql in group)


def create_tables(connection: sqlite3.Connection) -> None:
    """Make the tables in an empty database, inside the caller's transaction."""
    for group in (TABLES, TRIGGERS):
        for _name, sql in group:
            connection.execute(sql)


def check_identity(connection: sqlite3.Connection) -> None:
    """Check that this is a control store of the version we know, with exactly our tables.

    Raises:
        ValueError: it is not; the message says what it is instead.
        sqlite3.Error: the file cannot be read as a database.
    """
    (found,) = connection.execute("PRAGMA application_id").fetchone()
    if found != APPLICATION_ID:
        raise ValueError(f"it is not a control store (application id {found}, expected {APPLICATION_ID})")
    # The file's schema version is read before the texts are compared: a newer program's store is no damaged store.
    names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    if "schema_version" not in names:
        raise ValueError("its table schema_version is missing")
    versions = connection.execute("SELECT version FROM schema_version").fetchall()
    if versions != [(SCHEMA_VERSION,)]:
        shown = ", ".join(str(row[0]) for row in versions) or "none"
        raise ValueError(f"its schema version is {shown}, this program knows {SCHEMA_VERSION}")
    objects = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    odd = sorted({str(name) for name, _ in _EXPECTED.symmetric_difference(objects)})
    if odd or len(objects) != len(_EXPECTED):
        raise ValueError(f"its schema is not ours: {', '.join(odd) or 'an object stands twice'}")
