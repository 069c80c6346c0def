"""The tables of the control store, once, for SQLite and PostgreSQL.

Everything that decides stands in one row, `control_state`: a sealed JSON document. All other tables are records that a
transaction writes together with their audit row. Instants are ISO 8601 texts in UTC, which sort as text; JSON is text
in the canonical form that hashes are made over. A changed table needs a migration in `migrations/versions/`.
"""

from __future__ import annotations

from sqlalchemy import (
    DDL,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    event,
)

from ops_core.control import shape

metadata = MetaData(
    naming_convention={
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
    }
)


def _text(name: str, *, optional: bool = False) -> Column[str]:
    return Column(name, Text, nullable=optional)


# Alembic's own: which migration the tables stand at.
alembic_version = Table(
    "alembic_version", metadata, Column("version_num", String(32), primary_key=True, nullable=False)
)

store_info = Table(
    "store_info",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1", name="single"), primary_key=True, autoincrement=False),
    _text("store_id"),
    _text("created_at"),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    _text("at"),
    _text("actor"),
    _text("action"),
    _text("subject"),
    _text("detail"),
    _text("prev_hash"),
    _text("hash"),
)

control_state = Table(
    "control_state",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1", name="single"), primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
    _text("document"),  # canonical JSON of ControlState.as_dict()
    Column("changed_seq", Integer, ForeignKey("audit.seq"), nullable=False),
    Column("head_seq", Integer, ForeignKey("audit.seq"), nullable=False),
    _text("head_hash"),
    _text("seal"),
)

good_version = Table(
    "good_version",
    metadata,
    Column("audit_seq", Integer, ForeignKey("audit.seq"), primary_key=True, autoincrement=False),
    _text("target"),
    Column(
        "kind", Text, CheckConstraint("kind IN ('release', 'config', 'schema', 'image')", name="kind"), nullable=False
    ),
    _text("name"),
    _text("digest"),
    _text("marked_at"),
)

incident = Table(
    "incident",
    metadata,
    Column("id", Text, primary_key=True),
    _text("opened_at"),
    _text("state"),
    _text("profile"),
    _text("suite"),
    Column("version", Integer, nullable=False),
    _text("data"),
)

