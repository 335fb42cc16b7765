"""Recorded exceptions: each change under the lock of its row, with the epoch and the audit in the same transaction.

Must not decide what an exception passes or who may agree to it: `bot.domain.policy.override` and the engine do.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import literal_column, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from bot.domain.audit import AuditEntry, instant
from bot.domain.errors import NothingToDo, SomebodyWasFaster, UnknownDeployment
from bot.domain.ids import DeploymentId, EnvironmentName, ServiceName
from bot.domain.policy.override import Override, OverrideKind
from bot.store.body import actor_in, actor_out, dump, enum_of, load
from bot.store.chain import append
from bot.store.codec import deployment_of
from bot.store.epoch import raise_epoch
from bot.store.tables import deployments, overrides

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import ColumnElement, RowMapping, Select
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.domain.actor import Actor
    from bot.domain.audit import Deed
    from bot.domain.deployment import Deployment
    from bot.store.engine import Database

Act = Literal["override.asked", "glass.broken", "override.agreed", "override.used", "override.reviewed"]
"""What the audit says was done to an exception."""

_NONE = "There is no such exception."
# Written out, not bound: only so can a planner see that the small index will do.
_TO_REVIEW: ColumnElement[bool] = literal_column("kind = 'break_glass' AND used_by IS NOT NULL AND reviewed_at IS NULL")


def overrides_at(service: str, environment: str, digest: str) -> Select[Any]:
    """Those for an artifact in a place, the newest first."""
    place = (overrides.c.service == service, overrides.c.environment == environment, overrides.c.digest == digest)
    return select(overrides).where(*place).order_by(overrides.c.at.desc(), overrides.c.id.desc())


def overrides_of(deployment_id: str) -> Select[Any]:
    """Those that a deployment has used, the oldest first."""
    return (
        select(overrides)
        .where(literal_column("used_by IS NOT NULL"), overrides.c.used_by == deployment_id)
        .order_by(overrides.c.at, overrides.c.id)
    )


def overrides_to_review() -> Select[Any]:
    """Broken glass that was used and that nobody has looked at, the oldest first."""
    return select(overrides).where(_TO_REVIEW).order_by(overrides.c.at, overrides.c.id)


async def bind(
    connection: AsyncConnection, database: Database, override_id: str, deployment: Deployment, deed: Deed
) -> tuple[Override, list[AuditEntry]]:
    """Bind an exception to a stored deployment within its transaction, which then has to record these acts.

    The epoch has been raised when there are any. Raises like `bot.ports.overrides.Overrides.use`.
    """
    row = await _take(connection, override_id)
    found = _override(row)
    if found.used_by == deployment.id:
        return found, []
    if found.used_by is not None:
        number = select(deployments.c.number).where(deployments.c.id == found.used_by)
        first = (await connection.execute(number)).scalar_one()
        raise SomebodyWasFaster(f"#{first} has used it already.", hint="Ask for another one.")
    what = (deployment.service, deployment.environment, deployment.release.artifact.digest)
    if what != (found.service, found.environment, found.digest):
        raise NothingToDo(f"That exception is for {found.service} in {found.environment}, and for one artifact only.")
    _not_void(found, deed)
    used = replace(found, used_by=deployment.id)
    await _write(connection, used)
    await raise_epoch(connection, database)
    return used, [_act("override.used", used, deed, before=_state(found))]


class StoredOverrides:
    """`bot.ports.overrides.Overrides` in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        insert = sqlite_insert if database.dialect == "sqlite" else postgresql_insert
        self._insert = insert(overrides).on_conflict_do_nothing(index_elements=["id"]).returning(overrides.c.id)

    async def add(self, override: Override, *, deed: Deed) -> Override:
        """Record an exception that somebody asks for; again with the same id changes nothing."""
        act: Act = "glass.broken" if override.kind is OverrideKind.BREAK_GLASS else "override.asked"
        new = {"id": override.id, "reviewed_at": None, **_columns(override)}

        async def work(connection: AsyncConnection) -> Override:
            if (await connection.execute(self._insert, new)).first() is None:
                return _override(await _take(connection, override.id))
            await raise_epoch(connection, self._database)
            await append(connection, [_act(act, override, deed)])
            return override

        return await self._database.write(work)

    async def get(self, override_id: str) -> Override:
        """That one; raises `NothingToDo` when there is none."""
        found = await self._all(select(overrides).where(overrides.c.id == override_id))
        if not found:
            raise NothingToDo(_NONE)
        return found[0]

    async def second(self, override_id: str, *, by: Actor, deed: Deed) -> Override:
        """Record that a second person agrees; see the port."""

        def agree(found: Override) -> Override:
            if found.seconded_by is not None:
                if found.seconded_by.same_as(by):
                    return found
                raise SomebodyWasFaster(f"{found.seconded_by.name} has agreed already.")
            if found.used_by is not None:
                raise NothingToDo("It was used already.")
            if found.kind is OverrideKind.BREAK_GLASS:
                raise NothingToDo("Broken glass waits for nobody to agree; it is reviewed afterwards.")
            _not_void(found, deed)
            return replace(found, seconded_by=by)

        return await self._change(override_id, "override.agreed", agree, deed)

    async def use(self, override_id: str, *, deployment: DeploymentId, deed: Deed) -> Override:
        """Bind it to the one deployment that passes by it; see the port."""

        async def work(connection: AsyncConnection) -> Override:
            row = (await connection.execute(select(deployments).where(deployments.c.id == deployment))).mappings()
            found = row.first()
            if found is None:
                raise UnknownDeployment(f"There is no deployment {deployment}.")
            used, acts = await bind(connection, self._database, override_id, deployment_of(found), deed)
            await append(connection, acts)
            return used

        return await self._database.write(work)

    async def review(self, override_id: str, *, by: Actor, deed: Deed) -> Override:
        """Record that somebody has looked at it afterwards; see the port."""

        def look(found: Override) -> Override:
            if found.reviewed_by is None:
                return replace(found, reviewed_by=by)
            if found.reviewed_by.same_as(by):
                return found
            raise SomebodyWasFaster(f"{found.reviewed_by.name} has reviewed it already.")

        return await self._change(override_id, "override.reviewed", look, deed)

    async def of_place(self, service: ServiceName, environment: EnvironmentName, digest: str) -> Sequence[Override]:
        """Those for that artifact in that place, the newest first."""
        return await self._all(overrides_at(service, environment, digest))

    async def of_deployment(self, deployment_id: DeploymentId) -> Sequence[Override]:
        """Those that a deployment has used, the oldest first."""
        return await self._all(overrides_of(deployment_id))

    async def to_review(self) -> Sequence[Override]:
        """Broken glass that was used and that nobody has reviewed, the oldest first."""
        return await self._all(overrides_to_review())

    async def _change(self, override_id: str, act: Act, change: Callable[[Override], Override], deed: Deed) -> Override:
        async def work(connection: AsyncConnection) -> Override:
            before = _override(await _take(connection, override_id))
            after = change(before)
            if after == before:
                return before
            reviewed = {"reviewed_at": deed.at} if after.reviewed_by is not before.reviewed_by else {}
            await _write(connection, after, **reviewed)
            await raise_epoch(connection, self._database)
            await append(connection, [_act(act, after, deed, before=_state(before))])
            return after

        return await self._database.write(work)

    async def _all(self, statement: Select[Any]) -> list[Override]:
        async def look(connection: AsyncConnection) -> list[Override]:
            return [_override(row) for row in (await connection.execute(statement)).mappings()]

        return await self._database.read(look)


