"""Talking on the page: commands, messages, threads, what others see, and what a hostile text cannot do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import expect

from tests.integration.page.scripted_bot import form

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from playwright.async_api import Page
    from slack_bolt.async_app import AsyncAck
    from slack_sdk.web.async_client import AsyncWebClient

    from bot.sandbox.server import SandboxServer
    from tests.integration.page.scripted_bot import ScriptedBot

    Visit = Callable[..., Awaitable[Page]]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
    pytest.mark.asyncio(loop_scope="session"),
]


async def send(page: Page, text: str) -> None:
    await page.locator(".conversation .composer-input").fill(text)
    await page.keyboard.press("Enter")


async def test_a_newcomer_sees_the_workspace_and_what_to_type(visit: Visit, bot: ScriptedBot) -> None:
    page = await visit()
    await expect(page.get_by_role("heading", level=1)).to_have_text("#deployments")
    await expect(page.locator(".place-name")).to_have_text(["deployments", "general", "Home", "Messages"])
    await expect(page.locator(".bot-status")).to_have_text("Bot connected")
    await expect(page.locator(".first")).to_contain_text("/deploy checkout v1.2 staging")
    await page.get_by_role("button", name="/deploy checkout v1.2 staging").click()
    await expect(page.locator(".composer-input")).to_have_value("/deploy checkout v1.2 staging")
    await expect(page.locator(".composer-input")).to_be_focused()
    await bot.stop()
    await expect(page.locator(".bot-status")).to_have_text("Bot not connected")


async def test_a_deployment_is_told_in_one_message_that_is_edited_in_place(visit: Visit, bot: ScriptedBot) -> None:
    page = await visit()
    await send(page, "/deploy checkout v1.2 staging")
    message = page.locator(".message", has_text="checkout to staging")
    await expect(message.locator(".header")).to_have_text("checkout to staging")
    await expect(message).to_contain_text("Canary 25 %, step 3 of 6")
    await expect(message.locator(".replies-count")).to_have_text("1 reply")
    await message.evaluate("node => { node.kept = node.querySelector('.header'); }")
    before = await message.locator(".header").bounding_box()
    bot.hold.clear()
    promote = message.get_by_role("button", name="Promote")
    await promote.click()
    await expect(promote).to_have_attribute("aria-busy", "true")
    await promote.click(force=True)
    bot.hold.set()
    await expect(message).to_contain_text("Canary 50 %, step 4 of 6")
    await expect(message.locator(".flash")).to_have_text("Canary 50 %, step 4 of 6")
    assert await message.evaluate("node => node.kept === node.querySelector('.header')"), "what stays is not redrawn"
    assert await message.locator(".header").bounding_box() == before, "an edit moves nothing"
    assert bot.heard.count(("promote", "U0ADA")) == 1, "a second press while the first is pending does nothing"
    await expect(page.locator(".message", has_text="checkout to staging")).to_have_count(1)


async def test_edited_and_deleted_messages(visit: Visit, bot: ScriptedBot) -> None:
    page = await visit()
    first = await bot.client.chat_postMessage(channel="C0DEPLOY", text="v1.2 is *healhty*")
    second = await bot.client.chat_postMessage(channel="C0DEPLOY", text="and a second one")
    await expect(page.locator(".message.compact")).to_have_text("and a second one", use_inner_text=True)
    await bot.client.chat_update(channel="C0DEPLOY", ts=str(first["ts"]), text="v1.2 is *healthy*")
    await expect(page.locator(".message").first.locator(".text")).to_have_text("v1.2 is healthy")
    await expect(page.locator(".message").first.locator(".edited")).to_have_text("edited")
    await bot.client.chat_delete(channel="C0DEPLOY", ts=str(second["ts"]))
    await expect(page.locator(".message")).to_have_count(1)


async def test_confirm_asks_first(visit: Visit, bot: ScriptedBot) -> None:
    page = await visit()
    await send(page, "/deploy checkout v1.2 staging")
    abort = page.get_by_role("button", name="Abort")
    await abort.click()
    dialog = page.get_by_role("alertdialog", name="Abort checkout in staging?")
    await expect(dialog).to_contain_text("Traffic goes back to v1.1 at once.")
    await expect(dialog.get_by_role("button", name="Keep going")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)
    await expect(abort).to_be_focused()
    assert ("abort", "U0ADA") not in bot.heard
    await abort.click()
    await dialog.get_by_role("button", name="Abort").click()
    await expect(page.locator(".message", has_text="Aborted by Ada")).to_be_visible()
    await expect(page.get_by_role("button", name="Promote")).to_have_count(0)


async def test_overflow_menu_by_keyboard(visit: Visit, bot: ScriptedBot) -> None:
    page = await visit()
    await send(page, "/deploy checkout v1.2 staging")
    more = page.get_by_role("button", name="More actions")
    await more.focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("menuitem", name="Details")).to_be_focused()
    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_role("menuitem", name="Copy")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("menu")).to_have_count(0)
    await expect(more).to_be_focused()
    await page.keyboard.press("Enter")
    await page.get_by_role("menuitem", name="Copy").click()
    await expect(more).not_to_have_attribute("aria-busy", "true")
    assert bot.heard[-1][1]["selected_option"]["value"] == "copy"


async def test_thread_pane(visit: Visit, bot: ScriptedBot) -> None:
    page = await visit()
    await send(page, "/deploy checkout v1.2 staging")
    await page.locator(".replies").click()
    thread = page.get_by_role("region", name="Thread")
    await expect(thread.locator(".message")).to_have_count(2)
    await expect(thread.locator(".rule")).to_have_text("1 reply")
    field = thread.get_by_role("combobox", name="Reply in thread")
    await expect(field).to_be_focused()
    await field.press_sequentially("@dep")
    await expect(thread.get_by_role("option")).to_contain_text("Deployment Architect")
    await page.keyboard.press("Tab")
    await expect(field).to_have_value("@Deployment Architect ")
    await field.press_sequentially("status")
    await page.keyboard.press("Enter")
    await expect(thread.locator(".message", has_text="At your service")).to_be_visible()
    await expect(thread.locator(".rule")).to_have_text("3 replies")
    await expect(page.locator(".conversation .replies-count")).to_have_text("3 replies")
    await expect(page.locator(".conversation .message", has_text="At your service")).to_have_count(0)
    assert ("mention", "<@U0BOT> status") in bot.heard
    await page.reload()
    await expect(thread.locator(".message")).to_have_count(4)
    await page.keyboard.press("Escape")
    await expect(thread).to_have_count(0)
    await page.go_back()
    await expect(thread).to_be_visible()


async def test_ephemeral_is_seen_by_one_person_only(visit: Visit, bot: ScriptedBot) -> None:
    ada, grace = await visit(), await visit("U0GRACE")
    await send(ada, "/deploy checuot v1.2 staging")
    note = ada.locator(".message.ephemeral")
    await expect(note).to_contain_text("Only visible to you")
    await expect(note.locator(".text")).to_have_text("checuot is not a service. Did you mean checkout?")
    await send(ada, "public words")
    await expect(grace.locator(".message", has_text="public words")).to_be_visible()
    await expect(grace.locator(".message.ephemeral")).to_have_count(0)
    await note.get_by_role("button", name="Dismiss message").click()
    await expect(note).to_have_count(0)


async def test_hostile_text_stays_text(visit: Visit, bot: ScriptedBot) -> None:
    page = await visit()
    await send(page, "/deploy hostile")
    message = page.locator(".message", has_text="press me")
    await expect(message).to_contain_text("<script>window.hacked=1</script>")
    await expect(message).to_contain_text("@U0NOBODY")
    assert await message.locator("img, script, b").count() == 0
    hrefs = await message.locator("a").evaluate_all("links => links.map((link) => link.href)")
    assert hrefs == ["https://example.com/?a=1&b=2"]
    await message.get_by_text("press me").click()
    assert await page.evaluate("window.hacked") is None
    await send(page, '"><img src=x onerror=window.hacked=2>&amp; <b>bold</b> *strong*')
    mine = page.locator(".message", has_text="onerror=window.hacked=2")
    await expect(mine.locator("strong")).to_have_text("strong")
    assert await mine.locator("img, b").count() == 0
    assert await page.evaluate("window.hacked") is None


async def test_completion_history_and_keyboard(visit: Visit, bot: ScriptedBot) -> None:
    page = await visit()
    field = page.locator(".conversation .composer-input")
    await page.locator(".main h1").click()
    await field.blur()
    await page.keyboard.press("/")
    await expect(field).to_be_focused()
    await expect(page.get_by_role("option")).to_contain_text("/deploy")
    await page.keyboard.press("Tab")
    await expect(field).to_have_value("/deploy ")
    await expect(page.locator(".completion-usage")).to_contain_text("<service> <version> <environment>")
    await field.press_sequentially("c")
    await expect(page.locator(".completion-title")).to_have_text(["checkout", "catalog"])
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_role("option", selected=True)).to_contain_text("catalog")
    await page.keyboard.press("ArrowUp")
    await page.keyboard.press("Enter")
    await expect(field).to_have_value("/deploy checkout ")
    await field.press_sequentially("v1.2 staging")
    await page.keyboard.press("Escape")
    await page.keyboard.press("Enter")
    await expect(page.locator(".message .header")).to_have_text("checkout to staging")
    await expect(field).to_have_value("")
    await send(page, "something else")
    await expect(field).to_have_value("")
    await page.keyboard.press("ArrowUp")
    await expect(field).to_have_value("something else")
    await page.keyboard.press("ArrowUp")
    await expect(field).to_have_value("/deploy checkout v1.2 staging")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("ArrowDown")
    await expect(field).to_have_value("")


async def test_a_command_that_reaches_nobody_says_so_and_keeps_the_words(visit: Visit, server: SandboxServer) -> None:
    page = await visit()
    await expect(page.locator(".bot-status")).to_have_text("Bot not connected")
    await send(page, "/deploy checkout v1.2 staging")
    await expect(page.get_by_role("alert")).to_contain_text("The bot is not connected, so nothing was delivered.")
    await expect(page.locator(".composer-input")).to_have_value("/deploy checkout v1.2 staging")


async def test_direct_messages(visit: Visit, bot: ScriptedBot) -> None:
    page = await visit()
    await page.get_by_role("link", name="Messages").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Deployment Architect")
    await bot.server.workspace.wait_for(lambda: ("home", "messages") in bot.heard)
    await send(page, "hello")
    await expect(page.locator(".message", has_text="Nobody else reads this.")).to_be_visible()


async def test_a_direct_message_from_the_bot_turns_up_by_itself(visit: Visit, bot: ScriptedBot) -> None:
    page = await visit()
    opened = await bot.client.conversations_open(users="U0ADA")
    await bot.client.chat_postMessage(channel=opened["channel"]["id"], text="You have something to approve")
    place = page.get_by_role("link", name="Messages")
    await expect(place.locator(".count")).to_contain_text("1")
    await place.click()
    await expect(page.locator(".message")).to_contain_text("You have something to approve")
    await expect(place.locator(".count")).to_have_count(0)


async def test_a_button_in_a_direct_message_opens_a_form(visit: Visit, bot: ScriptedBot) -> None:
    page = await visit("U0GRACE")
    ask = {"type": "button", "action_id": "ask", "text": {"type": "plain_text", "text": "Say why"}}

    async def asked(ack: AsyncAck, body: dict[str, Any], client: AsyncWebClient) -> None:
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view=form())

    bot.app.action("ask")(asked)
    await bot.client.chat_postMessage(
        channel="U0GRACE", text="Yes or no?", blocks=[{"type": "actions", "elements": [ask]}]
    )
    await page.get_by_role("link", name="Messages").click()
    await page.get_by_role("button", name="Say why").click()
    await expect(page.get_by_role("dialog")).to_contain_text("Deploy a service")


async def test_files_are_previewed_and_downloaded(visit: Visit, bot: ScriptedBot) -> None:
    page = await visit()
    await send(page, "/deploy files")
    file = page.locator(".file")
    await expect(file.locator(".file-text")).to_contain_text("line 8 of the log")
    await expect(file.locator(".file-text")).not_to_contain_text("line 9 of the log")
    await file.get_by_role("button", name="Show all 20 lines").click()
    await expect(file.locator(".file-text")).to_contain_text("line 20 of the log")
    async with page.expect_download() as download:
        await file.get_by_role("link", name="Download deploy.log").click()
    path = await (await download.value).path()
    assert path.read_text().endswith("line 20 of the log")
    picker = page.locator(".composer input[type=file]")
    await picker.set_input_files({"name": "notes.txt", "mimeType": "text/plain", "buffer": "grüße".encode()})
    await expect(page.locator(".file", has_text="notes.txt")).to_contain_text("grüße")
