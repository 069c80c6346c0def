"""The control state as one document; people, messages, live fires, works, cycles, tickets, contracts, mirrors and logs.

Every table is made anew and filled from the one before, so that a store that came this way is the same as one that was
made today. The control row is left without a seal: whoever runs the migration proves it and seals it, with an audit
row.
"""

from __future__ import annotations

import json

from alembic import op
from sqlalchemy import (
    CheckConstraint,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.schema import SchemaItem

from ops_core.control.migrations import former

revision = "0002"
down_revision = former.REVISION

metadata = MetaData(
    naming_convention={
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
    }
)


def _table(name: str, *items: SchemaItem | str) -> None:
    """A table; a text stands for columns: `name` is a text, `name?` one that may be NULL, `name#` a number."""
    made: list[SchemaItem] = []
    for item in items:
        if not isinstance(item, str):
            made.append(item)
            continue
        for word in item.split():
            kind = Integer if word.endswith("#") else Text
            made.append(Column(word.rstrip("#?"), kind, nullable=word.endswith("?")))
    Table(name, metadata, *made)


def _number(name: str, *items: SchemaItem) -> Column[int]:
    return Column(name, Integer, *items, primary_key=True, autoincrement=False)


def _key(name: str = "id", *items: SchemaItem) -> Column[str]:
    return Column(name, Text, *items, primary_key=True)


def _one_of(name: str, *words: str, primary_key: bool = False) -> Column[str]:
    listed = ", ".join(f"'{word}'" for word in words)
    check = CheckConstraint(f"{name} IN ({listed})", name=name)
    return Column(name, Text, check, primary_key=primary_key, nullable=False)


def _audited(name: str) -> Column[int]:
    return Column(name, Integer, ForeignKey("audit.seq"), nullable=False)


def _single() -> Column[int]:
    return _number("id", CheckConstraint("id = 1", name="single"))


_table("store_info", _single(), "store_id created_at")
_table("audit", _number("seq"), "at actor action subject detail prev_hash hash")
_table("control_state", _single(), "version# document", _audited("changed_seq"), _audited("head_seq"), "head_hash seal")
_table(
    "good_version",
    _number("audit_seq", ForeignKey("audit.seq")),
    "target",
    _one_of("kind", "release", "config"),
    "name digest marked_at",
)
_table("incident", _key(), "opened_at state profile suite version# data")
_table("incident_event", _key("incident_id", ForeignKey("incident.id")), _number("seq"), "at kind data")
_table(
    "step",
    _key("incident_id", ForeignKey("incident.id")),
    "plan_digest",
    _one_of("phase", "apply", "undo", primary_key=True),
    _number("idx"),
    _one_of("state", "planned", "armed", "done", "failed", "unknown"),
    "armed_at? ended_at? data",
)
_table(
    "operator",
    _key("name"),
    Column("public_key", Text, nullable=False, unique=True),
    "added_at added_by revoked_at? revoked_by?",
)
_table(
    "token",
    _key(),
    Column("operator", Text, ForeignKey("operator.name"), nullable=False),
    Column("token_hash", Text, nullable=False, unique=True),
    "scopes issued_at expires_at revoked_at? revoked_by?",
)
_table(
    "outbox",
    _key(),
    "created_at created_by body digest",
    _one_of("state", "PENDING", "SENDING", "SENT", "FAILED", "UNKNOWN", "WITHDRAWN"),
    Column("fire_id", Text, ForeignKey("fire.id"), nullable=True),
    "claimed_at? ended_at? detail",
)
_table("fire", _key(), Column("window_id", Text, unique=True), "actor begun_at ended_at? outcome receipt")
_table("work", _key(), "kind host boot_id pid# started_ticks begun_at ended_at? ended_how")
_table("cycle_run", _key(), Column("slot", Text, unique=True), "actor begun_at ended_at? outcome receipt")
_table("ticket", _number("seq"), _audited("audit_seq"), "journal line", UniqueConstraint("audit_seq"))
_table("contract", _key("name"), "digest", _audited("audit_seq"))
_table("mirror", _key("path"), "digest pending# exported_at")
_table("log_mark", _key("path"), "size# digest marked_at")
Index("ix_audit_action", metadata.tables["audit"].c.action)
Index("ix_outbox_state", metadata.tables["outbox"].c.state)
Index("ix_work_open", metadata.tables["work"].c.ended_at)

_COPIED = ("audit", "good_version", "incident", "incident_event", "step")  # each behind those that it refers to
_KEEP_AUDIT = tuple(
    f"CREATE TRIGGER audit_keeps_{act.lower()} BEFORE {act} ON audit "
    "BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END"
    for act in ("DELETE", "UPDATE")
)


def upgrade() -> None:
    """Make the tables of today beside those of before, fill them, and drop those of before."""
    bind = op.get_bind()
    sqlite = bind.dialect.name == "sqlite"
    if sqlite:
        for name in former.TRIGGERS:
            op.execute(f"DROP TRIGGER {name}")
    for name in former.TABLES:
        op.rename_table(name, f"former_{name}")
    metadata.create_all(bind)
    for name in _COPIED:
        columns = ", ".join(metadata.tables[name].c.keys())
        op.execute(text(f"INSERT INTO {name} ({columns}) SELECT {columns} FROM former_{name}"))  # noqa: S608 - constants
    op.execute(
        text(
            "INSERT INTO store_info (id, store_id, created_at) "
            "SELECT id, store_id, created_at FROM former_schema_version"
        )
    )
    _fill_state(bind)
    for name in reversed(former.TABLES):
        op.drop_table(f"former_{name}")
    if sqlite:
        for statement in _KEEP_AUDIT:
            op.execute(statement)


def _fill_state(bind: Connection) -> None:
    created_at = bind.execute(text("SELECT created_at FROM former_schema_version")).scalar()
    for row in bind.execute(text("SELECT * FROM former_control_state")).mappings().all():
        told = {name: row[name] for name in former.VALUES}
        off = {"enabled": False, "channel": "CONSOLE_ONLY", "reason": "default", "by": "unknown"}
        document = {
            **told,
            "stopped": bool(told["stopped"]),
            "sender": {**off, "at": created_at, "until": None},
            "window": None,
        }
        bind.execute(
            text(
                "INSERT INTO control_state (id, version, document, changed_seq, head_seq, head_hash, seal) "
                "VALUES (:id, :version, :document, :changed_seq, :head_seq, :head_hash, '')"
            ),
            {
                **{name: row[name] for name in ("id", "version", "changed_seq", "head_seq", "head_hash")},
                "document": json.dumps(document, sort_keys=True, separators=(",", ":")),
            },
        )
