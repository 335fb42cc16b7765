"""Exceptions and notices; those who were hurried in the queue; when the work of a deployment ended.

Ends are read from ``events``, where every transition has been since the first revision.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_FINAL = (
    *("succeeded", "failed", "errored", "aborted", "rejected", "expired", "superseded", "rolling_back", "rolled_back"),
)
_ACTIVE = sa.text("active")
_UNTOLD = sa.text("ts IS NULL")
_USED = sa.text("used_by IS NOT NULL")
_TO_REVIEW = sa.text("kind = 'break_glass' AND used_by IS NOT NULL AND reviewed_at IS NULL")
_TAKEN_BACK = sa.text("taken_back_at IS NOT NULL")


def upgrade() -> None:
    """Bring the tables to this revision."""
    op.create_table(
        "overrides",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_by", sa.String(length=64), nullable=True),
        sa.Column("reviewed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["used_by"], ["deployments.id"], name=op.f("fk_overrides_used_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_overrides")),
    )
    op.create_index("ix_overrides_place", "overrides", ["service", "environment", "digest", "at", "id"])
    op.create_index(
        "ix_overrides_used_by", "overrides", ["used_by", "at", "id"], sqlite_where=_USED, postgresql_where=_USED
    )
    op.create_index(
        "ix_overrides_to_review", "overrides", ["at", "id"], sqlite_where=_TO_REVIEW, postgresql_where=_TO_REVIEW
    )
    op.create_table(
        "notices",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tried_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("ts", sa.Text(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_notices")),
    )
    op.create_index("ix_notices_untold", "notices", ["at", "key"], sqlite_where=_UNTOLD, postgresql_where=_UNTOLD)
    _deployments()


def _deployments() -> None:
    # A rollback stays first with 0, and 1 is now for those who were hurried. Only those under way are ever in a queue.
    op.execute(
        sa.text("UPDATE deployments SET rank = 2 WHERE active AND rank = 1 AND body NOT LIKE :hurried").bindparams(
            hurried='%"hurried":true%'
        )
    )
    for name in ("ended_at", "taken_back_at"):
        op.add_column("deployments", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.execute(
        # Only words of ours are put together here.
        f"UPDATE deployments SET ended_at = {_first(_FINAL)}, taken_back_at = {_first(('rolling_back',))} "  # noqa: S608 - no value in it
        "WHERE NOT active"
    )
    op.create_index(
        "ix_deployments_active_place",
        "deployments",
        ["service", "environment", "number"],
        sqlite_where=_ACTIVE,
        postgresql_where=_ACTIVE,
    )
    op.create_index("ix_deployments_ended", "deployments", ["ended_at", "service", "environment"])
    op.create_index(
        "ix_deployments_taken_back",
        "deployments",
        ["taken_back_at", "service", "environment"],
        sqlite_where=_TAKEN_BACK,
        postgresql_where=_TAKEN_BACK,
    )


def _first(phases: tuple[str, ...]) -> str:
    """When a deployment first came into one of these phases."""
    words = ", ".join(f"'{phase}'" for phase in phases)
    return (
        '(SELECT min(events."at") FROM events '  # noqa: S608 - no value in it
        f'WHERE events.deployment_id = deployments.id AND events."after" IN ({words}))'
    )
