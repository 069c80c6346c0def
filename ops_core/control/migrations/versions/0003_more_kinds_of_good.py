"""What was seen good may also be a schema's revision or a container's image, not only a release or a configuration."""

from __future__ import annotations

from alembic import op
from sqlalchemy import CheckConstraint, Column, ForeignKeyConstraint, Integer, PrimaryKeyConstraint, Text, text

revision = "0003"
down_revision = "0002"

TABLE = "good_version"
CHECK = f"ck_{TABLE}_kind"
KINDS = "kind IN ('release', 'config', 'schema', 'image')"
COLUMNS = ("audit_seq", "target", "kind", "name", "digest", "marked_at")


def upgrade() -> None:
    """Let the table take more kinds; SQLite has no other way than to make it anew."""
    if op.get_bind().dialect.name != "sqlite":
        op.drop_constraint(op.f(CHECK), TABLE, type_="check")
        op.create_check_constraint(op.f(CHECK), TABLE, KINDS)
        return
    op.rename_table(TABLE, f"former_{TABLE}")
    op.create_table(
        TABLE,
        Column("audit_seq", Integer, nullable=False, autoincrement=False),
        *(Column(name, Text, nullable=False) for name in COLUMNS[1:]),
        PrimaryKeyConstraint("audit_seq", name=op.f(f"pk_{TABLE}")),
        ForeignKeyConstraint(["audit_seq"], ["audit.seq"], name=op.f(f"fk_{TABLE}_audit_seq")),
        CheckConstraint(KINDS, name=op.f(CHECK)),
    )
    listed = ", ".join(COLUMNS)
    op.execute(text(f"INSERT INTO {TABLE} ({listed}) SELECT {listed} FROM former_{TABLE}"))  # noqa: S608 - constants
    op.drop_table(f"former_{TABLE}")
