"""Deployments and their events: every change is a compare-and-swap with its event in one transaction.

Must not decide what may change: that is for the function that the caller passes.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, case, select, true, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from bot.domain.actor import BOT
from bot.domain.audit import entry_of
from bot.domain.errors import StoreError, UnknownDeployment
from bot.domain.history import Event
from bot.store.chain import append
from bot.store.codec import deployment_of, deployment_row, event_of, event_row
from bot.store.engine import TRIES, Interrupted
from bot.store.overrides import bind
from bot.store.questions import (
    COLUMNS,
    LAST_NUMBER,
    active_deployments,
    claimed_by,
    ended_between,
    held_deployments,
    holder_of,
    past_of,
    planned_before,
    queued_for,
    waiting_at,
)
from bot.store.tables import counters, deployments, events

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import RowMapping, Select
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.domain.audit import AuditEntry
    from bot.domain.deployment import Deployment
    from bot.domain.ids import DeploymentId, EnvironmentName, LockScope, ServiceName
    from bot.store.engine import Database

    Change = Callable[[Deployment], Deployment]

_READ_AT_ONCE = 50


class StoredDeployments:
    """`bot.ports.deployments.Deployments` in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        insert = sqlite_insert if database.dialect == "sqlite" else postgresql_insert
        next_number = insert(counters).values(name="deployments", value=1)
        self._next_number = next_number.on_conflict_do_update(
            index_elements=["name"], set_={"value": counters.c.value + 1}
        ).returning(counters.c.value)
        # A row comes back only if one was written.
        self._insert = insert(deployments).on_conflict_do_nothing().returning(deployments.c.id)
        self._insert_event = (
            insert(events).on_conflict_do_nothing(index_elements=["deployment_id", "key"]).returning(events.c.sequence)
        )

    async def add(
        self,
        deployment: Deployment,
        *,
        event: Event,
        taking_back: DeploymentId | None = None,
        change: Change | None = None,
        taking_back_event: Event | None = None,
        override: str | None = None,
    ) -> Deployment:
        """Store a new deployment under the next number; see the port."""

        async def work(connection: AsyncConnection) -> Deployment:
            # Whoever has the counter is alone until it commits: numbers are dense and in the order of commits.
            number = (await connection.execute(self._next_number)).scalar_one()
            numbered = replace(deployment, number=number)
            row = {**deployment_row(numbered), "untold_since": datetime.now(UTC)}
            if (await connection.execute(self._insert, row)).first() is None:
                raise _AlreadyDone
            await connection.execute(self._insert_event, event_row(event))
            acts = [entry_of(event, numbered)]
            if taking_back is not None and change is not None:
                record = None if taking_back_event is None else (lambda _before, _after: taking_back_event)
                swap = _Swap(change, event=record, key=None)
                await self._swap(connection, taking_back, swap, lock=True, acts=acts)
            if override is not None:
                _, used = await bind(connection, self._database, override, numbered, acts[0].deed)
                acts += used
            await append(connection, acts)
            return numbered

        try:
            return await self._database.write(work)
        except _AlreadyDone:
            found = await self._one(select(*COLUMNS).where(deployments.c.origin == deployment.origin))
            if found is None:
                raise StoreError(f"There is another deployment with the id {deployment.id}.") from None
            return found
        except _Passed as passed:
            raise passed.error from None

    async def get(self, deployment_id: DeploymentId) -> Deployment:
        """That deployment; raises `UnknownDeployment`."""
        found = await self._one(_BY_ID, {"deployment": deployment_id})
        if found is None:
            raise UnknownDeployment(f"There is no deployment {deployment_id}.")
        return found

    async def by_number(self, number: int) -> Deployment:
        """The deployment that people call #``number``; raises `UnknownDeployment`."""
        # No column holds such a number, so neither does any deployment.
        found = None
        if 0 < number <= LAST_NUMBER:
            found = await self._one(select(*COLUMNS).where(deployments.c.number == number))
        if found is None:
            raise UnknownDeployment(f"There is no deployment #{number}.")
        return found

    async def update(
        self,
        deployment_id: DeploymentId,
        change: Change,
        *,
        event: Callable[[Deployment, Deployment], Event] | None = None,
        key: str | None = None,
    ) -> Deployment:
        """Compare-and-swap; see the port. What ``change`` returns unchanged is not written."""
        swap = _Swap(change, event=event, key=key)
        for attempt in range(TRIES):

            async def work(connection: AsyncConnection, lock: bool = attempt > 0) -> Deployment:
                acts: list[AuditEntry] = []
                after = await self._swap(connection, deployment_id, swap, lock=lock, acts=acts)
                await append(connection, acts)
                return after

            try:
                return await self._database.write(work, repeatable=False)
            except _AlreadyDone:
                return await self.get(deployment_id)
            except _Passed as passed:
                raise passed.error from None
            except Interrupted:
                written = await self._was_written(deployment_id, swap)
                if written is not None:
                    return written
            except _Overtaken:
                await asyncio.sleep(random.uniform(0, 0.01) * attempt)  # noqa: S311 - spreads callers, hides nothing
        raise StoreError("The deployment is being changed by too many at once; nothing was changed.")

    async def active(self) -> Sequence[Deployment]:
        """Every deployment whose work is not over, oldest first."""
        return await self._all(active_deployments())

    async def queue(self, scope: LockScope) -> Sequence[Deployment]:
        """Those that wait for ``scope``: rollbacks first, then by number."""
        return await self._all(queued_for(scope))

    async def being_planned(self, scope: LockScope, *, before: int) -> bool:
        """Whether a request for ``scope`` with a number below ``before`` is still being planned."""

        async def look(connection: AsyncConnection) -> bool:
            return (await connection.execute(planned_before(scope, before))).first() is not None

        return await self._database.read(look)

    async def holder(self, scope: LockScope) -> Deployment | None:
        """The deployment that has ``scope`` for itself now."""
        return await self._one(holder_of(scope))

    async def waiting(self, service: ServiceName, environment: EnvironmentName) -> Sequence[Deployment]:
        """Those of exactly that place that are planned and wait, for whatever it is; oldest first."""
        return await self._all(waiting_at(service, environment))

    async def held(self) -> Sequence[Deployment]:
        """Every deployment that a gate keeps from going on, oldest first."""
        return await self._all(held_deployments())

    async def ended(
        self,
        *,
        since: datetime,
        until: datetime,
        service: ServiceName | None = None,
        environment: EnvironmentName | None = None,
    ) -> Sequence[Deployment]:
        """Those that ended in a period or were asked back in it, oldest first; see the port."""
        return await self._all(ended_between(since, until, service=service, environment=environment))

    async def of_turn(self, turn: str) -> Deployment | None:
        """The deployment that a turn has claimed; the newest, should it have claimed several."""
        return await self._one(claimed_by(turn))

    async def history(
        self, service: ServiceName, environment: EnvironmentName | None, *, limit: int, before: int | None = None
    ) -> Sequence[Deployment]:
        """Past and present deployments, newest first; ``before`` a number, for the next page."""
        return await self._all(past_of(service, environment, limit=limit, before=before))

    async def events(self, deployment_id: DeploymentId) -> Sequence[Event]:
        """What happened to a deployment, oldest first."""
        statement = select(events).where(events.c.deployment_id == deployment_id).order_by(events.c.sequence)

        async def look(connection: AsyncConnection) -> list[Event]:
            return [event_of(row) for row in (await connection.execute(statement)).mappings()]

        return await self._database.read(look)

    async def _one(self, statement: Select[Any], values: dict[str, Any] | None = None) -> Deployment | None:
        async def look(connection: AsyncConnection) -> Deployment | None:
            row = (await connection.execute(statement, values)).mappings().first()
            return None if row is None else deployment_of(row)

        return await self._database.read(look)

    async def _all(self, statement: Select[Any]) -> list[Deployment]:
        async def look(connection: AsyncConnection) -> list[RowMapping]:
            return list((await connection.execute(statement)).mappings())

        rows = await self._database.read(look)
        found: list[Deployment] = []
        for begin in range(0, len(rows), _READ_AT_ONCE):
            if begin:
                await asyncio.sleep(0)  # a thousand at once would hold up everything else for a tenth of a second
            found += [deployment_of(row) for row in rows[begin : begin + _READ_AT_ONCE]]
        return found

    async def _swap(
        self,
        connection: AsyncConnection,
        deployment_id: DeploymentId,
        swap: _Swap,
        *,
        lock: bool,
        acts: list[AuditEntry],
    ) -> Deployment:
        """Read, change, write if nobody wrote meanwhile; with ``lock`` nobody can. Adds to ``acts`` what it did."""
        statement = _BY_ID.with_for_update() if lock else _BY_ID
        row = (await connection.execute(statement, {"deployment": deployment_id})).mappings().first()
        if row is None:
            raise UnknownDeployment(f"There is no deployment {deployment_id}.")
        before = deployment_of(row)
        if swap.key is not None and (
            (await connection.execute(_EVENT_EXISTS, {"deployment": deployment_id, "event": swap.key})).first()
        ):
            raise _AlreadyDone  # by somebody who may have been quicker than our reading of the row
        after, event = swap.apply(before)
        if after == before:
            return before
        written = deployment_row(after)
        values = {name: written[name] for name in _MUTABLE}
        values |= {"deployment": deployment_id, "seen": before.view, "now": datetime.now(UTC)}
        if (await connection.execute(_UPDATE, values)).rowcount == 0:
            raise _Overtaken
        if event is not None:
            if (await connection.execute(self._insert_event, event_row(event))).first() is None:
                raise _AlreadyDone
            acts.append(entry_of(event, after))
        return after

    async def _was_written(self, deployment_id: DeploymentId, swap: _Swap) -> Deployment | None:
        """What the connection that broke during its commit left behind; None if it wrote nothing."""
        unknown = StoreError(
            "The connection broke while a change was written; look whether it was before repeating it."
        )
        try:
            now = await self.get(deployment_id)
            seen = {event.key for event in await self.events(deployment_id)} if swap.written else set()
        except StoreError:
            raise unknown from None
        if now == swap.after or (swap.written and swap.written in seen):
            return now
        if now == swap.before:
            return None
        raise unknown


