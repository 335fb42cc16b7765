"""Scripts played against the real sandbox and a little bot that is a real Bolt app on its own Socket Mode."""

from __future__ import annotations

import asyncio
import io
import json
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.domain.errors import StoreError
from bot.domain.history import Touch
from bot.sandbox.script import deeds, player
from bot.sandbox.script.grammar import parse
from bot.sandbox.server import SandboxServer
from bot.sandbox.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.long

JsonDict = dict[str, Any]


@dataclass
class Record:
    """The little bot's deployments: the feed that a real bot's database gives."""

    events: list[tuple[str, str, str | None, bool]] = field(default_factory=list)

    def enter(self, deployment: str, phase: str, actor: str | None = None, *, started: bool = False) -> None:
        self.events.append((deployment, phase, actor, started))

    def new(self, actor: str) -> str:
        deployment = f"D{sum(started for *_, started in self.events) + 1}"
        self.enter(deployment, "requested", actor, started=True)
        return deployment

    async def marker(self) -> int:
        return len(self.events)

    async def touched(self, *, actor: str, since: int) -> list[Touch]:
        return [Touch(d, started) for d, _, who, started in self.events[since:] if who == actor]

    async def reached(self, deployment_id: str, phase: str, *, since: int) -> bool:
        entered = any(d == deployment_id and p == phase for d, p, _, _ in self.events[since:])
        return entered or await self.phase(deployment_id) == phase

    async def phase(self, deployment_id: str) -> str:
        return [phase for d, phase, _, _ in self.events if d == deployment_id][-1]


def button(label: str, action: str, *, confirm: bool = False) -> JsonDict:
    element: JsonDict = {
        "type": "button",
        "text": {"type": "plain_text", "text": label},
        "action_id": action,
        "value": "x",
    }
    if confirm:
        element["confirm"] = {
            "title": {"type": "plain_text", "text": "Roll back?"},
            "text": {"type": "mrkdwn", "text": "Everybody gets *v1.1*."},
            "confirm": {"type": "plain_text", "text": "Roll back"},
            "deny": {"type": "plain_text", "text": "Keep"},
        }
    return element


def section(text: str) -> JsonDict:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def form(*, ready: bool) -> JsonDict:
    field_block = {
        "type": "input",
        "block_id": "service",
        "label": {"type": "plain_text", "text": "Service"},
        "element": {"type": "plain_text_input", "action_id": "service"},
    }
    view: JsonDict = {
        "type": "modal",
        "callback_id": "deploy",
        "title": {"type": "plain_text", "text": "Deploy"},
        "blocks": [field_block] if ready else [section("Loading the services")],
    }
    if ready:
        view["submit"] = {"type": "plain_text", "text": "Deploy"}
    return view


