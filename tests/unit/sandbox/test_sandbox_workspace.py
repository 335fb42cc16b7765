"""The workspace's own promises: unique timestamps, a feed that loses nothing, look-ups that explain themselves."""

from __future__ import annotations

import asyncio

import pytest

from bot.sandbox.model import Message, SandboxError
from bot.sandbox.workspace import Workspace, ts_micros


def test_timestamps_are_unique_and_sorted_even_when_time_stands_still() -> None:
    workspace = Workspace(clock=lambda: 1_700_000_000.5)
    stamps = [workspace.next_ts() for _ in range(1000)]
    assert len(set(stamps)) == 1000
    assert stamps == sorted(stamps)
    assert stamps[0] == "1700000000.500000"
    assert ts_micros("1700000000.5") == ts_micros("1700000000.500000")
    with pytest.raises(ValueError, match="no timestamp"):
        ts_micros("yesterday")


async def test_the_feed_gives_every_change_once_and_in_order() -> None:
    workspace = Workspace()
    start = workspace.seq
    seen: list[int] = []

    async def read() -> None:
        async for change in workspace.changes(start):
            seen.append(change.seq)
            if len(seen) == 300:
                return

    readers = [asyncio.create_task(read())]
    for n in range(300):
        workspace.post(Message("C0DEPLOY", workspace.next_ts(), "U0ADA", str(n)))
        if n % 7 == 0:
            await asyncio.sleep(0)
    await asyncio.wait_for(asyncio.gather(*readers), 5)
    assert seen == list(range(start + 1, start + 301))


async def test_waiting_sees_what_is_there_what_comes_and_gives_up() -> None:
    workspace = Workspace()
    assert await workspace.wait_for(lambda: "now") == "now"
    messages = workspace.channels["C0DEPLOY"].messages
    waiting = asyncio.create_task(workspace.wait_for(lambda: list(messages.values())))
    await asyncio.sleep(0)
    assert not waiting.done()
    workspace.post(Message("C0DEPLOY", workspace.next_ts(), "U0ADA", "here"))
    assert [m.text for m in await waiting] == ["here"]
    with pytest.raises(TimeoutError):
        await workspace.wait_for(lambda: False, 0.02)


def test_look_ups_say_what_there_is() -> None:
    workspace = Workspace()
    assert workspace.person("@ada") is workspace.person("U0ADA") is workspace.person("Ada Lovelace")
    assert workspace.channel("#deployments") is workspace.channel("C0DEPLOY")
    with pytest.raises(SandboxError, match=r"nobody called 'eve'.*@ada, @grace, @linus"):
        workspace.person("eve")
    with pytest.raises(SandboxError, match=r"no channel '#nope'.*#deployments"):
        workspace.channel("#nope")
    direct = workspace.direct(["U0ADA"])
    assert workspace.direct(["U0ADA"]) is direct
    assert workspace.direct(["U0ADA", "U0GRACE"]).is_mpim