incident_event = Table(
    "incident_event",
    metadata,
    Column("incident_id", Text, ForeignKey("incident.id"), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    _text("at"),
    _text("kind"),
    _text("data"),
)

step = Table(
    "step",
    metadata,
    Column("incident_id", Text, ForeignKey("incident.id"), primary_key=True),
    _text("plan_digest"),
    Column("phase", Text, CheckConstraint("phase IN ('apply', 'undo')", name="phase"), primary_key=True),
    Column("idx", Integer, primary_key=True, autoincrement=False),
    Column(
        "state",
        Text,
        CheckConstraint("state IN ('planned', 'armed', 'done', 'failed', 'unknown')", name="state"),
        nullable=False,
    ),
    _text("armed_at", optional=True),
    _text("ended_at", optional=True),
    _text("data"),
)

# People who may act through the API or approve. A name and a key belong to one person, for good.
operator = Table(
    "operator",
    metadata,
    Column("name", Text, primary_key=True),  # as folded by control.people: one spelling for each person
    Column("public_key", Text, nullable=False, unique=True),  # Ed25519, 64 hexadecimal digits
    _text("added_at"),
    _text("added_by"),
    _text("revoked_at", optional=True),
    _text("revoked_by", optional=True),
)

token = Table(
    "token",
    metadata,
    Column("id", Text, primary_key=True),
    Column("operator", Text, ForeignKey("operator.name"), nullable=False),
    Column("token_hash", Text, nullable=False, unique=True),  # SHA-256 of a 256-bit random secret
    _text("scopes"),  # canonical JSON list
    _text("issued_at"),
    _text("expires_at"),
    _text("revoked_at", optional=True),
    _text("revoked_by", optional=True),
)

# Messages to the outside. PENDING -> SENDING -> SENT | FAILED | UNKNOWN; nothing leads out of the last three.
outbox = Table(
    "outbox",
    metadata,
    Column("id", Text, primary_key=True),
    _text("created_at"),
    _text("created_by"),
    _text("body"),
    _text("digest"),  # SHA-256 over id and body
    Column(
        "state",
        Text,
        CheckConstraint("state IN ('PENDING', 'SENDING', 'SENT', 'FAILED', 'UNKNOWN', 'WITHDRAWN')", name="state"),
        nullable=False,
    ),
    Column("fire_id", Text, ForeignKey("fire.id"), nullable=True),
    _text("claimed_at", optional=True),
    _text("ended_at", optional=True),
    _text("detail"),
)

# One live fire: opened in the transaction that burns the window.
fire = Table(
    "fire",
    metadata,
    Column("id", Text, primary_key=True),
    Column(
        "window_id", Text, nullable=True, unique=True
    ),  # a window is burnt by one fire only; none: nothing was burnt
    _text("actor"),
    _text("begun_at"),
    _text("ended_at", optional=True),
    _text("outcome"),  # OPEN while it runs, then FIRED, PARTIAL, BLOCKED, STOPPED, INTERRUPTED …
    _text("receipt"),  # canonical JSON
)

# Work that an emergency stop has to end before it may say that everything has stopped.
work = Table(
    "work",
    metadata,
    Column("id", Text, primary_key=True),
    _text("kind"),  # cycle, live_fire, remediation, rollout
    _text("host"),
    _text("boot_id"),
    Column("pid", Integer, nullable=False),
    _text("started_ticks"),  # of that pid, from /proc: a pid alone may be somebody else's by now
    _text("begun_at"),
    _text("ended_at", optional=True),
    _text("ended_how"),
)

cycle_run = Table(
    "cycle_run",
    metadata,
    Column("id", Text, primary_key=True),
    Column("slot", Text, nullable=True, unique=True),  # the idempotency key of a scheduled instant; none: by hand
    _text("actor"),
    _text("begun_at"),
    _text("ended_at", optional=True),
    _text("outcome"),  # OPEN while it runs
    _text("receipt"),  # canonical JSON
)

# The request journal: every entry is covered by its audit row, nothing is ever updated or deleted.
ticket = Table(
    "ticket",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("audit_seq", Integer, ForeignKey("audit.seq"), nullable=False),
    Column("journal", Text, nullable=False),  # requests, results, approvals: the mirror state/tickets/<journal>.jsonl
    _text("line"),  # canonical JSON, exactly as it is mirrored
    UniqueConstraint("audit_seq"),
)

# Contracts (the allowlist among them) as they were last accepted.
contract = Table(
    "contract",
    metadata,
    Column("name", Text, primary_key=True),  # relative to the contracts' folder
    _text("digest"),
    Column("audit_seq", Integer, ForeignKey("audit.seq"), nullable=False),
)

# What each mirror must hold. `pending` is set in the transaction that changes what it shows, cleared by the export.
mirror = Table(
    "mirror",
    metadata,
    Column("path", Text, primary_key=True),  # relative to the state or reports folder, with that folder's word in front
    _text("digest"),  # SHA-256 of the bytes last exported, or empty
    Column("pending", Integer, nullable=False),
    _text("exported_at"),
)

# How far the program's own logs had come when somebody last looked: a shorter or different beginning shows.
log_mark = Table(
    "log_mark",
    metadata,
    Column("path", Text, primary_key=True),
    Column("size", Integer, nullable=False),
    _text("digest"),  # SHA-256 of the first `size` bytes
    _text("marked_at"),
)

for _trigger in shape.TRIGGERS.values():
    _made = DDL(_trigger)  # type: ignore[no-untyped-call]  # SQLAlchemy has not annotated it
    event.listen(audit, "after_create", _made.execute_if(dialect="sqlite"))

Index("ix_audit_action", audit.c.action)
Index("ix_outbox_state", outbox.c.state)
Index("ix_work_open", work.c.ended_at)
