"""Remembers what each person of the script could read and when it last changed, and tells the transcript what is new.

It only looks: nothing here acts, and nothing here waits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bot.sandbox.model import MessageRef

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bot.sandbox.model import Message, Seen
    from bot.sandbox.script.world import Hands, Workspace

    Key = tuple[str, ...]


_PRIVATE = frozenset({"dm", "ephemeral", "home", "modal"})


@dataclass(frozen=True, slots=True)
class Heard:
    """Something that somebody could newly read, or that changed, or that is gone.

    `to` is the only person who sees it (None: everybody in the channel); `before` is its text before an edit.
    """

    kind: Literal["new", "edited", "gone"]
    where: str
    author: str
    channel: str | None
    to: str | None
    text: str
    before: str


@dataclass(slots=True)
class _Known:
    seen: Seen
    came: int
    changed: int


class Witness:
    """The eyes of the script's people. `tell` is called once for everything new, however many of them see it."""

    def __init__(
        self, hands: Hands, workspace: Workspace, people: Sequence[str], tell: Callable[[Heard], None]
    ) -> None:
        self._hands = hands
        self._workspace = workspace
        self._tell = tell
        self._looks = 0
        self._known: dict[str, dict[Key, _Known]] = {who: {} for who in people}
        self._told: dict[tuple[str | None, Key], str] = {}

    @property
    def people(self) -> list[str]:
        """Whose eyes these are."""
        return list(self._known)

    def look(self, *, quietly: bool = False) -> int:
        """Look through everybody's eyes; returns the number of this look. `quietly` tells nothing (what was before)."""
        self._looks += 1
        for who, known in self._known.items():
            visible = {_key(seen): seen for seen in self._hands.can_see(who)}
            for key, seen in visible.items():
                old = known.get(key)
                if old is None or (old.seen.text, old.seen.at) != (seen.text, seen.at):
                    known[key] = _Known(seen, old.came if old else self._looks, self._looks)
                    self._heard(who, key, seen, quietly=quietly)
            for key in known.keys() - visible.keys():
                self._lost(who, key, known.pop(key).seen, quietly=quietly)
        return self._looks

    def since(self, who: str, look: int) -> Iterator[Seen]:
        """What the bot (or Slack) shows this person that came or changed after that look."""
        for known in self._known[who].values():
            if known.changed > look and self.by_bot(who, known.seen):
                yield known.seen

    def answered(self, who: str, look: int) -> bool:
        """Whether the bot turned to this person after that look.

        Edits in the channel and posts outside threads do not count: they may have other reasons than this person.
        """
        for (where, *_), known in self._known[who].items():
            turned = known.changed if where in {"ephemeral", "modal"} else known.came if where == "thread" else 0
            if turned > look and self.by_bot(who, known.seen):
                return True
        return False

    def quiet_since(self, who: str, look: int) -> bool:
        """Whether nothing that this person sees came or changed after that look."""
        return all(known.changed <= look for known in self._known[who].values())

    def modal(self, who: str) -> Seen | None:
        """The modal on top of this person's screen."""
        modals = [known.seen for (where, *_), known in self._known[who].items() if where == "modal"]
        return max(modals, key=lambda seen: seen.at) if modals else None

    def newest_bot_message(self, who: str) -> MessageRef | None:
        """Where the bot last posted something that this person can see, ephemerals aside."""
        found = [
            (known.seen.posted_at, known.seen.ref)
            for (where, *_), known in self._known[who].items()
            if where in {"channel", "thread"}
            and isinstance(known.seen.ref, MessageRef)
            and self.by_bot(who, known.seen)
        ]
        return max(found, key=lambda pair: (pair[0], pair[1].ts))[1] if found else None

    def by_bot(self, who: str, seen: Seen) -> bool:
        """Whether this was not said by a person."""
        message = self._message(who, seen)
        return message is None or message.is_bot

    def _message(self, who: str, seen: Seen) -> Message | None:
        if not isinstance(seen.ref, MessageRef):
            return None
        viewer = self._workspace.person(who).id
        return self._workspace.find_message(seen.ref.channel, seen.ref.ts, viewer)

    def _heard(self, who: str, key: Key, seen: Seen, *, quietly: bool) -> None:
        to = who if seen.where in _PRIVATE else None
        before = self._told.get((to, key))
        self._told[to, key] = seen.text
        if quietly or before == seen.text or not self.by_bot(who, seen):
            return
        kind: Literal["new", "edited"] = "new" if before is None else "edited"
        self._tell(Heard(kind, seen.where, seen.author, self._channel(seen), to, seen.text, before or ""))

    def _lost(self, who: str, key: Key, seen: Seen, *, quietly: bool) -> None:
        to = who if seen.where in _PRIVATE else None
        if self._told.pop((to, key), None) is None or quietly:
            return
        self._tell(Heard("gone", seen.where, seen.author, self._channel(seen), to, "", seen.text))

    def _channel(self, seen: Seen) -> str | None:
        return self._workspace.channel(seen.channel).name if seen.channel else None


def _key(seen: Seen) -> Key:
    """What stays the same while a message is edited, gets a thread, or a view is replaced by its next version."""
    if isinstance(seen.ref, MessageRef):
        return (seen.where, seen.ref.channel, seen.ref.ts)
    return ("home",) if seen.where == "home" else (seen.where, seen.ref.view_id)
