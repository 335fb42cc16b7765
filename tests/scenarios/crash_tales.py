"""A world with traffic to services of the local platform, in which bots die while a tale is told."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crash_rollouts import BAD, CATALOG, TALES, Rollout
from crash_telling import Tellings
from world import World, until

from bot.sandbox.samples import write_artifact
from bot.sandbox.samples.traffic import drive

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from crash_rollouts import Tale

_REQUESTS_A_SECOND = 40.0
_ERRORS = 0.5
"""Of the bad version, so that one second of a fifth of the traffic shows it."""
_AGENT = 0.25
"""Seconds that the agent takes before it applies a change and before it answers, so that one can die in between."""


@dataclass(kw_only=True)
class Tales(Tellings):
    """One such world."""

    _visited: dict[str, str] = field(default_factory=dict)
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _traffic: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, folder: Path, database_url: str | None) -> Tales:
        """A world in which every service runs a version that the bot has brought there."""
        # What is brought there first is not looked at afterwards: that would be a second story beside each.
        world = await World.open(folder, database_url, text=CATALOG.replace("bake: 20s", "bake: 0s"))
        for service in ("checkout", "payments", "catalog"):
            write_artifact(folder / "artifacts" / service / BAD, behaviour={"error_rate": _ERRORS})
        tales = cls(world=world, tales=TALES)
        tales.goes_nowhere()
        tales._traffic = asyncio.ensure_future(drive(tales._visited, rate=_REQUESTS_A_SECOND, stop=tales._stop))
        try:
            await tales._prove()
            (world.folder / ".deploy" / "config.yaml").write_text(CATALOG)
            await world.platform.faults(before=_AGENT, after=_AGENT)
        except BaseException:
            await tales.close()
            raise
        return tales

    async def _prove(self) -> None:
        """Nothing is rolled back to what was never proven, and what was there before the bot came is not."""
        services = [tale.service for tale in TALES.values() if tale.service != "checkout"]
        self.bot = await self.world.start(under_launcher=True)
        for service in dict.fromkeys(services):
            await self.world.command("ada", f"{service} v1.4 staging")

        async def there() -> bool:
            made = [await self.world.newest(service) for service in services]
            return all(one is not None and one.phase == "succeeded" for one in made)

        await until(there, what="versions to go back to")
        await self.bot.kill()

    async def begin(self, name: str, at: Sequence[str]) -> Rollout:
        """A telling of the tale ``name``, while its service is visited."""
        world, tale = self.world, self.tales[name]
        assert self.bot is not None
        place = f"{tale.service}@{tale.environment}"
        newest = await world.newest(tale.service)
        run = Rollout(
            world=world,
            bot=self.bot,
            environment=tale.environment,
            service=tale.service,
            at=at,
            newest=newest.number if newest else 0,
            runs=await world.serves(place),
            journal=[entry["operation"] for entry in await world.journal(tale.service, tale.environment)],
            name=f"{name} {next(self.names)}",
            bad=tale.bad,
        )
        self._visited[place] = world.addresses[place]
        return run

    def over(self, tale: Tale) -> None:
        """Nobody visits it any more."""
        self._visited.pop(f"{tale.service}@{tale.environment}", None)

    async def close(self) -> None:
        """End everything."""
        self._stop.set()
        if self._traffic is not None:
            await self._traffic
        await super().close()
