"""Locks that systems put for incidents stand beside those of people."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_OPEN = sa.text("ended_at IS NULL")


def upgrade() -> None:
    """Bring the tables to this revision."""
    op.add_column("locks", sa.Column("apart", sa.Text(), server_default=sa.text("''"), nullable=False))
    op.drop_index("uq_locks_open", table_name="locks")
    op.create_index(
        "uq_locks_open",
        "locks",
        ["scope", "change_type", "level", "automatic", "apart"],
        unique=True,
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )
