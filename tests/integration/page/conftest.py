"""A real browser in front of a real sandbox server with a real Bolt app behind it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from playwright.async_api import async_playwright, expect

from bot.sandbox.server import SandboxServer
from bot.sandbox.workspace import Workspace
from tests.integration.page.scripted_bot import ScriptedBot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from playwright.async_api import Browser, BrowserContext, Page

expect.set_options(timeout=20_000)  # a busy machine is no fault of the page

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
PATIENCE = 10_000  # milliseconds


def hints(_person: str, text: str) -> list[dict[str, str]]:
    """Completes the first argument of /deploy, as the product does for services."""
    last = text.rpartition(" ")[2]
    known = {"checkout": "service", "catalog": "service", "status": "what runs where"}
    return [{"text": word, "description": kind} for word, kind in known.items() if word.startswith(last)]


# One browser serves all tests, so all of them share one event loop; every test gets a server and contexts of its own.
@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("there is no Chromium on PATH; `make chromium` installs one")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def server() -> AsyncIterator[SandboxServer]:
    server = SandboxServer(Workspace(), hints=hints)
    await server.start()
    yield server
    await server.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def bot(server: SandboxServer) -> AsyncIterator[ScriptedBot]:
    bot = ScriptedBot(server)
    await bot.start()
    yield bot
    bot.hold.set()
    await bot.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def visit(browser: Browser, server: SandboxServer) -> AsyncIterator[Callable[..., Awaitable[Page]]]:
    """Open the page as a person; whatever the browser complains about fails the test."""
    complaints: list[str] = []
    contexts: list[BrowserContext] = []

    async def visit(person: str = "U0ADA", place: str = "deployments", **options: Any) -> Page:
        options.setdefault("viewport", {"width": 1280, "height": 860})
        context = await browser.new_context(**options)
        contexts.append(context)
        page = await context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
        await page.goto(f"{server.url}/?as={person}#{place}")
        await page.wait_for_selector(".shell .place[aria-current]", state="attached")
        return page

    visit.complaints = complaints  # type: ignore[attr-defined]  # tests that provoke complaints clear this list
    yield visit
    assert complaints == []
    for context in contexts:
        await context.close()
