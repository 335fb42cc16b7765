"""The questions that are asked of the deployments, each answered from an index: a million past ones cost it nothing.

Must not run them: `bot.store.deployments` does, and a test looks at how the databases would.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, and_, literal, literal_column, or_, select, tuple_

from bot.domain.lifecycle import Phase
from bot.store.tables import deployments

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement, Select

_KEPT = {"active", "rank", "told_view", "untold_since", "ended_at", "taken_back_at"}
COLUMNS = [column for column in deployments.c if column.name not in _KEPT]
# Written out, not bound: only so can a planner see that the small index of what is under way will do.
_ACTIVE: ColumnElement[bool] = literal_column("active")
# Written out too: not knowing how few are wanted, a planner may sort a million rows for twenty.
_ONE: ColumnElement[int] = literal_column("1")
LAST_NUMBER = 2**63 - 1
_LOCKED = tuple(phase.value for phase in Phase if phase.holds_lock)
_WAITING = tuple(phase.value for phase in (Phase.AWAITING_APPROVAL, Phase.SCHEDULED, Phase.HELD, Phase.QUEUED))


def active_deployments() -> Select[Any]:
    """Every deployment under way, oldest first."""
    return select(*COLUMNS).where(_ACTIVE).order_by(deployments.c.number)


def queued_for(scope: str) -> Select[Any]:
    """Those that wait for a scope, in the order of their turns."""
    return (
        select(*COLUMNS)
        .where(_ACTIVE, deployments.c.scope == scope, deployments.c.phase == Phase.QUEUED.value)
        .order_by(deployments.c.rank, deployments.c.number)
    )


def planned_before(scope: str, number: int) -> Select[Any]:
    """One row if an earlier request for a scope is still being planned."""
    return (
        select(deployments.c.number)
        .where(
            _ACTIVE,
            deployments.c.scope == scope,
            deployments.c.phase == Phase.REQUESTED.value,
            deployments.c.number < number,
        )
        .limit(_ONE)
    )


def holder_of(scope: str) -> Select[Any]:
    """The one that has a scope for itself."""
    return (
        select(*COLUMNS)
        .where(_ACTIVE, deployments.c.scope == scope, deployments.c.phase.in_(_LOCKED))
        .order_by(deployments.c.number)
        .limit(_ONE)
    )


def waiting_at(service: str, environment: str) -> Select[Any]:
    """Those that are planned and wait for whatever it is, oldest first."""
    return (
        select(*COLUMNS)
        .where(
            _ACTIVE,
            deployments.c.service == service,
            deployments.c.environment == environment,
            deployments.c.phase.in_(_WAITING),
        )
        .order_by(deployments.c.number)
    )


def held_deployments() -> Select[Any]:
    """Those that a gate keeps from going on, oldest first."""
    return active_deployments().where(deployments.c.phase == Phase.HELD.value)


def ended_between(
    since: datetime, until: datetime, *, service: str | None = None, environment: str | None = None
) -> Select[Any]:
    """Those that ended in a period or were asked back in it, oldest first."""
    # One range for each of two indexes, each with the place.
    place = [deployments.c.service == service] if service is not None else []
    place += [deployments.c.environment == environment] if environment is not None else []
    ended, taken_back = (
        and_(column >= since, column < until, *place)
        for column in (deployments.c.ended_at, deployments.c.taken_back_at)
    )
    return select(*COLUMNS).where(or_(ended, taken_back)).order_by(deployments.c.number)


def claimed_by(turn: str) -> Select[Any]:
    """The newest that a turn has claimed."""
    return (
        select(*COLUMNS)
        .where(literal_column("turn IS NOT NULL"), deployments.c.turn == turn)
        .order_by(deployments.c.number.desc())
        .limit(_ONE)
    )


def past_of(service: str, environment: str | None, *, limit: int, before: int | None) -> Select[Any]:
    """One page of history, newest first: it begins where the page before it ended, whatever its number.

    The place is part of the bounds and of the order, though it is the same in every row: asked for the number alone, a
    planner may walk back through a million rows of other places to find twenty of a quiet one.
    """
    place = [(deployments.c.service, service)]
    if environment is not None:
        place.append((deployments.c.environment, environment))
    columns = [*(column for column, _ in place), deployments.c.number]
    values = [literal(value) for _, value in place]
    newest = literal(LAST_NUMBER if before is None else before, BigInteger)
    return (
        select(*COLUMNS)
        .where(tuple_(*columns) < tuple_(*values, newest), tuple_(*columns) > tuple_(*values, literal(0, BigInteger)))
        .order_by(*(column.desc() for column in columns))
        .limit(literal_column(str(int(limit))))
    )
