"""Which deployments a `wait` is about, when it ends, and what it says when it misses."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from bot.domain.errors import StoreError
from bot.domain.history import Touch
from bot.sandbox.script.waiting import Act, Reached, StateWait
from bot.sandbox.workspace import Workspace

ADA, LINUS = "U0ADA", "U0LINUS"


@dataclass
class Record:
    """Deployments and their events in memory, as the bot's database has them."""

    events: list[tuple[str, str, str | None, bool]] = field(default_factory=list)
    polls: int = 0
    polled: asyncio.Event = field(default_factory=asyncio.Event)
    away: bool = False

    def enter(self, deployment: str, phase: str, actor: str | None = None, *, started: bool = False) -> None:
        self.events.append((deployment, phase, actor, started))

    async def marker(self) -> int:
        return len(self.events)

    async def touched(self, *, actor: str, since: int) -> list[Touch]:
        self.polls += 1
        self.polled.set()
        if self.away:
            raise StoreError("the database does not answer")
        return [Touch(d, started) for d, _, who, started in self.events[since:] if who == actor]

    async def reached(self, deployment_id: str, phase: str, *, since: int) -> bool:
        entered = any(d == deployment_id and p == phase for d, p, _, _ in self.events[since:])
        return entered or await self.phase(deployment_id) == phase

    async def phase(self, deployment_id: str) -> str:
        return [phase for d, phase, _, _ in self.events if d == deployment_id][-1]

    async def looked_at(self, times: int = 3) -> None:
        """Return once a wait has looked here so many times more."""
        wanted = self.polls + times
        async with asyncio.timeout(5):
            while self.polls < wanted:
                self.polled.clear()
                await self.polled.wait()


def wait_for(
    record: Record,
    state: str,
    *,
    within: float = 5.0,
    since: int = 0,
    clicked: str | None = None,
    answered: bool = False,
    user: str = ADA,
    workspace: Workspace | None = None,
) -> StateWait:
    act = Act(user, since, clicked, lambda: answered)
    return StateWait(record, workspace or Workspace(), time.monotonic, act, state, within)


async def result(wait: StateWait) -> tuple[Reached, float]:
    began = time.monotonic()
    return await wait.result(), time.monotonic() - began


async def test_a_state_that_was_passed_through_counts() -> None:
    record = Record()
    record.enter("D1", "requested", ADA, started=True)
    for phase in ("queued", "deploying", "verifying", "succeeded"):
        record.enter("D1", phase)
    assert await wait_for(record, "deploying").result() == Reached({"D1": "deploying"})


async def test_it_wakes_up_when_the_state_comes() -> None:
    record, workspace = Record(), Workspace()
    record.enter("D1", "requested", ADA, started=True)
    waiting = asyncio.create_task(result(wait_for(record, "deploying", workspace=workspace)))
    await record.looked_at()
    record.enter("D1", "queued")
    record.enter("D1", "deploying")
    workspace.announce("presence")
    ended, took = await waiting
    assert ended.why is None
    assert took < 1


async def test_what_was_before_the_line_does_not_count() -> None:
    record = Record()
    record.enter("D1", "requested", ADA, started=True)
    record.enter("D1", "succeeded")
    ended = await wait_for(record, "succeeded", since=len(record.events), within=0.2).result()
    assert ended == Reached({}, "not within 0.2 s: the line above has started nothing and acted on nothing")


async def test_what_other_people_start_does_not_count() -> None:
    record = Record()
    record.enter("D1", "succeeded", LINUS, started=True)
    ended = await wait_for(record, "succeeded", within=0.2).result()
    assert ended.why is not None


async def test_a_miss_tells_where_it_stands_and_since_when() -> None:
    record = Record()
    record.enter("D1", "requested", ADA, started=True)
    ended = await wait_for(record, "succeeded", within=0.3).result()
    assert ended == Reached({"D1": "requested since before this wait"}, "not within 0.3 s")

    waiting = asyncio.create_task(wait_for(record, "succeeded", within=0.5).result())
    await record.looked_at()
    record.enter("D1", "queued")
    missed = await waiting
    assert missed.deployments["D1"].startswith("queued since ")
    assert missed.deployments["D1"].endswith(" s")


