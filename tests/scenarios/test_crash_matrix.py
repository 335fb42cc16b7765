"""The bot is killed wherever a deployment or a rollback leaves a trace, and started again.

A first run writes down the points that it passes (see `launcher`); then there is one run for each, in which the bot
dies there. One world serves them all: the bot that recovers from one death is the one that dies next, so that each run
also shows that the one before has left the environment free.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from world import PATIENCE, World, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from bot.domain.deployment import Deployment
    from bot.sandbox.process import BotProcess

pytestmark = [pytest.mark.long, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(900)]

CHUNKS = 6
LEAST = 40
"""Points at which the bot has to die in a deployment, and in a rollback."""
UNSTORED = ("request:taken up#1", "transaction StoredDeployments.add:before its commit#1")
"""Here nobody has been promised anything yet."""
_AGENT: dict[str, Any] = {"before": 0.3, "after": 0.3}
"""Seconds that the agent takes before it applies a change and before it answers, so that one can die in between."""
_AFTERWARDS = 2.0
_SIGKILL = -9


@dataclass(kw_only=True)
class Matrix:
    """One world, in which bots die."""

    world: World
    bot: BotProcess | None = None
    passed: dict[str, list[str]] = field(default_factory=dict)
    """The points of each kind of request, in the order of the first run."""

    async def points(self, kind: str) -> list[str]:
        """Every point at which this kind of request can die."""
        if kind not in self.passed:
            log = self.world.folder / "points.log"
            log.unlink(missing_ok=True)
            died = await self.run(kind, at="nowhere")
            assert not died
            # What is recorded of messages is recorded right before or after a call to Slack, which has its own points.
            found = dict.fromkeys(log.read_text().splitlines())
            self.passed[kind] = [at for at in found if not at.startswith("transaction StoredMessages.")]
        return self.passed[kind]

    async def run(self, kind: str, *, at: str) -> bool:
        """One request of that kind whose bot dies at that point; whether it did. Fails unless all ends well."""
        return await (self._deploy(at) if kind == "deploy" else self._roll_back(at))

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
        await world.ends(taken.number, "rolled_back")
        await world.noted(taken.id, ["succeeded", "rolled_back"])
        await self._check(made, version=version, notes=["succeeded"], before=before)
        return died

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
        new = [entry["operation"] for entry in await world.journal()][len(before.journal) :]
        assert new == [f"{made.id}-apply-1"], f"the agent was asked to do {new}"
        assert await world.serves() == version
        placement = await world.placement()
        assert placement is not None
        assert (placement.release.version, placement.deployment) == (version, made.id)

        async def only_this() -> bool:
            status = await world.platform.status("checkout", "staging")
            assert status is not None
            return [(one["version"], one["state"]) for one in status["instances"]] == [(version, "ready")] * 2

        await until(only_this, within=15, what=f"two instances of {version} and nothing else")
        phases = [event.after for event in await world.events(made.id) if event.after is not None]
        assert phases == ["requested", "queued", "deploying", "verifying", "succeeded"]


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
    world = await World.open(tmp_path_factory.mktemp("matrix") / "world", matrix_database)
    try:
        await world.platform.faults(**_AGENT)
        yield Matrix(world=world)
    finally:
        await world.close()


@pytest.mark.parametrize(
    "matrix_database",
    [
        # One worker for each database, side by side.
        pytest.param("sqlite", marks=pytest.mark.xdist_group("crash-sqlite")),
        pytest.param("postgresql", marks=[pytest.mark.xdist_group("crash-postgresql"), pytest.mark.postgres]),
    ],
    indirect=True,
)
@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.parametrize("kind", ["deploy", "roll_back"])
async def test_killed_anywhere_it_ends_as_it_should(
    matrix: Matrix, kind: str, chunk: int, record_property: Callable[[str, object], None]
) -> None:
    points = await matrix.points(kind)
    assert len(points) > LEAST * 4 / 3
    for name in ("mutation apply:sent, not applied#1", "mutation apply:applied, not answered#1"):
        assert name in points
    ours = points[chunk::CHUNKS]
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
    assert len(missed) <= len(ours) / 4, f"not reached: {missed}"


async def _come_to_rest(matrix: Matrix) -> None:
    """After a failure: let the next point begin in peace, or give up."""
    if matrix.bot is not None:
        await matrix.bot.kill()
    matrix.bot = await matrix.world.start(under_launcher=True)

    async def at_rest() -> bool:
        return not await matrix.world.under_way()

    await until(at_rest, within=PATIENCE, what="rest after a failure")
