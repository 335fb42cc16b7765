"""The bot is killed wherever a deployment, a rollback or what comes before them leaves a trace, and started again.

A first run writes down the points that it passes (see `launcher`); then there is one run for each, in which the bot
dies there. One world serves them all: the bot that recovers from one death is the one that dies next, so that each run
also shows that the one before has left the environment free.
"""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from crash_kinds import KINDS, Kind, Run
from world import PATIENCE, World, catalog, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from bot.domain.deployment import Deployment
    from bot.sandbox.process import BotProcess

pytestmark = [pytest.mark.long, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(900)]

CHUNKS = 3
CHUNKS_OF_KINDS = 2
_DAY = int(os.environ.get("CRASH_DAY", datetime.now(UTC).toordinal()))
"""Which points have their turn."""
LEAST = 40
"""Points at which the bot has to die in a deployment, and in a rollback."""
UNSTORED = ("request:taken up#1", "transaction StoredDeployments.add:before its commit#1")
"""Here nobody has been promised anything yet."""
_AGENT: dict[str, Any] = {"before": 0.3, "after": 0.3}
"""Seconds that the agent takes before it applies a change and before it answers, so that one can die in between."""
_UPKEEP = ("transaction StoredLocks.expire", "transaction StoredFreezes.expire")
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
            self.passed[kind] = [
                at
                for at in found
                if not at.startswith(("transaction StoredMessages.", *_UPKEEP))
                and not (_name(at).startswith("transaction StoredNotices.add") and int(at.rpartition("#")[2]) > _TOLD)
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
        turn = 2 * _DAY + (0 if self.world.database_url.startswith("sqlite") else 1)
        if kind not in KINDS:
            return points[(turn // 2 + turn) % 2 :: 2]
        names = {_name(at) for at in plain}
        new = [at for at in points if _name(at) not in names]
        more = [at for at in points if _name(at) in names and at not in plain]
        return new[(turn // 2 + turn) % 2 :: 2] + more[turn % 8 :: 8]

    async def _tell(self, name: str, at: str) -> bool:
        world, kind = self.world, KINDS[name]
        arm = {"arm": kind.arm, "at": at, "pause": kind.pause}
        (world.folder / "crash.json").write_text(json.dumps(arm))
        if self.bot is None or not self.bot.running:
            self.bot = await world.start(under_launcher=True)
        newest = await world.newest()
        run = Run(
            world=world,
            bot=self.bot,
            environment=kind.environment,
            at=at,
            newest=newest.number if newest else 0,
            runs=await world.serves(f"checkout@{kind.environment}"),
            journal=[entry["operation"] for entry in await world.journal("checkout", kind.environment)],
        )
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
        return run.died

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
        before = await self._picture()
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
        before = await self._picture()

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
        if newest is None or not runs or newest.is_rollback or newest.phase != "succeeded":
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

    async def _picture(self) -> Picture:
        world = self.world
        newest = await world.newest()
        return Picture(
            newest=newest.number if newest else 0,
            serves=await world.serves(),
            journal=[entry["operation"] for entry in await world.journal()],
            messages=len(world.messages()),
        )

    async def _nothing_changed(self, before: Picture) -> None:
        assert await self._picture() == before
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


@pytest.fixture(scope="module")
def matrix_database(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """The address of an empty PostgreSQL database, or None for SQLite."""
    if request.param == "sqlite":
        yield None
        return
    server = request.getfixturevalue("postgres_server")
    url = server.create_database()
    yield url
    server.drop_database(url)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def matrix(matrix_database: str | None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Matrix]:
    """One world on each database."""
    text = catalog(
        environments={"staging": "{}", "production": "{ approval: { expires: 12h } }"},
        actions="deploy, rollback, abort, resolve, approve, lock, unlock, schedule, configure, break_glass",
    )
    world = await World.open(tmp_path_factory.mktemp("matrix") / "world", matrix_database, text=text)
    try:
        await world.platform.faults(**_AGENT)
        yield Matrix(world=world)
    finally:
        await world.close()


on_each_database = pytest.mark.parametrize(
    "matrix_database",
    [
        # One worker for each database, side by side.
        pytest.param("sqlite", marks=pytest.mark.xdist_group("crash-sqlite")),
        pytest.param("postgresql", marks=[pytest.mark.xdist_group("crash-postgresql"), pytest.mark.postgres]),
    ],
    indirect=True,
)


@on_each_database
@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.parametrize("kind", ["deploy", "roll_back"])
async def test_killed_anywhere_it_ends_as_it_should(
    matrix: Matrix, kind: str, chunk: int, record_property: Callable[[str, object], None]
) -> None:
    points, share = await matrix.points(kind), await matrix.share(kind)
    assert len(points) > LEAST * 4 / 3
    for name in ("mutation apply:sent, not applied#1", "mutation apply:applied, not answered#1"):
        assert name in points
    await _die_at(matrix, kind, share[chunk::CHUNKS], record_property)


@on_each_database
@pytest.mark.parametrize("chunk", range(CHUNKS_OF_KINDS))
@pytest.mark.parametrize("kind", list(KINDS))
async def test_killed_on_its_way_there_it_ends_as_it_should(
    matrix: Matrix, kind: str, chunk: int, record_property: Callable[[str, object], None]
) -> None:
    points, share = await matrix.points(kind), await matrix.share(kind)
    assert set(KINDS[kind].meets) <= set(points)
    plain = {_name(at) for at in await matrix.points("deploy")}
    assert len({_name(at) for at in points} - plain) >= KINDS[kind].least
    await _die_at(matrix, kind, share[chunk::CHUNKS_OF_KINDS], record_property)


@on_each_database
async def test_what_comes_too_late_expires_and_changes_nothing(matrix: Matrix) -> None:
    world = matrix.world
    await matrix.run("scheduled", at="nowhere")
    assert matrix.bot is not None
    newest = await world.newest()
    assert newest is not None
    before = await matrix._picture()
    version = "v1.4" if before.serves != "v1.4" else "v1.2"
    await world.command("ada", f'checkout {version} staging at="in 2s" expires=1s')
    late = await world.ends(newest.number + 1, "scheduled")
    await matrix.bot.kill()

    async def past() -> bool:
        return late.wish is not None and datetime.now(UTC) > late.wish.expires

    await until(past, what="a time that has passed")
    matrix.bot = await world.start(under_launcher=True)
    await world.ends(late.number, "expired")
    assert (await matrix._picture()).journal == before.journal
    assert await world.serves() == before.serves
    assert (await world.audit()).ok
    assert not world.told_twice()


async def _die_at(
    matrix: Matrix, kind: str, ours: Sequence[str], record_property: Callable[[str, object], None]
) -> None:
    reached: list[str] = []
    missed: list[str] = []
    failed: dict[str, str] = {}
    for at in ours:
        try:
            # How the background work falls between the steps differs a little from run to run.
            died = await matrix.run(kind, at=at) or await matrix.run(kind, at=at)
            (reached if died else missed).append(at)
        except (AssertionError, RuntimeError) as error:
            failed[at] = str(error)
            await _come_to_rest(matrix)
    twice = matrix.world.told_twice()
    record_property(
        "crash points", [matrix.world.database_url.partition(":")[0], kind, len(ours), len(reached), len(failed)]
    )
    assert not failed, "\n\n".join(f"killed at {at}: {why}" for at, why in failed.items())
    assert not twice, f"told twice: {twice}"
    certain = [at for at in missed if at.startswith(("step ", "mutation ", "request:", "workflow "))]
    assert not certain, f"not reached: {certain}"
    assert len(missed) <= max(2, len(ours) / 4), f"not reached: {missed}"


def _name(at: str) -> str:
    """A point without its count."""
    return at.rpartition("#")[0]


async def _come_to_rest(matrix: Matrix) -> None:
    """After a failure: let the next point begin in peace, or give up."""
    if matrix.bot is not None:
        await matrix.bot.kill()
    matrix.bot = await matrix.world.start(under_launcher=True)

    async def at_rest() -> bool:
        return not await matrix.world.under_way()

    await until(at_rest, within=PATIENCE, what="rest after a failure")