class _Swap:
    """One change on its way: what to do, and what the last try saw and wrote."""

    def __init__(
        self, change: Change, *, event: Callable[[Deployment, Deployment], Event] | None, key: str | None
    ) -> None:
        self._change = change
        self._event = event
        self.key = key
        self.before: Deployment | None = None
        self.after: Deployment | None = None
        self.written: str | None = None
        """Key of the event that was to be written."""

    def apply(self, before: Deployment) -> tuple[Deployment, Event | None]:
        """The deployment afterwards with its event; raises `_Passed` around whatever the change raises."""
        try:
            after = self._change(before)
            event = None
            if after != before:
                if after.view <= before.view:
                    raise ValueError("A change of a deployment must raise its view.")
                event = self._event(before, after) if self._event else None
        except Exception as error:
            raise _Passed(error) from error
        if after != before and self.key is not None:
            # Without a row of that key the act could not be recognised when it is repeated.
            if event is None:
                event = Event(deployment=before.id, key=self.key, kind="noted", actor=BOT, at=datetime.now(UTC))
            event = replace(event, key=self.key)
        self.before, self.after, self.written = before, after, event.key if event else None
        return after, event


class _AlreadyDone(Exception):
    """What was to be stored is there."""


class _Overtaken(Exception):
    """Somebody wrote between our read and our write."""


class _Passed(Exception):
    """Carries what the caller's function raised past everything that looks for the database's own errors."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


_MUTABLE = ("phase", "active", "rank", "version", "view", "turn", "scope", "ended_at", "taken_back_at", "body")
_BY_ID = select(*COLUMNS).where(deployments.c.id == bindparam("deployment"))
_EVENT_EXISTS = select(true()).where(
    events.c.deployment_id == bindparam("deployment"), events.c.key == bindparam("event")
)
_UPDATE = (
    update(deployments)
    .where(deployments.c.id == bindparam("deployment"), deployments.c.view == bindparam("seen"))
    .values(
        {name: bindparam(name) for name in _MUTABLE}
        | {
            "untold_since": case(
                (deployments.c.view > deployments.c.told_view, deployments.c.untold_since), else_=bindparam("now")
            )
        }
    )
)
