"""A small Bolt app over Socket Mode that does on cue what a deployment bot does: the page needs something to show.

It is a stand-in for the product's own bot: the page must work with any app that speaks Slack.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

if TYPE_CHECKING:
    from bot.sandbox.server import SandboxServer

SERVICES = ("checkout", "catalog", "payments")
HOSTILE = (
    "<img src=x onerror=window.hacked=1> &lt;script&gt;window.hacked=1&lt;/script&gt; "
    "<javascript:window.hacked=1|press me> <https://example.com/?a=1&amp;b=2|*a link*> `<b>code</b>` <@U0NOBODY>"
)


def plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text}


def button(action_id: str, text: str, **more: Any) -> dict[str, Any]:
    return {"type": "button", "action_id": action_id, "text": plain(text), **more}


def card(status: str, *, done: bool = False) -> list[dict[str, Any]]:
    confirm = {
        "title": plain("Abort checkout in staging?"),
        "text": mrkdwn("Traffic goes back to *v1.1* at once."),
        "confirm": plain("Abort"),
        "deny": plain("Keep going"),
        "style": "danger",
    }
    fields = ["*Release*\nv1.2 (`a1b2c3d`)", "*Strategy*\nCanary 25, 50, 100 %", "*Requested by*\n<@U0ADA>"]
    steps = (
        ":white_check_mark: Plan, done in 1 s\n:hourglass_flowing_sand: Canary 25 %, analysing\n"
        ":white_circle: Verify health, waiting"
    )
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": plain("checkout to staging")},
        {"type": "section", "fields": [mrkdwn(field) for field in fields]},
        {"type": "section", "text": mrkdwn(status)},
        {"type": "section", "text": mrkdwn(steps)},
    ]
    buttons = [
        button("promote", "Promote", style="primary", value="d-1"),
        button("abort", "Abort", style="danger", value="d-1", confirm=confirm),
        button("logs", "Logs", url="https://example.com/logs"),
        {
            "type": "overflow",
            "action_id": "more",
            "options": [{"text": plain("Details"), "value": "details"}, {"text": plain("Copy"), "value": "copy"}],
        },
    ]
    if not done:
        blocks.append({"type": "actions", "elements": buttons})
    return [*blocks, {"type": "context", "elements": [mrkdwn("Deployment `d-1`, lock staging")]}]


def form() -> dict[str, Any]:
    environments = [
        {"text": plain("staging"), "value": "staging", "description": plain("Nobody has to approve")},
        {"text": plain("production"), "value": "production", "description": plain("Needs a release manager")},
    ]
    service = {"type": "external_select", "action_id": "service", "min_query_length": 0, "placeholder": plain("Type")}
    version = {"type": "plain_text_input", "action_id": "version", "placeholder": plain("v1.2")}
    return {
        "type": "modal",
        "callback_id": "deploy",
        "title": plain("Deploy a service"),
        "submit": plain("Deploy"),
        "close": plain("Cancel"),
        "blocks": [
            {"type": "input", "block_id": "service", "label": plain("Service"), "element": service},
            {
                "type": "input",
                "block_id": "version",
                "label": plain("Version"),
                "hint": plain("A tag, a branch or a commit"),
                "element": version,
            },
            {
                "type": "input",
                "block_id": "environment",
                "label": plain("Environment"),
                "element": {"type": "radio_buttons", "action_id": "environment", "options": environments},
            },
            {
                "type": "input",
                "block_id": "tell",
                "optional": True,
                "label": plain("Tell"),
                "element": {"type": "multi_users_select", "action_id": "tell", "initial_users": ["U0GRACE"]},
            },
            {"type": "actions", "block_id": "help", "elements": [button("explain", "What is a version?")]},
        ],
    }


def home() -> dict[str, Any]:
    options = [{"text": plain(name), "value": name} for name in ("staging", "production")]
    select = {"type": "static_select", "action_id": "environment", "placeholder": plain("Environment")}
    return {
        "type": "home",
        "blocks": [
            {"type": "header", "text": plain("Waiting for you")},
            {
                "type": "section",
                "text": mrkdwn("*payments v1.3* to *production*, requested by <@U0ADA>"),
                "accessory": button("approve", "Approve", style="primary"),
            },
            {"type": "divider"},
            {"type": "header", "text": plain("What runs where")},
            {"type": "actions", "elements": [select | {"options": options}]},
            {"type": "section", "text": mrkdwn("checkout `v1.1` · catalog `v1.1` · payments `v1.1`")},
        ],
    }


class ScriptedBot:
    """The app and its connection; `heard` is what reached it, in order."""

    def __init__(self, server: SandboxServer) -> None:
        self.server = server
        self.heard: list[tuple[str, Any]] = []
        self.client = AsyncWebClient(token=server.workspace.bot_token, base_url=server.url + "/api/")
        self.app = AsyncApp(client=self.client)
        self.hold = asyncio.Event()
        self.hold.set()
        self._listen()
        self.handler = AsyncSocketModeHandler(self.app, server.workspace.app_token)

    async def start(self) -> None:
        await self.handler.connect_async()
        await self.server.workspace.wait_for(lambda: self.server.transport.connected)

    async def stop(self) -> None:
        await self.handler.close_async()

    def _listen(self) -> None:
        app = self.app
        app.command("/deploy")(self._command)
        app.action("promote")(self._promote)
        app.action("abort")(self._abort)
        for action in ("logs", "more", "approve", "environment", "choice"):
            app.action(action)(self._note)
        app.action("explain")(self._explain)
        app.options("service")(self._services)
        app.view("deploy")(self._submitted)
        app.event("app_home_opened")(self._home)
        app.event("app_mention")(self._mentioned)
        app.event("message")(self._direct)

    async def _command(self, ack: Any, body: Any, client: Any) -> None:
        text, channel = body.get("text", ""), body["channel_id"]
        self.heard.append(("command", text))
        await self.hold.wait()
        await ack()
        match text.split():
            case []:
                await client.views_open(trigger_id=body["trigger_id"], view=form())
            case ["hostile"]:
                await client.chat_postMessage(channel=channel, text=HOSTILE)
            case ["files"]:
                log = "\n".join(f"line {number} of the log" for number in range(1, 21))
                await client.files_upload_v2(channel=channel, filename="deploy.log", content=log, title="deploy.log")
            case ["choose"]:
                await client.chat_postMessage(channel=channel, text="Choose", blocks=self._chooser())
            case ["checuot", *_]:
                words = "`checuot` is not a service. Did you mean *checkout*?"
                await client.chat_postEphemeral(channel=channel, user=body["user_id"], text=words)
            case _:
                posted = await client.chat_postMessage(
                    channel=channel, text="checkout to staging: canary 25 %", blocks=card("*Canary 25 %*, step 3 of 6")
                )
                words = "Analysis at 25 %: error rate *0.2 %* against a limit of 1 %."
                await client.chat_postMessage(channel=channel, thread_ts=posted["ts"], text=words)

    @staticmethod
    def _chooser() -> list[dict[str, Any]]:
        options = [{"text": plain(name), "value": name} for name in SERVICES]
        single = {"type": "static_select", "action_id": "choice", "placeholder": plain("Service"), "options": options}
        return [{"type": "actions", "block_id": "row", "elements": [single]}]

    async def _promote(self, ack: Any, body: Any, client: Any) -> None:
        self.heard.append(("promote", body["user"]["id"]))
        await self.hold.wait()
        await ack()
        blocks = card("*Canary 50 %*, step 4 of 6")
        await client.chat_update(
            channel=body["channel"]["id"],
            ts=body["message"]["ts"],
            text="checkout to staging: canary 50 %",
            blocks=blocks,
        )

    async def _abort(self, ack: Any, body: Any, client: Any) -> None:
        await ack()
        self.heard.append(("abort", body["user"]["id"]))
        blocks = card("*Aborted* by Ada", done=True)
        await client.chat_update(
            channel=body["channel"]["id"], ts=body["message"]["ts"], text="checkout to staging: aborted", blocks=blocks
        )

    async def _note(self, ack: Any, action: Any) -> None:
        await ack()
        self.heard.append((action["action_id"], action))

    async def _services(self, ack: Any, payload: Any) -> None:
        query = payload["value"]
        self.heard.append(("query", query))
        await ack(options=[{"text": plain(name), "value": name} for name in SERVICES if query in name])

    async def _explain(self, ack: Any, body: Any, client: Any) -> None:
        await ack()
        text = {"type": "section", "text": mrkdwn("A version is a tag of the service's repository.")}
        view = {"type": "modal", "title": plain("Versions"), "close": plain("Back"), "blocks": [text]}
        await client.views_push(trigger_id=body["trigger_id"], view=view)

    async def _submitted(self, ack: Any, view: Any) -> None:
        values = view["state"]["values"]
        version = values["version"]["version"]["value"]
        self.heard.append(("submitted", values))
        if not version.startswith("v1."):
            await ack(response_action="errors", errors={"version": f"There is no {version}. The newest is v1.4."})
        else:
            await ack()

    async def _home(self, event: Any, client: Any) -> None:
        self.heard.append(("home", event["tab"]))
        if event["tab"] == "home":
            await client.views_publish(user_id=event["user"], view=home())

    async def _mentioned(self, event: Any, say: Any) -> None:
        self.heard.append(("mention", event["text"]))
        await say(text="At your service :wave:", thread_ts=event.get("thread_ts") or event["ts"])

    async def _direct(self, event: Any, say: Any) -> None:
        self.heard.append(("message", event.get("text")))
        if not event.get("bot_id"):
            await say(text="Nobody else reads this.")
