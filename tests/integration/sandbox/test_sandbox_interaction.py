"""Buttons, menus, modals, response URLs, the Home tab: the whole round with an unmodified Bolt app."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError

from bot.sandbox.model import MessageRef, SandboxError, ViewRef

if TYPE_CHECKING:
    from sandbox_world import Bot, Clock

    from bot.sandbox.server import SandboxServer

CONFIRM = {
    "title": {"type": "plain_text", "text": "Roll back?"},
    "text": {"type": "plain_text", "text": "checkout in staging"},
    "confirm": {"type": "plain_text", "text": "Roll back"},
    "deny": {"type": "plain_text", "text": "No"},
}


def option(name: str) -> dict[str, Any]:
    return {"text": {"type": "plain_text", "text": name.title()}, "value": name}


def button(label: str, action_id: str, **more: Any) -> dict[str, Any]:
    return {"type": "button", "text": {"type": "plain_text", "text": label}, "action_id": action_id, **more}


CARD = [
    {"type": "section", "text": {"type": "mrkdwn", "text": "*checkout* to `staging`"}},
    {
        "type": "actions",
        "block_id": "acts",
        "elements": [
            button("Roll back", "rollback", value="d1", confirm=CONFIRM, style="danger"),
            {"type": "static_select", "action_id": "pick", "options": [option("staging"), option("production")]},
            {"type": "overflow", "action_id": "more", "options": [option("logs"), option("link")]},
        ],
    },
]


def text_input(block_id: str, label: str, **more: Any) -> dict[str, Any]:
    return {
        "type": "input",
        "block_id": block_id,
        "label": {"type": "plain_text", "text": label},
        "element": {"type": "plain_text_input", "action_id": "text"},
        **more,
    }


def modal(title: str, *blocks: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "type": "modal",
        "callback_id": "form",
        "title": {"type": "plain_text", "text": title},
        "submit": {"type": "plain_text", "text": "Go"},
        "blocks": list(blocks) or [text_input("why", "Reason")],
        **more,
    }


async def code(awaitable: Any) -> str:
    with pytest.raises(SlackApiError) as caught:
        await awaitable
    return str(caught.value.response["error"])


async def card(bot: Bot) -> MessageRef:
    posted = await bot.client.chat_postMessage(channel="C0DEPLOY", text="checkout to staging", blocks=CARD)
    return MessageRef("C0DEPLOY", posted["ts"])


async def triggers(server: SandboxServer, bot: Bot) -> list[str]:
    """Connect a bot whose /deploy keeps the trigger ids of its commands."""
    found: list[str] = []

    @bot.app.command("/deploy")
    async def deploy(ack: Any, body: dict[str, Any]) -> None:
        found.append(body["trigger_id"])
        await ack()

    await bot.connect()
    return found


async def test_a_click_carries_everything_that_slack_sends(server: SandboxServer, bot: Bot) -> None:
    @bot.app.action("rollback")
    async def rollback(ack: Any, body: dict[str, Any]) -> None:
        bot.got.append(body)
        await ack()

    await bot.connect()
    ref = await card(bot)
    (found,) = server.hands.visible_buttons("grace")
    assert (found.label, found.value, found.style) == ("Roll back", "d1", "danger")
    assert found.container == ref
    assert found.confirm is not None
    receipt = await server.hands.click("grace", container=ref, action_id="rollback")
    assert receipt.acked
    (body,) = bot.got
    assert body["type"] == "block_actions"
    assert body["user"] == {"id": "U0GRACE", "username": "grace", "name": "grace", "team_id": "T0SANDBOX"}
    assert body["team"] == {"id": "T0SANDBOX", "domain": "sandbox"}
    assert (body["enterprise"], body["is_enterprise_install"], body["api_app_id"]) == (None, False, "A0DEPLOY")
    assert body["container"] == {
        "type": "message",
        "message_ts": ref.ts,
        "channel_id": "C0DEPLOY",
        "is_ephemeral": False,
    }
    assert body["channel"] == {"id": "C0DEPLOY", "name": "deployments"}
    assert body["message"]["blocks"] == server.workspace.channels["C0DEPLOY"].messages[ref.ts].blocks
    assert body["state"]["values"] == {"acts": {"pick": {"type": "static_select", "selected_option": None}}}
    (action,) = body["actions"]
    assert (action["action_id"], action["block_id"], action["value"]) == ("rollback", "acts", "d1")
    assert action["text"]["text"] == "Roll back"
    assert float(action["action_ts"]) > 0
    assert body["trigger_id"]
    assert body["response_url"]


async def test_menus_and_overflows(server: SandboxServer, bot: Bot) -> None:
    @bot.app.action({"block_id": "acts"})
    async def acted(ack: Any, body: dict[str, Any]) -> None:
        bot.got.append(body)
        await ack()

    await bot.connect()
    ref = await card(bot)
    assert (await server.hands.choose("ada", container=ref, action_id="pick", values=["Production"])).acked
    assert (await server.hands.click("ada", container=ref, action_id="more", value="logs")).acked
    assert [b["actions"][0]["selected_option"]["value"] for b in bot.got] == ["production", "logs"]
    kept = bot.got[1]["state"]["values"]["acts"]["pick"]["selected_option"]
    assert kept["value"] == "production"
    with pytest.raises(SandboxError, match="there is no option 'moon'"):
        await server.hands.choose("ada", container=ref, action_id="pick", values=["moon"])
    with pytest.raises(SandboxError, match="there is no control 'nope'"):
        await server.hands.click("ada", container=ref, action_id="nope")
    with pytest.raises(SandboxError, match="is not in #deployments"):
        await server.hands.click("guest", container=ref, action_id="rollback")
    with pytest.raises(SandboxError, match="has left the workspace"):
        await server.hands.click("gone", container=ref, action_id="rollback")


async def test_a_click_that_nobody_answers(server: SandboxServer, bot: Bot) -> None:
    await bot.connect()  # Bolt acks no action that it has no listener for
    ref = await card(bot)
    receipt = await server.hands.click("ada", container=ref, action_id="rollback")
    assert (receipt.acked, receipt.error) == (False, "Operation timed out. Apps need to respond within 3 seconds.")


async def test_a_response_url_works_five_times_for_thirty_minutes(
    server: SandboxServer, bot: Bot, clock: Clock
) -> None:
    urls: list[str] = []

    @bot.app.action("rollback")
    async def rollback(ack: Any, body: dict[str, Any], respond: Any) -> None:
        await ack()
        urls.append(body["response_url"])
        await respond("only you")

    await bot.connect()
    ref = await card(bot)
    await server.hands.click("ada", container=ref, action_id="rollback")
    await server.workspace.wait_for(lambda: [s for s in server.hands.can_see("ada") if s.text == "only you"])
    assert not [s for s in server.hands.can_see("grace") if s.text == "only you"]
    async with aiohttp.ClientSession() as session:

        async def post(url: str, **body: Any) -> tuple[int, str]:
            async with session.post(url, json=body) as answer:
                return answer.status, await answer.text()

        assert await post(urls[0], text="to all", response_type="in_channel") == (200, "ok")
        assert [s.text for s in server.hands.can_see("grace")][-1] == "to all"
        assert (await post(urls[0], text="replaced", replace_original=True))[0] == 200
        assert server.workspace.channels["C0DEPLOY"].messages[ref.ts].text == "replaced"
        bad = await post(urls[0], blocks=[{"type": "shout"}], text="x")
        assert (bad[0], "json-pointer:/blocks/0/type" in bad[1]) == (400, True)
        assert (await post(urls[0], text="4"))[0] == 200
        assert (await post(urls[0], delete_original=True))[0] == 200
        assert ref.ts not in server.workspace.channels["C0DEPLOY"].messages
        used = await post(urls[0], text="6")
        assert (used[0], "used_url" in used[1]) == (404, True)
        again = await card(bot)
        await server.hands.click("ada", container=again, action_id="rollback")
        clock.pass_(1801)
        late = await post(urls[1], text="late")
        assert (late[0], "expired_url" in late[1]) == (404, True)


async def test_buttons_of_an_ephemeral_are_one_persons_and_quote_no_message(server: SandboxServer, bot: Bot) -> None:
    @bot.app.action("rollback")
    async def rollback(ack: Any, body: dict[str, Any], respond: Any) -> None:
        bot.got.append(body)
        await ack()
        await respond(text="gone", delete_original=True)

    await bot.connect()
    await bot.client.chat_postEphemeral(channel="C0DEPLOY", user="U0ADA", text="sure?", blocks=CARD)
    assert server.hands.visible_buttons("grace") == []
    (found,) = server.hands.visible_buttons("ada")
    assert isinstance(found.container, MessageRef)
    assert found.container.ephemeral
    with pytest.raises(SandboxError, match="sees no message"):
        await server.hands.click("grace", container=found.container, action_id="rollback")
    await server.hands.click("ada", container=found.container, action_id="rollback")
    assert bot.got[0]["container"]["is_ephemeral"] is True
    assert "message" not in bot.got[0]
    await server.workspace.wait_for(lambda: not server.hands.can_see("ada"))


async def test_a_trigger_opens_one_modal_within_three_seconds(server: SandboxServer, bot: Bot, clock: Clock) -> None:
    found = await triggers(server, bot)
    for _ in range(2):
        await server.hands.command("ada", "/deploy", "", channel="deployments")
    opened = await bot.client.views_open(trigger_id=found[0], view=modal("Deploy"))
    assert opened["view"]["root_view_id"] == opened["view"]["id"]
    assert await code(bot.client.views_open(trigger_id=found[0], view=modal("Deploy"))) == "exchanged_trigger_id"
    clock.pass_(3.1)
    assert await code(bot.client.views_open(trigger_id=found[1], view=modal("Deploy"))) == "expired_trigger_id"
    assert await code(bot.client.views_open(trigger_id="1.2.abc", view=modal("Deploy"))) == "invalid_trigger_id"
    long = modal("x" * 25)
    with pytest.raises(SlackApiError) as caught:
        await bot.client.views_open(trigger_id=found[1], view=long)
    assert caught.value.response["error"] == "invalid_arguments"
    assert caught.value.response["response_metadata"]["messages"] == [
        "[ERROR] must be less than 25 characters [json-pointer:/view/title/text]"
    ]
    view = server.hands.modal("ada")
    assert view is not None
    fresh = view.hash
    changed = await bot.client.views_update(view_id=view.id, hash=fresh, view=modal("Deploy it"))
    assert changed["view"]["hash"] != fresh
    assert await code(bot.client.views_update(view_id=view.id, hash=fresh, view=modal("x"))) == "hash_conflict"
    server.faults.stale_hash()
    current = changed["view"]["hash"]
    assert await code(bot.client.views_update(view_id=view.id, hash=current, view=modal("x"))) == "hash_conflict"
    assert (await bot.client.views_update(view_id=view.id, hash=current, view=modal("x")))["ok"]
    assert await code(bot.client.views_update(view_id="V9", view=modal("x"))) == "not_found"


async def test_three_modals_on_a_stack_and_no_more(server: SandboxServer, bot: Bot) -> None:
    found = await triggers(server, bot)
    errors: list[str] = []

    @bot.app.action("deeper")
    async def deeper(ack: Any, body: dict[str, Any]) -> None:
        await ack()
        try:
            await bot.client.views_push(trigger_id=body["trigger_id"], view=level)
        except SlackApiError as error:
            errors.append(error.response["error"])

    level = modal("Level", {"type": "actions", "elements": [button("Deeper", "deeper")]}, notify_on_close=True)

    @bot.app.view_closed("form")
    async def closed(ack: Any, body: dict[str, Any]) -> None:
        bot.got.append(body)
        await ack()

    await server.hands.command("ada", "/deploy", "", channel="deployments")
    await bot.client.views_open(trigger_id=found[0], view=level)
    for depth in (2, 3):
        top = server.hands.visible_buttons("ada")[0]
        await server.hands.click("ada", container=top.container, action_id="deeper")
        await server.workspace.wait_for(lambda depth=depth: len(server.workspace.modals["U0ADA"]) == depth)
    top = server.hands.visible_buttons("ada")[0]
    await server.hands.click("ada", container=top.container, action_id="deeper")
    await server.workspace.wait_for(lambda: errors or server.workspace.calls_to("views.push")[-1].answer["ok"] is False)
    view = server.hands.modal("ada")
    assert view is not None
    assert view.previous_id == server.workspace.modals["U0ADA"][1].id
    assert (await server.hands.close("ada", view.id)).acked
    assert bot.got[0]["is_cleared"] is False
    assert len(server.workspace.modals["U0ADA"]) == 2
    root = server.workspace.modals["U0ADA"][0]
    await server.hands.close("ada", root.id, everything=True)
    assert server.hands.modal("ada") is None
    assert [b["is_cleared"] for b in bot.got] == [False, True, True]
    assert server.workspace.calls_to("views.push")[-1].answer["error"] == "push_limit_reached"


async def test_a_form_from_typeahead_to_errors_to_done(server: SandboxServer, bot: Bot) -> None:
    found = await triggers(server, bot)
    services = {
        "type": "input",
        "block_id": "service",
        "label": {"type": "plain_text", "text": "Service"},
        "dispatch_action": True,
        "element": {"type": "external_select", "action_id": "service", "min_query_length": 0},
    }

    @bot.app.options("service")
    async def offer(ack: Any, body: dict[str, Any]) -> None:
        bot.got.append(body)
        known = ["checkout", "catalog", "payments"]
        await ack(options=[option(name) for name in known if body["value"].casefold() in name])

    @bot.app.action("service")
    async def chosen(ack: Any, body: dict[str, Any]) -> None:
        bot.got.append(body)
        await ack()
        note = {"type": "section", "text": {"type": "mrkdwn", "text": "runs v1.1"}}
        form = modal(
            "Deploy", services, note, text_input("version", "Version"), text_input("why", "Why", optional=True)
        )
        await bot.client.views_update(view_id=body["view"]["id"], hash=body["view"]["hash"], view=form)

    @bot.app.view("form")
    async def submitted(ack: Any, body: dict[str, Any], view: dict[str, Any]) -> None:
        bot.got.append(body)
        version = view["state"]["values"]["version"]["text"]["value"]
        if version == "v9":
            await ack(response_action="errors", errors={"version": "There is no v9."})
        else:
            await ack()

    await server.hands.command("ada", "/deploy", "", channel="deployments")
    await bot.client.views_open(trigger_id=found[0], view=modal("Deploy", services, text_input("version", "Version")))
    view = server.hands.modal("ada")
    assert view is not None
    offered = await server.hands.suggest("ada", container=ViewRef(view.id), action_id="service", query="c")
    assert [o["value"] for o in offered] == ["checkout", "catalog"]
    asked = bot.got.pop()
    assert (asked["type"], asked["value"], asked["block_id"]) == ("block_suggestion", "c", "service")
    assert asked["view"]["id"] == view.id
    missing = await server.hands.submit("ada", view.id, {"Service": "checkout"})
    assert missing.errors == {"version": "Please complete this required field."}
    assert missing.delivered_at is None
    await server.workspace.wait_for(lambda: view.blocks[1]["type"] == "section")
    wrong = await server.hands.submit("ada", view.id, {"version": "v9"})
    assert (wrong.acked, wrong.errors) == (True, {"version": "There is no v9."})
    assert "! There is no v9." in server.hands.can_see("ada")[-1].text
    values = bot.got[-1]["view"]["state"]["values"]
    assert values["service"]["service"]["selected_option"]["value"] == "checkout"
    assert values["why"]["text"] == {"type": "plain_text_input", "value": None}
    assert bot.got[-1]["response_urls"] == []
    right = await server.hands.submit("ada", view.id, {"Version": "v1.2"})
    assert (right.acked, right.errors) == (True, {})
    assert server.hands.modal("ada") is None
    with pytest.raises(SandboxError, match="no view"):
        await server.hands.submit("ada", view.id, {})
    with pytest.raises(SandboxError, match="there is nobody called 'eve'"):
        await server.hands.submit("eve", view.id, {})


@pytest.mark.parametrize(
    ("answer", "title"),
    [
        ({"response_action": "update", "view": modal("Second")}, "Second"),
        ({"response_action": "push", "view": modal("Second")}, "Second"),
        ({"response_action": "clear"}, None),
        ({"response_action": "errors", "errors": {"nowhere": "x"}}, "First"),
        ({"response_action": "update", "view": {"type": "modal"}}, "First"),
    ],
)
async def test_what_a_submission_is_answered_with(
    server: SandboxServer, bot: Bot, answer: dict[str, Any], title: str | None
) -> None:
    found = await triggers(server, bot)

    @bot.app.view("form")
    async def submitted(ack: Any) -> None:
        await ack(**answer)

    await server.hands.command("ada", "/deploy", "", channel="deployments")
    opened = await bot.client.views_open(trigger_id=found[0], view=modal("First"))
    receipt = await server.hands.submit("ada", opened["view"]["id"], {"why": "because"})
    view = server.hands.modal("ada")
    assert (view.body["title"]["text"] if view else None) == title
    bad = title == "First"
    assert (receipt.error == "We had some trouble connecting. Try again?") is bad
    if answer["response_action"] == "push" and view:
        assert view.previous_id == opened["view"]["id"]


async def test_the_home_tab(server: SandboxServer, bot: Bot) -> None:
    home = {"type": "home", "blocks": [{"type": "actions", "elements": [button("Approve", "approve", value="d1")]}]}

    @bot.app.event("app_home_opened")
    async def opened(event: dict[str, Any]) -> None:
        bot.got.append(event)
        await bot.client.views_publish(user_id=event["user"], view=home)

    @bot.app.action("approve")
    async def approve(ack: Any, body: dict[str, Any]) -> None:
        bot.got.append(body)
        await ack()

    await bot.connect()
    assert (await server.hands.open_home("ada")).acked
    (found,) = await server.workspace.wait_for(lambda: server.hands.visible_buttons("ada"))
    assert (bot.got[0]["tab"], bot.got[0]["user"]) == ("home", "U0ADA")
    assert bot.got[0]["channel"].startswith("D")
    assert server.hands.can_see("grace") == []
    await server.hands.click("ada", container=found.container, action_id="approve")
    body = bot.got[-1]
    assert body["container"] == {"type": "view", "view_id": found.container.view_id}  # type: ignore[union-attr]  # a Home's
    assert (body["view"]["type"], "message" in body, "response_url" in body) == ("home", False, False)
    stale = bot.client.views_publish(user_id="U0ADA", view=home, hash="1.old")
    assert await code(stale) == "hash_conflict"
    again = await bot.client.views_publish(user_id="U0ADA", view=home)
    assert again["view"]["id"] == body["view"]["id"]


async def test_shortcuts(server: SandboxServer, bot: Bot) -> None:
    @bot.app.shortcut("anywhere")
    async def anywhere(ack: Any, body: dict[str, Any]) -> None:
        bot.got.append(body)
        await ack()

    @bot.app.message_shortcut("here")
    async def here(ack: Any, body: dict[str, Any]) -> None:
        bot.got.append(body)
        await ack()

    await bot.connect()
    ref = await card(bot)
    assert (await server.hands.shortcut("ada", "anywhere")).acked
    assert (await server.hands.shortcut("ada", "here", message=ref)).acked
    assert [b["type"] for b in bot.got] == ["shortcut", "message_action"]
    assert bot.got[1]["message"]["ts"] == ref.ts
