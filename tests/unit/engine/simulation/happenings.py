"""What happens to the world while people act: configurations, targets, weather, time, and processes that die."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from unit.engine.simulation.acts import Step
from unit.engine.simulation.outside import release
from unit.engine.simulation.replica import Meanwhile

from bot.domain.errors import DeploymentArchitectError
from bot.domain.ids import EnvironmentName, ServiceName

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from unit.engine.simulation.world import World


@dataclass(frozen=True)
class Reload(Step):
    """The configuration is another one."""

    quorum: int = 1

    async def happen(self, world: World, number: int) -> None:
        now = world.outside.catalogs.now
        place = now.environments[EnvironmentName("production")]
        world.outside.configure(
            quorum=self.quorum,
            queue=place.queue,
            shared_lock=place.shared_lock,
            freeze_running=place.freeze_running,
        )
        world.tell(f"the configuration is {world.outside.catalogs.now.revision}, quorum {self.quorum}")
        for replica in world.replicas.values():
            if replica.life.alive:
                replica.act(_quietly(world, replica.engine.admission.wake_all))


@dataclass(frozen=True)
class Outsider(Step):
    """Somebody changes a target past the bot, or an artifact goes, or comes back."""

    service: str = "checkout"
    environment: str = "production"
    version: str = "v0"
    loses: bool = False

    async def happen(self, world: World, number: int) -> None:
        it = release(self.service, self.version)
        if self.loses:
            world.outside.lost ^= {it.artifact.digest}
            world.tell(f"artifacts that are gone: {sorted(world.outside.lost)}")
        else:
            place = world.outside.places[ServiceName(self.service), EnvironmentName(self.environment)]
            place.change_outside(it)
            world.tell(f"somebody changes {place.name} to {self.version} past the bot")


@dataclass(frozen=True)
class Person(Step):
    """Who somebody is cannot be told, or they are gone; or all is as it was."""

    who: str = "Grace"
    how: str = "unknown"

    async def happen(self, world: World, number: int) -> None:
        people = world.outside.people
        people.unknown.discard(self.who)
        people.gone.discard(self.who)
        {"unknown": people.unknown, "gone": people.gone, "back": set[str]()}[self.how].add(self.who)
        world.watch.remember()
        world.tell(f"{self.who} is {self.how}")


@dataclass(frozen=True)
class Turn(Step):
    """The weather turns."""

    weather: str = "fair"
    share: float = 0.3

    async def happen(self, world: World, number: int) -> None:
        for name in ("slow", "failing", "lost", "silent", "refusing"):
            setattr(world.weather, name, self.share if self.weather == name else 0.0)
        world.weather.dark = self.weather == "dark"
        world.tell(f"the weather is {self.weather} ({self.share})")


@dataclass(frozen=True)
class Jump(Step):
    """Much time passes at once."""

    minutes: float = 31.0

    async def happen(self, world: World, number: int) -> None:
        await world.jump(timedelta(minutes=self.minutes))


@dataclass(frozen=True)
class Die(Step):
    """A replica dies at the so-manieth place of that name."""

    via: int = 0
    at: str = ""
    after: int = 0

    async def happen(self, world: World, number: int) -> None:
        replica = world.replicas[sorted(world.replicas)[self.via % len(world.replicas)]]
        world.tell(f"{replica.name} will die at {self.at or 'any place'}, the {self.after}th")
        replica.life.dies(at=self.at, after=self.after)


@dataclass(frozen=True)
class InBetween(Step):
    """Somebody does something exactly when a replica is at the so-manieth point of that name."""

    act: Step = field(default_factory=Step)
    at: str = "permit"
    after: int = 0
    waits: float = 0.5
    """Seconds that the replica is held up by it."""

    async def happen(self, world: World, number: int) -> None:
        async def happen() -> None:
            for replica in world.replicas.values():  # once, whichever is there first
                replica.life.meanwhile = [one for one in replica.life.meanwhile if one.work is not happen]
            world.tell(f"… a replica is at {self.at}, and now")
            await self.act.happen(world, number)
            await asyncio.sleep(self.waits)

        for replica in world.replicas.values():
            replica.life.meanwhile.append(Meanwhile(self.at, self.after, happen))


@dataclass(frozen=True)
class Cut(Step):
    """A replica cannot reach the database for a while; the others may take it for dead."""

    via: int = 0
    lasts: float = 5.0

    async def happen(self, world: World, number: int) -> None:
        replica = world.replicas[sorted(world.replicas)[self.via % len(world.replicas)]]
        world.tell(f"{replica.name} cannot reach the database for {self.lasts} s")
        replica.life.cut_until = world.loop.time() + self.lasts


@dataclass(frozen=True)
class Restart(Step):
    """A replica is started anew; one that lives dies first, or is asked to stop."""

    via: int = 0
    gently: bool = False

    async def happen(self, world: World, number: int) -> None:
        replica = world.replicas[sorted(world.replicas)[self.via % len(world.replicas)]]
        if self.gently and replica.life.alive:
            await replica.stop()
        world.tell(f"{replica.name} starts")
        await replica.start()


async def _quietly(world: World, work: Callable[[], Awaitable[None]]) -> None:
    try:
        await work()
    except DeploymentArchitectError as error:
        world.tell(f"  {error.message}")