class LittleBot:
    """Deploys in a few milliseconds. Linus may do nothing. `kill` cuts its connection in the middle of anything."""

    def __init__(self, server: SandboxServer, record: Record) -> None:
        workspace = server.workspace
        self._app_token = workspace.app_token
        client = AsyncWebClient(workspace.bot_token, base_url=f"{server.url}/api/")
        self._app = AsyncApp(client=client, signing_secret=workspace.signing_secret)
        self._record = record
        self._handler: AsyncSocketModeHandler | None = None
        self._app.command("/deploy")(self._deploy)
        self._app.action("rollback")(self._rollback)
        self._app.action("abort")(self._abort)
        self._app.view("deploy")(self._submitted)
        self._app.event("app_mention")(self._mentioned)
        self._app.event("app_home_opened")(self._home)
        self._app.event("message")(self._written)
        self._app.action("yes")(self._yes)

    @property
    def running(self) -> bool:
        return self._handler is not None

    async def start(self) -> None:
        if self._handler is None:
            handler = AsyncSocketModeHandler(self._app, self._app_token)
            await handler.connect_async()
            self._handler = handler

    async def kill(self) -> None:
        handler, self._handler = self._handler, None
        if handler is not None:
            await handler.close_async()

    async def _deploy(self, ack: Any, command: JsonDict, client: AsyncWebClient) -> None:
        await ack()
        words = command["text"].split()
        if not words:
            opened = await client.views_open(trigger_id=command["trigger_id"], view=form(ready=False))
            await client.views_update(view_id=opened["view"]["id"], view=form(ready=True))
            return
        if words[0] != "checkout":
            await client.chat_postEphemeral(
                channel=command["channel_id"], user=command["user_id"], text=f"There is no service {words[0]}."
            )
            return
        await self._run(client, command["channel_id"], command["user_id"], words, self._record.new(command["user_id"]))

    async def _run(self, client: AsyncWebClient, channel: str, user: str, words: list[str], deployment: str) -> None:
        what = f"{words[0]} {words[1]} → {words[2]}"
        posted = await client.chat_postMessage(
            channel=channel,
            text=f"{what}: requested",
            blocks=[section(f"{what}\n○ Deploy"), {"type": "actions", "elements": [button("Abort", "abort")]}],
            metadata={"event_type": "deployment", "event_payload": {"deployment_id": deployment}},
        )
        self._record.enter(deployment, "deploying")
        if words[1] == "v1.4":
            return
        if words[1] == "v1.3":
            self._record.enter(deployment, "failed")
            return
        self._record.enter(deployment, "succeeded")
        await client.chat_update(
            channel=channel,
            ts=posted["ts"],
            text=f"{what}: succeeded",
            blocks=[
                section(f"{what}\n● Deploy"),
                {"type": "actions", "elements": [button("Roll back to v1.1", "rollback", confirm=True)]},
            ],
            metadata={"event_type": "deployment", "event_payload": {"deployment_id": deployment}},
        )

    async def _rollback(self, ack: Any, body: JsonDict, client: AsyncWebClient) -> None:
        await ack()
        user, channel, message = body["user"]["id"], body["channel"]["id"], body["message"]
        if user == "U0LINUS":
            await client.chat_postEphemeral(channel=channel, user=user, text="You may not roll back checkout.")
            return
        old = message["metadata"]["event_payload"]["deployment_id"] if "metadata" in message else "D1"
        new = self._record.new(user)
        self._record.enter(old, "rolling_back", user)
        await client.chat_postMessage(channel=channel, thread_ts=message["ts"], text="Rolling back to v1.1")
        self._record.enter(new, "succeeded")
        self._record.enter(old, "rolled_back")

    async def _abort(self, ack: Any, body: JsonDict) -> None:
        await ack()
        self._record.enter(f"D{sum(s for *_, s in self._record.events)}", "aborted", body["user"]["id"])

    async def _submitted(self, ack: Any, body: JsonDict, client: AsyncWebClient) -> None:
        service = body["view"]["state"]["values"]["service"]["service"]["value"]
        if service != "checkout":
            await ack(response_action="errors", errors={"service": f"There is no service {service}."})
            return
        await ack()
        user = body["user"]["id"]
        await self._run(client, "C0DEPLOY", user, ["checkout", "v1.2", "staging"], self._record.new(user))

    async def _mentioned(self, event: JsonDict, client: AsyncWebClient) -> None:
        await client.chat_postMessage(
            channel=event["channel"],
            thread_ts=event.get("thread_ts", event["ts"]),
            text="All   is\nwell, <@{}>".format(event["user"]),
        )

    async def _home(self, event: JsonDict, client: AsyncWebClient) -> None:
        if event.get("tab", "home") == "home":
            blocks = [section(f"{len(self._record.events)} events")]
            await client.views_publish(user_id=event["user"], view={"type": "home", "blocks": blocks})

    async def _written(self, event: JsonDict, client: AsyncWebClient) -> None:
        if event.get("channel_type") != "im" or event.get("bot_id"):
            return
        buttons = {"type": "actions", "elements": [button("Yes", "yes")]}
        await client.chat_postMessage(channel="U0GRACE", text="A question", blocks=[section("A question"), buttons])
        await client.chat_postMessage(channel="C0DEPLOY", text="Asked", blocks=[section("Asked"), buttons])

    async def _yes(self, ack: Any, body: JsonDict, client: AsyncWebClient) -> None:
        await ack()
        channel, ts = body["channel"]["id"], body["message"]["ts"]
        await client.chat_update(channel=channel, ts=ts, text="Answered", blocks=[section("Answered")])


