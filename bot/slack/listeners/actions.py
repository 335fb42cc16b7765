"""Buttons of deployments. A button names one, and what its presser saw; who may press it is decided here and now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.domain.errors import InvalidTransition, RequestRefused
from bot.slack.listeners.press import Press
from bot.slack.names import RESOLUTIONS, ActionId, ButtonValue
from bot.slack.render.text import escape, sentence

if TYPE_CHECKING:
    from collections.abc import Callable

    from slack_bolt.async_app import AsyncAck, AsyncApp

    from bot.domain.ids import DeploymentId
    from bot.ports.messages import Messages
    from bot.slack.desk import Desk
    from bot.slack.doors import Caller
    from bot.slack.listeners.forms import ReasonForms
    from bot.slack.listeners.once import Once

UNREADABLE = "This button carries nothing that the bot knows."


def register(
    app: AsyncApp,
    *,
    desk: Desk,
    once: Once,
    forms: ReasonForms,
    messages: Messages,
    redraw: Callable[[DeploymentId], None],
) -> None:
    """Listen to every button of a deployment; ``redraw`` shows its card anew.

    *Start* is offered in notices too, which nobody keeps true but who presses it.
    """

    async def pressed(ack: AsyncAck, body: dict[str, Any]) -> None:
        await ack()
        press = Press(app.client, body)

        async def act(act_id: str) -> None:
            async def do() -> None:
                value = press.value
                if not isinstance(value, ButtonValue):
                    raise RequestRefused(UNREADABLE, hint="Use /deploy.")
                kept_true = press.action is not ActionId.START or await messages.find(press.channel, press.message)
                try:
                    if press.action is ActionId.REJECT:
                        await forms.reject(value, press)
                    else:
                        await _obey(desk, press.action, value, press.caller(act_id))
                except InvalidTransition as over:
                    if not kept_true:
                        await press.settle(f"– {sentence(escape(over.message, 300))}")
                    raise
                else:
                    if not kept_true:
                        await press.settle(f"● Started by <@{escape(press.user, 40)}>")
                finally:
                    redraw(value.deployment)

            await desk.reception.answering(do, press.reply())

        once.begin(body, act)

    for action_id in ActionId:
        if action_id.carries is ButtonValue:
            app.action(action_id.value)(pressed)


async def _obey(desk: Desk, action: ActionId, value: ButtonValue, caller: Caller) -> None:
    match action:
        case ActionId.ABORT:
            await desk.decisions.stop(value.deployment, caller)
        case ActionId.ROLL_BACK:
            await desk.orders.take_back(value.deployment, caller)
        case ActionId.APPROVE:
            await desk.decisions.vote_yes(value.deployment, caller, subject=value.subject)
        case ActionId.START:
            await desk.decisions.start_again(value.deployment, caller)
        case ActionId.PROMOTE | ActionId.PROMOTE_FULL:
            await desk.rollouts.let_go_on(value.deployment, caller, step=value.step, to=value.to)
        case ActionId.HOLD:
            await desk.rollouts.hold_at(value.deployment, caller, step=value.step)
        case ActionId.RESUME:
            await desk.rollouts.resume_at(value.deployment, caller, step=value.step)
        case ActionId.CANCEL_COUNTDOWN:
            await desk.rollouts.cancel_countdown(value.deployment, caller)
        case ActionId.SNOOZE:
            await desk.rollouts.snooze(value.deployment, caller)
        case ActionId.ROLL_BACK_NOW:
            await desk.rollouts.roll_back_now(value.deployment, caller)
        case _:
            await desk.decisions.resolve(value.deployment, RESOLUTIONS[action], caller)
