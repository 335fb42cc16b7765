"""A world in which bots die, and what must be true there after each death. Decides nowhere which points have their turn
beyond dealing them out by day.
"""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from crash_kinds import KINDS, Kind, Run
from world import until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from world import World

    from bot.domain.deployment import Deployment
    from bot.sandbox.process import BotProcess

DAY = int(os.environ.get("CRASH_DAY", datetime.now(UTC).toordinal()))
"""Which points have their turn."""
UNSTORED = ("request:taken up#1", "transaction StoredDeployments.add:before its commit#1")
"""Here nobody has been promised anything yet."""
UPKEEP = ("transaction StoredLocks.expire", "transaction StoredFreezes.expire")
_TOLD = 3
"""Notices that one story has to tell."""
_AFTERWARDS = 2.0
_SIGKILL = -9


@dataclass(kw_only=True)
class Matrix:
    """One world, in which bots die."""

    world: World
    bot: BotProcess | None = None
    passed: dict[str, list[str]] = field(default_factory=dict)
    """The points of each kind of request, in the order of the first run."""
    phases: dict[str, list[str]] = field(default_factory=dict)
    """Through which each kind of story went in the first run."""

    async def points(self, kind: str) -> list[str]:
        """Every point at which this kind of request can die."""
        if kind not in self.passed:
            log = self.world.folder / "points.log"
            log.unlink(missing_ok=True)
            died = await self.run(kind, at="nowhere")
            assert not died
            # What is recorded of messages is recorded right before or after a call to Slack, which has its own points.
            found = dict.fromkeys(log.read_text().splitlines())
            # The upkeep looks after all earlier stories too, at any time; what it does for this one, others do first.
            told = _TOLD if kind in KINDS else 0  # a plain deployment, or rollback, tells nobody else
            self.passed[kind] = [
                at
                for at in found
                if not at.startswith(("transaction StoredMessages.", *UPKEEP))
                and not (name_of(at).startswith("transaction StoredNotices.add") and int(at.rpartition("#")[2]) > told)
            ]
        return self.passed[kind]

    async def run(self, kind: str, *, at: str) -> bool:
        """One request of that kind whose bot dies at that point; whether it did. Fails unless all ends well."""
        if kind in KINDS:
            return await self._tell(kind, at)
        return await (self._deploy(at) if kind == "deploy" else self._roll_back(at))

    async def share(self, kind: str) -> list[str]:
        """Where it is killed in this run, on this database. Every point has its turn within a few days.

        One half of the points of a deployment or a rollback, the other half is the other database's. Of the others one
        half of what no plain deployment passes, and a few of what it passes more often than one does.
        """
        points, plain = await self.points(kind), await self.points("deploy")
        turn = 2 * DAY + (0 if self.world.database_url.startswith("sqlite") else 1)
        if kind not in KINDS:
            return points[(turn // 2 + turn) % 2 :: 2]
        names = {name_of(at) for at in plain}
        new = [at for at in points if name_of(at) not in names]
        more = [at for at in points if name_of(at) in names and at not in plain]
        return new[(turn // 2 + turn) % 2 :: 2] + more[turn % 8 :: 8]

    async def _tell(self, name: str, at: str) -> bool:
        world, kind = self.world, KINDS[name]
        if self.bot is None or not self.bot.running:
            self.bot = await world.start(under_launcher=True)
        newest = await world.newest()
        run = Run(
            world=world,
            bot=self.bot,
            environment=kind.environment,
            at=[] if at == "nowhere" else [at],
            newest=newest.number if newest else 0,
            runs=await world.serves(f"checkout@{kind.environment}"),
            journal=[entry["operation"] for entry in await world.journal("checkout", kind.environment)],
        )
        arm = {"arm": kind.arm, "at": at, "pause": kind.pause}
        (world.folder / "crash.json").write_text(json.dumps(arm))
        try:
            await kind.tell(run)
            await run.come_to_an_end()
        finally:
            self.bot = run.bot
            (world.folder / "crash.json").write_text(json.dumps({"arm": "nothing", "at": "nowhere"}))
        made = await world.ends(run.newest + 1, "succeeded")
        assert run.made is not None
        assert run.made.id == made.id
        phases = [str(event.after) for event in await world.events(made.id) if event.after is not None]
        expected = self.phases.setdefault(name, phases)
        if run.died and kind.pause:
            # It may have been frozen before its turn came, or when it had changed its target already.
            after = phases[phases.index("held") + 1 :] if "held" in phases else phases[1:]
            before = ["requested", "queued", "deploying"][: phases.index("held") if "held" in phases else 1]
            assert phases == [*before, *(["held"] if "held" in phases else []), *after]
            assert after == ["queued", "deploying", "verifying", "succeeded"]
        elif run.died:
            # Its time may have come before anybody had begun to wait for it.
            assert phases == [phase for phase in expected if phase != "scheduled" or phase in phases]
        else:
            assert phases == expected
        await self._told(made.id, kind)
        await self._once(made, run.version, run.environment, run.journal)
        return bool(run.died)

    async def _told(self, deployment_id: str, kind: Kind) -> None:
        """Everybody has read of it what they must, and nothing else, and nothing twice."""
        world = self.world

        def notes() -> list[str]:
            return [note.partition(".g")[0] for note in world.notes(deployment_id)]

        async def there() -> bool:
            return set(notes()) >= set(kind.must)

        try:
            await until(there, what="all notes")
        except AssertionError:
            raise AssertionError(f"{notes()} instead of the notes {kind.must}\n{world.log_tail()}") from None
        assert set(notes()) <= {*kind.must, *kind.may}, notes()
        assert len(set(notes())) == len(notes()), notes()
        assert len(world.roots(deployment_id)) == 1

    async def _deploy(self, at: str) -> bool:
        world = self.world
        await self._ready("deploy", at)
        before = await self.picture()
        version = "v1.4" if before.serves != "v1.4" else "v1.2"

        async def ask() -> None:
            await world.server.hands.command("ada", "/deploy", f"checkout {version} staging", channel="C0DEPLOY")

        died = await self._until_dead(ask, lambda: self._is_over(before, "succeeded"))
        await self._recovered(at, died, before)
        if died and at in UNSTORED:
            await self._nothing_changed(before)
            return died
        made = await world.ends(before.newest + 1, "succeeded")
        await self._check(made, version=version, notes=["succeeded"], before=before)
        return died

    async def _roll_back(self, at: str) -> bool:
        world = self.world
        taken = await self._something_to_roll_back()
        await self._ready("roll_back", at)
        before = await self.picture()

        assert taken.previous is not None
        version = taken.previous.release.version
        button = await world.button("ada", f"Roll back to {version}", about=taken.id)

        async def ask() -> None:
            await world.click("ada", button)

        died = await self._until_dead(ask, lambda: self._is_over(before, "succeeded"))
        await self._recovered(at, died, before)
        if died and at in UNSTORED:
            await self._nothing_changed(before)
            return died
        made = await world.ends(before.newest + 1, "succeeded")
        assert made.rollback_of == taken.id
        await self._unlocked()
        await world.ends(taken.number, "rolled_back")
        await world.noted(taken.id, ["succeeded", "rolled_back"])
        await self._check(made, version=version, notes=["succeeded"], before=before)
        return died

    async def _unlocked(self) -> None:
        """The one lock that a rollback leaves, taken away."""
        world = self.world
        there = "SELECT reason FROM (SELECT body AS reason FROM locks WHERE ended_at IS NULL) AS found"

        async def locked() -> bool:
            return len(await world.rows(there)) == 1

        async def free() -> bool:
            return not await world.rows(there)

        await until(locked, what="the lock that a rollback leaves")
        await world.command("grace", "unlock checkout staging")
        await until(free, what="an end of it")

    async def _something_to_roll_back(self) -> Deployment:
        """A deployment that runs and is no rollback itself, made if there is none."""
        world = self.world
        await self._ready("nothing", "nowhere")
        placement, newest = await world.placement(), await world.newest()
        runs = newest is not None and placement is not None and placement.deployment == newest.id
        plain = newest is not None and world.notes(newest.id) == ["succeeded"]  # and of no other story than ours
        if newest is None or not runs or not plain or newest.is_rollback or newest.phase != "succeeded":
            number = newest.number if newest else 0
            await world.command("ada", f"checkout {'v1.4' if await world.serves() != 'v1.4' else 'v1.2'} staging")
            newest = await world.ends(number + 1, "succeeded")
            await world.noted(newest.id, ["succeeded"])
        return newest

    async def _ready(self, arm: str, at: str) -> None:
        """A bot that will die there."""
        (self.world.folder / "crash.json").write_text(json.dumps({"arm": arm, "at": at}))
        if self.bot is None or not self.bot.running:
            self.bot = await self.world.start(under_launcher=True)

    async def _until_dead(self, ask: Callable[[], object], over: Callable[[], object]) -> bool:
        """Ask, and wait until the bot is dead or everything is over; whether it is dead."""
        assert self.bot is not None
        death = asyncio.ensure_future(self.bot.ended())
        try:
            await ask()  # type: ignore[misc]  # both are coroutine functions

            async def settled() -> bool:
                return death.done() or bool(await over())  # type: ignore[misc]  # as above

            await until(settled, what=f"an end of it\n{self.world.log_tail()}")
            # What is left to be done after the end has been shown is a matter of milliseconds.
            await asyncio.wait({death}, timeout=_AFTERWARDS)
            died = death.done()
            if died:
                assert death.result() == _SIGKILL, self.world.log_tail()
            else:
                await self.bot.kill()
            return died
        finally:
            death.cancel()

    async def _is_over(self, before: Picture, phase: str) -> bool:
        newest = await self.world.newest()
        return newest is not None and newest.number > before.newest and self.world.shown(newest.id) == phase

    async def _recovered(self, at: str, died: bool, before: Picture) -> None:
        if died and "sent, not applied" in at:

            async def applied() -> bool:
                return len(await self.world.journal()) > len(before.journal)

            # Nobody is there any more who could send it again: it was under way when the bot died.
            await until(applied, within=10, what="a change that had been sent before the bot died")
        if died and "applied, not answered" in at:
            assert len(await self.world.journal()) > len(before.journal), "it died before it was applied"
        self.bot = await self.world.start(under_launcher=True)

    async def picture(self) -> Picture:
        """What can be seen now."""
        world = self.world
        newest = await world.newest()
        return Picture(
            newest=newest.number if newest else 0,
            serves=await world.serves(),
            journal=[entry["operation"] for entry in await world.journal()],
            messages=len(world.messages()),
        )

    async def _nothing_changed(self, before: Picture) -> None:
        assert await self.picture() == before
        assert not await self.world.under_way()

    async def _check(self, made: Deployment, *, version: str, notes: list[str], before: Picture) -> None:
        """It ended as it should, once, and the world knows."""
        world = self.world
        assert made.number == before.newest + 1
        await world.noted(made.id, notes)
        assert not await world.under_way()
        await self._once(made, version, "staging", before.journal)
        phases = [event.after for event in await world.events(made.id) if event.after is not None]
        assert phases == ["requested", "queued", "deploying", "verifying", "succeeded"]

    async def _once(self, made: Deployment, version: str, environment: str, journal: Sequence[str]) -> None:
        """It was brought there once, nothing else runs there, and the books are in order."""
        world = self.world
        new = [entry["operation"] for entry in await world.journal("checkout", environment)][len(journal) :]
        assert new == [f"{made.id}-apply-1"], f"the agent was asked to do {new}"
        assert await world.serves(f"checkout@{environment}") == version
        placement = await world.placement("checkout", environment)
        assert placement is not None
        assert (placement.release.version, placement.deployment) == (version, made.id)

        async def only_this() -> bool:
            status = await world.platform.status("checkout", environment)
            assert status is not None
            return [(one["version"], one["state"]) for one in status["instances"]] == [(version, "ready")] * 2

        await until(only_this, within=15, what=f"two instances of {version} and nothing else")
        assert not await world.under_way()

        async def nothing_due() -> bool:
            return not await world.rows("SELECT 1 FROM schedules WHERE ended_at IS NULL")

        await until(nothing_due, within=15, what="an end of every time that was waited for")
        verdict = await world.audit()
        assert verdict.ok, verdict.why


@dataclass(frozen=True)
class Picture:
    """What somebody who looks at everything sees."""

    newest: int
    serves: str
    journal: Sequence[str]
    messages: int


def name_of(at: str) -> str:
    """A point without its count."""
    return at.rpartition("#")[0]
