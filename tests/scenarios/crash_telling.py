"""A world in which a bot dies again and again while one tale is told, and what its first telling passed.

One world serves all tellings: the bot that recovers is the one that dies next, so each telling also shows that the one
before has left its place free. What is in the world, and how it is begun, is told by who derives from this.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from crash_matrix import DAY, UPKEEP, name_of
from world import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import pytest
    from crash_rollouts import Rollout, Tale
    from world import World

    from bot.sandbox.process import BotProcess

NOWHERE = json.dumps({"arm": "nothing", "at": "nowhere"})
_OFTEN = 8
"""How often a point of that name is passed that counts; how often things are looked at differs from time to time."""
_LOOKS = ("transaction StoredReadings", "transaction StoredGates.saw", "transaction StoredPlans")
"""What is written down at each look."""
_LEFT = ("Promote to", "Hold", "Resume", "Abort", "Roll back now", "Cancel auto-rollback", "Snooze")
"""Buttons that nobody may be offered afterwards."""


@dataclass(kw_only=True)
class Tellings:
    """One world, in which bots die."""

    world: World
    tales: Mapping[str, Tale]
    bot: BotProcess | None = None
    passed: dict[str, list[str]] = field(default_factory=dict)
    """The points of each tale, in the order of its first telling."""
    names: Iterator[int] = field(default_factory=count)
    deaths: int = 4
    """In one telling."""
    _log: list[str] = field(default_factory=list)

    async def begin(self, name: str, at: Sequence[str]) -> Rollout:
        """A telling of the tale ``name`` in which the bot, which runs, dies at these points."""
        raise NotImplementedError

    def over(self, tale: Tale) -> None:
        """After each telling, however it ended."""

    async def close(self) -> None:
        """End everything."""
        await self.world.close()

    def goes_nowhere(self) -> None:
        """From here on nobody dies."""
        (self.world.folder / "crash.json").write_text(NOWHERE)

    async def points(self, name: str) -> list[str]:
        """Every point at which the bot can die in this tale."""
        if name not in self.passed:
            log = self.world.folder / "points.log"
            log.unlink(missing_ok=True)
            if self.bot is not None:
                await self.bot.kill()  # the next one may speak as much as it likes for a while
            assert not await self.tell(name, [])
            found = list(dict.fromkeys(self._log))
            since = self.tales[name].since
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
        world, tale = self.world, self.tales[name]
        if self.bot is None or not self.bot.running:
            self.bot = await world.start(under_launcher=True)
        run = await self.begin(name, at)
        run.arm("deploy")
        (world.folder / "crash.json").write_text(json.dumps({"arm": "deploy", "at": list(at), "run": run.name}))
        try:
            await tale.tell(run)
            await run.come_to_an_end()
            # What is looked at from here on is no part of the tale.
            self.goes_nowhere()
            log = world.folder / "points.log"
            self._log = log.read_text().splitlines() if log.exists() else []
            await tale.holds(run)
            await self._told(run, tale)
        finally:
            self.bot = run.bot
            self.over(tale)
            self.goes_nowhere()
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
        for tale in self.tales.values():
            if await self.world.rows("SELECT 1 FROM locks WHERE ended_at IS NULL"):
                await self.world.command("grace", f"unlock {tale.service} {tale.environment}")


async def told_with_deaths(
    tales: Tellings, name: str, tellings: int, record_property: Callable[[str, object], None]
) -> None:
    """So many tellings in which the bot dies at this run's share of the points. Fails unless all of them end well."""
    points = await tales.points(name)
    missing = set(tales.tales[name].meets) - set(points)
    assert not missing, f"{sorted(missing)} are not among {points}"
    share = await tales.share(name, tellings * tales.deaths)
    reached: list[str] = []
    failed: dict[str, str] = {}
    tellings = -(-len(share) // tales.deaths)
    for first in range(tellings):
        ours = share[first::tellings]
        try:
            reached += await tales.tell(name, ours)
        except (AssertionError, RuntimeError) as error:
            failed[", ".join(ours)] = str(error)
            await tales.come_to_rest()
    database = tales.world.database_url.partition(":")[0]
    record_property("crash points", [database, name, len(share), len(reached), len(failed)])
    print(f"{database}: {name} has {len(points)} points; the bot was to die at {len(share)} and did at {len(reached)}")
    assert not failed, "\n\n".join(f"killed at {at}: {why}" for at, why in failed.items())
    missed = [at for at in share if at not in reached]
    assert len(missed) <= max(2, len(share) / 4), f"not reached: {missed}"


def database(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """For a fixture with the parameters sqlite and postgresql: the address of an empty database, or None for SQLite."""
    if request.param == "sqlite":
        yield None
        return
    server = request.getfixturevalue("postgres_server")
    url = server.create_database()
    yield url
    server.drop_database(url)


def _counts(at: str) -> bool:
    """Whether it is a point of the tale; what is recorded of messages is next to a call to Slack, and has its own."""
    if at.startswith(("transaction StoredMessages.", *UPKEEP)):
        return False
    return int(at.rpartition("#")[2]) <= (2 if name_of(at).startswith(_LOOKS) else _OFTEN)


def _plain(note: str) -> str:
    """The key of a note without the parts that differ from telling to telling."""
    note = note.partition(".g")[0]
    return "countdown" if note.startswith("countdown.") else note
