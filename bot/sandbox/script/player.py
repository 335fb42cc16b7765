"""Plays a script: does what the people do, then waits for what the script says must follow.

It sees the workspace as a person does (hands, eyes, change feed) and the deployments' phases; it never looks into
the bot. An `expect` that misses is noted and the play goes on; any other line that fails ends it, because the lines
after it would speak of something that never happened.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from bot.domain.errors import DeploymentArchitectError
from bot.sandbox.model import SandboxError
from bot.sandbox.script.deeds import PATIENCE, Deed, Missed, People, appears
from bot.sandbox.script.lines import (
    ANYONE,
    AnyLine,
    Click,
    Expect,
    Fault,
    KillBot,
    PersonDeed,
    PersonLine,
    Script,
    Sleep,
    StartBot,
    Submit,
    Wait,
)
from bot.sandbox.script.transcript import Transcript
from bot.sandbox.script.waiting import DEADLINE, Act, StateWait
from bot.sandbox.script.witness import Witness

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bot.sandbox.script.world import BotProcess, DeploymentFeed, Faults, Hands, Workspace

QUIET = 2.0  # seconds without news before `expect no` looks
_NEVER_QUIET = 30.0  # seconds after which `expect no` looks anyway
_SHOWN = 5  # texts that are repeated when an expected one did not come


async def play(
    script: Script,
    *,
    hands: Hands,
    workspace: Workspace,
    faults: Faults,
    feed: DeploymentFeed,
    bot: BotProcess,
    out: TextIO,
    as_json: bool,
) -> int:
    """Play the script and print it; returns 0 when every wait, expect, click and submit held, else 1.

    The bot may run already or be started by the script; it is left as the script leaves it.
    """
    began = time.monotonic()

    def elapsed() -> float:
        return time.monotonic() - began

    transcript = Transcript(out, as_json=as_json, elapsed=elapsed)
    known = list(dict.fromkeys(who for line in script.lines for who in _people_of(line)))
    witness = Witness(hands, workspace, known, transcript.heard)
    witness.look(quietly=True)
    people = People(hands, workspace, feed, witness, transcript)
    transcript.began(script)
    listener = asyncio.create_task(_listen(workspace, witness))
    try:
        return await _Player(people, faults, bot, elapsed).play(script)
    finally:
        listener.cancel()
        with suppress(asyncio.CancelledError):
            await listener


def _people_of(line: AnyLine) -> tuple[str, ...]:
    """Everybody whom a line names."""
    match line:
        case Click():
            return (line.who, *line.others)
        case PersonLine():
            return (line.who,)
        case Expect(who=str(who)) if who != ANYONE:
            return (who,)
        case _:
            return ()


async def _listen(workspace: Workspace, witness: Witness) -> None:
    """Keep the transcript going while a line waits for something else."""
    async for change in workspace.changes(workspace.seq):
        if change.seq == workspace.seq:  # one look for changes that came together
            began = time.monotonic()
            witness.look()
            # In a crowded workspace a look is dear: it gets half of the time and no more.
            await asyncio.sleep(time.monotonic() - began)


@dataclass(slots=True)
class _Player:
    people: People
    faults: Faults
    bot: BotProcess
    elapsed: Callable[[], float]
    last: Deed | None = None

    async def play(self, script: Script) -> int:
        transcript, witness = self.people.transcript, self.people.witness
        held = missed = 0
        unplayed = len(script.lines)
        for line in script.lines:
            unplayed -= 1
            began = self.elapsed()
            try:
                note = await self._line(line)
            except (Missed, SandboxError, DeploymentArchitectError) as error:
                missed += 1
                witness.look()
                why, details = (error.why, error.details) if isinstance(error, Missed) else (str(error), ())
                transcript.missed(line, self.elapsed() - began, why, details)
                if not isinstance(line, Expect):
                    break
            else:
                witness.look()
                if isinstance(line, Wait | Expect | Click | Submit):
                    held += 1
                    transcript.held(line, self.elapsed() - began, note)
        transcript.ended(held=held, missed=missed, unplayed=unplayed)
        return 1 if missed else 0

    async def _line(self, line: AnyLine) -> str:
        """Play one line; returns a remark on how it held. Raises Missed, SandboxError or what the feed raises."""
        match line:
            case Wait():
                return await self._wait(line)
            case Expect():
                await (self._expect_no(line) if line.absent else self._expect(line))
            case KillBot():
                self.people.transcript.played(line, "" if self.bot.running else "it was not running")
                await self.bot.kill()
            case StartBot():
                await self._start(line)
            case Fault():
                self.people.transcript.played(line)
                self.faults.start(line.name, *([] if line.seconds is None else [line.seconds]))
            case Sleep():
                self.people.transcript.played(line)
                await asyncio.sleep(line.seconds)
            case _:
                await self._deed(line)
        return ""

    async def _deed(self, line: PersonDeed) -> None:
        self.last = await self.people.begin(line)
        await self.people.do(self.last)

    async def _start(self, line: StartBot) -> None:
        self.people.transcript.played(line, "it was running already" if self.bot.running else "")
        try:
            await self.bot.start()
        except (OSError, RuntimeError) as error:
            raise Missed(f"the bot did not start: {error}") from error

    async def _wait(self, line: Wait) -> str:
        deed = self._done()
        if deed.declined:
            raise Missed("the click above was cancelled: it has started nothing and acted on nothing")

        def answered() -> bool:
            self.people.witness.look()
            return self.people.witness.answered(deed.line.who, deed.look)

        act = Act(deed.user, deed.since, deed.clicked, answered)
        within = DEADLINE if line.within is None else line.within
        wait = StateWait(self.people.feed, self.people.workspace, self.elapsed, act, line.state, within)
        ended = await wait.result()
        if ended.why is not None:
            raise Missed(ended.why, *(f"{name} is {standing}" for name, standing in ended.deployments.items()))
        return ", ".join(ended.deployments)

    async def _expect(self, line: Expect) -> None:
        if await appears(self.people.workspace, lambda: self._match(line), PATIENCE) is None:
            where = f" in {line.place}" if line.place else ""
            raise Missed(f"no such text{where} within {PATIENCE:g} s", *self._in_sight(line))

    async def _expect_no(self, line: Expect) -> None:
        who, witness = self._done().line.who, self.people.witness
        deadline = self.elapsed() + _NEVER_QUIET
        look = witness.look()

        def stirred() -> bool:
            witness.look()
            return not witness.quiet_since(who, look)

        while (left := deadline - self.elapsed()) > 0:
            if not await appears(self.people.workspace, stirred, min(QUIET, left)):
                break
            look = witness.look()
        found = self._match(line)
        if found is not None:
            raise Missed("the text is there", found)

    def _match(self, line: Expect) -> str | None:
        """The text that holds what is expected; letter case and white space do not matter."""
        self.people.witness.look()
        wanted = _folded(line.text)
        return next((text for text in self._texts(line) if wanted in _folded(text)), None)

    def _texts(self, line: Expect) -> Iterator[str]:
        """What the last person can read since their line, in the place that the line names."""
        for who in self._readers(line):
            for seen in self.people.witness.since(who, self._done().look):
                if line.place in (None, seen.where):
                    yield seen.text

    def _in_sight(self, line: Expect) -> list[str]:
        texts = list(self._texts(line))
        who = " and @".join(self._readers(line))
        if not texts:
            return [f"@{who} has seen nothing new there since the last person's line"]
        return [f"@{who} saw: {' '.join(text.split())}" for text in texts[-_SHOWN:]]

    def _readers(self, line: Expect) -> list[str]:
        if line.who == ANYONE:
            return self.people.witness.people
        return [line.who or self._done().line.who]

    def _done(self) -> Deed:
        assert self.last is not None, "the grammar refuses a wait or expect before the first person's line"
        return self.last


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()
