"""Buttons of refused orders, locks, freezes and exceptions. Who may press is decided here and now."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bot.domain.errors import NothingToDo, RequestRefused, SomebodyWasFaster
from bot.slack.listeners.actions import UNREADABLE
from bot.slack.listeners.press import Press
from bot.slack.names import ActionId, ButtonValue, IdValue, OrderValue
from bot.slack.render.text import escape, sentence

if TYPE_CHECKING:
    from slack_bolt.async_app import AsyncAck, AsyncApp

    from bot.slack.desk import Desk
    from bot.slack.doors import Caller
    from bot.slack.listeners.forms import ReasonForms
    from bot.slack.listeners.once import Once
    from bot.slack.render.message import Message

_STAYS = frozenset({ActionId.ASK_OWNER})
"""After these the buttons beside them are still of use."""
_ANSWERED_IN_PLACE = frozenset({ActionId.WAIT})
"""After these nothing of the answer that had the button is of any use."""


def register(app: AsyncApp, *, desk: Desk, once: Once, forms: ReasonForms) -> None:
    """Listen to every button that is not one of a deployment."""

    async def pressed(ack: AsyncAck, body: dict[str, Any]) -> None:
        await ack()
        press = Press(app.client, body)

        async def act(act_id: str) -> None:
            async def do() -> None:
                value = press.value
                if value is None:
                    raise RequestRefused(UNREADABLE, hint="Use /deploy.")
                if await _opened(forms, value, press):
                    return
                try:
                    answer = await _obey(desk, press.action, value, press.caller(act_id), press.place)
                except (NothingToDo, SomebodyWasFaster) as over:
                    await press.settle(f"– {sentence(escape(over.message, 300))}")
                    raise
                if press.action not in _STAYS:
                    await press.settle(sentence(answer.text))
                await desk.reception.tell(press.reply(instead=press.action in _ANSWERED_IN_PLACE), answer)

            await desk.reception.answering(do, press.reply())

        once.begin(body, act)

    for action_id in ActionId:
        if action_id.carries is not ButtonValue:
            app.action(action_id.value)(pressed)


async def _opened(forms: ReasonForms, value: ButtonValue | OrderValue | IdValue, press: Press) -> bool:
    """Open the form that the button asks for, if it asks for one."""
    match press.action, value:
        case ActionId.TAKE_OVER, IdValue():
            await forms.take_over(value, press)
        case ActionId.ASK_OVERRIDE, OrderValue():
            await forms.override(value, press)
        case _:
            return False
    return True


async def _obey(
    desk: Desk, action: ActionId, value: ButtonValue | OrderValue | IdValue, caller: Caller, place: str
) -> Message:
    match action, value:
        case ActionId.WAIT, OrderValue():
            # One order a button and person, however often it is pressed.
            return await desk.orders.wait(value, replace(caller, act=place))
        case ActionId.ASK_OWNER, IdValue():
            return await desk.controls.ask_owner(value.id, value.extra, caller)
        case ActionId.UNLOCK, IdValue():
            return await desk.controls.unlock_one(value.id, caller)
        case ActionId.KEEP, IdValue():
            return await desk.controls.keep(value.id, caller)
        case ActionId.UNFREEZE, IdValue():
            return await desk.controls.lift(value.id, caller)
        case ActionId.CLOSE_PREVIEW, IdValue():
            return await desk.previews.close_one(value.id, value.extra, caller)
        case ActionId.AGREE, IdValue():
            return await desk.orders.agree(value.id, caller)
        case ActionId.REVIEW, IdValue():
            return await desk.orders.review(value.id, caller)
    raise RequestRefused(UNREADABLE, hint="Use /deploy.")
