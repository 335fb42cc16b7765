"""Fixtures: a workspace with a clock that the test moves, a server for it, a Bolt app, a Web API client."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sandbox_world import Bot, Clock, client_of, serving

from bot.sandbox import seed
from bot.sandbox.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from slack_sdk.web.async_client import AsyncWebClient

    from bot.sandbox.server import SandboxServer


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def workspace(clock: Clock) -> Workspace:
    made = Workspace(clock=clock)
    made.add_person(seed.guest())
    made.add_person(seed.deactivated())
    return made


@pytest.fixture
async def server(workspace: Workspace) -> AsyncIterator[SandboxServer]:
    async with serving(workspace, ack_seconds=0.5, retry_delays=(0.0, 0.05, 0.1)) as running:
        yield running


@pytest.fixture
async def client(server: SandboxServer) -> AsyncWebClient:
    return client_of(server)


@pytest.fixture
async def bot(server: SandboxServer) -> AsyncIterator[Bot]:
    made = Bot(server)
    try:
        yield made
    finally:
        await made.close()
