"""HTTP mode: signed requests to the app's own URL, checked by Bolt's real signature check."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any
from urllib.parse import parse_qs

from aiohttp import web
from sandbox_world import Bot, Clock, http_front, serving

from bot.sandbox.delivery import SignedHttp
from bot.sandbox.model import MessageRef
from bot.sandbox.workspace import Workspace


async def test_commands_clicks_and_events_over_signed_http() -> None:
    async with http_front() as (url, here), serving(Workspace(signing_secret="s3cret"), deliver_to=url) as server:
        bot = Bot(server)
        here["app"] = bot.app

        @bot.app.command("/deploy")
        async def deploy(ack: Any, command: dict[str, Any]) -> None:
            await ack(f"got {command['text']}")

        @bot.app.action("go")
        async def go(ack: Any) -> None:
            await ack()

        @bot.app.event("app_mention")
        async def mentioned(event: dict[str, Any], say: Any) -> None:
            await say("yes", thread_ts=event["ts"])

        receipt = await server.hands.command("ada", "/deploy", "checkout v1.2", channel="deployments")
        assert (receipt.acked, receipt.response) == (True, {"text": "got checkout v1.2"})
        headers, raw = here["requests"][0]
        assert headers["Content-Type"] == "application/x-www-form-urlencoded"
        base = f"v0:{headers['X-Slack-Request-Timestamp']}:{raw}".encode()
        assert headers["X-Slack-Signature"] == "v0=" + hmac.new(b"s3cret", base, hashlib.sha256).hexdigest()
        assert parse_qs(raw)["text"] == ["checkout v1.2"]
        button = {"type": "button", "text": {"type": "plain_text", "text": "Go"}, "action_id": "go"}
        posted = await bot.client.chat_postMessage(
            channel="C0DEPLOY", text="x", blocks=[{"type": "actions", "elements": [button]}]
        )
        ref = MessageRef("C0DEPLOY", posted["ts"])
        assert (await server.hands.click("ada", container=ref, action_id="go")).acked
        assert (await server.hands.say("ada", "<@U0BOT> hi", channel="deployments")).acked
        await server.workspace.wait_for(lambda: [s for s in server.hands.can_see("ada") if s.text == "yes"])
        assert here["requests"][-1][0]["Content-Type"] == "application/json"
        assert isinstance(server.transport, SignedHttp)
        assert await server.transport.verify()


async def test_a_wrong_secret_and_an_old_timestamp_are_refused_by_bolt() -> None:
    clock = Clock()  # far from the real time, so every signature is too old
    async with http_front() as (url, here), serving(Workspace(clock=clock), deliver_to=url) as server:
        bot = Bot(server)
        here["app"] = bot.app

        @bot.app.command("/deploy")
        async def deploy(ack: Any) -> None:
            await ack()

        receipt = await server.hands.command("ada", "/deploy", "x", channel="deployments")
        assert (receipt.acked, receipt.error) == (False, '/deploy failed with the error "http_client_error"')


async def test_events_are_retried_with_their_number_and_reason() -> None:
    async with (
        http_front() as (url, here),
        serving(Workspace(), deliver_to=url, retry_delays=(0.0, 0.02, 0.04)) as server,
    ):
        here["answer"] = lambda: web.Response(status=500)
        broken = await server.hands.command("ada", "/deploy", "x", channel="deployments")
        assert broken.error == '/deploy failed with the error "http_service_error"'
        here["requests"].clear()
        told = await server.hands.say("ada", "<@U0BOT> hi", channel="deployments")
        assert not told.acked
        await server.delivery.idle()
        tries = [headers for headers, _ in here["requests"]]
        assert [t.get("X-Slack-Retry-Num") for t in tries] == [None, "1", "2", "3"]
        assert {t.get("X-Slack-Retry-Reason") for t in tries[1:]} == {"http_error"}
        assert len({raw for _, raw in here["requests"]}) == 1
        here["requests"].clear()
        here["answer"] = lambda: web.Response(status=500, headers={"X-Slack-No-Retry": "1"})
        await server.hands.say("ada", "<@U0BOT> hi", channel="deployments")
        await server.delivery.idle()
        assert len(here["requests"]) == 1


async def test_an_app_that_is_not_there() -> None:
    async with http_front() as (url, _):
        pass
    async with serving(Workspace(), deliver_to=url, retry_delays=()) as server:
        receipt = await server.hands.command("ada", "/deploy", "x", channel="deployments")
        assert receipt.error == '/deploy failed with the error "dispatch_failed"'
        assert server.viewer.picture.snapshot(server.workspace.person("ada"))["bot"]["connected"] == 0
