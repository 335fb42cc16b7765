"""Short words for tests that tell one story: who does what, and what is waited for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from unit.engine.simulation.replica import Meanwhile

from bot.domain.deployment import Wish
from bot.domain.ids import EnvironmentName, ServiceName
from bot.domain.lifecycle import Phase
from bot.domain.policy.scope import EVERYTHING, Scope
from bot.engine.orders import Order

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    from unit.engine.simulation.outside import Place
    from unit.engine.simulation.replica import Replica
    from unit.engine.simulation.world import World

    from bot.domain.actor import Membership
    from bot.domain.deployment import Deployment
    from bot.domain.policy.lock import StickyLock
    from bot.engine.engine import Engine
    from bot.engine.freezing import Frozen, Unfrozen

T = TypeVar("T")


@dataclass
class Hands:
    """People at one world's doors, through the replica ``via``."""

    world: World
    acts: int = 0
    via: str = "a"

    @property
    def replica(self) -> Replica:
        """The one that they talk to."""
        return self.world.replicas[self.via]

    @property
    def engine(self) -> Engine:
        """Its use cases."""
        return self.replica.engine

    def who(self, name: str) -> Membership:
        """That person with their groups."""
        return self.world.outside.people.door(name)

    def place(self, service: str = "checkout", environment: str = "production") -> Place:
        """The target of a service."""
        return self.world.outside.places[ServiceName(service), EnvironmentName(environment)]

    async def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Let the replica do it."""
        return await self.replica.act(work)

    def order(
        self,
        version: str = "v1",
        environment: str = "production",
        *,
        by: str = "Ada",
        service: str = "checkout",
        after: float | None = None,
        good_for: float = 600.0,
        **more: Any,
    ) -> Order:
        """What somebody orders; ``after`` so many seconds, and good for so many."""
        self.acts += 1
        at = self.world.now() + timedelta(seconds=after) if after is not None else None
        wish = Wish(at=at, expires=at + timedelta(seconds=good_for)) if at else None
        facts = {"origin": f"act:{self.acts}", "force": True, "wish": wish, **more}
        return Order(service=service, version=version, environment=environment, requester=self.who(by), **facts)

    async def deploy(self, version: str = "v1", environment: str = "production", **more: Any) -> Deployment:
        """Ask for a deployment; see `order`."""
        return await self.do(self.engine.requests.deploy(self.order(version, environment, **more)))

    async def approve(self, one: Deployment, *, by: str = "Grace", subject: str | None = None) -> Deployment:
        """Say yes."""
        return await self.do(self.engine.approvals.approve(one.id, requester=self.who(by), subject=subject))

    async def reject(self, one: Deployment, *, by: str = "Grace", reason: str = "not today") -> Deployment:
        """Say no."""
        return await self.do(self.engine.approvals.reject(one.id, requester=self.who(by), reason=reason))

    async def approved(self, version: str = "v1", environment: str = "production", **more: Any) -> Deployment:
        """Ask for a deployment, and have it approved as soon as it asks for that."""
        one = await self.awaited(version, environment, **more)
        return await self.approve(one)

    async def awaited(self, version: str = "v1", environment: str = "production", **more: Any) -> Deployment:
        """Ask for a deployment, and wait until it waits for approval."""
        return await self.until(await self.deploy(version, environment, **more), Phase.AWAITING_APPROVAL)

    async def until(self, one: Deployment, *phases: Phase, within: float = 120.0) -> Deployment:
        """The deployment when it is in one of these phases."""

        async def there() -> bool:
            return (await self.now(one)).phase in phases

        await self.world.until(there, within=within)
        return await self.now(one)

    async def been(self, one: Deployment, phase: Phase, *, times: int = 1, within: float = 120.0) -> Deployment:
        """The deployment when it has been in that phase so often."""

        async def there() -> bool:
            return sum(moment.phase is phase for moment in (await self.now(one)).timeline) >= times

        await self.world.until(there, within=within)
        return await self.now(one)

    async def now(self, one: Deployment) -> Deployment:
        """The deployment as it is."""
        return await self.world.store.deployments.get(one.id)

    async def wait(self, seconds: float) -> None:
        """Let that much time pass."""
        await asyncio.sleep(seconds)

    async def later(self, **by: float) -> None:
        """Let much time pass at once, and see to it that everybody has noticed."""
        await self.world.jump(timedelta(**by))
        await asyncio.sleep(31)

    async def freeze(self, *, by: str = "Linus", scope: Scope = EVERYTHING) -> Frozen:
        """Stop the line."""
        return await self.do(self.engine.freezing.freeze(scope=scope, requester=self.who(by), reason="stop"))

    async def unfreeze(self, *, by: str = "Linus", scope: Scope = EVERYTHING) -> Unfrozen:
        """Go on."""
        return await self.do(self.engine.freezing.unfreeze(scope=scope, requester=self.who(by)))

    async def lock(self, *, by: str = "Linus", scope: Scope = EVERYTHING, **more: Any) -> StickyLock:
        """Put a lock."""
        return await self.do(
            self.engine.locking.lock(scope=scope, requester=self.who(by), reason="we look into it", **more)
        )

    async def unlock(self, *, by: str = "Linus", scope: Scope = EVERYTHING) -> Sequence[StickyLock]:
        """Take it away."""
        return await self.do(self.engine.locking.unlock(scope=scope, requester=self.who(by)))

    def meanwhile(self, at: str, work: Callable[[], Awaitable[object]]) -> None:
        """Let something happen when the replica comes to that point; see `Life.point`."""
        self.replica.life.meanwhile.append(Meanwhile(at, 0, work))

    def changes(self, service: str = "checkout", environment: str = "production") -> Sequence[str]:
        """The operations that changed a target, in order."""
        return list(self.place(service, environment).handles)