async def _take(connection: AsyncConnection, override_id: str) -> RowMapping:
    """Its row, which nobody else changes until we are done; raises `NothingToDo`."""
    statement = select(overrides).where(overrides.c.id == override_id).with_for_update()
    row = (await connection.execute(statement)).mappings().first()
    if row is None:
        raise NothingToDo(_NONE)
    return row


async def _write(connection: AsyncConnection, override: Override, **more: Any) -> None:
    await connection.execute(update(overrides).where(overrides.c.id == override.id).values(_columns(override) | more))


def _not_void(override: Override, deed: Deed) -> None:
    if override.until <= deed.at:
        raise NothingToDo(f"Nobody used it in time: it was good until {instant(override.until)}.")


def _columns(override: Override) -> dict[str, Any]:
    """What may be written about it; when it was reviewed is not known here."""
    return {
        "kind": override.kind.value,
        "service": override.service,
        "environment": override.environment,
        "digest": override.digest,
        "at": override.at,
        "until": override.until,
        "used_by": override.used_by,
        "body": dump(
            {
                "by": actor_out(override.by),
                "reason": override.reason,
                "seconded_by": actor_out(override.seconded_by) if override.seconded_by else None,
                "reviewed_by": actor_out(override.reviewed_by) if override.reviewed_by else None,
            }
        ),
    }


def _override(row: RowMapping) -> Override:
    body = load(row["body"], f"exception {row['id']}")
    seconded_by, reviewed_by = body.get("seconded_by"), body.get("reviewed_by")
    return Override(
        id=row["id"],
        kind=enum_of(OverrideKind, row["kind"], "kind of exception"),
        service=ServiceName(row["service"]),
        environment=EnvironmentName(row["environment"]),
        digest=row["digest"],
        by=actor_in(body["by"]),
        reason=body.get("reason", ""),
        at=row["at"],
        until=row["until"],
        seconded_by=None if seconded_by is None else actor_in(seconded_by),
        used_by=None if row["used_by"] is None else DeploymentId(row["used_by"]),
        reviewed_by=None if reviewed_by is None else actor_in(reviewed_by),
    )


def _act(act: Act, override: Override, deed: Deed, *, before: str = "") -> AuditEntry:
    return AuditEntry(
        act=act,
        object=f"override:{override.id}",
        about=f"{override.service} → {override.environment} ({override.digest})",
        before=before,
        after=_state(override),
        # Whoever reads the audit for exceptions finds every act about one.
        deed=replace(deed, override=True),
    )


def _state(override: Override) -> str:
    """What an exception is, in one line of the audit."""
    words = [override.kind.value, f"until {instant(override.until)}"]
    words += [f"agreed by {override.seconded_by.id}"] if override.seconded_by else []
    words += [f"used by {override.used_by}"] if override.used_by else []
    words += [f"reviewed by {override.reviewed_by.id}"] if override.reviewed_by else []
    return ", ".join(words)
