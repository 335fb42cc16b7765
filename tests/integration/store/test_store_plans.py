"""Every question is answered from an index: a million past deployments cost what a thousand do."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert, text
from sqlalchemy.dialects import postgresql
from store_samples import NOON, SCOPE, deployment, requested

from bot.domain.lifecycle import Phase
from bot.store import questions
from bot.store.ballots import ballots_of
from bot.store.codec import deployment_row, event_row
from bot.store.feed import touches_of
from bot.store.freezes import open_freezes
from bot.store.locks import open_locks
from bot.store.messages import untold_deployments
from bot.store.notices import untold_notices
from bot.store.overrides import overrides_at, overrides_of, overrides_to_review
from bot.store.readings import newest_not_kept, readings_of
from bot.store.releases import good_releases
from bot.store.schedules import due_schedules
from bot.store.tables import (
    ballots,
    deployments,
    events,
    freezes,
    locks,
    messages,
    notices,
    overrides,
    proven,
    readings,
    schedules,
)

if TYPE_CHECKING:
    from sqlalchemy import Select
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.store.engine import Database

ROWS = 6_000
HOUR = timedelta(hours=1)
QUESTIONS: dict[str, tuple[Select[Any], str]] = {
    "active": (questions.active_deployments(), "ix_deployments_active"),
    "queue": (questions.queued_for(SCOPE), "ix_deployments_active"),
    "being planned": (questions.planned_before(SCOPE, ROWS), "ix_deployments_active"),
    "holder": (questions.holder_of(SCOPE), "ix_deployments_active"),
    "waiting in a place": (questions.waiting_at("checkout", "staging"), "ix_deployments_active"),
    "held": (questions.held_deployments(), "ix_deployments_active"),
    "ended in a period": (questions.ended_between(NOON, NOON + HOUR), "ix_deployments_ended"),
    "asked back in a period": (questions.ended_between(NOON, NOON + HOUR), "ix_deployments_taken_back"),
    "ended in a place": (
        questions.ended_between(NOON, NOON + HOUR, service="checkout", environment="staging"),
        "ix_deployments_ended",
    ),
    "turn": (questions.claimed_by("turn-77"), "ix_deployments_turn"),
    "history of a place": (
        questions.past_of("checkout", "staging", limit=20, before=3_000),
        "ix_deployments_place",
    ),
    "history of a service": (questions.past_of("checkout", None, limit=20, before=None), "ix_deployments_service"),
    "stale": (untold_deployments(50), "ix_deployments_untold"),
    "rollback target": (good_releases("checkout", "staging", other_than="x"), "ix_proven_releases_good"),
    "touches": (touches_of("U0ADA", ROWS - 10), "events"),
    "message at a place": (
        messages.select().where(messages.c.channel == "C1", messages.c.ts == "5"),
        "ix_messages_place",
    ),
    "locks": (open_locks(NOON), "_locks_open"),
    "freezes": (open_freezes(NOON), "_freezes_open"),
    "ballots": (ballots_of("d77"), "_ballots_"),
    "exceptions of a place": (overrides_at("checkout", "staging", "d7"), "ix_overrides_place"),
    "exceptions of a deployment": (overrides_of("d77"), "ix_overrides_used_by"),
    "exceptions to review": (overrides_to_review(), "ix_overrides_to_review"),
    "untold notices": (untold_notices(50), "ix_notices_untold"),
    "readings": (readings_of("d77"), "readings"),
    "readings to give up": (newest_not_kept("d77"), "ix_readings_age"),
    "due": (due_schedules(NOON, 20), "ix_schedules_open"),
}
SORTED_BY_INDEX = {"active", "history of a place", "history of a service", "stale", "rollback target"}


@pytest.fixture
async def full(database: Database) -> Database:
    """A past of thousands, of which twenty are under way."""
    rows, records, releases, posted = [], [], [], []
    locked, frozen, said, timed = [], [], [], []
    excepted, noted, read = [], [], []
    for number in range(1, ROWS + 1):
        under_way = number % 300 == 0
        made = deployment(
            id=f"d{number}",
            number=number,
            origin=str(number),
            phase=Phase.QUEUED if under_way else Phase.SUCCEEDED,
            environment="staging" if number % 2 else "production",
            service="checkout" if number % 3 else "payments",
            turn=f"turn-{number}",
        )
        # An hour has sixty, and a day half of them all.
        ended = None if under_way else NOON + number * timedelta(minutes=1)
        ends = {"ended_at": ended, "taken_back_at": ended if number % 50 == 7 else None}
        rows.append({**deployment_row(made), **ends, "untold_since": NOON, "told_view": 0 if under_way else 1})
        records.append(event_row(requested(made)))
        place = {"service": made.service, "environment": made.environment, "digest": str(number % 50)}
        releases.append({**place, "proven_at": NOON, "deployment_id": made.id, "retired_at": None, "body": "{}"})
        message = {"deployment_id": made.id, "key": "root", "channel": "C1", "ts": str(number)}
        posted.append({**message, "digest": "", "tried_at": NOON})
        past = {"at": NOON, "ended_at": None if under_way else NOON, "body": "{}"}
        kind = {"change_type": "any", "level": "block", "automatic": False}
        locked.append({**past, **kind, "id": made.id, "scope": f"s{number}@*", "until": None})
        frozen.append({**past, "id": made.id, "scope": "*@*", "until": None})
        word = {"person": "p", "subject_hash": "s", "approve": True, "voided_at": None}
        said.append({"deployment_id": made.id, **word, "at": NOON, "body": "{}"})
        used = {"used_by": made.id, "reviewed_at": None if under_way else NOON}
        excepted.append(
            {"id": made.id, "kind": "break_glass", **place, "at": NOON, "until": NOON, **used, "body": "{}"}
        )
        note = {"kind": "lock_nag", "at": NOON, "tried_at": None, "channel": "D1"}
        noted.append({"key": made.id, **note, "ts": None if under_way else "1", "body": "{}"})
        read.append({"deployment_id": made.id, "check": "errors", "track": "canary", "at": NOON, "value": 0.01})
        timed.append({**past, "deployment_id": made.id, "expires": NOON, "version": 1})

    async def fill(connection: AsyncConnection) -> None:
        for table, values in (
            (deployments, rows),
            (events, records),
            (proven, releases),
            (messages, posted),
            (locks, locked),
            (freezes, frozen),
            (ballots, said),
            (schedules, timed),
            (overrides, excepted),
            (notices, noted),
            (readings, read),
        ):
            await connection.execute(insert(table), values)
        await connection.execute(text("ANALYZE"))

    await database.write(fill)
    return database


async def test_every_question_is_answered_from_an_index(full: Database) -> None:
    for name, (question, index) in QUESTIONS.items():
        for plan in await plans_of(full, question):
            assert index in plan, f"{name}: {plan}"
            assert not re.search(r"Seq Scan|SCAN \w+$", plan, re.MULTILINE), f"{name}: {plan}"
            if name in SORTED_BY_INDEX:
                assert not re.search(r"Sort|TEMP B-TREE", plan), f"{name}: {plan}"


async def test_a_question_without_an_index_would_be_noticed(full: Database) -> None:
    [plan, *_] = await plans_of(full, deployments.select().where(deployments.c.body == "x"))
    assert re.search(r"Seq Scan|SCAN", plan)


async def plans_of(database: Database, question: Select[Any]) -> list[str]:
    """How the database answers: on PostgreSQL both with the values known and without (prepared, generic)."""

    async def explain(connection: AsyncConnection) -> list[str]:
        if database.dialect == "sqlite":
            literal = question.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
            rows = await connection.execute(text(f"EXPLAIN QUERY PLAN {literal}".replace(":", r"\:")))
            return ["\n".join(row.detail for row in rows)]
        dialect = postgresql.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]  # SQLAlchemy's
        compiled = question.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
        assert compiled.positiontup is not None
        values = [compiled.params[name] for name in compiled.positiontup]
        literals = ", ".join(str(value) if isinstance(value, int) else f"'{value}'" for value in values)
        plans = []
        for mode in ("force_custom_plan", "force_generic_plan"):
            await connection.exec_driver_sql(f"SET plan_cache_mode = {mode}")
            await connection.exec_driver_sql(f"PREPARE question AS {compiled}".replace("%", "%%"))
            call = f"({literals})" if values else ""
            rows = await connection.exec_driver_sql(f"EXPLAIN EXECUTE question{call}".replace("%", "%%"))
            plans.append("\n".join(row[0] for row in rows))
            await connection.exec_driver_sql("DEALLOCATE question")
        return plans

    return await database.write(explain)
