"""What one person sees, and which buttons are within their reach. Looking changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.sandbox import reading
from bot.sandbox.block_elements import interactive
from bot.sandbox.model import Button, MessageRef, Seen, ViewRef

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bot.sandbox.model import JsonDict, Message, Where
    from bot.sandbox.workspace import Workspace

BUTTONS = {"button", "icon_button", "workflow_button"}


def ref(message: Message) -> MessageRef:
    """Names a message for ever: a root does not change its name when it gets replies."""
    thread_ts = message.thread_ts if message.is_reply else None
    return MessageRef(message.channel, message.ts, thread_ts, message.ephemeral_for is not None)


def _messages(ws: Workspace, user: str) -> Iterator[Message]:
    for channel in ws.channels.values():
        if user in channel.members:
            yield from channel.messages.values()


def author(ws: Workspace, message: Message) -> str:
    person = ws.people.get(message.user)
    return message.username or (person.real_name if person else message.user)


def can_see(ws: Workspace, user: str) -> list[Seen]:
    """Everything on this person's screens, the oldest first."""
    found: list[Seen] = []

    def add(where: Where, message: Message) -> None:
        if message.as_read[0] != message.revision:
            message.as_read = (message.revision, reading.message_text(ws, message))
        text = message.as_read[1]
        posted = float(message.ts)
        at = max(posted, message.changed_at)
        found.append(Seen(where, text, at, ref(message), author(ws, message), message.channel, posted))

    for message in _messages(ws, user):
        if ws.channels[message.channel].is_im:
            add("dm", message)
            continue
        if message.is_reply:
            add("thread", message)
        if not message.is_reply or message.subtype == "thread_broadcast":
            add("channel", message)
    for message in ws.ephemerals.get(user, {}).values():
        add("ephemeral", message)
    app = ws.people[ws.bot_user].real_name
    if home := ws.homes.get(user):
        at = max(home.updated_at, ws.home_opened_at.get(user, 0.0))
        found.append(Seen("home", reading.view_text(ws, home), at, ViewRef(home.id), app, None, home.updated_at))
    if modal := ws.modal_of(user):
        text = reading.view_text(ws, modal)
        found.append(Seen("modal", text, modal.updated_at, ViewRef(modal.id), app, None, modal.updated_at))
    return sorted(found, key=lambda seen: seen.at)


def visible_buttons(ws: Workspace, user: str) -> list[Button]:
    """Every button this person could press, the newest first; an open modal lies on top of everything else."""
    found: list[Button] = []
    for message in _messages(ws, user):
        if message.blocks:
            direct = ws.channels[message.channel].is_im
            where: Where = "dm" if direct else "thread" if message.is_reply else "channel"
            found += _buttons(message.blocks, ref(message), float(message.ts), where)
    for message in ws.ephemerals.get(user, {}).values():
        found += _buttons(message.blocks, ref(message), float(message.ts), "ephemeral")
    if home := ws.homes.get(user):
        # The Home tab is as new as the last look at it: nobody presses what they have not opened.
        found += _buttons(home.blocks, ViewRef(home.id), ws.home_opened_at.get(user, 0.0), "home")
    # The sort is stable, so reversing first puts the lower of two equally new buttons after the upper one.
    found.sort(key=lambda button: -button.posted_at)
    if modal := ws.modal_of(user):
        found[:0] = _buttons(modal.blocks, ViewRef(modal.id), modal.updated_at, "modal")
    return found


def _buttons(blocks: Iterable[JsonDict], container: MessageRef | ViewRef, at: float, where: Where) -> list[Button]:
    return [
        Button(
            label=str(element["text"]["text"]),
            action_id=element["action_id"],
            value=element.get("value"),
            container=container,
            confirm=element.get("confirm"),
            posted_at=at,
            block_id=block["block_id"],
            style=element.get("style"),
            url=element.get("url"),
            where=where,
        )
        for block, element in interactive(list(blocks))
        if element.get("type") in BUTTONS
    ]
