"""Notices are told once, whatever Slack does meanwhile, and by one replica only."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.domain.actor import Actor
from bot.domain.notice import Notice, NoticeKind
from bot.sandbox import seed
from bot.sandbox.server import SandboxServer
from bot.sandbox.workspace import Workspace
from bot.slack.budget import Budget, Pacing
from bot.slack.calls import Calls
from bot.slack.noticeboard import Noticeboard
from bot.store.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from bot.sandbox.model import Message

FAST = Pacing(
    posts_a_second=100.0, post_burst=50, poll=0.05, call=3.0, settle=0.1, first_retry=0.05, last_retry=0.3,
    last_refusal=0.3,
)  # fmt: skip
GRACE = Actor(workspace=seed.TEAM_ID, id="U0GRACE", name="Grace")


def notice(key: str, to: str = "user:U0ADA") -> Notice:
    return Notice(
        key=key,
        to=to,
        kind=NoticeKind.LOCK_TAKEN,
        at=datetime.now(UTC),
        by=GRACE,
        sentence=f"Grace has taken over your lock ({key})",
        facts={"lock": "l1"},
    )


@dataclass
class Board:
    """The workspace, what is to be told, and who tells it."""

    server: SandboxServer
    store: Store
    running: list[asyncio.Task[None]] = field(default_factory=list)
    holding: bool = True

    def speaks(self, *, fallback: str = "C0ADMIN", holds: Callable[[], bool] | None = None) -> Noticeboard:
        client = AsyncWebClient(token=seed.BOT_TOKEN, base_url=f"{self.server.url}/api/", retry_handlers=[], timeout=5)
        loop = asyncio.get_running_loop()
        budget = Budget(FAST, loop.time)
        board = Noticeboard(
            notices=self.store.notices,
            calls=Calls(client, budget, FAST, wall=lambda: datetime.now(UTC).timestamp()),
            budget=budget,
            pacing=FAST,
            fallback_channel=lambda: fallback,
            clock=lambda: datetime.now(UTC),
            holds=holds or (lambda: self.holding),
        )
        self.running.append(asyncio.create_task(board.run()))
        return board

    async def crash(self) -> None:
        for task in self.running:
            task.cancel()
        await asyncio.gather(*self.running, return_exceptions=True)
        self.running.clear()

    async def told(self, within: float = 15.0) -> None:
        async with asyncio.timeout(within):
            while await self.store.notices.untold():
                await asyncio.sleep(0.02)

    def direct(self, user: str) -> list[Message]:
        channels = [c for c in self.server.workspace.channels.values() if c.im_user == user]
        return [message for channel in channels for message in channel.messages.values()]

    def channel(self, name: str) -> list[Message]:
        return list(self.server.workspace.channel(name).messages.values())

    async def until(self, look: Callable[[], Any]) -> None:
        await self.server.workspace.wait_for(look, 10.0)


@pytest.fixture
async def board(tmp_path: Path) -> AsyncIterator[Board]:
    server = SandboxServer(Workspace())
    await server.start()
    async with Store.open(f"sqlite:///{tmp_path / 'bot.sqlite'}", replica="one") as store:
        made = Board(server, store)
        try:
            yield made
        finally:
            await made.crash()
            await server.stop()


async def test_people_and_channels_are_told_in_order_and_once(board: Board) -> None:
    for key, to in (("a", "user:U0ADA"), ("b", "channel:#deployments"), ("c", "channel:C0ADMIN"), ("a", "user:U0ADA")):
        await board.store.notices.add(notice(key, to))
    board.speaks()
    await board.told()
    assert ["(a)" in message.text for message in board.direct("U0ADA")] == [True]
    assert len(board.channel("deployments")) == len(board.channel("deploy-admin")) == 1


@pytest.mark.parametrize("times", [1, 4])
async def test_lost_answers_tell_nothing_twice(board: Board, times: int) -> None:
    board.server.faults.lose_response("chat.postMessage", times)
    for key in "abc":
        await board.store.notices.add(notice(key))
    board.speaks()
    await board.told()
    assert len(board.direct("U0ADA")) == 3


def below(key: str, parent: str, *, age: float = 0.0) -> Notice:
    told = notice(key, "channel:#deployments")
    return replace(told, facts={"thread": parent}, at=told.at - timedelta(seconds=age))


async def test_what_belongs_to_a_thread_waits_for_its_beginning(board: Board) -> None:
    board.server.faults.lose_response("chat.postMessage", 2)
    await board.store.notices.add(below("b", "a", age=5.0))  # as if clocks differed: it comes first
    board.speaks()
    await board.store.notices.add(notice("a", "channel:#deployments"))
    await board.told()
    root, reply = sorted(board.channel("deployments"), key=lambda message: "(b)" in message.text)
    assert not root.is_reply
    assert reply.thread_ts == root.ts
    assert await board.store.notices.where("a") == ("C0DEPLOY", root.ts)


async def test_what_waits_for_a_beginning_that_never_comes_is_told_all_the_same(board: Board) -> None:
    await board.store.notices.add(below("b", "nothing", age=601.0))
    board.speaks()
    await board.told()
    [alone] = board.channel("deployments")
    assert not alone.is_reply
    assert await board.store.notices.where("nothing") is None


async def test_an_outage_loses_nothing(board: Board) -> None:
    board.server.faults.down(1.5)
    await board.store.notices.add(notice("a"))
    await board.store.notices.add(notice("b", "channel:#deployments"))
    board.speaks()
    await board.told()
    assert len(board.direct("U0ADA")) == len(board.channel("deployments")) == 1


async def test_a_limit_is_waited_out(board: Board) -> None:
    board.server.faults.rate_limit(1.0)
    await board.store.notices.add(notice("a"))
    board.speaks()
    await board.told()
    assert len(board.direct("U0ADA")) == 1
    assert sum(call.status == 429 for call in board.server.workspace.calls) <= 3


async def test_a_crash_after_the_post_finds_what_is_there(board: Board) -> None:
    await board.store.notices.add(notice("a"))
    board.server.faults.slow(5.0, 1.0)  # the answer to the post comes late enough to die before it
    board.speaks()
    await board.until(lambda: board.direct("U0ADA"))
    await board.crash()
    assert [found.key for found in await board.store.notices.untold()] == ["a"]
    board.speaks()
    await board.told()
    assert len(board.direct("U0ADA")) == 1


async def test_a_crash_before_the_post_tells_it_after_all(board: Board) -> None:
    await board.store.notices.add(notice("a"))
    await board.store.notices.trying("a", at=datetime.now(UTC))
    board.speaks()
    await board.told()
    assert len(board.direct("U0ADA")) == 1


async def test_who_does_not_hold_the_lease_is_silent(board: Board) -> None:
    board.holding = False
    await board.store.notices.add(notice("a"))
    board.speaks()
    with contextlib.suppress(TimeoutError):
        await board.told(within=0.5)
    assert board.server.workspace.calls == []
    board.holding = True
    await board.told()
    assert len(board.direct("U0ADA")) == 1


@pytest.mark.parametrize("to", ["user:U0NOBODY", "channel:#nowhere", "channel:C0GENERAL", "channel:"])
async def test_what_cannot_be_told_there_is_told_to_the_operators(board: Board, to: str) -> None:
    await board.store.notices.add(notice("a", to))
    await board.store.notices.add(notice("b"))
    board.speaks()
    await board.told()
    [told] = board.channel("deploy-admin")
    assert "(a)" in told.text
    assert len(board.direct("U0ADA")) == 1


async def test_what_can_be_told_nowhere_is_left_and_silences_nobody(board: Board) -> None:
    await board.store.notices.add(notice("a", "channel:#nowhere"))
    await board.store.notices.add(notice("b"))
    board.speaks(fallback="C0NOWHERE")
    await board.told()
    assert len(board.direct("U0ADA")) == 1


async def test_a_revoked_token_is_waited_for(board: Board) -> None:
    board.server.faults.fail_method("chat.postMessage", "token_revoked", 3)
    await board.store.notices.add(notice("a"))
    board.speaks()
    await board.told()
    assert len(board.direct("U0ADA")) == 1
