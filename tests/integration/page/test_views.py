"""Forms and pages of the app: modals with typeahead and validation, a pushed view, the Home tab, selects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

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


async def test_modal_with_typeahead_errors_and_a_pushed_view(visit: Visit, bot: ScriptedBot) -> None:
    page = await visit()
    await send(page, "/deploy")
    modal = page.get_by_role("dialog", name="Deploy a service")
    service = modal.get_by_role("combobox", name="Service")
    await expect(service).to_be_focused()
    await service.press_sequentially("cat")
    await expect(modal.get_by_role("option")).to_have_text(["catalog"])
    await page.keyboard.press("Enter")
    await expect(service).to_have_value("catalog")
    assert [words for kind, words in bot.heard if kind == "query"][-1] == "cat"
    await modal.get_by_label("Version").fill("v9")
    await modal.get_by_role("button", name="Deploy").click()
    missing = modal.locator(".input", has_text="Environment")
    await expect(missing.get_by_role("alert")).to_have_text("Please complete this required field.")
    await modal.get_by_role("radio", name="staging").check()
    await modal.get_by_role("button", name="What is a version?").click()
    pushed = page.get_by_role("dialog", name="Versions")
    await expect(pushed).to_contain_text("A version is a tag")
    await pushed.get_by_role("button", name="Back").first.click()
    await expect(modal.get_by_label("Version")).to_have_value("v9")
    await expect(service).to_have_value("catalog")
    await modal.get_by_role("button", name="Deploy").click()
    wrong = modal.locator(".input", has_text="Version")
    await expect(wrong.get_by_role("alert")).to_have_text("There is no v9. The newest is v1.4.")
    field = modal.get_by_label("Version")
    await expect(field).to_be_focused()
    await expect(field).to_have_value("v9")
    described = await field.get_attribute("aria-describedby")
    assert described is not None
    await expect(modal.locator(f"#{described.split()[0]}")).to_contain_text("There is no v9")
    await modal.get_by_role("button", name="Remove Grace Hopper").click()
    await field.fill("v1.2")
    await page.keyboard.press("Enter")
    await expect(page.locator("dialog[open]")).to_have_count(0)
    values = bot.heard[-1][1]
    assert values["service"]["service"]["selected_option"]["value"] == "catalog"
    assert values["environment"]["environment"]["selected_option"]["value"] == "staging"
    assert values["tell"]["tell"]["selected_users"] == []


async def test_modal_closes_with_escape_and_survives_a_reload(visit: Visit, bot: ScriptedBot) -> None:
    page = await visit()
    await send(page, "/deploy")
    modal = page.get_by_role("dialog", name="Deploy a service")
    await expect(modal).to_be_visible()
    await page.reload()
    await expect(modal).to_be_visible()
    other = await visit("U0GRACE")
    await expect(other.locator("dialog[open]")).to_have_count(0)
    await page.keyboard.press("Escape")
    await expect(modal).to_have_count(0)
    assert bot.server.hands.modal("U0ADA") is None


async def test_escape_in_an_open_list_closes_the_list_only(visit: Visit, bot: ScriptedBot) -> None:
    page = await visit()
    await send(page, "/deploy")
    modal = page.get_by_role("dialog", name="Deploy a service")
    await modal.get_by_role("combobox", name="Service").click()
    await expect(modal.get_by_role("option")).to_have_count(3)
    await page.keyboard.press("Escape")
    await expect(modal.get_by_role("option")).to_have_count(0)
    await expect(modal).to_be_visible()


async def test_home_tab(visit: Visit, bot: ScriptedBot) -> None:
    page = await visit("U0GRACE")
    await page.get_by_role("link", name="Home").click()
    await expect(page.locator(".home .header")).to_have_text(["Waiting for you", "What runs where"])
    await page.get_by_role("button", name="Approve").click()
    await bot.server.workspace.wait_for(lambda: bot.server.workspace.calls_to("views.publish"))
    await expect(page.get_by_role("button", name="Approve")).not_to_have_attribute("aria-busy", "true")
    assert bot.heard[-1][0] == "approve"
    environment = page.get_by_role("combobox", name="Environment")
    await environment.click()
    await page.get_by_role("option", name="production").click()
    await expect(environment).to_have_value("production")
    await expect(page.locator(".home .select")).not_to_have_attribute("aria-busy", "true")
    assert bot.heard[-1][1]["selected_option"]["value"] == "production"
    await page.goto(page.url.replace("U0GRACE", "U0LINUS"))
    await expect(page.locator(".home .header").first).to_have_text("Waiting for you")


async def test_select_in_a_message(visit: Visit, bot: ScriptedBot) -> None:
    page = await visit()
    await send(page, "/deploy choose")
    field = page.get_by_role("combobox", name="Service")
    await field.click()
    await expect(page.get_by_role("option")).to_have_text(["checkout", "catalog", "payments"])
    await field.press_sequentially("pay")
    await expect(page.locator(".listbox .option")).to_have_text(["payments"])
    await page.keyboard.press("Enter")
    await expect(field).to_have_value("payments")
    await bot.server.workspace.wait_for(lambda: bot.heard)
    await expect(page.locator(".message .select")).not_to_have_attribute("aria-busy", "true")
    assert bot.heard[-1][1]["selected_option"]["value"] == "payments"
