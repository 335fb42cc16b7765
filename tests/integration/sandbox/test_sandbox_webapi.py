"""The Web API as the real SDK meets it: every method of the list, every refusal by its name."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from sandbox_world import Clock, client_of, serving
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox.model import Channel, MessageRef
from bot.sandbox.webapi import METHODS
from bot.sandbox.workspace import Workspace

if TYPE_CHECKING:
    from bot.sandbox.server import SandboxServer

SECTION = {"type": "section", "text": {"type": "mrkdwn", "text": "hello"}}


async def refused(awaitable: Any) -> dict[str, Any]:
    with pytest.raises(SlackApiError) as caught:
        await awaitable
    data = caught.value.response.data
    assert isinstance(data, dict)
    assert data["ok"] is False
    return data


async def error_of(awaitable: Any) -> str:
    return str((await refused(awaitable))["error"])


def test_every_method_of_the_list_is_there() -> None:
    wanted = """apps.connections.open auth.test chat.postMessage chat.update chat.delete chat.postEphemeral
        chat.getPermalink chat.scheduleMessage chat.startStream chat.appendStream chat.stopStream views.open
        views.update views.push views.publish conversations.info conversations.open conversations.members
        conversations.list conversations.history conversations.replies conversations.join users.info
        users.lookupByEmail users.list usergroups.list usergroups.users.list files.getUploadURLExternal
        files.completeUploadExternal files.info reactions.add reactions.remove pins.add bookmarks.add team.info
        bots.info assistant.threads.setStatus assistant.threads.setSuggestedPrompts assistant.threads.setTitle
        blocks.validate"""
    assert set(wanted.split()) <= set(METHODS)


async def test_who_am_i_and_tokens(server: SandboxServer, client: AsyncWebClient) -> None:
    me = await client.auth_test()
    assert (me["team_id"], me["user_id"], me["bot_id"]) == ("T0SANDBOX", "U0BOT", "B0BOT")
    assert "chat:write" in me.headers["x-oauth-scopes"]
    base = f"{server.url}/api/"
    assert await error_of(AsyncWebClient(token="xoxb-stale", base_url=base).auth_test()) == "invalid_auth"
    assert await error_of(AsyncWebClient(base_url=base).auth_test()) == "not_authed"
    assert await error_of(client.apps_connections_open(app_token="xoxb-sandbox")) == "not_allowed_token_type"
    assert await error_of(AsyncWebClient(token="xapp-sandbox", base_url=base).auth_test()) == "not_allowed_token_type"
    assert await error_of(client.api_call("chat.shout")) == "unknown_method"


async def test_arguments_come_as_query_form_and_json(server: SandboxServer) -> None:
    message = {"channel": "C0DEPLOY", "text": "hi", "blocks": json.dumps([SECTION]), "team_id": "T9OTHER"}
    auth = {"Authorization": "Bearer xoxb-sandbox"}
    address = f"{server.url}/api/chat.postMessage"
    async with aiohttp.ClientSession() as session:
        for options in (
            {"json": {**message, "blocks": [SECTION]}, "headers": auth},
            {"json": message, "headers": auth},
            {"data": message, "headers": auth},
            {"data": {**message, "token": "xoxb-sandbox"}},
            {"params": message, "headers": auth},
        ):
            async with session.post(address, **options) as answer:  # type: ignore[arg-type]  # one dict, many shapes
                body = await answer.json()
            assert body["ok"], body
            assert body["message"]["blocks"][0]["text"]["text"] == "hello"
        async with session.get(address, params=message, headers=auth) as answer:
            assert (await answer.json())["ok"]
        async with session.post(address, data=b"{nope", headers={**auth, "Content-Type": "application/json"}) as answer:
            assert (answer.status, (await answer.json())["error"]) == (200, "invalid_json")
    assert len(server.workspace.channels["C0DEPLOY"].messages) == 6
    assert all("token" not in call.args for call in server.workspace.calls)


async def test_posting_and_what_is_refused(server: SandboxServer, client: AsyncWebClient) -> None:
    posted = await client.chat_postMessage(channel="C0DEPLOY", text="hello", blocks=[SECTION])
    message = posted["message"]
    assert (message["user"], message["bot_id"], message["app_id"]) == ("U0BOT", "B0BOT", "A0DEPLOY")
    assert message["blocks"][0]["block_id"]
    assert await error_of(client.api_call("chat.postMessage", json={"channel": "C0DEPLOY"})) == "no_text"
    assert await error_of(client.chat_postMessage(channel="C9NONE", text="x")) == "channel_not_found"
    assert await error_of(client.chat_postMessage(channel="C0GENERAL", text="x")) == "not_in_channel"
    too_long = client.chat_postMessage(channel="C0DEPLOY", text="x" * 40_001)
    assert await error_of(too_long) == "msg_too_long"
    lost = client.chat_postMessage(channel="C0DEPLOY", text="x", thread_ts="1.000001")
    assert await error_of(lost) == "thread_not_found"
    secret = server.workspace.add_channel(Channel("C0SECRET", "secret", {"U0ADA"}, is_private=True))
    assert await error_of(client.chat_postMessage(channel=secret.id, text="x")) == "channel_not_found"
    server.workspace.channels["C0DEPLOY"].is_archived = True
    assert await error_of(client.chat_postMessage(channel="C0DEPLOY", text="x")) == "is_archived"


@pytest.mark.filterwarnings("ignore:The top-level")
async def test_blocks_are_held_to_the_limits(client: AsyncWebClient) -> None:
    bad = [SECTION, {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}, {"type": "shout"}]
    answer = await refused(client.chat_postMessage(channel="C0DEPLOY", text="x", blocks=bad))
    assert answer["error"] == "invalid_blocks"
    assert answer["response_metadata"]["messages"] == [
        "[ERROR] must be less than 3001 characters [json-pointer:/blocks/1/text/text]",
        "[ERROR] unsupported type: shout [json-pointer:/blocks/2/type]",
    ]
    many = [{"type": "divider"}] * 51
    assert await error_of(client.chat_postMessage(channel="C0DEPLOY", text="x", blocks=many)) == "invalid_blocks"
    heavy = [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 2900}}] * 5
    assert await error_of(client.chat_postMessage(channel="C0DEPLOY", text="x", blocks=heavy)) == "msg_blocks_too_long"
    light = await client.chat_postMessage(channel="C0DEPLOY", text="x", blocks=heavy[:4])
    assert "warning" not in light.data
    silent = await client.chat_postMessage(channel="C0DEPLOY", blocks=[SECTION])
    assert silent["warning"] == "missing_text_in_message"
    assert "`text`" in silent["response_metadata"]["messages"][0]
    broken = client.chat_postMessage(channel="C0DEPLOY", text="x", blocks="[{")
    assert await error_of(broken) == "invalid_blocks_format"
    assert (await client.api_call("blocks.validate", json={"blocks": [SECTION]}))["ok"]
    assert await error_of(client.api_call("blocks.validate", json={"blocks": bad})) == "invalid_blocks"


async def test_updating_keeps_and_drops_what_slack_keeps_and_drops(
    server: SandboxServer, client: AsyncWebClient
) -> None:
    told = {"event_type": "deployment", "event_payload": {"deployment_id": "d1"}}
    posted = await client.chat_postMessage(channel="C0DEPLOY", text="one", blocks=[SECTION], metadata=told)
    where = {"channel": "C0DEPLOY", "ts": posted["ts"]}
    changed = await client.chat_update(**where, text="two")
    assert "blocks" not in changed["message"]
    assert (changed["text"], changed["message"]["metadata"]) == ("two", told)
    again = await client.chat_update(**where, text="three", blocks=[SECTION])
    assert again["message"]["blocks"][0]["text"]["text"] == "hello"
    assert await error_of(client.chat_update(channel="C0DEPLOY", ts="1.000001", text="x")) == "message_not_found"
    theirs = await server.hands.say("ada", "mine", channel="C0DEPLOY")
    assert theirs.message is not None
    foreign = client.chat_update(channel="C0DEPLOY", ts=theirs.message.ts, text="x")
    assert await error_of(foreign) == "cant_update_message"
    assert (await client.chat_delete(**where))["ok"]
    assert await error_of(client.chat_update(**where, text="x")) == "message_not_found"
    badly = client.chat_postMessage(channel="C0DEPLOY", text="x", metadata={"event_type": 1, "event_payload": {}})
    assert await error_of(badly) == "invalid_metadata_schema"


async def test_history_threads_and_metadata(server: SandboxServer, client: AsyncWebClient) -> None:
    told = {"event_type": "deployment", "event_payload": {"deployment_id": "d1"}}
    roots = [
        (await client.chat_postMessage(channel="C0DEPLOY", text=f"root {n}", metadata=told))["ts"] for n in range(5)
    ]
    replies = [
        (await client.chat_postMessage(channel="C0DEPLOY", text=f"reply {n}", thread_ts=roots[2]))["ts"]
        for n in range(4)
    ]
    loud = await client.chat_postMessage(
        channel="C0DEPLOY", text="loud", thread_ts=roots[2], reply_broadcast=True, metadata=told
    )
    history = await client.conversations_history(channel="C0DEPLOY", include_all_metadata=True)
    assert [m["ts"] for m in history["messages"]] == [loud["ts"], *reversed(roots)]
    assert all(m["metadata"] == told for m in history["messages"])
    assert "metadata" not in (await client.conversations_history(channel="C0DEPLOY"))["messages"][0]
    first = await client.conversations_history(channel="C0DEPLOY", limit=4)
    assert first["has_more"]
    following = await client.conversations_history(
        channel="C0DEPLOY", limit=4, cursor=first["response_metadata"]["next_cursor"]
    )
    assert [m["ts"] for m in first["messages"] + following["messages"]] == [loud["ts"], *reversed(roots)]
    assert not following["has_more"]
    between = await client.conversations_history(channel="C0DEPLOY", oldest=roots[1], latest=roots[3])
    assert [m["ts"] for m in between["messages"]] == [roots[2]]
    inclusive = await client.conversations_history(channel="C0DEPLOY", oldest=roots[1], latest=roots[3], inclusive=True)
    assert len(inclusive["messages"]) == 3
    thread = await client.conversations_replies(channel="C0DEPLOY", ts=roots[2], include_all_metadata=True)
    assert [m["ts"] for m in thread["messages"]] == [roots[2], *replies, loud["ts"]]
    assert thread["messages"][0]["reply_count"] == 5
    assert thread["messages"][-1]["metadata"] == told
    assert await error_of(client.conversations_history(channel="C0GENERAL")) == "not_in_channel"
    assert await error_of(client.conversations_replies(channel="C0DEPLOY", ts="1.000001")) == "thread_not_found"
    link = await client.chat_getPermalink(channel="C0DEPLOY", message_ts=replies[0])
    assert f"thread_ts={roots[2]}" in link["permalink"]


async def test_ephemerals_reach_one_person(server: SandboxServer, client: AsyncWebClient) -> None:
    told = await client.chat_postEphemeral(channel="C0DEPLOY", user="U0ADA", text="between us")
    assert [seen.text for seen in server.hands.can_see("ada")] == ["between us"]
    assert server.hands.can_see("grace") == []
    assert await error_of(client.chat_update(channel="C0DEPLOY", ts=told["message_ts"], text="x")) == (
        "message_not_found"
    )
    outside = client.chat_postEphemeral(channel="C0DEPLOY", user="U0GUEST", text="x")
    assert await error_of(outside) == "user_not_in_channel"
    history = await client.conversations_history(channel="C0DEPLOY")
    assert history["messages"] == []
    await client.chat_postMessage(channel="C0ADMIN", text="for operators")
    assert [seen.text for seen in server.hands.can_see("grace")] == ["for operators"]
    assert [seen.text for seen in server.hands.can_see("ada")] == ["between us"]


async def test_people_groups_and_conversations(server: SandboxServer, client: AsyncWebClient) -> None:
    ada = (await client.users_info(user="U0ADA"))["user"]
    wanted = {"tz", "is_bot", "deleted", "is_restricted", "is_ultra_restricted", "is_stranger", "profile", "team_id"}
    assert wanted <= set(ada)
    assert ada["tz"] == "Europe/London"
    assert {"email", "display_name", "real_name"} <= set(ada["profile"])
    assert (await client.users_info(user="U0GUEST"))["user"]["is_restricted"] is True
    assert (await client.users_info(user="U0GONE"))["user"]["deleted"] is True
    assert await error_of(client.users_info(user="U9")) == "user_not_found"
    found = await client.users_lookupByEmail(email="Grace@sandbox.example")
    assert found["user"]["id"] == "U0GRACE"
    assert await error_of(client.users_lookupByEmail(email="no@where.example")) == "users_not_found"
    page = await client.users_list(limit=2)
    assert len(page["members"]) == 2
    assert page["response_metadata"]["next_cursor"]
    groups = await client.usergroups_list(include_users=True)
    assert {g["handle"]: g["users"] for g in groups["usergroups"]}["release-managers"] == ["U0GRACE"]
    assert (await client.usergroups_users_list(usergroup="S0DEPLOY"))["users"] == ["U0ADA"]
    assert await error_of(client.usergroups_users_list(usergroup="S9")) == "no_such_subteam"
    listed = await client.conversations_list(types="public_channel,private_channel")
    assert {c["name"]: c["is_member"] for c in listed["channels"]} == {
        "deployments": True,
        "deploy-admin": True,
        "general": False,
    }
    info = (await client.conversations_info(channel="C0ADMIN", include_num_members=True))["channel"]
    assert (info["is_private"], info["num_members"]) == (True, 2)
    assert (await client.conversations_members(channel="C0ADMIN"))["members"] == ["U0BOT", "U0GRACE"]
    direct = (await client.conversations_open(users="U0ADA"))["channel"]["id"]
    assert direct.startswith("D")
    assert (await client.conversations_open(users=["U0ADA"]))["channel"]["id"] == direct
    assert (await client.chat_postMessage(channel="U0ADA", text="psst"))["channel"] == direct
    assert await error_of(client.conversations_open(users="U0GONE")) == "user_disabled"
    assert (await client.conversations_join(channel="C0GENERAL"))["ok"]
    assert (await client.chat_postMessage(channel="C0GENERAL", text="here now"))["ok"]
    assert (await client.team_info())["team"]["id"] == "T0SANDBOX"
    assert (await client.bots_info(bot="B0BOT"))["bot"]["user_id"] == "U0BOT"


async def test_files_go_up_in_two_steps(server: SandboxServer, client: AsyncWebClient) -> None:
    root = await client.chat_postMessage(channel="C0DEPLOY", text="root")
    shared = await client.files_upload_v2(
        channel="C0DEPLOY",
        thread_ts=root["ts"],
        filename="run.log",
        title="The run",
        content="line one\nline two",
        initial_comment="Log of the run",
    )
    identifier = shared["files"][0]["id"]
    (reply,) = [seen for seen in server.hands.can_see("ada") if seen.where == "thread"]
    assert reply.text == "Log of the run\n[file: The run]"
    info = await client.files_info(file=identifier)
    assert (info["file"]["size"], info["file"]["channels"]) == (17, ["C0DEPLOY"])
    async with aiohttp.ClientSession() as session, session.get(info["file"]["url_private"]) as answer:
        assert await answer.text() == "line one\nline two"
    place = await client.files_getUploadURLExternal(filename="x.txt", length=5)
    early = client.files_completeUploadExternal(files=[{"id": place["file_id"]}], channel_id="C0DEPLOY")
    assert await error_of(early) == "file_not_found"
    async with aiohttp.ClientSession() as session:
        async with session.post(place["upload_url"], data=b"123") as answer:
            assert answer.status == 400
        async with session.post(place["upload_url"], data=b"12345") as answer:
            assert (answer.status, await answer.text()) == (200, "OK - 5")
    outside = client.files_completeUploadExternal(files=[{"id": place["file_id"]}], channel_id="C0GENERAL")
    assert await error_of(outside) == "not_in_channel"
    assert (await client.files_completeUploadExternal(files=[{"id": place["file_id"]}]))["ok"]


async def test_reactions_pins_bookmarks_and_assistant_threads(client: AsyncWebClient) -> None:
    posted = await client.chat_postMessage(channel="C0DEPLOY", text="root")
    where = {"channel": "C0DEPLOY", "timestamp": posted["ts"]}
    assert (await client.reactions_add(name="tada", **where))["ok"]
    assert await error_of(client.reactions_add(name="tada", **where)) == "already_reacted"
    message = (await client.conversations_history(channel="C0DEPLOY"))["messages"][0]
    assert message["reactions"] == [{"name": "tada", "users": ["U0BOT"], "count": 1}]
    assert (await client.reactions_remove(name="tada", **where))["ok"]
    assert await error_of(client.reactions_remove(name="tada", **where)) == "no_reaction"
    assert (await client.pins_add(**where))["ok"]
    assert await error_of(client.pins_add(**where)) == "already_pinned"
    mark = await client.bookmarks_add(channel_id="C0DEPLOY", title="Docs", type="link", link="https://docs.example")
    assert mark["bookmark"]["title"] == "Docs"
    thread = {"channel_id": "C0DEPLOY", "thread_ts": posted["ts"]}
    assert (await client.assistant_threads_setStatus(status="thinking", **thread))["ok"]
    assert (await client.assistant_threads_setTitle(title="A talk", **thread))["ok"]
    prompts = [{"title": "What runs where?", "message": "where"}]
    assert (await client.assistant_threads_setSuggestedPrompts(prompts=prompts, **thread))["ok"]


async def test_streams_grow_and_are_closed_after_five_minutes(
    server: SandboxServer, client: AsyncWebClient, clock: Clock
) -> None:
    root = await client.chat_postMessage(channel="C0DEPLOY", text="root")
    open_ = {"channel": "C0DEPLOY", "thread_ts": root["ts"]}
    assert await error_of(client.chat_startStream(**open_)) == "missing_recipient_user_id"
    started = await client.chat_startStream(**open_, recipient_user_id="U0ADA", recipient_team_id="T0SANDBOX")
    where = {"channel": "C0DEPLOY", "ts": started["ts"]}
    await client.chat_appendStream(**where, markdown_text="half ")
    chunk = {"type": "task_update", "id": "t1", "title": "Plan", "status": "in_progress"}
    await client.chat_appendStream(**where, chunks=[chunk])
    both = client.chat_appendStream(**where, markdown_text="x", chunks=[chunk])
    assert await error_of(both) == "cannot_provide_both_markdown_text_and_chunks"
    stopped = await client.chat_stopStream(**where, markdown_text="done")
    assert stopped["message"]["text"] == "half done"
    assert await error_of(client.chat_stopStream(**where)) == "message_not_in_streaming_state"
    late = await client.chat_startStream(**open_, recipient_user_id="U0ADA", recipient_team_id="T0SANDBOX")
    clock.pass_(301)
    where = {"channel": "C0DEPLOY", "ts": late["ts"]}
    assert await error_of(client.chat_appendStream(**where, markdown_text="x")) == "message_not_in_streaming_state"
    assert (await client.chat_update(**where, text="repaired"))["ok"]


async def test_scheduled_messages(server: SandboxServer, client: AsyncWebClient, clock: Clock) -> None:
    past = client.chat_scheduleMessage(channel="C0DEPLOY", text="x", post_at=int(clock()) - 5)
    assert await error_of(past) == "time_in_past"
    clock.at -= 0.9
    soon = await client.chat_scheduleMessage(channel="C0DEPLOY", text="later", post_at=int(clock() + 1))
    assert soon["scheduled_message_id"]
    await server.workspace.wait_for(lambda: [s for s in server.hands.can_see("ada") if s.text == "later"])
    far = await client.chat_scheduleMessage(channel="C0DEPLOY", text="never", post_at=int(clock()) + 500)
    listed = await client.chat_scheduledMessages_list()
    assert [entry["id"] for entry in listed["scheduled_messages"]] == [far["scheduled_message_id"]]
    where = {"channel": "C0DEPLOY", "scheduled_message_id": far["scheduled_message_id"]}
    assert (await client.chat_deleteScheduledMessage(**where))["ok"]
    assert await error_of(client.chat_deleteScheduledMessage(**where)) == "invalid_scheduled_message_id"


async def test_scopes_are_enforced_when_they_are_given() -> None:
    async with serving(Workspace(scopes={"chat:write"})) as server:
        client = AsyncWebClient(token="xoxb-sandbox", base_url=f"{server.url}/api/")
        assert (await client.chat_postMessage(channel="C0DEPLOY", text="x"))["ok"]
        answer = await refused(client.users_info(user="U0ADA"))
        assert (answer["error"], answer["needed"]) == ("missing_scope", "users:read")


async def test_rate_limits_can_be_switched_on(clock: Clock) -> None:
    async with serving(Workspace(clock=clock), enforce_rate_limits=True) as server:
        client = AsyncWebClient(token="xoxb-sandbox", base_url=f"{server.url}/api/")
        posted = await client.chat_postMessage(channel="C0DEPLOY", text="x")
        for n in range(50):
            await client.chat_update(channel="C0DEPLOY", ts=posted["ts"], text=str(n))
        with pytest.raises(SlackApiError) as caught:
            await client.chat_update(channel="C0DEPLOY", ts=posted["ts"], text="one too many")
        assert (caught.value.response.status_code, caught.value.response["error"]) == (429, "ratelimited")
        assert caught.value.response.headers["Retry-After"] == "60"
        clock.pass_(60)
        assert (await client.chat_update(channel="C0DEPLOY", ts=posted["ts"], text="again"))["ok"]
        for _ in range(5):
            await client.chat_postMessage(channel="C0DEPLOY", text="a burst")
        assert await error_of(client.chat_postMessage(channel="C0DEPLOY", text="a flood")) == "ratelimited"
        assert (await client.chat_postMessage(channel="C0ADMIN", text="another channel"))["ok"]


async def test_the_sdks_own_retry_handler_rides_out_a_limit() -> None:
    async with serving(Workspace()) as server:
        client = client_of(server)
        client.retry_handlers.append(AsyncRateLimitErrorRetryHandler(max_retry_count=3))
        server.faults.rate_limit(0.5)
        assert (await client.chat_postMessage(channel="C0DEPLOY", text="patient"))["ok"]
        statuses = [call.status for call in server.workspace.calls_to("chat.postMessage")]
        assert statuses == [429, 200]


async def test_lost_responses_and_broken_methods(server: SandboxServer) -> None:
    client = AsyncWebClient(token="xoxb-sandbox", base_url=f"{server.url}/api/", retry_handlers=[])
    server.faults.lose_response("chat.postMessage")
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await client.chat_postMessage(channel="C0DEPLOY", text="did it arrive?")
    assert [seen.text for seen in server.hands.can_see("ada")] == ["did it arrive?"]
    server.faults.fail_method("chat.update", "message_not_found", 2)
    ref = server.hands.can_see("ada")[0].ref
    assert isinstance(ref, MessageRef)
    for _ in range(2):
        assert await error_of(client.chat_update(channel=ref.channel, ts=ref.ts, text="x")) == "message_not_found"
    assert (await client.chat_update(channel=ref.channel, ts=ref.ts, text="x"))["ok"]
    server.faults.server_error(30)
    with pytest.raises(SlackApiError) as caught:
        await client.auth_test()
    assert caught.value.response.status_code == 500
    server.faults.clear()
    begun = asyncio.get_running_loop().time()
    server.faults.slow(30, 0.2)
    assert (await client.auth_test())["ok"]
    assert asyncio.get_running_loop().time() - begun >= 0.2
