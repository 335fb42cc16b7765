"""What a person can reach: their channels, the messages they see, the views they have open, the controls in those.

Everything here only looks; SandboxError says why something is out of reach.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.sandbox import payloads
from bot.sandbox.block_elements import initial_values, interactive
from bot.sandbox.model import MessageRef, SandboxError, ViewRef

if TYPE_CHECKING:
    from bot.sandbox.model import Channel, JsonDict, Message, Person, View
    from bot.sandbox.workspace import Workspace


class Reach:
    """Finds things on behalf of people."""

    def __init__(self, workspace: Workspace) -> None:
        self._ws = workspace

    def person(self, who: str) -> Person:
        person = self._ws.person(who)
        if person.deleted:
            raise SandboxError(f"@{person.name} has left the workspace")
        if person.is_bot:
            raise SandboxError(f"@{person.name} is an app, not a person")
        return person

    def place(self, person: Person, channel: str) -> Channel:
        place = self._ws.channel(channel)
        if person.id not in place.members:
            raise SandboxError(f"@{person.name} is not in #{place.name}")
        return place

    def root(self, place: Channel, thread_ts: str | None) -> str | None:
        if thread_ts is None:
            return None
        root = place.messages.get(thread_ts)
        if root is None:
            raise SandboxError(f"there is no message {thread_ts} in #{place.name} to answer to")
        return root.thread_ts if root.is_reply else root.ts

    def message(self, person: Person, ref: MessageRef) -> Message:
        self.place(person, ref.channel)
        message = self._ws.find_message(ref.channel, ref.ts, person.id)
        if message is None:
            raise SandboxError(f"@{person.name} sees no message {ref.ts} in {ref.channel}")
        return message

    def view(self, person: Person, view_id: str) -> View:
        view = self._ws.views.get(view_id)
        if view is None or view.user != person.id:
            raise SandboxError(f"@{person.name} has no view {view_id!r} open")
        return view

    def modal_id(self, container: MessageRef | ViewRef) -> str | None:
        if isinstance(container, MessageRef):
            return None
        view = self._ws.views.get(container.view_id)
        return view.id if view is not None and view.type == "modal" else None

    def control(
        self, who: str, container: MessageRef | ViewRef, action_id: str, block_id: str | None
    ) -> tuple[JsonDict, JsonDict]:
        person = self.person(who)
        holder = (
            self.message(person, container)
            if isinstance(container, MessageRef)
            else self.view(person, container.view_id)
        )
        known: list[str] = []
        for block, element in interactive(holder.blocks):
            if element["action_id"] == action_id and block_id in {None, block["block_id"]}:
                return block, element
            known.append(element["action_id"])
        raise SandboxError(f"there is no control {action_id!r} there; there are {', '.join(known) or 'none'}")

    def values(self, person: Person, container: MessageRef | ViewRef) -> dict[str, dict[str, JsonDict]]:
        """What stands in the fields around a control: of the view, or of this person's copy of the message."""
        if isinstance(container, ViewRef):
            return self.view(person, container.view_id).values
        message = self.message(person, container)
        fresh = initial_values(message.blocks)
        key = (person.id, container.channel, container.ts)
        old = self._ws.selections.get(key, {})
        for block_id, actions in fresh.items():
            actions.update({k: v for k, v in old.get(block_id, {}).items() if k in actions})
        if fresh:
            self._ws.selections[key] = fresh
        return fresh

    def where(self, person: Person, container: MessageRef | ViewRef) -> JsonDict:
        if isinstance(container, ViewRef):
            return payloads.in_view(self._ws, self.view(person, container.view_id))
        message = self.message(person, container)
        return payloads.in_message(self._ws, message, self.values(person, container))
