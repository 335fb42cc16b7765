"""What people do, and what happens to the world: one small value for each, so that a story of them can be made smaller.

People see no more than Slack shows them, and click on what is there no more. What they are refused is part of the
story; anything else than a refusal or a clear error is a failure.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from unit.engine.simulation.watch import ConfirmedFreeze, ConfirmedLock

from bot.domain.deployment import Resolution, Wish
from bot.domain.errors import DeploymentArchitectError
from bot.domain.ids import EnvironmentName, ServiceName
from bot.domain.lifecycle import ACTIVE, Phase
from bot.domain.policy.lock import LockLevel
from bot.domain.policy.scope import EVERYTHING, Scope
from bot.engine.orders import Order

if TYPE_CHECKING:
    from unit.engine.simulation.replica import Replica
    from unit.engine.simulation.world import World

    from bot.domain.actor import Membership
    from bot.domain.deployment import Deployment

SCOPES = (
    EVERYTHING,
    Scope(environment=EnvironmentName("production")),
    Scope(environment=EnvironmentName("staging")),
    Scope(service=ServiceName("checkout")),
    Scope(service=ServiceName("checkout"), environment=EnvironmentName("production")),
)


@dataclass(frozen=True)
class Step:
    """Something that happens; ``gap`` seconds later the next one does."""

    gap: float = 0.0

    async def happen(self, world: World, number: int) -> None:
        """Let it happen; ``number`` names the act."""
        raise NotImplementedError


@dataclass(frozen=True)
class Act(Step):
    """Something that a person does by way of a replica; nobody waits for it to come to its end."""

    who: str = "Ada"
    via: int = 0
    times: int = 1

    async def happen(self, world: World, number: int) -> None:
        """Do it, as often as the person clicks."""
        names = sorted(world.replicas)
        for time in range(self.times):
            replica = world.replicas[names[(self.via + time) % len(names)]]
            if replica.life.alive:
                replica.act(self._guarded(world, replica, number))

    async def _guarded(self, world: World, replica: Replica, number: int) -> None:
        said = f"{self.who} ({replica.name}): {self.words}"
        try:
            member = replace(world.outside.people.door(self.who))
            world.tell(said)
            result = await self.do(world, replica, member, number)
            world.tell(f"  {said} → {_short(result)}")
        except DeploymentArchitectError as refusal:
            world.tell(f"  {said} → {type(refusal).__name__}: {refusal.message}")
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, a person would see it
            world.fail(f"{said} → a person would see a traceback: {error!r}", error)

    @property
    def words(self) -> str:
        """The act in a line."""
        facts = {
            name: value
            for name, value in vars(self).items()
            if name not in {"gap", "who", "via", "times"} and value is not False
        }
        return " ".join([type(self).__name__.lower(), *(f"{name}={value}" for name, value in facts.items())])

    async def do(self, world: World, replica: Replica, member: Membership, number: int) -> Any:
        """The act itself."""
        raise NotImplementedError


@dataclass(frozen=True)
class Deploy(Act):
    """Ask for a deployment."""

    service: str = "checkout"
    version: str = "v1"
    environment: str = "production"
    at: float | None = None
    """Seconds from now."""
    good_for: float = 600.0
    waits: bool = False
    force: bool = True

    def order(self, world: World, member: Membership, number: int) -> Order:
        """What they order. The same act twice has the same origin."""
        at = world.now() + timedelta(seconds=self.at) if self.at is not None else None
        return Order(
            service=self.service,
            version=self.version,
            environment=self.environment,
            requester=member,
            origin=f"act:{number}",
            reason="it is needed",
            wish=Wish(at=at, expires=at + timedelta(seconds=self.good_for)) if at else None,
            waits=self.waits,
            force=self.force,
        )

    async def do(self, world: World, replica: Replica, member: Membership, number: int) -> Deployment:
        return await replica.engine.requests.deploy(self.order(world, member, number))


@dataclass(frozen=True)
class Glass(Deploy):
    """Break the glass."""

    async def do(self, world: World, replica: Replica, member: Membership, number: int) -> Deployment:
        return await replica.engine.overriding.break_glass(self.order(world, member, number), confirm=self.service)


@dataclass(frozen=True)
class AskOverride(Deploy):
    """Ask that a deployment may pass a freeze."""

    async def do(self, world: World, replica: Replica, member: Membership, number: int) -> Any:
        return await replica.engine.overriding.ask(self.order(world, member, number))


@dataclass(frozen=True)
class Agree(Act):
    """Agree to the last exception that somebody asked for."""

    async def do(self, world: World, replica: Replica, member: Membership, number: int) -> Any:
        asked = [one for one in await world.store.notices.untold(limit=500) if "override" in one.facts]
        if not asked:
            return None
        return await replica.engine.overriding.agree(asked[-1].facts["override"], requester=member)


@dataclass(frozen=True)
class About(Act):
    """Something about one of the last deployments."""

    back: int = 0
    """0 is about the newest."""
    blind: bool = False
    """They do not look what it is at: an old message has old buttons."""

    fit: ClassVar[frozenset[Phase]] = frozenset()
    """Phases in which it offers this."""

    async def do(self, world: World, replica: Replica, member: Membership, number: int) -> Any:
        found = [*await world.store.deployments.history(ServiceName("checkout"), None, limit=6)]
        found += await world.store.deployments.history(ServiceName("search"), None, limit=6)
        found.sort(key=lambda one: (one.phase not in self.fit and not self.blind, -one.number))
        if self.back >= len(found):
            return None
        return await self.about(world, replica, member, found[self.back])

    async def about(self, world: World, replica: Replica, member: Membership, one: Deployment) -> Any:
        """The act itself."""
        raise NotImplementedError


@dataclass(frozen=True)
class Approve(About):
    """Click on *Approve*, of the card as it is or of one that was drawn long ago."""

    fit: ClassVar[frozenset[Phase]] = frozenset({Phase.AWAITING_APPROVAL})

    stale: bool = False

    async def about(self, world: World, replica: Replica, member: Membership, one: Deployment) -> Any:
        subject = "0123456789abcdef" if self.stale else replica.engine.gatekeeper.subject_of(one).hash[:16]
        return await replica.engine.approvals.approve(one.id, requester=member, subject=subject)


@dataclass(frozen=True)
class Reject(About):
    """Say no."""

    fit: ClassVar[frozenset[Phase]] = frozenset({Phase.AWAITING_APPROVAL})

    async def about(self, world: World, replica: Replica, member: Membership, one: Deployment) -> Any:
        return await replica.engine.approvals.reject(one.id, requester=member, reason="not today")


@dataclass(frozen=True)
class Abort(About):
    """Stop it."""

    fit: ClassVar[frozenset[Phase]] = ACTIVE

    async def about(self, world: World, replica: Replica, member: Membership, one: Deployment) -> Any:
        return await replica.engine.requests.abort(one.id, requester=member)


@dataclass(frozen=True)
class Start(About):
    """Let a held one try again."""

    fit: ClassVar[frozenset[Phase]] = frozenset({Phase.HELD})

    async def about(self, world: World, replica: Replica, member: Membership, one: Deployment) -> Any:
        return await replica.engine.admission.start(one.id, requester=member)


@dataclass(frozen=True)
class RunNext(About):
    """Let it go first."""

    fit: ClassVar[frozenset[Phase]] = frozenset({Phase.QUEUED})

    async def about(self, world: World, replica: Replica, member: Membership, one: Deployment) -> Any:
        return await replica.engine.queueing.run_next(one.id, requester=member, reason="it is urgent")


@dataclass(frozen=True)
class RollBack(About):
    """Take it back."""

    fit: ClassVar[frozenset[Phase]] = frozenset({Phase.SUCCEEDED})

    async def about(self, world: World, replica: Replica, member: Membership, one: Deployment) -> Any:
        return await replica.engine.requests.roll_back(one.id, requester=member, origin=f"back:{one.id}:{one.version}")


@dataclass(frozen=True)
class Resolve(About):
    """Decide about one that needs attention."""

    fit: ClassVar[frozenset[Phase]] = frozenset({Phase.NEEDS_ATTENTION})

    how: Resolution = Resolution.RETRY

    async def about(self, world: World, replica: Replica, member: Membership, one: Deployment) -> Any:
        return await replica.engine.requests.resolve(one.id, self.how, requester=member)


@dataclass(frozen=True)
class Move(About):
    """Give it another time."""

    fit: ClassVar[frozenset[Phase]] = frozenset({Phase.SCHEDULED})

    at: float = 60.0

    async def about(self, world: World, replica: Replica, member: Membership, one: Deployment) -> Any:
        at = world.now() + timedelta(seconds=self.at)
        return await replica.engine.scheduling.move(one.id, at=at, requester=member)


@dataclass(frozen=True)
class Lock(Act):
    """Put a lock."""

    scope: Scope = EVERYTHING
    hard: bool = False
    warn: bool = False
    lasts: float | None = None

    async def do(self, world: World, replica: Replica, member: Membership, number: int) -> Any:
        level = LockLevel.WARN if self.warn else LockLevel.BLOCK
        until = world.now() + timedelta(seconds=self.lasts) if self.lasts else None
        lock = await replica.engine.locking.lock(
            scope=self.scope, requester=member, reason="we look into it", until=until, level=level, hard=self.hard
        )
        # One that is being taken away at the same time may be gone already.
        held = await world.store.locks.current(at=world.now())
        gone = self.scope in world.watch.unlocking or all(one.id != lock.id or one.owner != lock.owner for one in held)
        world.watch.locks.append(ConfirmedLock(lock, world.loop.time(), gone))
        return lock


@dataclass(frozen=True)
class Unlock(Act):
    """Take locks away."""

    scope: Scope = EVERYTHING

    async def do(self, world: World, replica: Replica, member: Membership, number: int) -> Any:
        with world.watch.unlocked(self.scope):
            return await replica.engine.locking.unlock(scope=self.scope, requester=member)


@dataclass(frozen=True)
class TakeOver(Act):
    """Make the oldest lock one's own."""

    async def do(self, world: World, replica: Replica, member: Membership, number: int) -> Any:
        locks = await world.store.locks.current(at=world.now())
        if not locks:
            return None
        for one in world.watch.locks:
            one.lifted = one.lifted or one.lock.id == locks[0].id
        taken = await replica.engine.locking.take_over(locks[0].id, requester=member, reason="we need it now")
        for one in world.watch.locks:  # also one of which somebody was told only meanwhile
            one.lifted = one.lifted or one.lock.id == taken.id
        world.watch.locks.append(ConfirmedLock(taken, world.loop.time()))
        return taken


