"""A world with traffic in which a bot dies again and again while one tale is told, and what its first telling passed.

One world serves all tellings: the bot that recovers is the one that dies next, so each telling also shows that the one
before has left its place free.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from crash_matrix import DAY, UPKEEP, name_of
from crash_rollouts import BAD, CATALOG, TALES, Rollout
from world import World, until

from bot.sandbox.samples import write_artifact
from bot.sandbox.samples.traffic import drive

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from crash_rollouts import Tale

    from bot.sandbox.process import BotProcess

_REQUESTS_A_SECOND = 40.0
_ERRORS = 0.5
"""Of the bad version, so that one second of a fifth of the traffic shows it."""
_AGENT = 0.25
"""Seconds that the agent takes before it applies a change and before it answers, so that one can die in between."""
_OFTEN = 8
"""How often a point of that name is passed that counts; how often things are looked at differs from time to time."""
_NOWHERE = json.dumps({"arm": "nothing", "at": "nowhere"})
_LEFT = ("Promote to", "Hold", "Resume", "Abort", "Roll back now", "Cancel auto-rollback", "Snooze")
"""Buttons that nobody may be offered afterwards."""


@dataclass(kw_only=True)
class Tales:
    """One world, in which bots die."""

    world: World
    bot: BotProcess | None = None
    passed: dict[str, list[str]] = field(default_factory=dict)
    """The points of each tale, in the order of its first telling."""
    _log: list[str] = field(default_factory=list)
    _visited: dict[str, str] = field(default_factory=dict)
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _traffic: asyncio.Task[None] | None = None
    _names: Iterator[int] = field(default_factory=count)

    @classmethod
    async def open(cls, folder: Path, database_url: str | None) -> Tales:
        """A world in which every service runs a version that the bot has brought there."""
        # What is brought there first is not looked at afterwards: that would be a second story beside each.
        world = await World.open(folder, database_url, text=CATALOG.replace("bake: 20s", "bake: 0s"))
        for service in ("checkout", "payments", "catalog"):
            write_artifact(folder / "artifacts" / service / BAD, behaviour={"error_rate": _ERRORS})
        (world.folder / "crash.json").write_text(_NOWHERE)
        tales = cls(world=world)
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

    async def close(self) -> None:
        """End everything."""
        self._stop.set()
        if self._traffic is not None:
            await self._traffic
        await self.world.close()

    async def points(self, name: str) -> list[str]:
        """Every point at which the bot can die in this tale."""
        if name not in self.passed:
            log = self.world.folder / "points.log"
            log.unlink(missing_ok=True)
            if self.bot is not None:
                await self.bot.kill()  # the next one may speak as much as it likes for a while
            assert not await self.tell(name, [])
            found = list(dict.fromkeys(self._log))
            since = TALES[name].since
            self.passed[name] = [at for at in found[found.index(since) if since else 0 :] if _counts(at)]
        return self.passed[name]

    async def share(self, name: str, size: int) -> list[str]:
        """Where it dies in this run, on this database: at ``size`` points all along the tale, others each day."""
        points = await self.points(name)
        apart = max(1, -(-len(points) // size))
        other = 0 if self.world.database_url.startswith("sqlite") else apart // 2
        return points[(DAY + other) % apart :: apart]

    async def tell(self, name: str, at: Sequence[str]) -> list[str]:
        """The tale, with a bot that dies at these points; where it died. Fails unless all ends well."""
        world, tale = self.world, TALES[name]
        if self.bot is None or not self.bot.running:
            self.bot = await world.start(under_launcher=True)
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
            name=f"{name} {next(self._names)}",
            bad=tale.bad,
        )
        run.arm("deploy")
        (world.folder / "crash.json").write_text(json.dumps({"arm": "deploy", "at": list(at), "run": run.name}))
        self._visited[place] = world.addresses[place]
        try:
            await tale.tell(run)
            await run.come_to_an_end()
            # What is looked at from here on is no part of the tale.
            (world.folder / "crash.json").write_text(_NOWHERE)
            log = world.folder / "points.log"
            self._log = log.read_text().splitlines() if log.exists() else []
            await tale.holds(run)
            await self._told(run, tale)
        finally:
            self.bot = run.bot
            self._visited.pop(place, None)
            (world.folder / "crash.json").write_text(_NOWHERE)
        return run.died

    async def _told(self, run: Rollout, tale: Tale) -> None:
        """Everybody has read of it what they must, and nothing else, and nothing twice; and nothing is left open."""
        world = self.world
        assert run.made is not None
        made = run.made.id

        def notes() -> list[str]:
            return [_plain(note) for note in world.notes(made)]

        async def there() -> bool:
            return set(notes()) >= set(tale.must) and world.shown(made) == tale.end

        async def nothing_to_press() -> bool:
            return not [
                button.label
                for who in ("ada", "grace")
                for button in world.server.hands.visible_buttons(who)
                if made in (button.value or "") and button.label.startswith(_LEFT)
            ]

        async def nothing_under_way() -> bool:
            return not await world.under_way()

        try:
            await until(there, what=f"all notes and {tale.end}")
        except AssertionError:
            told = f"{notes()} instead of {tale.must}, {world.shown(made)} instead of {tale.end}"
            raise AssertionError(f"{told}\n{run.facts()}") from None
        assert set(notes()) <= {*tale.must, *tale.may}, notes()
        twice = [note for note, times in Counter(notes()).items() if times > 1]
        assert not twice, notes()
        assert len(world.roots(made)) == 1
        await until(nothing_to_press, what="an end of the buttons")
        await until(nothing_under_way, what="a place that is free")
        assert not world.told_twice()
        verdict = await world.audit()
        assert verdict.ok, verdict.why

    async def come_to_rest(self) -> None:
        """After a failure: let the next telling begin in peace, or give up."""
        if self.bot is not None:
            await self.bot.kill()
        self.bot = await self.world.start(under_launcher=True)

        for one in await self.world.under_way():
            await self.world.command("ada", f"abort #{one.number}")

        async def at_rest() -> bool:
            return not await self.world.under_way()

        await until(at_rest, what="rest after a failure")
        for tale in TALES.values():
            if await self.world.rows("SELECT 1 FROM locks WHERE ended_at IS NULL"):
                await self.world.command("grace", f"unlock {tale.service} {tale.environment}")


def _counts(at: str) -> bool:
    """Whether it is a point of the tale; what is recorded of messages is next to a call to Slack, and has its own."""
    if at.startswith(("transaction StoredMessages.", *UPKEEP)):
        return False
    return int(at.rpartition("#")[2]) <= (2 if name_of(at).startswith("transaction StoredReadings") else _OFTEN)


def _plain(note: str) -> str:
    """The key of a note without the parts that differ from telling to telling."""
    note = note.partition(".g")[0]
    return "countdown" if note.startswith("countdown.") else note
