"""The tables as they were first shipped: emergency stop and gate in columns, incidents and their steps."""

from __future__ import annotations

from alembic import op

from ops_core.control.migrations import former

revision = former.REVISION
down_revision = None


def upgrade() -> None:
    """Make the tables in an empty database."""
    for statement in former.TABLES.values():
        op.execute(statement)
    if op.get_bind().dialect.name == "sqlite":
        for statement in former.TRIGGERS.values():
            op.execute(statement)