@dataclass(frozen=True)
class Freeze(Act):
    """Stop the line."""

    scope: Scope = EVERYTHING
    lasts: float | None = None

    async def do(self, world: World, replica: Replica, member: Membership, number: int) -> Any:
        until = world.now() + timedelta(seconds=self.lasts) if self.lasts else None
        frozen = await replica.engine.freezing.freeze(scope=self.scope, requester=member, reason="stop", until=until)
        writing = frozenset(str(one.id) for one in frozen.writing)
        lifted = not any(one.id == frozen.freeze.id for one in await world.store.freezes.current(at=world.now()))
        lifted = lifted or self.scope in world.watch.thawing
        world.watch.freezes.append(ConfirmedFreeze(frozen.freeze, world.loop.time(), writing, lifted))
        return f"{frozen.freeze.sentence}, on their way: {[one.number for one in frozen.writing]}"


@dataclass(frozen=True)
class Unfreeze(Act):
    """Go on."""

    scope: Scope = EVERYTHING

    async def do(self, world: World, replica: Replica, member: Membership, number: int) -> Any:
        with world.watch.thawed(self.scope):
            return await replica.engine.freezing.unfreeze(scope=self.scope, requester=member)


def _short(result: Any) -> str:
    number = getattr(result, "number", None)
    return f"#{number}, {result.phase.words}" if number else str(result)[:150]
