"""What every Web API method is given: the workspace, its arguments, and a few checks that many of them share."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from bot.sandbox.model import SlackError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from bot.sandbox.faults import Faults
    from bot.sandbox.model import Channel, JsonDict, Message
    from bot.sandbox.socket_mode import SocketHub
    from bot.sandbox.workspace import Workspace

MOST_PER_PAGE = 1000
FALSE = {"", "0", "false", "False", "no"}


@dataclass(slots=True)
class Api:
    """The surroundings of a method."""

    ws: Workspace
    faults: Faults
    hub: SocketHub
    scheduled: dict[str, tuple[JsonDict, asyncio.TimerHandle]] = field(default_factory=dict)


class Args:
    """Arguments of a call, however they came: query, form fields or a JSON object."""

    __slots__ = ("raw",)

    def __init__(self, raw: JsonDict) -> None:
        self.raw = raw

    def get(self, name: str) -> str | None:
        """A string, or None when it is absent or empty."""
        value = self.raw.get(name)
        if value is None or value == "":
            return None
        return value if isinstance(value, str) else str(value)

    def need(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise invalid_arguments(f"[ERROR] missing required field: {name}")
        return value

    def flag(self, name: str, *, default: bool = False) -> bool:
        value = self.raw.get(name)
        if value is None:
            return default
        return value if isinstance(value, bool) else str(value) not in FALSE

    def number(self, name: str, default: int) -> int:
        value = self.get(name)
        try:
            return default if value is None else int(value)
        except ValueError:
            raise invalid_arguments(f"[ERROR] must be an integer [json-pointer:/{name}]") from None

    def structure(self, name: str, error: str) -> Any:
        """A list or object, given as such or as JSON text; None when absent, SlackError(`error`) when unreadable."""
        value = self.raw.get(name)
        if value is None or value == "":
            return None
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                raise SlackError(error) from None
        if not isinstance(value, (list, dict)):
            raise SlackError(error)
        return value


Method: TypeAlias = Callable[[Api, Args], "JsonDict"]


def invalid_arguments(*messages: str) -> SlackError:
    return SlackError("invalid_arguments", response_metadata={"messages": list(messages)})


def visible_channel(api: Api, identifier: str) -> Channel:
    """A conversation that the bot may know of; private ones that it is not in do not exist for it."""
    ws = api.ws
    channel = ws.channels.get(identifier)
    if channel is None:
        raise SlackError("channel_not_found")
    if channel.is_private and ws.bot_user not in channel.members:
        raise SlackError("channel_not_found")
    return channel


def writable_channel(api: Api, identifier: str) -> Channel:
    """A conversation that the bot may write into: by id, by name, or a person's id for their direct messages."""
    ws = api.ws
    if identifier in ws.people:
        person = ws.people[identifier]
        if person.is_bot:
            raise SlackError("cannot_dm_bot")
        return ws.direct([identifier])
    if identifier not in ws.channels:
        name = identifier.removeprefix("#")
        identifier = next((c.id for c in ws.channels.values() if c.name == name and not c.is_im), identifier)
    channel = visible_channel(api, identifier)
    if channel.is_archived:
        raise SlackError("is_archived")
    if ws.bot_user not in channel.members:
        raise SlackError("not_in_channel")
    return channel


def own_message(channel: Channel, ts: str) -> Message:
    """A message of the bot's own, as chat.update and chat.delete want it."""
    message = channel.messages.get(ts)
    if message is None or message.deleted:
        raise SlackError("message_not_found")
    return message


def page(items: Sequence[Any], args: Args, default: int = 100) -> tuple[list[Any], str]:
    """One page of a list and the cursor of the next ("" at the end)."""
    limit = args.number("limit", default) or default
    if not 0 < limit <= MOST_PER_PAGE:
        raise SlackError("invalid_limit")
    start = offset(args)
    chosen = list(items[start : start + limit])
    following = start + limit
    return chosen, (cursor(following) if following < len(items) else "")


def cursor(position: int) -> str:
    return f"next:{position}"


def offset(args: Args) -> int:
    given = args.get("cursor")
    if given is None:
        return 0
    _, _, position = given.partition("next:")
    if not position.isdigit():
        raise SlackError("invalid_cursor")
    return int(position)
