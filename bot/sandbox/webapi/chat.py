"""chat.*: posting, changing and taking back messages. Streams are in `streams`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bot.sandbox import wire
from bot.sandbox.model import Message, SlackError
from bot.sandbox.webapi import _content
from bot.sandbox.webapi._base import own_message, page, visible_channel, writable_channel

if TYPE_CHECKING:
    from bot.sandbox.model import Channel, JsonDict
    from bot.sandbox.webapi._base import Api, Args, Method

FARTHEST_SCHEDULE = 120 * 24 * 3600


def post_message(api: Api, args: Args) -> JsonDict:
    ws = api.ws
    channel = writable_channel(api, args.need("channel"))
    content = _content.read(args)
    if content.is_empty:
        raise SlackError("no_text")
    thread_ts = thread_of(channel, args)
    broadcast = thread_ts is not None and args.flag("reply_broadcast")
    message = ws.post(
        Message(
            channel.id,
            ws.next_ts(),
            ws.bot_user,
            content.text,
            content.blocks or [],
            is_bot=True,
            thread_ts=thread_ts,
            subtype="thread_broadcast" if broadcast else None,
            metadata=content.metadata or None,
            attachments=content.attachments,
        )
    )
    answer: JsonDict = {"channel": channel.id, "ts": message.ts}
    answer["message"] = wire.message(ws, message, metadata=True)
    return content.warn(answer)


def thread_of(channel: Channel, args: Args) -> str | None:
    """The root of the thread that a call wants to write into."""
    thread_ts = args.get("thread_ts")
    if thread_ts is None:
        return None
    root = channel.messages.get(thread_ts)
    if root is None:
        raise SlackError("thread_not_found")
    return root.thread_ts if root.is_reply else thread_ts


def update(api: Api, args: Args) -> JsonDict:
    ws = api.ws
    channel = visible_channel(api, args.need("channel"))
    message = own_message(channel, args.need("ts"))
    if channel.is_archived:
        raise SlackError("is_archived")
    if message.user != ws.bot_user:
        raise SlackError("cant_update_message")
    if message.streaming is not None and message.streaming["until"] > ws.now():
        raise SlackError("streaming_state_conflict")
    content = _content.read(args)
    if content.is_empty and content.blocks is None and "attachments" not in args.raw:
        raise SlackError("no_text")
    # As documented: text alone takes the old blocks away; metadata stays unless it is given anew.
    if content.blocks is not None:
        message.blocks = content.blocks
    elif content.has_text:
        message.blocks = []
    if content.has_text:
        message.text = content.text
        if not content.blocks:
            message.edited_ts = ws.next_ts()
    if "attachments" in args.raw:
        message.attachments = content.attachments
    if content.metadata is not None:
        message.metadata = content.metadata or None
    message.streaming = None
    ws.changed(message)
    answer: JsonDict = {"channel": channel.id, "ts": message.ts, "text": message.text}
    answer["message"] = wire.message(ws, message, metadata=True)
    return content.warn(answer)


def delete(api: Api, args: Args) -> JsonDict:
    channel = visible_channel(api, args.need("channel"))
    message = own_message(channel, args.need("ts"))
    if message.user != api.ws.bot_user:
        raise SlackError("cant_delete_message")
    api.ws.delete(message)
    return {"channel": channel.id, "ts": message.ts}


def post_ephemeral(api: Api, args: Args) -> JsonDict:
    ws = api.ws
    channel = writable_channel(api, args.need("channel"))
    person = ws.people.get(args.need("user"))
    if person is None or person.deleted or person.id not in channel.members:
        raise SlackError("user_not_in_channel")
    content = _content.read(args)
    if content.is_empty:
        raise SlackError("no_text")
    message = ws.whisper(
        Message(
            channel.id,
            ws.next_ts(),
            ws.bot_user,
            content.text,
            content.blocks or [],
            is_bot=True,
            thread_ts=args.get("thread_ts"),
            attachments=content.attachments,
            ephemeral_for=person.id,
        )
    )
    return content.warn({"message_ts": message.ts})


def permalink(api: Api, args: Args) -> JsonDict:
    channel = visible_channel(api, args.need("channel"))
    message = channel.messages.get(args.need("message_ts"))
    if message is None:
        raise SlackError("message_not_found")
    link = f"{api.ws.base_url}/archives/{channel.id}/p{message.ts.replace('.', '')}"
    if message.is_reply:
        link += f"?thread_ts={message.thread_ts}&cid={channel.id}"
    return {"channel": channel.id, "permalink": link}


def schedule(api: Api, args: Args) -> JsonDict:
    ws = api.ws
    channel = writable_channel(api, args.need("channel"))
    content = _content.read(args)
    if content.is_empty:
        raise SlackError("no_text")
    post_at = args.number("post_at", 0)
    wait = post_at - ws.now()
    if wait <= 0:
        raise SlackError("time_in_past")
    if wait > FARTHEST_SCHEDULE:
        raise SlackError("time_too_far")
    thread_ts = thread_of(channel, args)
    identifier = ws.new_id("Q")
    entry: JsonDict = {
        "id": identifier,
        "channel_id": channel.id,
        "post_at": post_at,
        "date_created": int(ws.now()),
        "text": content.text,
    }

    def post() -> None:
        api.scheduled.pop(identifier, None)
        ws.post(
            Message(
                channel.id,
                ws.next_ts(),
                ws.bot_user,
                content.text,
                content.blocks or [],
                is_bot=True,
                thread_ts=thread_ts,
                metadata=content.metadata or None,
            )
        )

    api.scheduled[identifier] = (entry, asyncio.get_running_loop().call_later(wait, post))
    answer: JsonDict = {"scheduled_message_id": identifier, "channel": channel.id, "post_at": post_at}
    answer["message"] = {
        "type": "delayed_message",
        "user": ws.bot_user,
        "bot_id": ws.bot_id,
        "app_id": ws.app_id,
        "team": ws.team_id,
        "text": content.text,
    }
    return content.warn(answer)


def delete_scheduled(api: Api, args: Args) -> JsonDict:
    identifier = args.need("scheduled_message_id")
    found = api.scheduled.get(identifier)
    if found is None or found[0]["channel_id"] != args.need("channel"):
        raise SlackError("invalid_scheduled_message_id")
    del api.scheduled[identifier]
    found[1].cancel()
    return {}


def list_scheduled(api: Api, args: Args) -> JsonDict:
    wanted = args.get("channel")
    entries = [entry for entry, _ in api.scheduled.values() if wanted in {None, entry["channel_id"]}]
    chosen, following = page(entries, args)
    return {"scheduled_messages": chosen, "response_metadata": {"next_cursor": following}}


METHODS: dict[str, Method] = {
    "chat.postMessage": post_message,
    "chat.update": update,
    "chat.delete": delete,
    "chat.postEphemeral": post_ephemeral,
    "chat.getPermalink": permalink,
    "chat.scheduleMessage": schedule,
    "chat.deleteScheduledMessage": delete_scheduled,
    "chat.scheduledMessages.list": list_scheduled,
}
