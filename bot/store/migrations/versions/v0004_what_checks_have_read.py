"""Readings of checks, kept for pictures."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the tables to this revision."""
    op.create_table(
        "readings",
        sa.Column("deployment_id", sa.String(length=64), nullable=False),
        sa.Column("check", sa.Text(), nullable=False),
        sa.Column("track", sa.String(length=16), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("samples", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["deployment_id"], ["deployments.id"], name=op.f("fk_readings_deployment_id")),
        sa.PrimaryKeyConstraint("deployment_id", "check", "track", "at", name=op.f("pk_readings")),
    )
    op.create_index("ix_readings_age", "readings", ["deployment_id", "at"])
