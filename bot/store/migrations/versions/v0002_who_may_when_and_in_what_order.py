"""What rules over deployments: the audit's chain, locks, freezes, ballots, schedules.

The chain begins here: what was before it stays in ``events`` and is not claimed to have been audited.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_AUDIT = (
    *("at", "actor_kind", "actor_workspace", "actor_id", "actor_name", "door", "act", "object", "about", "before"),
    *("after", "reason", "rule", "override", "permalink", "previous", "hash"),
)
_OPEN = sa.text("ended_at IS NULL")
_COUNTS = sa.text("voided_at IS NULL")


def upgrade() -> None:
    """Bring the tables to this revision."""
    _audit()
    op.create_table(
        "locks",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("change_type", sa.String(length=32), nullable=False),
        sa.Column("level", sa.String(length=16), nullable=False),
        sa.Column("automatic", sa.Boolean(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_locks")),
    )
    op.create_index("ix_locks_open", "locks", ["at", "id"], sqlite_where=_OPEN, postgresql_where=_OPEN)
    op.create_index(
        "uq_locks_open",
        "locks",
        ["scope", "change_type", "level", "automatic"],
        unique=True,
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )
    op.create_table(
        "freezes",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_freezes")),
    )
    op.create_index("ix_freezes_open", "freezes", ["at", "id"], sqlite_where=_OPEN, postgresql_where=_OPEN)
    op.create_table(
        "ballots",
        sa.Column("sequence", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("deployment_id", sa.String(length=64), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("subject_hash", sa.Text(), nullable=False),
        sa.Column("approve", sa.Boolean(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("voided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["deployment_id"], ["deployments.id"], name=op.f("fk_ballots_deployment_id")),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_ballots")),
    )
    op.create_index("ix_ballots_deployment", "ballots", ["deployment_id", "sequence"])
    op.create_index(
        "uq_ballots_counting",
        "ballots",
        ["deployment_id", "person", "subject_hash"],
        unique=True,
        sqlite_where=_COUNTS,
        postgresql_where=_COUNTS,
    )
    op.create_table(
        "schedules",
        sa.Column("deployment_id", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["deployment_id"], ["deployments.id"], name=op.f("fk_schedules_deployment_id")),
        sa.PrimaryKeyConstraint("deployment_id", name=op.f("pk_schedules")),
    )
    op.create_index(
        "ix_schedules_open", "schedules", ["at", "deployment_id"], sqlite_where=_OPEN, postgresql_where=_OPEN
    )


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column(
            "sequence", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        *(sa.Column(name, sa.Text(), nullable=False) for name in _AUDIT),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_audit")),
    )
    head = op.create_table(
        "audit_head",
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_audit_head")),
    )
    op.bulk_insert(head, [{"name": "audit", "sequence": 0, "hash": "0" * 64}])
    # The chain shows that a row was changed; this keeps a slip of the hand from changing one.
    refusal = "the audit is append-only"
    if op.get_bind().dialect.name == "sqlite":
        for act in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_is_append_only_{act.lower()} BEFORE {act} ON audit "
                f"BEGIN SELECT RAISE(ABORT, '{refusal}'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION refuse_to_change_the_audit() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{refusal}'; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change_the_audit()"
    )
