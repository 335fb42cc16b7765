"""Alerts that others tell of, and metric sources that are told of deployments."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the tables to this revision."""
    op.create_table(
        "alerts",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deployment_id", sa.String(length=64), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.String(length=32), nullable=True),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["deployment_id"], ["deployments.id"], name=op.f("fk_alerts_deployment_id")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_alerts")),
    )
    op.create_index("ix_alerts_age", "alerts", ["received_at"])
    op.create_index("ix_alerts_same", "alerts", ["source", "fingerprint", "starts_at"])
    is_pending = sa.text("settled_at IS NULL")
    op.create_index(
        "ix_alerts_pending", "alerts", ["received_at", "key"], sqlite_where=is_pending, postgresql_where=is_pending
    )
    is_attached = sa.text("deployment_id IS NOT NULL")
    op.create_index(
        "ix_alerts_deployment",
        "alerts",
        ["deployment_id", "starts_at"],
        sqlite_where=is_attached,
        postgresql_where=is_attached,
    )
    op.create_table(
        "markers",
        sa.Column("deployment_id", sa.String(length=64), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["deployment_id"], ["deployments.id"], name=op.f("fk_markers_deployment_id")),
        sa.PrimaryKeyConstraint("deployment_id", "source", name=op.f("pk_markers")),
    )
    is_open = sa.text("closed_at IS NULL")
    op.create_index(
        "ix_markers_due",
        "markers",
        ["due_at", "deployment_id", "source"],
        sqlite_where=is_open,
        postgresql_where=is_open,
    )
