"""conversations.*: what there is, who is in it, and what was said."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

from bot.sandbox import wire
from bot.sandbox.model import SlackError
from bot.sandbox.webapi._base import cursor, invalid_arguments, offset, page, visible_channel
from bot.sandbox.workspace import ts_micros

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bot.sandbox.model import Channel, JsonDict, Message
    from bot.sandbox.webapi._base import Api, Args, Method

MOST_MESSAGES = 999


def info(api: Api, args: Args) -> JsonDict:
    channel = visible_channel(api, args.need("channel"))
    return {"channel": wire.channel(api.ws, channel, members=args.flag("include_num_members"))}


def list_(api: Api, args: Args) -> JsonDict:
    ws = api.ws
    kinds = set((args.get("types") or "public_channel").split(","))
    if unknown := kinds - {"public_channel", "private_channel", "im", "mpim"}:
        raise SlackError("invalid_types", response_metadata={"messages": sorted(unknown)})
    skip_archived = args.flag("exclude_archived")
    found = [
        channel
        for channel in ws.channels.values()
        if _kind(channel) in kinds
        and not (skip_archived and channel.is_archived)
        and (not channel.is_private or ws.bot_user in channel.members)
    ]
    chosen, following = page(found, args)
    return {
        "channels": [wire.channel(ws, channel, members=True) for channel in chosen],
        "response_metadata": {"next_cursor": following},
    }


def _kind(channel: Channel) -> str:
    if channel.is_im:
        return "im"
    if channel.is_mpim:
        return "mpim"
    return "private_channel" if channel.is_private else "public_channel"


def members(api: Api, args: Args) -> JsonDict:
    channel = visible_channel(api, args.need("channel"))
    chosen, following = page(sorted(channel.members), args)
    return {"members": chosen, "response_metadata": {"next_cursor": following}}


def open_(api: Api, args: Args) -> JsonDict:
    ws = api.ws
    if identifier := args.get("channel"):
        channel = visible_channel(api, identifier)
    else:
        listed = args.raw.get("users")
        users = listed if isinstance(listed, list) else [u for u in (args.get("users") or "").split(",") if u]
        if not users:
            raise SlackError("users_list_not_supplied")
        if len(users) > 8:
            raise SlackError("too_many_users")
        for user in users:
            person = ws.people.get(user)
            if person is None:
                raise SlackError("user_not_found")
            if person.deleted:
                raise SlackError("user_disabled")
            if person.is_bot:
                raise SlackError("cannot_dm_bot")
        known = set(ws.channels)
        channel = ws.direct(users)
        if channel.id in known:
            return _opened(api, args, channel, again=True)
    return _opened(api, args, channel, again=False)


def _opened(api: Api, args: Args, channel: Channel, *, again: bool) -> JsonDict:
    full = args.flag("return_im")
    answer: JsonDict = {"channel": wire.channel(api.ws, channel) if full else {"id": channel.id}}
    return {"no_op": True, "already_open": True, **answer} if again else answer


def join(api: Api, args: Args) -> JsonDict:
    ws = api.ws
    channel = visible_channel(api, args.need("channel"))
    if channel.is_archived:
        raise SlackError("is_archived")
    if channel.is_private:
        raise SlackError("method_not_supported_for_channel_type")
    answer: JsonDict = {"channel": wire.channel(ws, channel)}
    if ws.bot_user in channel.members:
        return answer | {
            "warning": "already_in_channel",
            "response_metadata": {"warnings": ["already_in_channel"]},
        }
    channel.members.add(ws.bot_user)
    ws.announce("channels")
    return {"channel": wire.channel(ws, channel)}


def history(api: Api, args: Args) -> JsonDict:
    """Newest first; replies stay in their threads unless they were broadcast."""
    channel = _readable(api, args)
    oldest, within = _between(args)
    # Messages stand in the order of their timestamps, so whatever is older than the oldest wanted ends the search.
    recent = takewhile(lambda message: ts_micros(message.ts) >= oldest, reversed(channel.messages.values()))
    top_level = (message for message in recent if not message.is_reply or message.subtype == "thread_broadcast")
    chosen, more, following = _take(filter(within, top_level), args)
    include = args.flag("include_all_metadata")
    return {
        "messages": [wire.message(api.ws, message, metadata=include) for message in chosen],
        "has_more": more,
        "pin_count": len(channel.pins),
        "channel_actions_ts": None,
        "channel_actions_count": 0,
        **({"response_metadata": {"next_cursor": following}} if more else {}),
    }


def replies(api: Api, args: Args) -> JsonDict:
    """The root, then its replies, oldest first."""
    channel = _readable(api, args)
    root = channel.messages.get(args.need("ts"))
    if root is None:
        raise SlackError("thread_not_found")
    if root.is_reply:
        root = channel.messages.get(root.thread_ts or "", root)
    _, within = _between(args)
    thread = (channel.messages[ts] for ts in root.replies if ts in channel.messages)
    chosen, more, following = _take(filter(within, thread), args)
    include = args.flag("include_all_metadata")
    return {
        "messages": [wire.message(api.ws, message, metadata=include) for message in (root, *chosen)],
        "has_more": more,
        **({"response_metadata": {"next_cursor": following}} if more else {}),
    }


def _readable(api: Api, args: Args) -> Channel:
    channel = visible_channel(api, args.need("channel"))
    if api.ws.bot_user not in channel.members:
        raise SlackError("not_in_channel")
    return channel


def _between(args: Args) -> tuple[int, Callable[[Message], bool]]:
    """The oldest time that is wanted (microseconds), and the test for what lies between oldest and latest."""
    try:
        oldest, latest = (
            ts_micros(given) if (given := args.get(name)) is not None else None for name in ("oldest", "latest")
        )
    except ValueError as problem:
        raise SlackError("invalid_ts_" + ("oldest" if "oldest" in args.raw else "latest")) from problem
    inclusive = args.flag("inclusive")

    def within(message: Message) -> bool:
        at = ts_micros(message.ts)
        if oldest is not None and (at < oldest or (at == oldest and not inclusive)):
            return False
        return latest is None or at < latest or (at == latest and inclusive)

    return oldest or 0, within


def _take(found: Iterable[Message], args: Args) -> tuple[list[Message], bool, str]:
    limit = args.number("limit", 100)
    if not 0 < limit <= MOST_MESSAGES:
        raise invalid_arguments("[ERROR] must be between 1 and 999 [json-pointer:/limit]")
    start = offset(args)
    chosen: list[Message] = []
    for index, message in enumerate(found):
        if index < start:
            continue
        if len(chosen) == limit:
            return chosen, True, cursor(start + limit)
        chosen.append(message)
    return chosen, False, ""


METHODS: dict[str, Method] = {
    "conversations.info": info,
    "conversations.list": list_,
    "conversations.members": members,
    "conversations.open": open_,
    "conversations.join": join,
    "conversations.history": history,
    "conversations.replies": replies,
}
