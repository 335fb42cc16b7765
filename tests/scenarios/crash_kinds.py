"""What people do while the bot dies: each kind is a story, told to its end however often the bot has to be started.

People are as they are: whoever is answered nothing, and sees nothing of what they asked for, asks again.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from world import PATIENCE, until

from bot.sandbox.model import SandboxError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from world import World

    from bot.domain.deployment import Deployment
    from bot.sandbox.process import BotProcess

_SIGKILL = -9
_AFTERWARDS = 2.0
"""Seconds after which whatever is left to be done after an end has been shown is done."""
_AGAIN = 5.0
"""Seconds after which people press a button again that did nothing."""

Look: TypeAlias = Callable[[], Awaitable[object]]


@dataclass(kw_only=True)
class Run:
    """One telling of a story in an environment, in which the bot dies at most once at each of the points ``at``."""

    world: World
    bot: BotProcess
    environment: str
    at: Sequence[str]
    newest: int
    """The number of the newest deployment before."""
    runs: str
    """The version that is served before."""
    journal: Sequence[str]
    service: str = "checkout"
    name: str | None = None
    """What no other telling is called; without, each request begins a new count."""
    died: list[str] = field(default_factory=list)
    """Where it has died so far."""
    made: Deployment | None = None

    @property
    def version(self) -> str:
        """What is to be deployed."""
        return "v1.4" if self.runs != "v1.4" else "v1.2"

    # Waiting, and starting the bot again when it dies meanwhile.

    async def until(self, look: Look, what: str) -> None:
        """Wait until it is so, over a death of the bot."""
        deadline = time.monotonic() + PATIENCE
        while not await look():
            if not self.bot.running:
                await self.revive()
            assert time.monotonic() < deadline, f"after {PATIENCE:g} s there is still not {what}\n{self.facts()}"
            await asyncio.sleep(0.03)

    @property
    def left(self) -> list[str]:
        """Where it has still to die."""
        return [at for at in self.at if at not in self.died]

    def arm(self, arm: str, *, pause: bool = False) -> None:
        """Let the bot die at what is left, from the next such request on, or at once."""
        plan = {"arm": arm if self.left else "nothing", "at": self.left, "pause": pause, "run": self.name}
        (self.world.folder / "crash.json").write_text(json.dumps(plan))

    async def revive(self) -> None:
        """Start the bot that has died as it should have, and let it live until the next point."""
        assert await self.bot.ended() == _SIGKILL, self.facts()
        await self._buried()
        while True:
            self.arm("at once")
            try:
                self.bot = await self.world.start(under_launcher=True)
            except RuntimeError:  # what it had to do first may have brought it to the next point before it was heard
                if self._death() not in self.left:
                    raise
                await self._buried()
            else:
                return

    def _death(self) -> str:
        return str(json.loads((self.world.folder / "dead.json").read_text())["at"])

    async def _buried(self) -> None:
        """Write down where it has died, once nothing of what it had sent is under way any more."""
        assert self.left, f"it has died once too often\n{self.facts()}"
        dead = json.loads((self.world.folder / "dead.json").read_text())
        self.died.append(dead["at"])
        if "sent, not applied" in dead["at"]:

            async def arrived() -> bool:
                return await self.arrived(dead["sending"])

            # Nobody is there any more who could send it again: it was under way when the bot died.
            await until(arrived, within=10, what="a change that had been sent before the bot died")

    async def arrived(self, sending: str) -> bool:
        """Whether what the bot was sending when it died has been carried out, or refused."""
        return sending in await self.operations()

    async def come_to_an_end(self) -> None:
        """Let the bot die late, or not at all."""
        while self.left:
            death = asyncio.ensure_future(self.bot.ended())
            await asyncio.wait({death}, timeout=_AFTERWARDS)
            death.cancel()
            if self.bot.running:
                return
            await self.revive()

    # What people do.

    async def say(self, who: str, words: str, stored: Look) -> None:
        """A command; said again if the bot has died and knows nothing of it."""
        while not await stored():
            deaths = len(self.died)
            await self.world.server.hands.command(who, "/deploy", words, channel="C0DEPLOY")

            async def settled(before: int = deaths) -> object:
                return len(self.died) != before or await stored()

            await self.until(settled, f"anything of {words!r}")

    async def ask(self, words: str) -> None:
        """A request for a deployment, of Ada."""

        async def stored() -> bool:
            newest = await self.world.newest(self.service)
            if newest is not None and newest.number > self.newest:
                self.made = newest
            return self.made is not None

        await self.say("ada", words.format(v=self.version, e=self.environment), stored)

    async def press(self, who: str, label: str, stored: Look, *, where: str | None = None) -> None:
        """A button of the deployment's card, or of its thread, pressed until it has taken effect."""
        pressed = 0.0
        assert self.made is not None
        about = self.made.id

        async def done() -> bool:
            nonlocal pressed
            if await stored():
                return True
            found = [
                button
                for button in self.world.server.hands.visible_buttons(who)
                if button.label == label and about in (button.value or "") and where in (None, button.where)
            ]
            if found and self.bot.running and time.monotonic() - pressed > _AGAIN:
                pressed = time.monotonic()
                try:
                    await self.world.click(who, found[0])
                except SandboxError:
                    pressed = 0.0  # it has just been redrawn
            return False

        await self.until(done, f"an effect of {label!r}")

    # What has become of it.

    async def now(self) -> Deployment:
        assert self.made is not None
        found = [one for one in await self.world.deployments(self.service) if one.id == self.made.id]
        return found[0]

    def phase(self, *phases: str) -> Look:
        """Whether it is in one of these."""

        async def look() -> bool:
            return (await self.now()).phase in phases

        return look

    async def ends(self) -> None:
        """Once it has succeeded."""
        await self.until(self.phase("succeeded"), "a deployment that succeeded")

    async def operations(self) -> list[str]:
        """What the agent was asked to do since the story began."""
        entries = await self.world.journal(self.service, self.environment)
        return [entry["operation"] for entry in entries][len(self.journal) :]

    async def frozen(self) -> bool:
        return bool(await self.world.rows("SELECT 1 FROM freezes WHERE ended_at IS NULL"))

    async def thawed(self) -> bool:
        return not await self.frozen()

    async def approved(self) -> bool:
        assert self.made is not None
        mine = "SELECT 1 FROM ballots WHERE deployment_id = :id"
        return bool(await self.world.rows(mine, id=self.made.id))

    def facts(self) -> str:
        made = f"#{self.made.number} {self.made.id}" if self.made else "nothing"
        return f"killed at {self.died} of {self.at}: {made}\n{self.world.log_tail()}"


