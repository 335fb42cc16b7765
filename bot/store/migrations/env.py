"""What Alembic runs around the migrations: on the connection that it is given, in the transaction that is open."""

from __future__ import annotations

from alembic import context

from bot.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite changes a table by copying it; Alembic writes that for us.
    render_as_batch=True,
    # We hold one transaction around everything, on SQLite too: it is all there or nothing is.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