@dataclass
class World:
    server: SandboxServer
    record: Record
    bot: LittleBot

    async def play(self, text: str, *, as_json: bool = False, out: io.StringIO | None = None) -> tuple[int, str]:
        script = parse(text, name="a.script", people=("ada", "grace", "linus"))
        out = out or io.StringIO()
        code = await player.play(
            script,
            hands=self.server.hands,
            workspace=self.server.workspace,
            faults=self.server.faults,
            feed=self.record,
            bot=self.bot,
            out=out,
            as_json=as_json,
        )
        return code, out.getvalue()

    async def passes(self, text: str) -> str:
        code, printed = await self.play(text)
        assert code == 0, printed
        return printed

    async def misses(self, text: str) -> str:
        code, printed = await self.play(text)
        assert code == 1, printed
        return printed


@pytest.fixture
async def world() -> AsyncIterator[World]:
    server = SandboxServer(Workspace())
    await server.start()
    record = Record()
    bot = LittleBot(server, record)
    await bot.start()
    try:
        yield World(server, record, bot)
    finally:
        await bot.kill()
        await server.stop()


async def test_the_main_path(world: World) -> None:
    printed = await world.passes(
        """
        @ada     /deploy checkout v1.2 staging
        wait     succeeded
        expect   "CHECKOUT v1.2 → staging"  in channel
        @ada     click "Roll back to v1.1"
        wait     rolled_back
        expect   "rolling back" in thread
        wait     succeeded   # the rollback is a deployment too
        """
    )
    assert [d for d, phase, *_ in world.record.events if phase == "rolled_back"] == ["D1"]
    assert "@ada  /deploy checkout v1.2 staging" in printed
    assert "Deployment Architect in #deployments (edited)" in printed
    assert "confirm “Roll back? Everybody gets *v1.1*.” accepted" in printed
    assert "(gone)" not in printed, "a message that gets a thread is the same message"
    assert "✓ wait     rolled_back  (held" in printed
    assert "✓ wait     succeeded  (held" in printed
    assert ", D2)" in printed
    assert "↳ Deployment Architect in the thread" in printed
    assert "✓ passed: 6 held, 0 missed" in printed


async def test_json_tells_the_same(world: World) -> None:
    code, printed = await world.play("@ada /deploy checkout v1.2 staging\nwait succeeded within 9s", as_json=True)
    facts = [json.loads(line) for line in printed.splitlines()]
    assert code == 0
    kinds = [fact["type"] for fact in facts]
    assert kinds[:2] == ["began", "typed"]
    assert kinds[-1] == "ended"
    assert {"new", "held"} <= set(kinds)
    assert all(isinstance(fact["at"], float) for fact in facts)
    assert sum(kind == "new" for kind in kinds) == 1, "a message that one person sees is told once"


async def test_linus_is_told_no_and_ada_does_not_see_it(world: World) -> None:
    printed = await world.passes(
        """
        @ada /deploy checkout v1.2 staging
        wait succeeded
        @linus click "Roll back to v1.1"
        expect "you may not" in ephemeral
        wait succeeded
        @ada mention "status" in thread
        expect no "you may not"
        """
    )
    assert "Deployment Architect to @linus (only you)" in printed
    assert not any(phase == "rolled_back" for _, phase, *_ in world.record.events)


async def test_cancel_sends_nothing(world: World) -> None:
    printed = await world.misses(
        """
        @ada /deploy checkout v1.2 staging
        wait succeeded
        @ada click "Roll back to v1.1" cancel
        expect no "rolling back"
        wait rolled_back
        """
    )
    assert "cancelled" in printed
    assert "it has started nothing and acted on nothing" in printed
    assert len([1 for *_, started in world.record.events if started]) == 1
    assert "✗ failed: 3 held, 1 missed" in printed


async def test_only_a_button_with_a_dialog_can_be_cancelled(world: World) -> None:
    printed = await world.misses('@ada /deploy checkout v1.4 staging\n@ada click "Abort" cancel')
    assert "the button asks for no confirmation that could be cancelled" in printed
    assert not any(phase == "aborted" for _, phase, *_ in world.record.events)


async def test_abort_acts_on_what_was_there(world: World) -> None:
    await world.passes('@ada /deploy checkout v1.4 staging\nwait deploying\n@grace click "Abort"\nwait aborted')


async def test_a_missing_button_names_those_in_sight(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deeds, "PATIENCE", 0.3)
    printed = await world.misses(
        '@ada /deploy checkout v1.2 staging\nexpect "● Deploy"\n@ada click "Roll back to v1.0"\nsleep 1s'
    )
    assert "@ada sees no such button; did you mean “Roll back to v1.1”?" in printed
    assert "buttons in sight: “Roll back to v1.1”" in printed
    assert "1 line not played" in printed


