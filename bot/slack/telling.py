"""One deployment told once through: its root message, then its notes, each posted at most once.

Before anything is posted it is on record that it will be tried. After a lost answer or a crash one looks for the
message first and adopts it. When to come back is left to the publisher.
"""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from bot.domain.lifecycle import Phase
from bot.slack.asking import NOWHERE, askable, is_open, is_true, shows
from bot.slack.calls import BadContent, CallFailed, Gone, Refused
from bot.slack.files import Files
from bot.slack.names import ROOT_KEY
from bot.slack.record import Record
from bot.slack.render.approval import ask
from bot.slack.render.deployment import metadata, root
from bot.slack.render.message import explained
from bot.slack.render.notes import notes
from bot.slack.render.text import escape
from bot.slack.slots import Gate, GivenUp, NotHolder, Place, Slot, Urgency

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from bot.domain.deployment import Deployment
    from bot.domain.ids import DeploymentId
    from bot.domain.view import DeploymentView
    from bot.ports.messages import Messages, PostedMessage
    from bot.slack.budget import Budget, Pacing
    from bot.slack.calls import Calls
    from bot.slack.render.message import Message
    from bot.slack.render.notes import Note
    from bot.slack.slots import Showing

log = logging.getLogger(__name__)

MOVED_KEY = f"{ROOT_KEY}.moved"
"""The root message once more, in the fallback channel: the first one is gone or could not be posted."""
_CHANNEL_ID = re.compile(r"[CGD][A-Z0-9]{2,20}")


class Teller:
    """Brings Slack in line with one deployment."""

    def __init__(
        self,
        *,
        calls: Calls,
        budget: Budget,
        pacing: Pacing,
        messages: Messages,
        views: Callable[[DeploymentId], Awaitable[DeploymentView]],
        channel_of: Callable[[Deployment], str],
        fallback_channel: Callable[[], str],
        clock: Callable[[], datetime],
        now: Callable[[], float],
        holds: Callable[[], bool],
    ) -> None:
        self.calls = calls
        self.budget = budget
        self.messages = messages
        self.channel_of = channel_of
        self.fallback_channel = fallback_channel
        self.clock = clock
        self.now = now
        self.holds = holds
        self.look_back = pacing.look_back
        self.flushing = False
        """The bot stops: show the truth now, polite or not."""
        self._pacing = pacing
        self._views = views

    async def tell(self, slot: Slot) -> bool:
        """Bring Slack in line; False when something has to wait for a gate, which is then in the slot.

        Raises `CallFailed`, `NotHolder`, and what the store and the view raise.
        """
        view = await self._views(slot.id)
        slot.gates.clear()
        if not slot.given_up:
            try:
                await _Telling(self, slot, view, await self.messages.of(slot.id)).all()
            except GivenUp:
                slot.given_up = True
        if slot.gates:
            return False
        await self.messages.told(slot.id, view.deployment.view)
        return True

    def calm_gate(self, slot: Slot, key: str) -> Gate:
        """When another message of a slot than its root may be edited again."""
        return Gate(Urgency.NOTE, slot.beside.get(key, -1e9) + self._pacing.first_spacing)

    def edit_gate(self, slot: Slot, urgency: Urgency) -> Gate:
        """When the message of a slot may be edited again, as far as that message is concerned."""
        if urgency is Urgency.END or self.flushing:
            spacing = 0.0
        elif urgency is Urgency.PHASE:
            spacing = self._pacing.phase_spacing
        else:
            spacing = self._pacing.spacing(slot.edits)
        return Gate(Urgency.END if self.flushing else urgency, slot.shown_at + spacing)


