"""The tables as they are now. What is searched for has a column; everything else is in a row's ``body``.

A change here needs a migration of the same content in ``migrations/versions``; a test compares the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    literal_column,
    text,
)

from bot.domain.audit import COLUMNS
from bot.store.instants import Instant

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

SCHEMA = "0007"
"""The revision of the schema that this build works with: the newest of ``migrations/versions``."""


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite gives out numbers by itself only for a column that is exactly INTEGER.
_Sequence = BigInteger().with_variant(Integer(), "sqlite")


def _only(condition: str) -> dict[str, Any]:
    """An index of only the rows for which this holds, on either kind of database."""
    where: ColumnElement[bool] = literal_column(condition)
    return {"sqlite_where": where, "postgresql_where": where}


def _body() -> Column[Any]:
    # Text of ASCII JSON and not a JSON type: that one cannot hold every character that people may type.
    return Column("body", Text, nullable=False)


counters = Table(
    "counters",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

deployments = Table(
    "deployments",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("number", BigInteger, nullable=False, unique=True),
    Column("service", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("phase", String(32), nullable=False),
    Column("active", Boolean, nullable=False),
    # 0 for a rollback: it goes before everybody else who waits. 1 for one that somebody hurried, 2 for the others.
    Column("rank", SmallInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("view", BigInteger, nullable=False),
    Column("told_view", BigInteger, nullable=False, server_default=text("0")),
    # Since when there is something to tell.
    Column("untold_since", Instant, nullable=False),
    Column("origin", Text, nullable=False, unique=True),
    Column("turn", Text),
    # When its own work was over, and when somebody first asked to take it back.
    Column("ended_at", Instant),
    Column("taken_back_at", Instant),
    _body(),
)

# The few that are under way have indexes of their own, so that a million past ones cost them nothing.
_is_active = _only("active")
Index("ix_deployments_active_number", deployments.c.number, **_is_active)
Index(
    "ix_deployments_active_scope",
    deployments.c.scope,
    deployments.c.phase,
    deployments.c.rank,
    deployments.c.number,
    **_is_active,
)
Index(
    "ix_deployments_active_place", deployments.c.service, deployments.c.environment, deployments.c.number, **_is_active
)
# With the place in it: what of a period belongs to one service is told without looking at the rows.
Index("ix_deployments_ended", deployments.c.ended_at, deployments.c.service, deployments.c.environment)
_is_taken_back = _only("taken_back_at IS NOT NULL")
Index(
    "ix_deployments_taken_back",
    deployments.c.taken_back_at,
    deployments.c.service,
    deployments.c.environment,
    **_is_taken_back,
)
_is_untold = _only("view > told_view")
Index("ix_deployments_untold", deployments.c.untold_since, deployments.c.number, **_is_untold)
_has_turn = _only("turn IS NOT NULL")
Index("ix_deployments_turn", deployments.c.turn, deployments.c.number, **_has_turn)
Index("ix_deployments_place", deployments.c.service, deployments.c.environment, deployments.c.number)
Index("ix_deployments_service", deployments.c.service, deployments.c.number)

events = Table(
    "events",
    metadata,
    Column("sequence", _Sequence, primary_key=True, autoincrement=True),
    Column("deployment_id", String(64), ForeignKey("deployments.id"), nullable=False),
    Column("key", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("actor_id", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("before", String(32)),
    Column("after", String(32)),
    _body(),
    UniqueConstraint("deployment_id", "key"),
    sqlite_autoincrement=True,
)
Index("ix_events_deployment", events.c.deployment_id, events.c.sequence)

messages = Table(
    "messages",
    metadata,
    Column("deployment_id", String(64), ForeignKey("deployments.id"), primary_key=True),
    Column("key", Text, primary_key=True),
    Column("channel", Text, nullable=False),
    Column("ts", Text),
    Column("digest", Text, nullable=False),
    Column("tried_at", Instant, nullable=False),
)
Index("ix_messages_place", messages.c.channel, messages.c.ts)

placements = Table(
    "placements",
    metadata,
    Column("service", Text, primary_key=True),
    Column("environment", Text, primary_key=True),
    Column("since", Instant, nullable=False),
    Column("deployment_id", String(64)),
    _body(),
)

proven = Table(
    "proven_releases",
    metadata,
    Column("sequence", _Sequence, primary_key=True, autoincrement=True),
    Column("service", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("proven_at", Instant, nullable=False),
    Column("deployment_id", String(64), unique=True),
    Column("retired_at", Instant),
    _body(),
)
_is_good = _only("retired_at IS NULL")
Index(
    "ix_proven_releases_good", proven.c.service, proven.c.environment, proven.c.proven_at, proven.c.sequence, **_is_good
)
_is_adopted = _only("deployment_id IS NULL AND retired_at IS NULL")
Index("uq_proven_releases_adopted", proven.c.service, proven.c.environment, proven.c.digest, unique=True, **_is_adopted)

inbox = Table(
    "inbox",
    metadata,
    Column("key", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("begun_at", Instant, nullable=False),
    Column("finished_at", Instant),
)
Index("ix_inbox_begun_at", inbox.c.begun_at)

leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("ends_at", Instant, nullable=False),
)

catalog_revisions = Table(
    "catalog_revisions",
    metadata,
    Column("revision", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("text", Text, nullable=False),
)

# All text and never null: what is hashed is byte for byte what is there. Given to us as we say, so no autoincrement.
audit = Table(
    "audit",
    metadata,
    Column("sequence", _Sequence, primary_key=True, autoincrement=False),
    *(Column(name, Text, nullable=False) for name in COLUMNS),
)

# One row. Who has it locked is the only one who may append.
audit_head = Table(
    "audit_head",
    metadata,
    Column("name", String(16), primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("hash", Text, nullable=False),
)

locks = Table(
    "locks",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("scope", Text, nullable=False),
    Column("change_type", String(32), nullable=False),
    Column("level", String(16), nullable=False),
    Column("automatic", Boolean, nullable=False),
    Column("apart", Text, nullable=False, server_default=text("''")),
    Column("at", Instant, nullable=False),
    Column("until", Instant),
    Column("ended_at", Instant),
    _body(),
)
_is_open = _only("ended_at IS NULL")
Index("ix_locks_open", locks.c.at, locks.c.id, **_is_open)
# A second person is told of the first one's lock; the lock that a rollback leaves does not stand in anybody's way, and
# those that a system puts for incidents do not either: each incident's is ``apart``.
Index(
    "uq_locks_open",
    locks.c.scope,
    locks.c.change_type,
    locks.c.level,
    locks.c.automatic,
    locks.c.apart,
    unique=True,
    **_is_open,
)

freezes = Table(
    "freezes",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("scope", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("until", Instant),
    Column("ended_at", Instant),
    _body(),
)
Index("ix_freezes_open", freezes.c.at, freezes.c.id, **_is_open)

ballots = Table(
    "ballots",
    metadata,
    Column("sequence", _Sequence, primary_key=True, autoincrement=True),
    Column("deployment_id", String(64), ForeignKey("deployments.id"), nullable=False),
    Column("person", Text, nullable=False),
    Column("subject_hash", Text, nullable=False),
    Column("approve", Boolean, nullable=False),
    Column("at", Instant, nullable=False),
    Column("voided_at", Instant),
    _body(),
)
Index("ix_ballots_deployment", ballots.c.deployment_id, ballots.c.sequence)
_counts = _only("voided_at IS NULL")
Index("uq_ballots_counting", ballots.c.deployment_id, ballots.c.person, ballots.c.subject_hash, unique=True, **_counts)

schedules = Table(
    "schedules",
    metadata,
    Column("deployment_id", String(64), ForeignKey("deployments.id"), primary_key=True),
    Column("at", Instant, nullable=False),
    Column("expires", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("version", BigInteger, nullable=False),
    _body(),
)
Index("ix_schedules_open", schedules.c.at, schedules.c.deployment_id, **_is_open)

overrides = Table(
    "overrides",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("service", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("until", Instant, nullable=False),
    Column("used_by", String(64), ForeignKey("deployments.id")),
    Column("reviewed_at", Instant),
    _body(),
)
Index(
    "ix_overrides_place",
    overrides.c.service,
    overrides.c.environment,
    overrides.c.digest,
    overrides.c.at,
    overrides.c.id,
)
_is_used = _only("used_by IS NOT NULL")
Index("ix_overrides_used_by", overrides.c.used_by, overrides.c.at, overrides.c.id, **_is_used)
_is_to_review = _only("kind = 'break_glass' AND used_by IS NOT NULL AND reviewed_at IS NULL")
Index("ix_overrides_to_review", overrides.c.at, overrides.c.id, **_is_to_review)

notices = Table(
    "notices",
    metadata,
    Column("key", Text, primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("at", Instant, nullable=False),
    Column("tried_at", Instant),
    Column("channel", Text),
    # Null until it was told; empty when it never can be.
    Column("ts", Text),
    _body(),
)
_is_to_tell = _only("ts IS NULL")
Index("ix_notices_untold", notices.c.at, notices.c.key, **_is_to_tell)

readings = Table(
    "readings",
    metadata,
    Column("deployment_id", String(64), ForeignKey("deployments.id"), primary_key=True),
    Column("check", Text, primary_key=True),
    Column("track", String(16), primary_key=True),
    Column("at", Instant, primary_key=True),
    # Null where there was no data.
    Column("value", Double),
    Column("samples", Double),
)
Index("ix_readings_age", readings.c.deployment_id, readings.c.at)

alerts = Table(
    "alerts",
    metadata,
    Column("key", Text, primary_key=True),
    Column("source", String(32), nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("service", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("starts_at", Instant, nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("deployment_id", String(64), ForeignKey("deployments.id")),
    Column("ended_at", Instant),
    Column("outcome", String(32)),
    # Null until something became of it.
    Column("settled_at", Instant),
    _body(),
)
Index("ix_alerts_age", alerts.c.received_at)
Index("ix_alerts_same", alerts.c.source, alerts.c.fingerprint, alerts.c.starts_at)
_is_pending = _only("settled_at IS NULL")
Index("ix_alerts_pending", alerts.c.received_at, alerts.c.key, **_is_pending)
_is_attached = _only("deployment_id IS NOT NULL")
Index("ix_alerts_deployment", alerts.c.deployment_id, alerts.c.starts_at, **_is_attached)

markers = Table(
    "markers",
    metadata,
    Column("deployment_id", String(64), ForeignKey("deployments.id"), primary_key=True),
    Column("source", Text, primary_key=True),
    Column("due_at", Instant, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("begun_at", Instant),
    # Null while there is something to tell.
    Column("closed_at", Instant),
)
_is_to_mark = _only("closed_at IS NULL")
Index("ix_markers_due", markers.c.due_at, markers.c.deployment_id, markers.c.source, **_is_to_mark)

# What platforms that ask before they go on are allowed; beside it the newest look at them, which is no change of it.
gates = Table(
    "gates",
    metadata,
    Column("key", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("seen_at", Instant),
    Column("seen", Text),
    _body(),
)
