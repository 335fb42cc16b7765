"""The workspace as one person sees it, in the page's words: a snapshot, and each change after it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.sandbox import seed, wire
from bot.sandbox.eyes import author

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.sandbox.faults import Faults
    from bot.sandbox.model import Change, JsonDict, Message, Person, View
    from bot.sandbox.workspace import Workspace

MOST_MESSAGES = 1000


class Picture:
    """Draws the workspace for people; `connected` counts the bot's connections."""

    def __init__(self, workspace: Workspace, faults: Faults, connected: Callable[[], int]) -> None:
        self._ws = workspace
        self._faults = faults
        self._connected = connected

    def snapshot(self, person: Person) -> JsonDict:
        """Everything that this person sees."""
        ws = self._ws
        mine = [channel for channel in ws.channels.values() if person.id in channel.members]
        home, modal = ws.homes.get(person.id), ws.modal_of(person.id)
        return {
            "seq": ws.seq,
            "team": {"id": ws.team_id, "name": ws.team_name, "domain": ws.team_domain},
            "me": person.id,
            "people": [self._person(p) for p in ws.people.values() if p.id != seed.SLACKBOT],
            "groups": [{"id": g.id, "handle": g.handle, "name": g.name} for g in ws.groups.values()],
            "channels": self._channels(person),
            "commands": [
                {"command": c.command, "usage_hint": c.usage_hint, "description": c.description}
                for c in ws.commands.values()
            ],
            "messages": {
                channel.id: [self.message(m) for m in list(channel.messages.values())[-MOST_MESSAGES:]]
                for channel in mine
            },
            "ephemerals": [self.message(m) for m in ws.ephemerals.get(person.id, {}).values()],
            "home": {"view": self._view(home)} if home else None,
            "modal": {"view": self._view(modal)} if modal else None,
            "faults": self._faults.active(),
            "bot": self._bot(),
        }

    def _bot(self) -> JsonDict:
        ws = self._ws
        return {
            "connected": self._connected(),
            "user_id": ws.bot_user,
            "name": ws.people[ws.bot_user].real_name,
        }

    def _person(self, person: Person) -> JsonDict:
        groups = [group.handle for group in self._ws.groups.values() if person.id in group.users]
        return {
            "id": person.id,
            "name": person.name,
            "real_name": person.real_name,
            "tz": person.tz,
            "is_bot": person.is_bot,
            "deleted": person.deleted,
            "groups": groups,
        }

    def _channels(self, person: Person) -> list[JsonDict]:
        return [
            {
                "id": channel.id,
                "name": channel.name,
                "is_member": person.id in channel.members,
                "is_private": channel.is_private,
                "is_im": channel.is_im,
                "is_archived": channel.is_archived,
                "user": (self._ws.bot_user if channel.is_im else None),
                "topic": channel.topic,
                "has_bot": self._ws.bot_user in channel.members,
                "members": len(channel.members),
                "unread": 0,
            }
            for channel in self._ws.channels.values()
            if person.id in channel.members or not channel.is_private
        ]

    def message(self, message: Message) -> JsonDict:
        """A message in the page's words."""
        ws = self._ws
        shown: JsonDict = {
            "channel": message.channel,
            "ts": message.ts,
            "user": message.user,
            "username": author(ws, message),
            "bot": message.is_bot,
            "text": message.text,
            "reply_count": len(message.replies),
            "reply_users": wire.reply_users(ws, message) if message.replies else [],
            "last_reply": message.replies[-1] if message.replies else None,
            "files": [wire.file(ws, ws.files[f]) for f in message.files if f in ws.files],
            "reactions": [
                {"name": name, "users": users, "count": len(users)} for name, users in message.reactions.items()
            ],
        }
        optional: JsonDict = {
            "thread_ts": message.thread_ts,
            "subtype": message.subtype,
            "blocks": message.blocks,
            "attachments": message.attachments,
            "edited": message.edited_ts,
            "metadata": message.metadata,
            "ephemeral": message.ephemeral_for is not None,
            "deleted": message.deleted,
            "pinned": message.ts in ws.channels[message.channel].pins,
        }
        return shown | {key: value for key, value in optional.items() if value}

    def _view(self, view: View) -> JsonDict:
        return wire.view(self._ws, view) | {"errors": view.errors}

    def event(self, change: Change, person: Person) -> JsonDict:
        """A change as it is pushed to this person, who may see it."""
        event: JsonDict = {"seq": change.seq, "type": change.kind}
        match change.kind:
            case "message" | "message_changed" | "ephemeral" | "message_deleted":
                assert change.message is not None
                event |= {"channel": change.channel, "ts": change.message.ts}
                event["message"] = self.message(change.message)
            case "modal":
                view = self._ws.modal_of(person.id)
                event["modal"] = {"view": self._view(view)} if view else None
            case "home":
                home = self._ws.homes.get(person.id)
                event["home"] = {"view": self._view(home)} if home else None
            case "bot":
                event["bot"] = self._bot()
            case "fault":
                event |= {**change.extra, "faults": self._faults.active()}
            case "channels":
                event["channels"] = self._channels(person)
            case "presence":
                event |= {"channel": change.channel, **change.extra}
            case _:
                event |= change.extra
        return event