class _Telling:
    """One pass over one deployment."""

    def __init__(self, teller: Teller, slot: Slot, view: DeploymentView, rows: Sequence[PostedMessage]) -> None:
        self._t = teller
        self._slot = slot
        self._view = view
        self._record = Record(teller, slot, view.deployment.number, rows)
        self._rows = self._record.rows
        self._files = Files(teller, self._record, view.deployment.number)

    async def all(self) -> None:
        """The root message first, because the notes hang below it; then those who are asked one by one."""
        await self._told_in_the_channel()
        for key, person in askable(self._view, self._rows):
            await self._ask(key, person)

    async def _told_in_the_channel(self) -> None:
        place = await self._root()
        for note in notes(self._view):
            if place is None:
                return
            try:
                await self._note(note, place)
            except Gone as gone:
                place = await self._move(gone)
                if place is not None:
                    await self._note(note, place)

    async def _root(self) -> Place | None:
        """Where the root message is, made true if it may be edited now; None while it waits to be posted."""
        moved = self._rows.get(MOVED_KEY)
        if moved is not None:
            return await self._moved()
        row = self._rows.get(ROOT_KEY)
        message = root(self._view)
        try:
            if row is not None and row.ts is not None:
                return await self._keep_true(row, message)
            return await self._post(ROOT_KEY, self._t.channel_of(self._view.deployment), message, Urgency.ROOT)
        except Gone as gone:
            return await self._move(gone)

    async def _move(self, gone: Gone) -> Place | None:
        """Post the root message once more, in the fallback channel; raises `GivenUp` when that was done already."""
        number = self._view.deployment.number
        moved = self._rows.get(MOVED_KEY)
        if moved is not None and moved.ts is not None:
            log.error("#%s is told nowhere any more: %s", number, gone)
            raise GivenUp
        log.warning("#%s is told in the fallback channel from now on: %s", number, gone)
        return await self._moved()

    async def _moved(self) -> Place | None:
        row = self._rows.get(MOVED_KEY)
        message = explained(root(self._view), self._why_here())
        try:
            if row is not None and row.ts is not None:
                return await self._keep_true(row, message)
            return await self._post(MOVED_KEY, self._t.fallback_channel(), message, Urgency.ROOT)
        except Gone as gone:
            log.error("#%s is told nowhere any more: %s", self._view.deployment.number, gone)
            raise GivenUp from gone

    def _why_here(self) -> str:
        row = self._rows.get(ROOT_KEY)
        channel = row.channel if row else self._t.channel_of(self._view.deployment)
        where = f"<#{channel}>" if _CHANNEL_ID.fullmatch(channel) else escape(channel, 80)
        return f"! Told here because its message in {where} is gone, or nothing can be posted or changed there."

    async def _keep_true(self, row: PostedMessage, message: Message) -> Place:
        assert row.ts is not None
        place = Place(row.channel, row.ts)
        slot, deployment = self._slot, self._view.deployment
        showing = _showing(deployment)
        if row.digest == message.digest:
            slot.shown = showing
            return place
        if slot.shown == showing:  # what the checks say of one that has succeeded is no end either
            urgency = Urgency.PROGRESS
        else:
            over = deployment.phase.final or deployment.phase is Phase.NEEDS_ATTENTION
            urgency = Urgency.END if over else Urgency.PHASE
        gate = self._t.edit_gate(slot, urgency)
        if gate.not_before > self._t.now() or self._t.budget.edit(urgent=gate.urgent) > 0:
            slot.gates.append(gate)
            return place
        if not self._t.holds():
            raise NotHolder
        await self._t.calls.edit(place.channel, place.ts, message)
        self._showed(showing)
        slot.edits += 1
        await self._record.posted(row.key, place, message.digest)
        return place

    async def _post(
        self,
        key: str,
        channel: str,
        message: Message,
        urgency: Urgency,
        *,
        thread: str | None = None,
        loud: bool = False,
        live: bool = False,
    ) -> Place | None:
        """Where that message is, posted now if it is not there; None while it waits for its turn.

        Nobody knows what one that is found again shows: one that is ``live`` counts as showing something else.
        """
        slot, budget = self._slot, self._t.budget
        row = self._rows.get(key)
        if row is not None and row.ts is not None:
            return Place(row.channel, row.ts)
        if row is not None and (ts := await self._record.find(row, thread)):
            place = Place(row.channel, ts)
            await self._record.posted(key, place, message.digest if thread and not live else "")
            return place if thread else await self._keep_true(self._rows[key], message)
        channel = await self._channel(channel)
        if budget.post(channel) > 0:
            slot.gates.append(Gate(urgency, 0.0, channel))
            return None
        budget.posted(channel)
        await self._record.trying(key, channel)
        try:
            place = Place(*await self._t.calls.post(channel, message, thread=thread, broadcast=loud))
        except CallFailed as failure:
            self._record.failed(key, failure)
            raise
        if thread is None:
            self._showed(_showing(self._view.deployment))
        await self._record.posted(key, place, message.digest)
        return place

    async def _note(self, note: Note, root_at: Place) -> None:
        row = self._rows.get(note.key)
        if note.settled and (row is None or (row.ts is None and not await self._record.find(row, root_at.ts))):
            return
        place = await self._post(
            note.key,
            root_at.channel,
            note.message,
            Urgency.NOTE,
            thread=root_at.ts,
            loud=note.broadcast,
            live=note.live,
        )
        if place is not None and note.live and not await self._beside(note.key, note.message, urgent=note.settled):
            await self._record.posted(note.key, place, note.message.digest)
        if place is not None and note.file is not None:
            await self._files.put(f"{note.key}.file", note.file, root_at)
        if place is not None and note.picture is not None:
            await self._files.draw(f"{note.key}.picture", note.picture, root_at)

    async def _ask(self, key: str, person: str) -> None:
        """The direct message to somebody who may approve: posted once, edited while it asks, when it is decided and
        when it is over. One that cannot be posted is left out; the note in the thread mentions those who are asked.
        """
        message = replace(ask(self._view, person), metadata=metadata(self._view, key))
        row = self._rows.get(key)
        try:
            if row is not None and row.ts is None and (ts := await self._record.find(row, None)):
                await self._record.posted(key, Place(row.channel, ts), "")
                row = self._rows[key]
            if row is not None and row.ts is not None:
                if is_true(row, self._view, message.digest):
                    return
                settled = not is_open(self._view)
                recorded = shows(self._view, message.digest)
                if not await self._beside(key, message, urgent=settled, recorded=recorded):
                    await self._record.posted(key, Place(row.channel, NOWHERE), NOWHERE)
            elif is_open(self._view):
                await self._ask_first(key, person, message)
        except (Gone, Refused, BadContent) as refusal:
            log.warning("#%s: %s is not asked directly: %s", self._view.deployment.number, person, refusal)
            if not (isinstance(refusal, Refused) and refusal.until_mended):
                await self._record.posted(key, Place(row.channel if row else person, NOWHERE), NOWHERE)

    async def _ask_first(self, key: str, person: str, message: Message) -> None:
        slot, budget = self._slot, self._t.budget
        channel = await self._t.calls.direct(person)
        if budget.post(channel) > 0:
            slot.gates.append(Gate(Urgency.NOTE, 0.0, channel))
            return
        budget.posted(channel)
        await self._record.trying(key, channel)
        try:
            place = Place(*await self._t.calls.post(channel, message))
        except CallFailed as failure:
            self._record.failed(key, failure)
            raise
        slot.beside[key] = self._t.now()
        await self._record.posted(key, place, message.digest)

    async def _beside(self, key: str, message: Message, *, urgent: bool, recorded: str | None = None) -> bool:
        """Make another message than the root true, now or later; False when it is gone or Slack does not want it."""
        row, slot = self._rows[key], self._slot
        if row.ts is None or row.digest == message.digest:
            return True
        gate = Gate(Urgency.PHASE, 0.0) if urgent else self._t.calm_gate(slot, key)
        if not self._t.flushing and (gate.not_before > self._t.now() or self._t.budget.edit(urgent=gate.urgent) > 0):
            slot.gates.append(gate)
            return True
        if not self._t.holds():
            raise NotHolder
        try:
            await self._t.calls.edit(row.channel, row.ts, message)
        except (Gone, Refused, BadContent) as refusal:
            if isinstance(refusal, Refused) and refusal.until_mended:
                raise
            log.warning("#%s: %s stays as it is: %s", self._view.deployment.number, key, refusal)
            return False
        slot.beside[key] = self._t.now()
        await self._record.posted(key, Place(row.channel, row.ts), recorded or message.digest)
        return True

    async def _channel(self, channel: str) -> str:
        try:
            return await self._t.calls.channel_id(channel)
        except Refused as refusal:
            log.warning("the channel %s cannot be looked up, its name is used as it is: %s", channel, refusal)
            return channel

    def _showed(self, showing: Showing) -> None:
        self._slot.shown = showing
        self._slot.shown_at = self._t.now()


def _showing(deployment: Deployment) -> Showing:
    countdown = deployment.countdown
    return deployment.phase, deployment.request is not None, countdown.state if countdown else None
