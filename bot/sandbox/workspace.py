"""The state of the workspace: people, channels, messages, views, files; and the feed of its changes.

It knows nothing of HTTP and refuses nothing on Slack's behalf: the Web API and the hands check first, then change it.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from typing import TYPE_CHECKING, Any, TypeVar

from bot.sandbox import seed
from bot.sandbox.feed import Feed
from bot.sandbox.model import (
    Call,
    Channel,
    Command,
    Hook,
    JsonDict,
    Message,
    Person,
    SandboxError,
    StoredFile,
    Trigger,
    UserGroup,
    View,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from bot.sandbox.model import Change

Found = TypeVar("Found")

TRIGGER_SECONDS = 3.0
HOOK_SECONDS = 30 * 60.0
CALLS_KEPT = 20_000
TS = re.compile(r"\d{1,12}(\.\d{1,6})?")


def ts_micros(ts: str) -> int:
    """A message timestamp as microseconds; raises ValueError when it is none."""
    if not TS.fullmatch(ts):
        raise ValueError(f"{ts!r} is no timestamp")
    seconds, _, fraction = ts.partition(".")
    return int(seconds) * 1_000_000 + int(fraction.ljust(6, "0"))


class Workspace:
    """One team with one app in it.

    `clock` gives seconds since the epoch (tests bring their own); `events` and `scopes` are what the app's manifest
    asks for (no scopes given means that all are granted).
    """

    def __init__(
        self,
        *,
        signing_secret: str = seed.SIGNING_SECRET,
        clock: Callable[[], float] = time.time,
        commands: Iterable[Command] = seed.COMMANDS,
        events: Iterable[str] = seed.EVENTS,
        scopes: Iterable[str] | None = None,
        populate: bool = True,
    ) -> None:
        self.team_id, self.team_name, self.team_domain = seed.TEAM_ID, "Sandbox", "sandbox"
        self.app_id, self.bot_id, self.bot_user = seed.APP_ID, seed.BOT_ID, seed.BOT_USER
        self.bot_token, self.app_token = seed.BOT_TOKEN, seed.APP_TOKEN
        self.verification_token, self.signing_secret = seed.VERIFICATION_TOKEN, signing_secret
        self.clock = clock
        self.base_url = "http://127.0.0.1"
        self.commands = {command.command: command for command in commands}
        self.events = frozenset(events)
        self.scopes = frozenset(scopes) if scopes is not None else None
        self.people: dict[str, Person] = {}
        self.groups: dict[str, UserGroup] = {}
        self.channels: dict[str, Channel] = {}
        self.files: dict[str, StoredFile] = {}
        self.ephemerals: dict[str, dict[str, Message]] = {}
        self.views: dict[str, View] = {}
        self.modals: dict[str, list[View]] = {}
        self.homes: dict[str, View] = {}
        self.home_opened_at: dict[str, float] = {}
        self.triggers: dict[str, Trigger] = {}
        self.hooks: dict[str, Hook] = {}
        self.selections: dict[tuple[str, str, str], dict[str, dict[str, JsonDict]]] = {}
        self.calls: list[Call] = []
        self.feed = Feed(clock)
        self._last_micros = 0
        self._serial = 0
        self.add_person(seed.slackbot())
        self.add_person(seed.bot_user())
        if populate:
            for person in seed.people():
                self.add_person(person)
            for group in seed.groups():
                self.groups[group.id] = group
            for channel in seed.channels():
                self.add_channel(channel)

    # -- the feed

    @property
    def seq(self) -> int:
        """The number of the newest change."""
        return self.feed.seq

    def changes(self, since: int = 0) -> AsyncIterator[Change]:
        """Every change after number `since`, as it happens; ends only when its reader does."""
        return self.feed.changes(since)

    async def wait_for(self, look: Callable[[], Found], timeout: float = 10.0) -> Found:
        """What `look` returns, once it is truthy: asked now and after every change. TimeoutError after `timeout` s."""
        async with asyncio.timeout(timeout):
            while True:
                seen = self.feed.seq
                if found := look():
                    return found
                await self.feed.changed(seen)

    # -- identifiers and time

    def now(self) -> float:
        return self.clock()

    def next_ts(self) -> str:
        """A message timestamp that nothing else in the workspace has."""
        self._last_micros = max(int(self.clock() * 1_000_000), self._last_micros + 1)
        return f"{self._last_micros // 1_000_000}.{self._last_micros % 1_000_000:06d}"

    def new_id(self, prefix: str) -> str:
        self._serial += 1
        return f"{prefix}0{self._serial:09X}"

    def new_trigger(self, user: str, view_id: str | None = None) -> Trigger:
        now = self.clock()
        identifier = f"{int(now * 1000)}.{self._serial_number()}.{secrets.token_hex(16)}"
        trigger = Trigger(identifier, user, now + TRIGGER_SECONDS, view_id)
        self.triggers[identifier] = trigger
        if len(self.triggers) > 2_000:
            # Expired ones are remembered for a while, so that they can be told from invented ones.
            for old in list(self.triggers)[:1_000]:
                del self.triggers[old]
        return trigger

    def new_hook(self, user: str, channel: str, original: Message | None = None) -> str:
        """A fresh response_url."""
        hook = Hook(secrets.token_hex(12), user, channel, self.clock() + HOOK_SECONDS, original)
        self.hooks[hook.id] = hook
        if len(self.hooks) > 20_000:
            for old in list(self.hooks)[:10_000]:
                del self.hooks[old]
        return f"{self.base_url}/hook/{hook.id}"

    def _serial_number(self) -> int:
        self._serial += 1
        return self._serial

    # -- people and channels

    def add_person(self, person: Person) -> Person:
        self.people[person.id] = person
        return person

    def add_channel(self, channel: Channel) -> Channel:
        channel.created = channel.created or int(self.clock())
        self.channels[channel.id] = channel
        return channel

    def person(self, who: str) -> Person:
        """By id, `name`, `@name` or full name; SandboxError when there is nobody."""
        if found := self.people.get(who):
            return found
        name = who.removeprefix("@").casefold()
        for person in self.people.values():
            if name in {person.name.casefold(), person.real_name.casefold()}:
                return person
        known = ", ".join(f"@{p.name}" for p in self.people.values() if not p.is_bot)
        raise SandboxError(f"there is nobody called {who!r} in the workspace; there are {known}")

    def channel(self, which: str) -> Channel:
        """By id, `name` or `#name`; SandboxError when there is none."""
        if found := self.channels.get(which):
            return found
        name = which.removeprefix("#")
        for channel in self.channels.values():
            if channel.name == name and not channel.is_im:
                return channel
        known = ", ".join(f"#{c.name}" for c in self.channels.values() if not c.is_im)
        raise SandboxError(f"there is no channel {which!r} in the workspace; there are {known}")

    def direct(self, users: Iterable[str]) -> Channel:
        """The direct conversation of exactly these people and the bot, opened if need be."""
        members = set(users) | {self.bot_user}
        for channel in self.channels.values():
            if (channel.is_im or channel.is_mpim) and channel.members == members:
                return channel
        others = sorted(members - {self.bot_user})
        single = len(others) == 1
        opened = self.add_channel(
            Channel(
                self.new_id("D" if single else "G"),
                others[0] if single else "mpdm-" + "--".join(self.people[user].name for user in others) + "-1",
                members,
                is_private=True,
                is_im=single,
                is_mpim=not single,
                im_user=others[0] if single else None,
            )
        )
        self.announce("channels")
        return opened

    # -- messages

    def post(self, message: Message) -> Message:
        """Put a message into its channel (and thread) and announce it."""
        channel = self.channels[message.channel]
        self._touch(message)
        channel.messages[message.ts] = message
        if message.is_reply and (root := channel.messages.get(message.thread_ts or "")):
            root.thread_ts = root.ts
            root.replies.append(message.ts)
        self.feed.publish("message", channel=channel.id, message=message)
        self._recount(message)
        return message

    def _recount(self, reply: Message) -> None:
        """Announce the root of a thread whose replies have become more or fewer; its own content is as it was."""
        if reply.is_reply and (root := self.channels[reply.channel].messages.get(reply.thread_ts or "")):
            self.feed.publish("message_changed", channel=root.channel, message=root)

    def _touch(self, message: Message) -> None:
        message.changed_at = self.clock()
        message.revision += 1

    def changed(self, message: Message) -> None:
        """Announce that a message, ephemeral or not, is no longer what it was."""
        self._touch(message)
        kind = "ephemeral" if message.ephemeral_for else "message_changed"
        self.feed.publish(kind, channel=message.channel, user=message.ephemeral_for, message=message)

    def delete(self, message: Message) -> None:
        message.deleted = True
        self._touch(message)
        if message.ephemeral_for:
            self.ephemerals.get(message.ephemeral_for, {}).pop(message.ts, None)
        else:
            messages = self.channels[message.channel].messages
            messages.pop(message.ts, None)
            self.channels[message.channel].pins.discard(message.ts)
            if message.is_reply and (root := messages.get(message.thread_ts or "")):
                root.replies.remove(message.ts)
        self.feed.publish("message_deleted", channel=message.channel, user=message.ephemeral_for, message=message)
        self._recount(message)

    def whisper(self, message: Message) -> Message:
        """Show a message to `message.ephemeral_for` alone."""
        assert message.ephemeral_for is not None
        self._touch(message)
        self.ephemerals.setdefault(message.ephemeral_for, {})[message.ts] = message
        self.feed.publish("ephemeral", channel=message.channel, user=message.ephemeral_for, message=message)
        return message

    def slackbot_says(self, user: str, channel: str, text: str) -> Message:
        """What Slack itself tells one person, such as that a command failed."""
        return self.whisper(Message(channel, self.next_ts(), seed.SLACKBOT, text, is_bot=True, ephemeral_for=user))

    def find_message(self, channel: str, ts: str, viewer: str | None = None) -> Message | None:
        """A message by its place; the ephemerals of `viewer` included."""
        found = self.channels[channel].messages.get(ts) if channel in self.channels else None
        if found is None and viewer is not None:
            found = self.ephemerals.get(viewer, {}).get(ts)
            if found is not None and found.channel != channel:
                return None
        return found

    # -- views

    def modal_of(self, user: str) -> View | None:
        """The modal on top of this person's screen."""
        stack = self.modals.get(user)
        return stack[-1] if stack else None

    def close_modals(self, user: str, *, down_to: int = 0) -> list[View]:
        """Take the modals above `down_to` off the stack and return them, the topmost first."""
        stack = self.modals.get(user, [])
        closed = stack[down_to:][::-1]
        del stack[down_to:]
        for view in closed:
            self.views.pop(view.id, None)
        if closed:
            self.feed.publish("modal", user=user, view=self.modal_of(user))
        return closed

    # -- the log

    def log(self, call: Call) -> None:
        self.calls.append(call)
        if len(self.calls) > CALLS_KEPT:
            del self.calls[: CALLS_KEPT // 2]

    def calls_to(self, method: str) -> list[Call]:
        """The logged calls of one Web API method, oldest first."""
        return [call for call in self.calls if call.method == method]

    def announce(self, kind: str, *, user: str | None = None, **extra: Any) -> None:
        self.feed.publish(kind, user=user, **extra)