async def approve(run: Run) -> None:
    """Asked for, approved by a click, deployed."""
    await run.ask("checkout {v} {e}")
    await run.until(run.phase("awaiting_approval", "queued"), "a deployment that asks")
    assert not await run.operations(), "nothing is changed before it is approved"
    await run.press("grace", "Approve", run.approved)
    await run.ends()


async def schedule(run: Run) -> None:
    """Asked for at a time, which comes while the bot may be away."""
    await run.ask('checkout {v} {e} at="in 2s" expires=1h')
    await run.ends()


async def hold_and_start(run: Run) -> None:
    """Approved while the place is frozen, held, and started by hand after that."""
    await run.ask("checkout {v} {e}")
    await run.until(run.phase("awaiting_approval"), "a deployment that asks")
    await run.say("grace", f"freeze checkout {run.environment} reason=test", run.frozen)
    await run.press("grace", "Approve", run.approved)
    await run.until(run.phase("held"), "a deployment that is held")
    assert not await run.operations(), "it went forward although everything was frozen"
    await run.say("grace", f"unfreeze checkout {run.environment}", run.thawed)
    await run.press("ada", "Start", run.phase("queued", "deploying", "verifying", "succeeded"))
    await run.ends()


async def freeze(run: Run) -> None:
    """Frozen when it has the leave to change the target and has not used it yet."""
    for name in ("go", "paused"):
        (run.world.folder / name).unlink(missing_ok=True)
    await run.ask("checkout {v} {e}")

    async def about_to() -> bool:
        return bool(run.died) or (run.world.folder / "paused").exists()

    await run.until(about_to, "a deployment that is about to change its target")
    heard = len(run.world.whispers("grace"))
    await run.say("grace", f"freeze checkout {run.environment} reason=test", run.frozen)
    (run.world.folder / "go").touch()

    async def confirmed() -> bool:
        return bool(run.died) or any("Frozen" in told for told in run.world.whispers("grace")[heard:])

    await run.until(confirmed, "a freeze that is confirmed")
    before = await run.operations()
    await run.until(run.phase("held", "verifying", "succeeded"), "a deployment that is held, or had begun before")
    if not run.died:
        assert await run.operations() == before == [], "it went forward after the freeze was confirmed"
    if (await run.now()).phase == "held":
        assert not await run.operations(), "what is held has changed nothing"
    await run.say("grace", f"unfreeze checkout {run.environment}", run.thawed)
    if (await run.now()).phase == "held":
        await run.press("ada", "Start", run.phase("queued", "deploying", "verifying", "succeeded"))
    await run.ends()


async def break_glass(run: Run) -> None:
    """Past the approval that nobody gives."""
    await run.ask("break-glass checkout {v} {e} reason=test confirm=checkout")
    await run.ends()


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A story, and where it is told."""

    tell: Callable[[Run], Awaitable[None]]
    arm: str = "deploy"
    """The request from which on points count."""
    environment: str = "production"
    pause: bool = False
    must: tuple[str, ...] = ("succeeded",)
    """Notes in its thread."""
    may: tuple[str, ...] = ()
    """Notes of what may be past before it is told."""
    least: int = 0
    """Points of its own, which no plain deployment has."""
    meets: tuple[str, ...] = ()
    """Some of these."""


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "approved": Kind(
            tell=approve,
            must=("approved.1", "succeeded"),
            may=("approval.1",),
            least=2,
            meets=("transaction StoredBallots.cast:before its commit#1",),
        ),
        "scheduled": Kind(
            tell=schedule,
            environment="staging",
            may=("scheduled.1", "started.1"),
            least=6,
            meets=(
                "transaction StoredSchedules.set:before its commit#1",
                "transaction StoredSchedules.close:before its commit#1",
                "step fire:done, not in the journal#1",
            ),
        ),
        "held": Kind(
            tell=hold_and_start,
            may=("approval.1", "approved.1", "held.1", "resumed.1"),
            least=8,
            meets=(
                "transaction StoredFreezes.place:before its commit#1",
                "transaction StoredFreezes.lift:after its commit#1",
            ),
        ),
        "frozen": Kind(
            tell=freeze,
            environment="staging",
            pause=True,
            may=("held.1", "resumed.1"),
            least=8,
            meets=("permit take:done#1", "transaction StoredFreezes.place:after its commit#1"),
        ),
        "emergency": Kind(
            tell=break_glass,
            arm="break_glass",
            must=("glass", "succeeded"),
            least=4,
            meets=("transaction StoredOverrides.add:after its commit#1",),
        ),
    }
)