async def test_a_state_out_of_reach_ends_the_play(world: World) -> None:
    began = time.monotonic()
    printed = await world.misses('@ada /deploy checkout v1.3 staging\nwait succeeded\nexpect "never looked at"')
    assert time.monotonic() - began < 5
    assert "it cannot become succeeded any more" in printed
    assert "D1 is failed since" in printed
    assert "never looked at" not in printed


async def test_a_missed_expect_is_noted_and_the_play_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(player, "PATIENCE", 0.5)
    printed = await world.misses(
        """
        @ada /deploy payments v1.2 staging
        expect "no service checkout"
        expect "no service payments" in channel
        expect "no service payments" in ephemeral
        expect no "payments"
        """
    )
    assert "@ada saw: There is no service payments." in printed
    assert "@ada has seen nothing new there since the last person's line" in printed
    assert "✗ failed: 1 held, 3 missed" in printed


async def test_what_a_person_said_is_no_answer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(player, "PATIENCE", 0.5)
    await world.bot.kill()
    printed = await world.misses('@ada mention "status of checkout"\nexpect "checkout"')
    assert "no such text" in printed


async def test_mentions_are_answered_in_the_thread(world: World) -> None:
    await world.passes('@ada mention "status"\nexpect "all is well, @" in thread')
    await world.passes(
        """
        @ada /deploy checkout v1.2 staging
        wait succeeded
        @grace mention "status" in thread
        expect "all is well" in thread
        """
    )
    roots = [m for m in world.server.workspace.channels["C0DEPLOY"].messages.values() if not m.is_reply and m.is_bot]
    assert len(roots) == 1
    assert len(roots[0].replies) == 2


