"""Ballots: at most one that counts for each person and subject, whoever casts how many at the same time.

Must not count them: `bot.domain.policy.approval` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import insert, select, update

from bot.domain.audit import AuditEntry, Deed, about_deployment
from bot.domain.errors import UnknownDeployment
from bot.domain.policy.approval import Ballot, identity
from bot.store.body import actor_in, actor_out, dump, load
from bot.store.chain import append
from bot.store.codec import deployment_of
from bot.store.tables import ballots, deployments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import RowMapping, Select
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.domain.actor import Actor
    from bot.domain.deployment import Deployment
    from bot.domain.ids import DeploymentId
    from bot.store.engine import Database

Act = Literal["ballot.approved", "ballot.rejected", "ballot.voided"]
"""What the audit says was done to a ballot."""

_COUNTS = ballots.c.voided_at.is_(None)


def ballots_of(deployment_id: str) -> Select[Any]:
    """The ballots that count, in the order in which they were cast."""
    return select(ballots).where(ballots.c.deployment_id == deployment_id, _COUNTS).order_by(ballots.c.sequence)


class StoredBallots:
    """`bot.ports.ballots.Ballots` in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def cast(self, deployment_id: DeploymentId, ballot: Ballot, *, deed: Deed | None = None) -> Ballot:
        """Record a person's word; see the port."""
        deed = deed or Deed(actor=ballot.actor, at=ballot.at, reason=ballot.reason)
        person = identity(ballot.actor)
        mine = ballots_of(deployment_id).where(
            ballots.c.person == person, ballots.c.subject_hash == ballot.subject_hash
        )
        body = {"actor": actor_out(ballot.actor), "reason": ballot.reason, "linked": sorted(ballot.linked)}
        row = {
            "deployment_id": deployment_id,
            "person": person,
            "subject_hash": ballot.subject_hash,
            "approve": ballot.approve,
            "at": ballot.at,
            "voided_at": None,
            "body": dump(body),
        }

        async def work(connection: AsyncConnection) -> Ballot:
            deployment = await _take(connection, deployment_id)
            before = (await connection.execute(mine)).mappings().first()
            if before is not None:
                earlier = _ballot(before)
                if earlier.approve == ballot.approve:
                    return earlier
                await _void(connection, [before], deed)
            await connection.execute(insert(ballots).values(row))
            was = "" if before is None else _state(earlier)
            await append(connection, [_act(_WORDS[ballot.approve], deployment, deed, before=was, after=_state(ballot))])
            return ballot

        return await self._database.write(work)

    async def of(self, deployment_id: DeploymentId) -> Sequence[Ballot]:
        """The ballots that are not void, about whatever subject, in the order in which they were cast."""

        async def look(connection: AsyncConnection) -> list[Ballot]:
            return [_ballot(row) for row in (await connection.execute(ballots_of(deployment_id))).mappings()]

        return await self._database.read(look)

    async def void(
        self,
        deployment_id: DeploymentId,
        *,
        deed: Deed,
        person: Actor | None = None,
        subject_hash: str | None = None,
    ) -> Sequence[Ballot]:
        """Make ballots void: all, or one person's, or those about a subject."""
        which = ballots_of(deployment_id)
        if person is not None:
            which = which.where(ballots.c.person == identity(person))
        if subject_hash is not None:
            which = which.where(ballots.c.subject_hash == subject_hash)

        async def work(connection: AsyncConnection) -> list[Ballot]:
            deployment = await _take(connection, deployment_id)
            rows = (await connection.execute(which)).mappings().all()
            found = [_ballot(row) for row in rows]
            await _void(connection, rows, deed)
            await append(
                connection, [_act("ballot.voided", deployment, deed, before=_state(ballot)) for ballot in found]
            )
            return found

        return await self._database.write(work)


_WORDS: dict[bool, Act] = {True: "ballot.approved", False: "ballot.rejected"}


async def _take(connection: AsyncConnection, deployment_id: DeploymentId) -> Deployment:
    """The deployment, which nobody else changes or votes on until we are done; raises `UnknownDeployment`."""
    statement = select(deployments).where(deployments.c.id == deployment_id).with_for_update()
    row = (await connection.execute(statement)).mappings().first()
    if row is None:
        raise UnknownDeployment(f"There is no deployment {deployment_id}.")
    return deployment_of(row)


async def _void(connection: AsyncConnection, rows: Sequence[RowMapping], deed: Deed) -> None:
    which = ballots.c.sequence.in_([row["sequence"] for row in rows])
    await connection.execute(update(ballots).where(which).values(voided_at=deed.at))


def _ballot(row: RowMapping) -> Ballot:
    body = load(row["body"], f"ballot {row['sequence']}")
    return Ballot(
        actor=actor_in(body["actor"]),
        approve=row["approve"],
        reason=body.get("reason", ""),
        at=row["at"],
        subject_hash=row["subject_hash"],
        linked=frozenset(body.get("linked", ())),
    )


def _act(act: Act, deployment: Deployment, deed: Deed, *, before: str = "", after: str = "") -> AuditEntry:
    return AuditEntry(
        act=act,
        object=f"deployment:{deployment.id}",
        about=about_deployment(deployment),
        before=before,
        after=after,
        deed=deed,
    )


def _state(ballot: Ballot) -> str:
    """Who said what about exactly which subject, in one line of the audit."""
    return f"{'yes' if ballot.approve else 'no'} of {ballot.actor.id} to {ballot.subject_hash}"
