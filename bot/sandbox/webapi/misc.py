"""The methods that belong to no larger family: who am I, connections, reactions, pins, bookmarks, assistant threads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.sandbox import blocks as block_kit
from bot.sandbox import wire
from bot.sandbox.model import SlackError
from bot.sandbox.webapi._base import invalid_arguments, visible_channel, writable_channel

if TYPE_CHECKING:
    from bot.sandbox.model import JsonDict, Message
    from bot.sandbox.webapi._base import Api, Args, Method


def api_test(_api: Api, args: Args) -> JsonDict:
    if error := args.get("error"):
        raise SlackError(error, args=args.raw)
    return {"args": args.raw}


def auth_test(api: Api, _args: Args) -> JsonDict:
    ws = api.ws
    return {
        "url": f"{ws.base_url}/",
        "team": ws.team_name,
        "user": ws.people[ws.bot_user].name,
        "team_id": ws.team_id,
        "user_id": ws.bot_user,
        "bot_id": ws.bot_id,
        "is_enterprise_install": False,
    }


def connections_open(api: Api, _args: Args) -> JsonDict:
    return {"url": api.hub.ticket_url()}


def team_info(api: Api, _args: Args) -> JsonDict:
    ws = api.ws
    return {
        "team": {
            "id": ws.team_id,
            "name": ws.team_name,
            "url": f"{ws.base_url}/",
            "domain": ws.team_domain,
            "email_domain": "sandbox.example",
            "icon": {"image_default": True},
            "avatar_base_url": f"{ws.base_url}/",
            "is_verified": False,
        }
    }


def bots_info(api: Api, args: Args) -> JsonDict:
    ws = api.ws
    if args.get("bot") not in {None, ws.bot_id}:
        raise SlackError("bot_not_found")
    profile = wire.bot_profile(ws)
    return {"bot": {key: value for key, value in profile.items() if key != "team_id"}}


def _target(api: Api, args: Args) -> Message:
    channel = writable_channel(api, args.need("channel"))
    message = channel.messages.get(args.need("timestamp"))
    if message is None:
        raise SlackError("message_not_found")
    return message


def reactions_add(api: Api, args: Args) -> JsonDict:
    name = args.need("name").strip(":")
    message = _target(api, args)
    users = message.reactions.setdefault(name, [])
    if api.ws.bot_user in users:
        raise SlackError("already_reacted")
    users.append(api.ws.bot_user)
    api.ws.changed(message)
    return {}


def reactions_remove(api: Api, args: Args) -> JsonDict:
    name = args.need("name").strip(":")
    message = _target(api, args)
    users = message.reactions.get(name, [])
    if api.ws.bot_user not in users:
        raise SlackError("no_reaction")
    users.remove(api.ws.bot_user)
    if not users:
        del message.reactions[name]
    api.ws.changed(message)
    return {}


def pins_add(api: Api, args: Args) -> JsonDict:
    message = _target(api, args)
    pins = api.ws.channels[message.channel].pins
    if message.ts in pins:
        raise SlackError("already_pinned")
    pins.add(message.ts)
    api.ws.changed(message)
    return {}


def pins_remove(api: Api, args: Args) -> JsonDict:
    message = _target(api, args)
    pins = api.ws.channels[message.channel].pins
    if message.ts not in pins:
        raise SlackError("no_pin")
    pins.remove(message.ts)
    api.ws.changed(message)
    return {}


def bookmarks_add(api: Api, args: Args) -> JsonDict:
    channel = writable_channel(api, args.need("channel_id"))
    kind = args.need("type")
    if kind != "link":
        raise SlackError("invalid_bookmark_type")
    link = args.get("link")
    if link is None or not link.startswith(("http://", "https://")):
        raise SlackError("invalid_link")
    bookmark: JsonDict = {
        "id": api.ws.new_id("Bk"),
        "channel_id": channel.id,
        "title": args.need("title"),
        "link": link,
        "emoji": args.get("emoji"),
        "type": kind,
        "date_created": int(api.ws.now()),
        "app_id": api.ws.app_id,
    }
    channel.bookmarks.append(bookmark)
    return {"bookmark": bookmark}


def bookmarks_list(api: Api, args: Args) -> JsonDict:
    return {"bookmarks": visible_channel(api, args.need("channel_id")).bookmarks}


def assistant_thread(api: Api, args: Args) -> JsonDict:
    """assistant.threads.setStatus, .setTitle and .setSuggestedPrompts: checked, shown as a passing note."""
    channel = writable_channel(api, args.need("channel_id"))
    thread_ts = args.need("thread_ts")
    if thread_ts not in channel.messages:
        raise SlackError("invalid_thread_ts")
    api.ws.announce("presence", channel=channel.id, thread_ts=thread_ts, status=args.get("status") or "")
    return {}


def suggested_prompts(api: Api, args: Args) -> JsonDict:
    prompts = args.structure("prompts", "invalid_arguments")
    if not isinstance(prompts, list) or not 1 <= len(prompts) <= 4:
        raise invalid_arguments("[ERROR] must have between 1 and 4 items [json-pointer:/prompts]")
    return assistant_thread(api, args)


def blocks_validate(_api: Api, args: Args) -> JsonDict:
    found = args.structure("blocks", "invalid_blocks_format")
    if not isinstance(found, list):
        raise SlackError("invalid_blocks_format")
    faults = block_kit.message_faults(found)
    if faults:
        raise SlackError("invalid_blocks", errors=faults, response_metadata={"messages": faults})
    return {}


METHODS: dict[str, Method] = {
    "api.test": api_test,
    "auth.test": auth_test,
    "apps.connections.open": connections_open,
    "team.info": team_info,
    "bots.info": bots_info,
    "reactions.add": reactions_add,
    "reactions.remove": reactions_remove,
    "pins.add": pins_add,
    "pins.remove": pins_remove,
    "bookmarks.add": bookmarks_add,
    "bookmarks.list": bookmarks_list,
    "assistant.threads.setStatus": assistant_thread,
    "assistant.threads.setTitle": assistant_thread,
    "assistant.threads.setSuggestedPrompts": suggested_prompts,
    "blocks.validate": blocks_validate,
}