async def test_what_was_there_before_the_line_is_not_new(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(player, "PATIENCE", 0.5)
    await world.passes('@ada /deploy checkout v1.2 staging\nexpect "● Deploy"')
    await world.misses('@linus /deploy nothing\nexpect "v1.2"')


async def test_forms(world: World) -> None:
    printed = await world.passes(
        """
        @ada /deploy
        @ada submit {“Service”: “paymets”}
        expect "there is no service paymets"
        @ada submit {"service": "checkout"}
        wait succeeded
        """
    )
    assert "service: There is no service paymets." in printed


async def test_a_form_without_the_field(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deeds, "PATIENCE", 0.5)
    printed = await world.misses('@ada /deploy\n@ada submit {"Servise": "checkout"}')
    assert "Servise" in printed.split("missed")[1]
    printed = await world.misses('@linus submit {"Service": "checkout"}')
    assert "no modal is open before @linus" in printed


async def test_home(world: World) -> None:
    await world.passes('@ada opens home\nexpect "0 events" in home')
    await world.passes('@ada opens home\nexpect "0 events" in home\nexpect no "1 events"')


async def test_the_bot_dies_and_comes_back(world: World) -> None:
    printed = await world.passes(
        """
        kill bot
        kill bot
        @ada /deploy checkout v1.2 staging
        start bot
        @ada /deploy checkout v1.2 staging
        wait succeeded
        """
    )
    assert printed.count('/deploy failed with the error "dispatch_failed"') == 1, "the person is told, once"
    assert "kill bot  (it was not running)" in printed


async def test_a_click_that_nobody_takes(world: World) -> None:
    printed = await world.misses(
        '@ada /deploy checkout v1.2 staging\nexpect "● Deploy"\nkill bot\n@ada click "Roll back to v1.1"'
    )
    assert "the bot did not take the click" in printed


async def test_a_bot_that_does_not_start(world: World) -> None:
    class Broken(LittleBot):
        async def start(self) -> None:
            raise RuntimeError("the port is taken")

    world.bot = Broken(world.server, world.record)
    assert "the bot did not start: the port is taken" in await world.misses("start bot")


async def test_an_old_button_is_pressed_as_it_was(world: World) -> None:
    printed = await world.passes(
        """
        @ada     /deploy checkout v1.4 staging
        wait     deploying
        @grace   remembers "Abort" in channel
        @grace   click old "Abort"
        wait     aborted
        """
    )
    assert '@grace  click old "Abort"' in printed
    _, _, actor, _ = world.record.events[-1]
    assert actor == "U0GRACE"


async def test_an_old_button_is_still_there_when_its_message_has_none_any_more(world: World) -> None:
    await world.passes(
        """
        @ada     dm "hello"
        expect   "Asked" in channel
        @grace   remembers "Yes" in channel
        @ada     click "Yes" in channel
        expect   "Answered" in channel
        @grace   click old "Yes"
        expect   "Answered" in channel
        """
    )


async def test_nobody_presses_an_old_button_that_they_do_not_remember(world: World) -> None:
    printed = await world.misses(
        '@ada /deploy checkout v1.4 staging\n@ada remembers "Abort"\n@grace click old "Abort"\nwait aborted'
    )
    assert "@grace remembers no such button" in printed
    assert '@grace remembers "Abort" comes first' in printed
    assert not any(phase == "aborted" for _, phase, *_ in world.record.events)


async def test_people_press_the_same_button_at_once_and_anyone_may_be_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.passes(
        """
        @ada     /deploy checkout v1.2 staging
        wait     succeeded
        @ada @linus click "Roll back to v1.1"
        expect   "you may not" in ephemeral for anyone
        wait     rolled_back
        """
    )
    monkeypatch.setattr(player, "PATIENCE", 0.2)
    printed = await world.misses(
        '@ada /deploy checkout v1.4 staging\n@ada @grace click "Abort"\nexpect "not that" in channel for anyone'
    )
    assert sum(phase == "aborted" for _, phase, *_ in world.record.events) == 2
    assert "@ada and @grace" in printed


async def test_trouble_that_others_make_begins_and_ends(world: World) -> None:
    printed = await world.misses("fault metrics down for 5s")
    assert "there is no fault 'metrics down'" in printed
    switched: list[bool] = []
    world.server.faults.elsewhere["metrics down"] = switched.append
    await world.passes("fault metrics down for 200ms\nsleep 1s\nfault metrics down for 60s")
    assert switched == [True, False, True]
    world.server.faults.clear()
    assert switched == [True, False, True, False]


async def test_faults_reach_the_workspace(world: World) -> None:
    await world.passes(
        "fault slack 429 for 20s\nfault slack down for 1m\nfault duplicate deliveries for 9s\nfault socket drop"
    )
    active = world.server.faults.active()
    assert set(active) == {"429", "down", "duplicate deliveries"}
    assert active["down"] > 20 >= active["429"] > 9 >= active["duplicate deliveries"] > 1
    world.server.faults.clear()


async def test_a_record_that_does_not_answer(world: World) -> None:
    class Away(Record):
        async def marker(self) -> int:
            raise StoreError("The bot's own database does not answer.")

    world.record = Away()
    assert "The bot's own database does not answer." in await world.misses("@ada /deploy checkout v1.2 staging")


async def test_a_channel_that_is_not_there(world: World) -> None:
    printed = await world.misses("@ada #nowhere /deploy\nsleep 1s")
    assert "nowhere" in printed.split("missed")[1]


async def test_sleep_and_exit_code_without_any_check(world: World) -> None:
    began = time.monotonic()
    await world.passes("sleep 50ms")
    assert time.monotonic() - began >= 0.05


async def test_a_cancelled_play_leaves_no_listener_behind(world: World) -> None:
    out = io.StringIO()
    playing = asyncio.create_task(world.play("fault socket drop\nsleep 1m", out=out))
    # The bot comes back by itself, and the listener is there to see it.
    await world.server.workspace.wait_for(lambda: "sleep 1m" in out.getvalue())
    assert "coro=<_listen()" in "".join(map(repr, asyncio.all_tasks()))
    playing.cancel()
    with suppress(asyncio.CancelledError):
        await playing
    assert "coro=<_listen()" not in "".join(map(repr, asyncio.all_tasks()))


async def test_direct_messages_are_written_seen_and_answered_by_those_whom_they_are_for(world: World) -> None:
    printed = await world.passes(
        """
        @ada dm "ask Grace"
        expect "Asked" in channel
        expect "A question" in dm for @grace
        @grace click "Yes" in dm
        expect "Answered" in dm
        """
    )
    assert "to @grace directly" in printed
    assert "Asked" in str(world.server.workspace.channels["C0DEPLOY"].messages), "the button in the channel was left"


async def test_a_direct_message_is_nobody_elses(world: World) -> None:
    printed = await world.misses(
        """
        @ada dm "ask Grace"
        expect "Asked" in channel
        @linus click "Yes" in dm
        """
    )
    assert "@linus sees no such button in dm" in printed
