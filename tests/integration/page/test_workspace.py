"""The page around the conversation: who one is, unread, lost connections, faults, themes, phones, access by all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import expect

from bot.sandbox.server import SandboxServer
from tests.integration.page.test_conversation import send

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from playwright.async_api import Page

    from tests.integration.page.scripted_bot import ScriptedBot

    Visit = Callable[..., Awaitable[Page]]

pytestmark = [
    pytest.mark.long,
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
    pytest.mark.asyncio(loop_scope="session"),
]


async def test_becoming_another_person(visit: Visit, bot: ScriptedBot) -> None:
    page = await visit()
    await send(page, "from ada")
    await page.get_by_role("radio", name="Grace Hopper").click()
    await expect(page.locator(".place-name")).to_have_text(
        ["deployments", "deploy-admin", "general", "Home", "Messages"]
    )
    assert "as=U0GRACE" in page.url
    await expect(page.locator(".message", has_text="from ada")).to_be_visible()
    await send(page, "from grace")
    await expect(page.locator(".author")).to_have_text(["Ada Lovelace", "Grace Hopper"])
    await page.keyboard.press("Alt+Shift+Digit3")
    await expect(page.get_by_role("radio", name="Linus Reader")).to_be_checked()
    assert "as=U0LINUS" in page.url
    await page.go_back()
    await expect(page.get_by_role("radio", name="Grace Hopper")).to_be_checked()
    await page.get_by_role("radio", name="Grace Hopper").focus()
    await page.keyboard.press("ArrowRight")
    await expect(page.get_by_role("radio", name="Linus Reader")).to_be_focused()


async def test_times_are_in_the_persons_own_zone(visit: Visit, server: SandboxServer) -> None:
    await server.hands.say("ada", "what time is it?", channel="deployments")
    ada, linus = await visit(), await visit("U0LINUS")
    hours = [int((await page.locator(".message .at").inner_text())[:2]) for page in (ada, linus)]
    assert (hours[1] - hours[0]) % 24 == 2, "Helsinki is two hours ahead of London all year"


async def test_unread_and_days(visit: Visit, server: SandboxServer) -> None:
    page = await visit()
    await server.hands.say("grace", "over here", channel="general")
    await server.hands.say("grace", "and again", channel="general")
    place = page.get_by_role("link", name="general")
    await expect(place).to_contain_text("2")
    await place.click()
    await expect(page.locator(".message")).to_have_count(2)
    await expect(page.locator(".message.compact")).to_have_count(1)
    await expect(page.locator(".rule-day")).to_have_text("Today")
    await expect(place.locator(".count")).to_have_count(0)


async def test_lost_connection_is_made_up_for(visit: Visit, server: SandboxServer) -> None:
    page = await visit()
    await server.hands.say("grace", "before", channel="deployments")
    await expect(page.locator(".message")).to_have_count(1)
    await page.locator(".composer-input").fill("half a sentence")
    port = int(server.url.rpartition(":")[2])
    await server.stop()
    await expect(page.locator(".bot-status")).to_have_text("Reconnecting…")
    again = SandboxServer(server.workspace, port=port)
    await again.start()
    try:
        await again.hands.say("grace", "meanwhile", channel="deployments")
        await expect(page.locator(".message", has_text="meanwhile")).to_be_visible()
        await expect(page.locator(".message")).to_have_count(2)
        await expect(page.locator(".composer-input")).to_have_value("half a sentence")
        await expect(page.locator(".bot-status")).to_have_text("Bot not connected")
    finally:
        visit.complaints.clear()  # type: ignore[attr-defined]  # the browser reports the refused connections
        await again.stop()
        await page.close()
        visit.complaints.clear()  # type: ignore[attr-defined]  # and those after the end


async def test_faults_menu(visit: Visit, server: SandboxServer, bot: ScriptedBot) -> None:
    page = await visit()
    await page.get_by_role("button", name="Faults: make Slack misbehave").click()
    await page.get_by_role("menuitem", name="Rate limit for 5 s").click()
    await expect(page.locator(".fault-chip")).to_contain_text("Rate limited")
    assert server.faults.is_on("429")
    server.faults.clear()
    await expect(page.locator(".fault-chip")).to_have_count(0)


async def test_stays_at_the_bottom_only_when_it_was_there(visit: Visit, server: SandboxServer) -> None:
    for number in range(60):
        await server.hands.say("grace" if number % 2 else "ada", f"message {number}", channel="deployments")
    page = await visit("U0LINUS")
    below = "(s) => s.scrollHeight - s.scrollTop - s.clientHeight"
    await page.wait_for_function(f"({below})(document.querySelector('.timeline .scroller')) < 2")
    await server.hands.say("ada", "stays in view", channel="deployments")
    await expect(page.locator(".message", has_text="stays in view")).to_be_in_viewport()
    # Until the page has seen its own last scrolling, it may still put the reader at the bottom.
    await page.wait_for_function(
        """() => {
            const node = document.querySelector('.timeline .scroller');
            node.scrollTop = 300;
            return new Promise((done) => setTimeout(() => done(node.scrollTop === 300), 100));
        }"""
    )
    await server.hands.say("ada", "out of view", channel="deployments")
    await expect(page.get_by_role("button", name="New messages")).to_be_visible()
    assert await page.locator(".timeline .scroller").evaluate("node => node.scrollTop") == 300
    await page.get_by_role("button", name="New messages").click()
    await expect(page.locator(".message", has_text="out of view")).to_be_in_viewport()


async def test_phone_shows_one_pane_at_a_time(visit: Visit, bot: ScriptedBot) -> None:
    page = await visit(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    await expect(page.locator(".sidebar")).to_be_hidden()
    await send(page, "/deploy checkout v1.2 staging")
    await expect(page.locator(".message .header")).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth") <= 390
    await page.locator(".replies").click()
    await expect(page.get_by_role("region", name="Thread")).to_be_visible()
    box = await page.locator(".side").bounding_box()
    assert box is not None
    assert (box["x"], box["width"]) == (0, 390)
    await page.get_by_role("button", name="Back to the channel").click()
    await expect(page.locator(".conversation")).to_be_visible()
    await page.get_by_role("button", name="Back to channels").click()
    await expect(page.locator(".main")).to_be_hidden()
    await page.get_by_role("link", name="general").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("#general")
    await expect(page.locator(".sidebar")).to_be_hidden()


async def test_theme(visit: Visit) -> None:
    page = await visit(color_scheme="dark")
    paper = "getComputedStyle(document.body).backgroundColor"
    dark = await page.evaluate(paper)
    await page.get_by_role("button", name="Theme: as the system").click()
    light = await page.evaluate(paper)
    assert light != dark
    await page.reload()
    await expect(page.get_by_role("button", name="Theme: light")).to_be_visible()
    assert await page.evaluate(paper) == light


async def test_everything_has_a_name_and_shows_focus(visit: Visit, bot: ScriptedBot) -> None:
    page = await visit()
    await send(page, "/deploy checkout v1.2 staging")
    await expect(page.locator(".message .header")).to_be_visible()
    nameless = await page.evaluate(
        """() => [...document.querySelectorAll('button, a[href], input:not([hidden]), textarea, [role=log]')]
            .filter((node) => !(node.getAttribute('aria-label') || node.textContent.trim()))
            .map((node) => node.outerHTML)"""
    )
    assert nameless == []
    for _ in range(12):
        await page.keyboard.press("Tab")
        shown: dict[str, Any] = await page.evaluate(
            """() => { const node = document.activeElement; const style = getComputedStyle(node);
                const box = getComputedStyle(node.closest('.composer-box') ?? node);
                return { what: node.outerHTML.slice(0, 80), body: node === document.body,
                    ring: style.outlineStyle !== 'none' || box.boxShadow !== 'none' }; }"""
        )
        assert shown["body"] or shown["ring"], shown["what"]
    await bot.client.chat_postMessage(channel="C0DEPLOY", text="Healthy: *v1.2* answers")
    await expect(page.locator(".sr-only[aria-live=polite]")).to_have_text(
        "Deployment Architect: Healthy: *v1.2* answers"
    )


async def test_an_unknown_person_is_told_so(visit: Visit, browser: Any, server: SandboxServer) -> None:
    page = await browser.new_page()
    try:
        await page.goto(f"{server.url}/?as=U0NOBODY")
        await expect(page.get_by_role("alert")).to_contain_text("U0NOBODY")
    finally:
        await page.close()
