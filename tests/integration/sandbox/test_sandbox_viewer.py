"""What the page lives on: snapshot, events, acts; each person sees what is theirs and nothing else."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from sandbox_world import serving

from bot.sandbox.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sandbox_world import Bot

    from bot.sandbox.server import SandboxServer


class Page:
    """A page opened as one person."""

    def __init__(self, session: aiohttp.ClientSession, url: str, who: str) -> None:
        self.session, self.url, self.who = session, url, who
        self.socket: aiohttp.ClientWebSocketResponse | None = None
        self.heard: list[dict[str, Any]] = []

    async def state(self) -> dict[str, Any]:
        async with self.session.get(f"{self.url}/sandbox/state", params={"as": self.who}) as answer:
            state: dict[str, Any] = await answer.json()
            return state

    async def act(self, **body: Any) -> dict[str, Any]:
        async with self.session.post(f"{self.url}/sandbox/act", json={"as": self.who, **body}) as answer:
            result: dict[str, Any] = await answer.json()
            return result

    async def listen(self) -> None:
        self.socket = await self.session.ws_connect(f"{self.url}/sandbox/events?as={self.who}")

    async def next(self, kind: str) -> dict[str, Any]:
        assert self.socket is not None
        while True:
            event: dict[str, Any] = await self.socket.receive_json(timeout=5)
            self.heard.append(event)
            if event["type"] == kind:
                return event


@asynccontextmanager
async def page(server: SandboxServer, who: str) -> AsyncIterator[Page]:
    async with aiohttp.ClientSession() as session:
        opened = Page(session, server.url, who)
        await opened.listen()
        yield opened
        assert opened.socket is not None
        await opened.socket.close()


def form() -> dict[str, Any]:
    return {
        "type": "modal",
        "callback_id": "form",
        "title": {"type": "plain_text", "text": "Deploy"},
        "submit": {"type": "plain_text", "text": "Go"},
        "blocks": [
            {
                "type": "input",
                "block_id": "version",
                "label": {"type": "plain_text", "text": "Version"},
                "element": {"type": "plain_text_input", "action_id": "text"},
            },
            {
                "type": "input",
                "block_id": "service",
                "optional": True,
                "label": {"type": "plain_text", "text": "Service"},
                "element": {"type": "external_select", "action_id": "service", "min_query_length": 0},
            },
        ],
    }


@pytest.fixture
async def deployer(server: SandboxServer, bot: Bot) -> Bot:
    @bot.app.command("/deploy")
    async def deploy(ack: Any, command: dict[str, Any]) -> None:
        await ack("only for you")
        if command["text"] == "":
            await bot.client.views_open(trigger_id=command["trigger_id"], view=form())

    @bot.app.options("service")
    async def offer(ack: Any) -> None:
        await ack(options=[{"text": {"type": "plain_text", "text": "checkout"}, "value": "checkout"}])

    @bot.app.view("form")
    async def submitted(ack: Any, view: dict[str, Any]) -> None:
        if view["state"]["values"]["version"]["text"]["value"] == "v9":
            await ack(response_action="errors", errors={"version": "There is no v9."})
        else:
            await ack()

    @bot.app.action("go")
    async def go(ack: Any, body: dict[str, Any]) -> None:
        bot.got.append(body)
        await ack()

    await bot.connect()
    return bot


async def test_the_snapshot_is_one_persons(server: SandboxServer, deployer: Bot) -> None:
    server.workspace.ephemerals.clear()
    await deployer.client.chat_postEphemeral(channel="C0DEPLOY", user="U0GRACE", text="for Grace")
    await deployer.client.chat_postMessage(channel="C0ADMIN", text="for operators")
    await deployer.client.chat_postMessage(channel="C0DEPLOY", text="for all")
    async with page(server, "U0ADA") as ada, page(server, "grace") as grace:
        state = await ada.state()
        assert state["me"] == "U0ADA"
        assert {c["name"]: c["is_member"] for c in state["channels"]} == {"deployments": True, "general": True}
        assert [m["text"] for m in state["messages"]["C0DEPLOY"]] == ["for all"]
        assert "C0ADMIN" not in state["messages"]
        assert (state["ephemerals"], state["home"], state["modal"], state["faults"]) == ([], None, None, {})
        assert state["bot"]["connected"] == 1
        assert state["commands"][0]["command"] == "/deploy"
        assert {p["id"] for p in state["people"]} >= {"U0ADA", "U0GRACE", "U0LINUS", "U0BOT"}
        theirs = await grace.state()
        assert [m["text"] for m in theirs["ephemerals"]] == ["for Grace"]
        assert [m["text"] for m in theirs["messages"]["C0ADMIN"]] == ["for operators"]
        nobody = await Page(ada.session, server.url, "eve").state()
        assert nobody["ok"] is False
        assert "nobody called 'eve'" in nobody["error"]


async def test_events_reach_those_who_may_see_them(server: SandboxServer, deployer: Bot) -> None:
    async with page(server, "ada") as ada, page(server, "linus") as linus:
        assert await ada.act(kind="command", channel="C0DEPLOY", text="/deploy checkout v1.2") == {"ok": True}
        told = await ada.next("ephemeral")
        assert (told["message"]["text"], told["channel"], told["message"]["ephemeral"]) == (
            "only for you",
            "C0DEPLOY",
            True,
        )
        posted = await deployer.client.chat_postMessage(channel="C0DEPLOY", text="for all")
        await deployer.client.chat_postMessage(channel="C0DEPLOY", text="reply", thread_ts=posted["ts"])
        await deployer.client.chat_postMessage(channel="C0ADMIN", text="for operators")
        first = await linus.next("message")
        assert first["message"]["text"] == "for all"
        assert first["message"]["bot"] is True
        assert (await linus.next("message"))["message"]["thread_ts"] == posted["ts"]
        assert (await linus.next("message_changed"))["message"]["reply_count"] == 1
        await deployer.client.chat_update(channel="C0DEPLOY", ts=posted["ts"], text="changed")
        assert (await linus.next("message_changed"))["message"]["text"] == "changed"
        await deployer.client.chat_delete(channel="C0DEPLOY", ts=posted["ts"])
        assert (await linus.next("message_deleted"))["ts"] == posted["ts"]
        assert (await ada.act(kind="fault", name="429", seconds=5))["faults"].keys() == {"429"}
        assert (await linus.next("fault"))["faults"].keys() == {"429"}
        server.faults.clear()
        assert (await linus.next("fault"))["faults"] == {}
        server.faults.drop_sockets()
        assert (await linus.next("bot"))["bot"]["connected"] == 0
        # Linus has heard everything that was said in between, but for what was for Ada or for operators.
        assert "ephemeral" not in {event["type"] for event in linus.heard}
        assert "C0ADMIN" not in {event.get("channel") for event in linus.heard}
        assert [event["seq"] for event in linus.heard] == sorted(event["seq"] for event in linus.heard)


async def test_talking_pressing_and_uploading_from_the_page(server: SandboxServer, deployer: Bot) -> None:
    button = {"type": "button", "text": {"type": "plain_text", "text": "Go"}, "action_id": "go", "value": "1"}
    posted = await deployer.client.chat_postMessage(
        channel="C0DEPLOY", text="x", blocks=[{"type": "actions", "block_id": "b", "elements": [button]}]
    )
    container = {"type": "message", "channel": "C0DEPLOY", "ts": posted["ts"]}
    async with page(server, "ada") as ada:
        pressed = await ada.act(kind="click", container=container, block_id="b", action_id="go", value="1")
        assert pressed == {"ok": True}
        assert deployer.got[0]["actions"][0]["value"] == "1"
        said = await ada.act(kind="say", channel="C0DEPLOY", text="a < b &amp; c")
        assert said["ok"]
        assert server.workspace.channels["C0DEPLOY"].messages[said["ts"]].text == "a &lt; b &amp; c"
        reply = await ada.act(kind="say", channel="C0DEPLOY", text="in thread", thread_ts=said["ts"])
        assert server.workspace.channels["C0DEPLOY"].messages[reply["ts"]].thread_ts == said["ts"]
        up = await ada.act(kind="upload", channel="C0DEPLOY", filename="a.txt", content_base64="aGVsbG8=")
        assert up["ok"]
        (file,) = (await ada.state())["messages"]["C0DEPLOY"][-1]["files"]
        async with ada.session.get(f"{server.url}/sandbox/files/{file['id']}") as answer:
            assert await answer.text() == "hello"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
        gone = await ada.act(kind="click", container={**container, "ts": "1.000001"}, action_id="go")
        assert (gone["ok"], "sees no message" in gone["error"]) == (False, True)
        assert (await ada.act(kind="dance"))["error"] == "there is no act 'dance'"
        assert (await ada.act(kind="say"))["ok"] is False
        threaded = await ada.act(kind="command", channel="C0DEPLOY", text="/deploy x", thread_ts=said["ts"])
        assert threaded["told"] == "/deploy is not supported in threads. Sorry!"
        unknown = await ada.act(kind="command", channel="C0DEPLOY", text="/dance")
        assert "not a valid command" in unknown["told"]


async def test_a_form_on_the_page(server: SandboxServer, deployer: Bot) -> None:
    async with page(server, "ada") as ada, page(server, "linus") as linus:
        await ada.act(kind="command", channel="C0DEPLOY", text="/deploy")
        view = (await ada.next("modal"))["modal"]["view"]
        container = {"type": "view", "view_id": view["id"]}
        offered = await ada.act(kind="suggest", container=container, block_id="service", action_id="service", query="")
        assert [o["value"] for o in offered["options"]] == ["checkout"]
        assert (await linus.state())["modal"] is None
        foreign = await linus.act(kind="submit", view_id=view["id"], state={})
        assert foreign["ok"] is False

        def filled(value: str | None) -> dict[str, Any]:
            return {"version": {"text": {"type": "plain_text_input", "value": value}}}

        empty = await ada.act(kind="submit", view_id=view["id"], state=filled(None))
        assert empty == {"ok": False, "errors": {"version": "Please complete this required field."}}
        wrong = await ada.act(kind="submit", view_id=view["id"], state=filled("v9"))
        assert wrong == {"ok": False, "errors": {"version": "There is no v9."}}
        assert (await ada.state())["modal"]["view"]["errors"] == {"version": "There is no v9."}
        assert await ada.act(kind="submit", view_id=view["id"], state=filled("v1")) == {"ok": True}
        assert (await ada.state())["modal"] is None
        await ada.act(kind="command", channel="C0DEPLOY", text="/deploy")
        view = (await ada.state())["modal"]["view"]
        assert await ada.act(kind="close", view_id=view["id"], all=True) == {"ok": True}
        assert (await ada.state())["modal"] is None


async def test_hints_come_from_commands_and_from_a_provider() -> None:
    async def complete(user: str, text: str) -> list[Any]:
        return [{"text": f"{text}checkout", "description": f"for {user}"}] if text.startswith("/deploy ") else []

    async with serving(Workspace(), hints=complete) as server, page(server, "ada") as ada:

        async def hints(text: str) -> list[dict[str, Any]]:
            query = {"as": "ada", "text": text}
            async with ada.session.get(f"{server.url}/sandbox/hints", params=query) as answer:
                found: list[dict[str, Any]] = (await answer.json())["hints"]
                return found

        assert [h["text"] for h in await hints("/de")] == ["/deploy"]
        assert await hints("/deploy ") == [{"text": "/deploy checkout", "description": "for U0ADA"}]
        assert await hints("hello") == []


async def test_a_taken_port_is_an_oserror(server: SandboxServer) -> None:
    port = int(server.url.rpartition(":")[2])
    with pytest.raises(OSError, match="address already in use"):
        async with serving(Workspace(), port=port):
            pass


async def test_other_sites_pages_are_kept_out(server: SandboxServer) -> None:
    async with page(server, "ada") as ada:
        for origin, status in (("https://evil.example", 403), (server.url, 200)):
            say = {"as": "ada", "kind": "say", "channel": "C0DEPLOY", "text": "hi"}
            headers = {"Origin": origin}
            async with ada.session.post(f"{server.url}/sandbox/act", json=say, headers=headers) as answer:
                assert answer.status == status
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await ada.session.ws_connect(f"{server.url}/sandbox/events?as=ada", origin="https://evil.example")
    assert len(server.workspace.channels["C0DEPLOY"].messages) == 1


async def test_a_permalink_leads_to_the_page(server: SandboxServer, bot: Bot) -> None:
    root = await bot.client.chat_postMessage(channel="C0DEPLOY", text="root")
    reply = await bot.client.chat_postMessage(channel="C0DEPLOY", text="reply", thread_ts=root["ts"])
    link = (await bot.client.chat_getPermalink(channel="C0DEPLOY", message_ts=reply["ts"]))["permalink"]
    async with aiohttp.ClientSession() as session:
        async with session.get(link, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (302, f"/#deployments/{root['ts']}")
        async with session.get(f"{server.url}/archives/C0DEPLOY/p1000000000000000") as answer:
            assert answer.status == 404
