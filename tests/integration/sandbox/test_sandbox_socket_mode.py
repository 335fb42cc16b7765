"""Socket Mode as an unmodified Bolt app lives it: acks in time, acks too late, retries, lost connections."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from sandbox_world import Bot, client_of, serving
from slack_sdk.errors import SlackApiError

from bot.sandbox.workspace import Workspace

if TYPE_CHECKING:
    from sandbox_world import Clock

    from bot.sandbox.server import SandboxServer


async def ticket(server: SandboxServer) -> str:
    return str((await client_of(server).apps_connections_open(app_token="xapp-sandbox"))["url"])


async def test_a_command_arrives_whole_and_its_ack_is_shown_to_one_person(server: SandboxServer, bot: Bot) -> None:
    @bot.app.command("/deploy")
    async def deploy(ack: Any, body: dict[str, Any]) -> None:
        bot.got.append(body)
        await ack("on it")

    await bot.connect()
    receipt = await server.hands.command(
        "ada",
        "/deploy",
        "checkout v1.2 for @grace see https://ci.example/1?a=1&b=2 in #deployments <b>",
        channel="general",
    )
    assert (receipt.acked, receipt.response) == (True, {"text": "on it"})
    assert receipt.elapsed < 0.5
    (body,) = bot.got
    assert body["text"] == (
        "checkout v1.2 for <@U0GRACE|grace> see <https://ci.example/1?a=1&amp;b=2> in <#C0DEPLOY|deployments> &lt;b&gt;"
    )
    expected = {
        "team_id": "T0SANDBOX",
        "team_domain": "sandbox",
        "channel_id": "C0GENERAL",
        "channel_name": "general",
        "user_id": "U0ADA",
        "user_name": "ada",
        "command": "/deploy",
        "api_app_id": "A0DEPLOY",
        "is_enterprise_install": "false",
        "token": "sandbox-verification-token",
    }
    assert expected.items() <= body.items()
    assert body["trigger_id"]
    assert body["response_url"].startswith(f"{server.url}/hook/")
    assert [(seen.where, seen.text) for seen in server.hands.can_see("ada")] == [("ephemeral", "on it")]
    assert server.hands.can_see("grace") == []


async def test_late_missing_and_impossible_acks_are_told_as_slack_tells_them(server: SandboxServer, bot: Bot) -> None:
    release = asyncio.Event()

    @bot.app.command("/deploy")
    async def deploy(ack: Any) -> None:
        await release.wait()
        await ack("too late")

    nobody = await server.hands.command("ada", "/deploy", "x", channel="deployments")
    assert (nobody.acked, nobody.error) == (False, '/deploy failed with the error "dispatch_failed"')
    await bot.connect()
    late = await server.hands.command("ada", "/deploy", "x", channel="deployments")
    assert (late.acked, late.error) == (False, '/deploy failed with the error "operation_timeout"')
    assert 0.5 <= late.elapsed < 1.5
    release.set()
    assert [seen.text for seen in server.hands.can_see("ada")] == [nobody.error, late.error]
    unknown = await server.hands.command("ada", "/dance", "x", channel="deployments")
    assert "not a valid command" in str(unknown.error)
    root = await bot.client.chat_postMessage(channel="C0DEPLOY", text="root")
    threaded = await server.hands.command("ada", "/deploy", "x", channel="deployments", thread_ts=root["ts"])
    assert threaded.error == "/deploy is not supported in threads. Sorry!"


async def test_each_payload_goes_to_one_connection_in_turn(server: SandboxServer, bot: Bot) -> None:
    first, second = await bot.connect(), await bot.connect()
    got: dict[str, list[str]] = {"first": [], "second": []}
    for name, handler in (("first", first), ("second", second)):

        async def note(_client: Any, request: Any, name: str = name) -> None:
            got[name].append(request.payload["text"])

        handler.client.socket_mode_request_listeners.append(note)

    @bot.app.command("/deploy")
    async def deploy(ack: Any) -> None:
        await ack()

    for n in range(6):
        assert (await server.hands.command("ada", "/deploy", str(n), channel="deployments")).acked
    assert (len(got["first"]), len(got["second"])) == (3, 3)
    assert sorted(got["first"] + got["second"]) == [str(n) for n in range(6)]


async def test_a_ticket_opens_one_connection(server: SandboxServer, clock: Clock) -> None:
    url, old = await ticket(server), await ticket(server)
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(url) as socket:
            hello = await socket.receive_json()
            assert (hello["type"], hello["num_connections"], hello["connection_info"]) == (
                "hello",
                1,
                {"app_id": "A0DEPLOY"},
            )
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await session.ws_connect(url)
            await socket.ping(b"sdk-ping-pong:1")
        clock.pass_(60)
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(old)
        sockets = [await session.ws_connect(await ticket(server)) for _ in range(10)]
        one_more = await session.ws_connect(await ticket(server))
        assert (await one_more.receive_json())["reason"] == "too_many_websockets"
        for socket in sockets:
            await socket.close()


async def test_only_the_connection_that_was_asked_can_ack(server: SandboxServer) -> None:
    async with aiohttp.ClientSession() as session:
        sockets = [await session.ws_connect(await ticket(server)) for _ in range(2)]
        for socket in sockets:
            await socket.receive_json()
        await server.workspace.wait_for(lambda: server.hub.connected == 2)
        asking = asyncio.create_task(server.hands.command("ada", "/deploy", "x", channel="deployments"))
        reading = [asyncio.create_task(socket.receive_json()) for socket in sockets]
        done, rest = await asyncio.wait(reading, return_when=asyncio.FIRST_COMPLETED)
        asked = reading.index(next(iter(done)))
        envelope = next(iter(done)).result()
        assert envelope["type"] == "slash_commands"
        assert envelope["accepts_response_payload"] is True
        await sockets[1 - asked].send_json({"envelope_id": envelope["envelope_id"]})
        assert not (await asking).acked
        for task in rest:
            task.cancel()
        for socket in sockets:
            await socket.close()


async def test_events_are_repeated_until_they_are_acked(server: SandboxServer) -> None:
    async with aiohttp.ClientSession() as session:
        socket = await session.ws_connect(await ticket(server))
        await socket.receive_json()
        receipt = await server.hands.say("ada", "@Deployment Architect help", channel="deployments")
        assert not receipt.acked
        envelopes = [await socket.receive_json() for _ in range(4)]
        assert [(e["retry_attempt"], e["retry_reason"]) for e in envelopes] == [
            (0, ""),
            (1, "timeout"),
            (2, "timeout"),
            (3, "timeout"),
        ]
        assert len({e["payload"]["event_id"] for e in envelopes}) == 1
        assert len({e["envelope_id"] for e in envelopes}) == 4
        event = envelopes[0]["payload"]["event"]
        assert (event["type"], event["text"], event["user"]) == ("app_mention", "<@U0BOT> help", "U0ADA")
        assert envelopes[0]["payload"]["authorizations"][0]["user_id"] == "U0BOT"
        await socket.close()


async def test_bolt_hears_mentions_and_direct_messages_but_not_itself(server: SandboxServer, bot: Bot) -> None:
    @bot.app.event("app_mention")
    async def mentioned(event: dict[str, Any], say: Any) -> None:
        bot.got.append(event)
        await say("I am <@U0BOT>", thread_ts=event.get("thread_ts") or event["ts"])

    @bot.app.event("message")
    async def spoken(event: dict[str, Any]) -> None:
        bot.got.append(event)

    await bot.connect()
    told = await server.hands.say("ada", "hello <@U0BOT>", channel="deployments")
    assert told.acked
    assert told.message is not None
    await server.workspace.wait_for(lambda: [s for s in server.hands.can_see("ada") if s.where == "thread"])
    inside = await server.hands.say("grace", "<@U0BOT> status", channel="deployments", thread_ts=told.message.ts)
    assert inside.acked
    direct = server.workspace.direct(["U0ADA"])
    assert (await server.hands.say("ada", "psst", channel=direct.id)).acked
    quiet = await server.hands.say("ada", "nothing for bots", channel="deployments")
    assert (quiet.acked, quiet.delivered_at) == (True, None)
    unheard = await server.hands.say("ada", "<@U0BOT> are you here?", channel="general")
    assert unheard.delivered_at is None
    assert [(e["type"], e.get("channel_type"), e["user"]) for e in bot.got] == [
        ("app_mention", None, "U0ADA"),
        ("app_mention", None, "U0GRACE"),
        ("message", "im", "U0ADA"),
    ]
    assert bot.got[1]["thread_ts"] == told.message.ts


async def test_bolt_comes_back_after_a_disconnect_and_a_dropped_socket(server: SandboxServer, bot: Bot) -> None:
    @bot.app.command("/deploy")
    async def deploy(ack: Any) -> None:
        await ack()

    await bot.connect()
    opened = len(server.workspace.calls_to("apps.connections.open"))
    assert server.faults.disconnect("refresh_requested") == 1
    await server.workspace.wait_for(
        lambda: len(server.workspace.calls_to("apps.connections.open")) > opened and server.hub.connected == 1
    )
    assert (await server.hands.command("ada", "/deploy", "x", channel="deployments")).acked
    lost = asyncio.create_task(server.hands.command("ada", "/deploy", "x", channel="deployments"))
    await asyncio.sleep(0)
    assert server.faults.drop_sockets() == 1
    assert server.hub.connected == 0
    await lost
    gone = await server.hands.command("ada", "/deploy", "x", channel="deployments")
    assert gone.error == '/deploy failed with the error "dispatch_failed"'
    await bot.connect()
    assert (await server.hands.command("ada", "/deploy", "x", channel="deployments")).acked


async def test_a_refused_handshake_burns_the_ticket(server: SandboxServer) -> None:
    server.faults.refuse_handshakes(1)
    url = await ticket(server)
    async with aiohttp.ClientSession() as session:
        for _ in range(2):
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await session.ws_connect(url)
        socket = await session.ws_connect(await ticket(server))
        assert (await socket.receive_json())["type"] == "hello"
        await socket.close()


async def test_duplicates_come_twice_with_the_same_keys(server: SandboxServer, bot: Bot) -> None:
    seen: list[str] = []

    @bot.app.command("/deploy")
    async def deploy(ack: Any, body: dict[str, Any]) -> None:
        seen.append(body["trigger_id"])
        await ack("once")
        await bot.client.chat_postMessage(channel="C0DEPLOY", text=f"run {len(seen)}")

    await bot.connect()
    server.faults.duplicate_deliveries(30)
    assert (await server.hands.command("ada", "/deploy", "x", channel="deployments")).acked
    await server.workspace.wait_for(lambda: len(seen) == 2 and len(server.hands.can_see("grace")) == 2)
    assert len(set(seen)) == 1
    assert [s.text for s in server.hands.can_see("ada") if s.where == "ephemeral"] == ["once"]


async def test_slack_down_closes_everything_and_comes_back() -> None:
    async with serving(Workspace()) as server:
        bot = Bot(server)
        await bot.connect()
        server.faults.down(0.4)
        assert server.hub.connected == 0
        plain = client_of(server)
        plain.retry_handlers.clear()
        outcomes: list[str] = []
        for _ in range(4):
            try:
                await plain.auth_test()
            except SlackApiError as error:
                outcomes.append(str(error.response.status_code))
            except aiohttp.ClientError:
                outcomes.append("reset")
        assert outcomes == ["503", "reset", "503", "reset"]
        await server.workspace.wait_for(lambda: not server.faults.is_down)
        assert (await plain.auth_test())["ok"]
        await bot.close()


async def test_a_lost_ack_looks_like_a_late_one(server: SandboxServer, bot: Bot) -> None:
    @bot.app.command("/deploy")
    async def deploy(ack: Any) -> None:
        await ack()

    await bot.connect()
    server.faults.lose_acks()
    lost = await server.hands.command("ada", "/deploy", "x", channel="deployments")
    assert (lost.acked, lost.error) == (False, '/deploy failed with the error "operation_timeout"')
    assert (await server.hands.command("ada", "/deploy", "x", channel="deployments")).acked