async def test_it_ends_at_once_when_the_state_is_out_of_reach() -> None:
    record = Record()
    record.enter("D1", "requested", ADA, started=True)
    record.enter("D1", "failed")
    ended, took = await result(wait_for(record, "succeeded", within=30))
    assert ended == Reached({"D1": "failed since before this wait"}, "it cannot become succeeded any more")
    assert took < 1


async def test_a_success_may_still_be_rolled_back() -> None:
    record = Record()
    record.enter("D1", "succeeded", ADA, started=True)
    waiting = asyncio.create_task(wait_for(record, "rolled_back").result())
    await record.looked_at()
    record.enter("D1", "rolling_back")
    record.enter("D1", "rolled_back")
    assert await waiting == Reached({"D1": "rolled_back"})


async def test_after_a_rollback_click_success_is_that_of_the_rollback() -> None:
    record = Record()
    record.enter("D1", "succeeded", ADA, started=True)
    since = len(record.events)
    waiting = asyncio.create_task(wait_for(record, "succeeded", since=since, clicked="D1", within=5).result())
    await record.looked_at()
    assert not waiting.done(), "the success from before the click is not the answer"
    record.enter("D2", "requested", ADA, started=True)
    record.enter("D1", "rolling_back", ADA)
    await record.looked_at()
    assert not waiting.done()
    record.enter("D2", "succeeded")
    assert await waiting == Reached({"D2": "succeeded"})


async def test_after_a_rollback_click_rolled_back_is_what_was_there() -> None:
    record = Record()
    record.enter("D1", "succeeded", ADA, started=True)
    since = len(record.events)
    record.enter("D2", "requested", ADA, started=True)
    record.enter("D1", "rolling_back", ADA)
    record.enter("D2", "succeeded")
    record.enter("D1", "rolled_back")
    for clicked in ("D1", None):
        for state in ("rolling_back", "rolled_back"):
            assert await wait_for(record, state, since=since, clicked=clicked).result() == Reached({"D1": state})


async def test_a_refused_click_leaves_the_deployment_that_was_clicked() -> None:
    record = Record()
    record.enter("D1", "succeeded", ADA, started=True)
    wait = wait_for(record, "succeeded", since=1, clicked="D1", answered=True, user=LINUS)
    assert await wait.result() == Reached({"D1": "succeeded"})


async def test_an_unanswered_click_is_not_taken_up() -> None:
    record = Record()
    record.enter("D1", "succeeded", ADA, started=True)
    ended = await wait_for(record, "succeeded", since=1, clicked="D1", within=0.2).result()
    assert ended.deployments == {}


async def test_what_a_line_acted_on_gets_a_moment_before_it_is_hopeless() -> None:
    """The old deployment is over, the one that the line starts is written a moment later."""
    record = Record()
    record.enter("D1", "rolled_back", ADA, started=True)
    waiting = asyncio.create_task(wait_for(record, "deploying", since=1, clicked="D1", answered=True).result())
    await record.looked_at()
    assert not waiting.done()
    record.enter("D2", "deploying", ADA, started=True)
    assert await waiting == Reached({"D2": "deploying"})

    ended, took = await result(wait_for(record, "paused", since=2, clicked="D1", answered=True, within=30))
    assert ended.why == "it cannot become paused any more"
    assert 1.5 < took < 5


async def test_a_database_that_is_away_for_a_moment_is_waited_for() -> None:
    record = Record(away=True)
    record.enter("D1", "succeeded", ADA, started=True)
    waiting = asyncio.create_task(wait_for(record, "succeeded").result())
    await record.looked_at()
    record.away = False
    assert await waiting == Reached({"D1": "succeeded"})

    record.away = True
    ended = await wait_for(record, "succeeded", within=0.2).result()
    assert ended.why is not None
    assert "the database does not answer" in ended.why
