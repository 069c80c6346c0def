"""An index for the question that is asked most: which items are the newest."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
# An index holds nothing of its own.
reversible = True
data_safe = True


def upgrade() -> None:
    """Make it."""
    op.create_index("items_newest", "items", ["received_at", "id"])


def downgrade() -> None:
    """Remove it."""
    op.drop_index("items_newest", "items")
