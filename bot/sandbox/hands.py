"""What people do: type commands, talk, press, choose, fill in forms. Each act is delivered as Slack would deliver it.

A person can only do what their client would offer; anything else raises SandboxError with the reason. Confirm dialogs
are the client's matter: whoever calls `click` has accepted them.
"""

from __future__ import annotations

import mimetypes
from typing import TYPE_CHECKING, Any

from bot.sandbox import blocks as block_kit
from bot.sandbox import composer, eyes, forms, payloads, responses, view_stack
from bot.sandbox.block_elements import STATE
from bot.sandbox.delivery import NOBODY, TIMEOUT
from bot.sandbox.model import (
    Hook,
    Message,
    MessageRef,
    Receipt,
    SandboxError,
    SlackError,
    StoredFile,
    ViewRef,
)
from bot.sandbox.reach import Reach

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bot.sandbox.delivery import Delivery, Outcome
    from bot.sandbox.model import Button, Channel, JsonDict, Person, Seen, View
    from bot.sandbox.workspace import Workspace

TROUBLE = "We had some trouble connecting. Try again?"
SLOW = "Operation timed out. Apps need to respond within 3 seconds."
LOST = "The app could not be reached."
NOT_IN_THREADS = "{command} is not supported in threads. Sorry!"
TEXT_MENU = {"external_select", "multi_external_select"}


