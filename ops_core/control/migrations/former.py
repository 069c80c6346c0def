"""The control store as it was first shipped, revision 0001: its tables, and the proof that it asked for.

Bringing a store up to date must not launder what was done to it, so it is proven by its own rules first, the whole
chain included.
"""

from __future__ import annotations

from ops_core.control.audit import digest, verify_rows
from ops_core.control.shape import APPLICATION_ID, Query
from ops_core.control.verified import GOOD_MARKED, audit_rows

REVISION = "0001"
SCHEMA_VERSION = 1
VALUES = (
    "stopped",
    "stop_reason",
    "stopped_by",
    "stopped_at",
    "gate",
    "gate_reason",
    "gate_by",
    "gate_at",
    "gate_until",
)
COLUMNS = ("version", *VALUES, "changed_seq", "head_seq", "head_hash")
# In an order in which each may refer to those before it. SQLite keeps these texts, and they are compared to the letter.
TABLES: dict[str, str] = {
    "schema_version": """CREATE TABLE schema_version (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL,
    store_id TEXT NOT NULL,
    created_at TEXT NOT NULL
)""",
    "audit": """CREATE TABLE audit (
    seq INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL,
    prev_hash TEXT NOT NULL,
    hash TEXT NOT NULL
)""",
    "control_state": """CREATE TABLE control_state (
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
    "good_version": """CREATE TABLE good_version (
    audit_seq INTEGER PRIMARY KEY REFERENCES audit (seq),
    target TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('release', 'config')),
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    marked_at TEXT NOT NULL
)""",
    "incident": """CREATE TABLE incident (
    id TEXT PRIMARY KEY NOT NULL,
    opened_at TEXT NOT NULL,
    state TEXT NOT NULL,
    profile TEXT NOT NULL,
    suite TEXT NOT NULL,
    version INTEGER NOT NULL,
    data TEXT NOT NULL
)""",
    "incident_event": """CREATE TABLE incident_event (
    incident_id TEXT NOT NULL REFERENCES incident (id),
    seq INTEGER NOT NULL,
    at TEXT NOT NULL,
    kind TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (incident_id, seq)
)""",
    "step": """CREATE TABLE step (
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
}
TRIGGERS: dict[str, str] = {
    "audit_keeps_rows": """CREATE TRIGGER audit_keeps_rows BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END""",
    "audit_keeps_values": """CREATE TRIGGER audit_keeps_values BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END""",
}


def prove(query: Query) -> None:
    """All that the first program asked of a store, and every row of its chain.

    Raises:
        ValueError: naming what is wrong.
    """
    _check_identity(query)
    found = query(f"SELECT id, {', '.join(COLUMNS)}, seal FROM control_state", {})  # noqa: S608 - constants only
    if len(found) != 1 or found[0][0] != 1:
        raise ValueError("its control state is missing" if not found else "it holds more than one control state")
    values, seal = tuple(found[0][1:-1]), found[0][-1]
    if digest(values) != seal:
        raise ValueError("its control state was changed by something else than this program")
    told = dict(zip(COLUMNS, values, strict=True))
    rows = audit_rows(query)
    chain = verify_rows(rows)
    if (chain.head_seq, chain.head_hash) != (told["head_seq"], told["head_hash"]):
        raise ValueError(f"the audit ends at row {chain.head_seq}, {told['head_seq']} were written")
    made_by = next((row for row in rows if row.seq == told["changed_seq"]), None)
    state = {**{name: told[name] for name in VALUES}, "stopped": bool(told["stopped"]), "version": told["version"]}
    if made_by is None or made_by.data.get("state") != state:
        raise ValueError(f"its control state is not the one that audit row {told['changed_seq']} recorded")
    if query("SELECT store_id FROM schema_version", {})[0][0] != rows[0].data.get("store_id"):
        raise ValueError("its id is not the one that audit row 1 recorded")
    marks = [
        (row.seq, row.data.get("target"), row.data.get("kind"), row.data.get("name"), row.data.get("digest"), row.at)
        for row in rows
        if row.action == GOOD_MARKED
    ]
    good = query("SELECT audit_seq, target, kind, name, digest, marked_at FROM good_version ORDER BY audit_seq", {})
    if [tuple(row) for row in good] != marks:
        raise ValueError("its good versions are not those that the audit recorded")


def _check_identity(query: Query) -> None:
    found = query("PRAGMA application_id", {})[0][0]
    if found != APPLICATION_ID:
        raise ValueError(f"it is not a control store (application id {found}, expected {APPLICATION_ID})")
    versions = [row[0] for row in query("SELECT version FROM schema_version", {})]
    if versions != [SCHEMA_VERSION]:
        raise ValueError(f"its schema version is {', '.join(map(str, versions)) or 'none'}, none of ours")
    objects = query("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL", {})
    odd = sorted({str(name) for name, _ in {*TABLES.items(), *TRIGGERS.items()} ^ {tuple(row) for row in objects}})
    if odd or len(objects) != len(TABLES) + len(TRIGGERS):
        raise ValueError(f"its schema is not ours: {', '.join(odd) or 'an object stands twice'}")