class Hands:
    """The hands of everybody in the workspace; `who` is a user id or a name, with or without @."""

    def __init__(self, workspace: Workspace, delivery: Delivery) -> None:
        self._ws = workspace
        self._reach = Reach(workspace)
        self._delivery = delivery

    # -- talking

    async def command(
        self, who: str, command: str, text: str, *, channel: str, thread_ts: str | None = None
    ) -> Receipt:
        """Use a slash command in a channel. What the app acks with is shown as Slack shows it."""
        ws, person = self._ws, self._reach.person(who)
        place = self._reach.place(person, channel)
        declared = ws.commands.get(command)
        if thread_ts is not None or declared is None:
            refusal = (
                NOT_IN_THREADS.format(command=command)
                if declared is not None
                else f"{command} is not a valid command. In Slack, only the commands of installed apps are."
            )
            ws.slackbot_says(person.id, place.id, refusal)
            return Receipt(False, refusal)
        typed = composer.mark_up(ws, text.strip(), labels=True) if declared.should_escape else text.strip()
        trigger = ws.new_trigger(person.id)
        url = ws.new_hook(person.id, place.id)
        payload = payloads.command(ws, person, place, declared, typed, trigger.id, url)
        outcome = await self._delivery.deliver("slash_commands", payload, accepts_response=True)
        error = f'{command} failed with the error "{outcome.error}"' if outcome.error else None
        if error is None and outcome.payload:
            hook = Hook("", person.id, place.id, 0.0)
            try:
                responses.respond(ws, hook, outcome.payload)
            except SlackError as refusal_:
                error = f'{command} failed with the error "{refusal_.error}"'
        if error is not None:
            ws.slackbot_says(person.id, place.id, error)
        return _receipt(outcome, error)

    async def say(self, who: str, text: str, *, channel: str, thread_ts: str | None = None) -> Receipt:
        """Post a message as this person. The bot hears of it when it is mentioned, or in direct messages."""
        ws, person = self._ws, self._reach.person(who)
        place = self._reach.place(person, channel)
        if place.is_archived:
            raise SandboxError(f"#{place.name} is archived")
        if not text.strip():
            raise SandboxError("there is nothing to say")
        root = self._reach.root(place, thread_ts)
        marked = composer.mark_up(ws, text, labels=False)
        message = Message(place.id, ws.next_ts(), person.id, marked, thread_ts=root)
        message.blocks = composer.rich_text(marked, ws.new_id("b"))
        ws.post(message)
        receipt = Receipt(True)
        for kind in self._events_of(place, marked):
            event = payloads.event(ws, payloads.message_event(ws, message, kind))
            outcome = await self._delivery.deliver("events_api", event)
            receipt = _receipt(outcome, _why(outcome))
        return Receipt(receipt.acked, receipt.error, None, receipt.delivered_at, receipt.elapsed, eyes.ref(message))

    def _events_of(self, place: Channel, text: str) -> list[str]:
        ws = self._ws
        if ws.bot_user not in place.members:
            return []
        if place.is_im:
            return ["message"] if "message.im" in ws.events else []
        kind = "message.mpim" if place.is_mpim else "message.groups" if place.is_private else "message.channels"
        found = ["message"] if kind in ws.events else []
        if f"<@{ws.bot_user}>" in text and "app_mention" in ws.events:
            found.append("app_mention")
        return found

    async def upload(
        self,
        who: str,
        *,
        channel: str,
        name: str,
        content: bytes,
        text: str = "",
        thread_ts: str | None = None,
    ) -> MessageRef:
        """Share a file in a channel."""
        ws, person = self._ws, self._reach.person(who)
        place = self._reach.place(person, channel)
        stored = StoredFile(ws.new_id("F"), name, len(content), person.id, int(ws.now()), content, title=name)
        stored.mimetype = mimetypes.guess_type(name)[0] or "text/plain"
        stored.shared, stored.channels = True, [place.id]
        ws.files[stored.id] = stored
        root = self._reach.root(place, thread_ts)
        message = Message(place.id, ws.next_ts(), person.id, composer.mark_up(ws, text, labels=False))
        message.thread_ts, message.files = root, [stored.id]
        return eyes.ref(ws.post(message))

    # -- pressing and choosing

    async def click(
        self,
        who: str,
        *,
        container: MessageRef | ViewRef,
        action_id: str,
        block_id: str | None = None,
        value: str | None = None,
    ) -> Receipt:
        """Press a button; with `value`, pick that option of a menu instead."""
        if value is not None:
            _, element = self._reach.control(who, container, action_id, block_id)
            if element["type"] not in eyes.BUTTONS | {"feedback_buttons"}:
                return await self.choose(
                    who, container=container, action_id=action_id, values=[value], block_id=block_id
                )
        return await self.act(who, container=container, action_id=action_id, block_id=block_id)

    async def choose(
        self,
        who: str,
        *,
        container: MessageRef | ViewRef,
        action_id: str,
        values: list[str],
        block_id: str | None = None,
    ) -> Receipt:
        """Pick options (by value or label), people, channels or dates; none clears the choice."""
        block, element = self._reach.control(who, container, action_id, block_id)
        if element["type"] == "overflow":
            if len(values) != 1:
                raise SandboxError("an overflow menu takes one value")
            change: JsonDict = {"selected_option": forms.pick(element["options"], values[0])}
        else:
            options = await self._options(who, container, block, element, values)
            change = forms.state_of(self._ws, element, values, options)
        return await self.act(who, container=container, action_id=action_id, block_id=block["block_id"], change=change)

    async def suggest(
        self,
        who: str,
        *,
        container: MessageRef | ViewRef,
        action_id: str,
        query: str,
        block_id: str | None = None,
    ) -> list[JsonDict]:
        """Type into an external select and get the options that the app offers, groups flattened.

        SandboxError when the app does not answer in time or offers something that Slack would not show.
        """
        person = self._reach.person(who)
        block, element = self._reach.control(who, container, action_id, block_id)
        if element["type"] not in TEXT_MENU:
            raise SandboxError(f"{action_id!r} is a {element['type']}, which asks nobody for options")
        if len(query) < element.get("min_query_length", 3):
            return []
        payload = payloads.suggestion(
            self._ws,
            person,
            self._reach.where(person, container),
            action_id=element["action_id"],
            block_id=block["block_id"],
            query=query,
        )
        outcome = await self._delivery.deliver("interactive", payload, accepts_response=True)
        if not outcome.acked:
            raise SandboxError(f"no options: {_why(outcome)}")
        answer = outcome.payload or {}
        if faults := block_kit.options_faults(answer):
            raise SandboxError(f"the app's options cannot be shown: {faults[0]}")
        return forms.offered(answer)

    async def act(
        self,
        who: str,
        *,
        container: MessageRef | ViewRef,
        action_id: str,
        block_id: str | None = None,
        change: Mapping[str, Any] | None = None,
        state: Mapping[str, Mapping[str, JsonDict]] | None = None,
    ) -> Receipt:
        """One block action. `change` is the element's new state, `state` what stands in the other fields around it."""
        person = self._reach.person(who)
        block, element = self._reach.control(who, container, action_id, block_id)
        values = self._reach.values(person, container)
        _put(values, state)
        kind = element["type"]
        fields = {key: val for key, val in (change or {}).items() if key.startswith(("selected_", "value", "files"))}
        if kind in STATE:
            key, _, empty = STATE[kind]
            values.setdefault(block["block_id"], {})[element["action_id"]] = {
                "type": kind,
                key: fields.get(key, empty),
            }
        action: JsonDict = {"type": kind, "block_id": block["block_id"], "action_id": element["action_id"]}
        action |= {k: element[k] for k in ("text", "value", "style", "placeholder", "url") if k in element}
        return await self._send(person, container, action | fields)

    async def click_old(self, who: str, button: Button) -> Receipt:
        """Press a button as it once was: this person's screen has not heard yet of what became of its message."""
        return await self._send(self._reach.person(who), button.container, payloads.pressed(button))

    async def _send(self, person: Person, container: MessageRef | ViewRef, action: JsonDict) -> Receipt:
        ws = self._ws
        trigger = ws.new_trigger(person.id, self._reach.modal_id(container))
        payload = payloads.interaction(ws, "block_actions", person, trigger.id)
        payload |= self._reach.where(person, container)
        if isinstance(container, MessageRef):
            original = self._reach.message(person, container)
            payload["response_url"] = ws.new_hook(person.id, container.channel, original)
        payload["actions"] = [action | {"action_ts": ws.next_ts()}]
        outcome = await self._delivery.deliver("interactive", payload)
        return _receipt(outcome, _why(outcome))

    # -- forms

    async def submit(self, who: str, view_id: str, values: Mapping[str, Any]) -> Receipt:
        """Fill in a modal and send it. Keys are block ids, action ids or labels; a list means several values."""
        person = self._reach.person(who)
        view = self._reach.view(person, view_id)
        for name, given in values.items():
            block, element = forms.field_of(view, name)
            wanted = [str(v) for v in given] if isinstance(given, (list, tuple)) else [str(given)]
            ref = ViewRef(view.id)
            options = await self._options(who, ref, block, element, wanted)
            change = forms.state_of(self._ws, element, wanted, options)
            if block.get("type") != "input" or block.get("dispatch_action"):
                await self.act(
                    who, container=ref, action_id=element["action_id"], block_id=block["block_id"], change=change
                )
            else:
                view.values.setdefault(block["block_id"], {})[element["action_id"]] = change
        return await self.submit_state(who, view_id)

    async def submit_state(
        self, who: str, view_id: str, state: Mapping[str, Mapping[str, JsonDict]] | None = None
    ) -> Receipt:
        """Send a modal as it stands, its fields set to `state` where given."""
        ws, person = self._ws, self._reach.person(who)
        view = self._reach.view(person, view_id)
        if view.type != "modal" or not view.body.get("submit"):
            raise SandboxError("this view cannot be submitted")
        _put(view.values, state)
        if errors := forms.client_errors(view):
            return self._invalid(view, Receipt(False, next(iter(errors.values())), {"errors": errors}))
        trigger = ws.new_trigger(person.id, view.id)
        payload = payloads.submission(ws, person, view, trigger.id)
        outcome = await self._delivery.deliver("interactive", payload, accepts_response=True)
        if not outcome.acked:
            return _receipt(outcome, TROUBLE)
        try:
            invalid = view_stack.follow(ws, view, outcome.payload or {})
        except SlackError:
            return _receipt(outcome, TROUBLE)
        receipt = _receipt(outcome, None)
        return self._invalid(view, receipt) if invalid else receipt

    def _invalid(self, view: View, receipt: Receipt) -> Receipt:
        view.errors = receipt.errors
        view.updated_at = self._ws.now()
        self._ws.feed.publish("modal", user=view.user, view=view)
        return receipt

    async def close(self, who: str, view_id: str, *, everything: bool = False) -> Receipt:
        """Cancel a modal (`everything`: its whole stack). The app hears of it if it asked to."""
        ws, person = self._ws, self._reach.person(who)
        view = self._reach.view(person, view_id)
        if view.type != "modal":
            raise SandboxError("only a modal can be closed")
        stack = ws.modals[person.id]
        cleared = everything or bool(view.body.get("clear_on_close"))
        receipt = Receipt(True)
        for shut in ws.close_modals(person.id, down_to=0 if cleared else stack.index(view)):
            if shut.body.get("notify_on_close"):
                payload = payloads.closed(ws, person, shut, cleared=cleared)
                outcome = await self._delivery.deliver("interactive", payload)
                receipt = _receipt(outcome, _why(outcome))
        return receipt

    # -- the app itself

    async def open_home(self, who: str, tab: str = "home") -> Receipt:
        """Open the app's Home (or its messages) tab."""
        ws, person = self._ws, self._reach.person(who)
        direct = ws.direct([person.id])
        if tab == "home":
            ws.home_opened_at[person.id] = ws.now()
            ws.feed.publish("home", user=person.id, view=ws.homes.get(person.id))
        if "app_home_opened" not in ws.events:
            return Receipt(True)
        event = payloads.event(ws, payloads.home_opened(ws, person, direct, tab))
        outcome = await self._delivery.deliver("events_api", event)
        return _receipt(outcome, _why(outcome))

    async def shortcut(self, who: str, callback_id: str, *, message: MessageRef | None = None) -> Receipt:
        """Use a global shortcut, or one on a message."""
        ws, person = self._ws, self._reach.person(who)
        trigger = ws.new_trigger(person.id)
        kind = "shortcut" if message is None else "message_action"
        payload = payloads.interaction(ws, kind, person, trigger.id)
        payload |= {"callback_id": callback_id, "action_ts": ws.next_ts()}
        if message is not None:
            found = self._reach.message(person, message)
            place = payloads.in_message(ws, found, {})
            payload |= {"channel": place["channel"], "message": place.get("message")}
            payload |= {"message_ts": found.ts, "response_url": ws.new_hook(person.id, found.channel, found)}
        outcome = await self._delivery.deliver("interactive", payload)
        return _receipt(outcome, _why(outcome))

    # -- looking

    def visible_buttons(self, who: str) -> list[Button]:
        """Every button this person could press now, the newest first."""
        return eyes.visible_buttons(self._ws, self._reach.person(who).id)

    def can_see(self, who: str) -> list[Seen]:
        """Everything this person can read now, the oldest first."""
        return eyes.can_see(self._ws, self._reach.person(who).id)

    def modal(self, who: str) -> View | None:
        """The modal on top of this person's screen."""
        return self._ws.modal_of(self._reach.person(who).id)

    async def _options(
        self,
        who: str,
        container: MessageRef | ViewRef,
        block: JsonDict,
        element: JsonDict,
        values: Sequence[str],
    ) -> list[JsonDict]:
        """What a menu offers for these values; an external one is asked, as by typing each of them."""
        if element["type"] not in TEXT_MENU:
            return forms.offered(element)
        found: list[JsonDict] = []
        for value in values:
            found += await self.suggest(
                who, container=container, action_id=element["action_id"], query=value, block_id=block["block_id"]
            )
        return found


def _put(values: dict[str, dict[str, JsonDict]], state: Mapping[str, Mapping[str, JsonDict]] | None) -> None:
    """Take over what a page says stands in the fields, where there are such fields."""
    for block_id, actions in (state or {}).items():
        for action_id, given in actions.items():
            if action_id in values.get(block_id, {}):
                values[block_id][action_id] = dict(given)


def _why(outcome: Outcome) -> str | None:
    if outcome.error is None:
        return None
    return {TIMEOUT: SLOW, NOBODY: LOST}.get(outcome.error, outcome.error)


def _receipt(outcome: Outcome, error: str | None) -> Receipt:
    return Receipt(outcome.acked, error, outcome.payload, outcome.delivered_at, outcome.elapsed)
