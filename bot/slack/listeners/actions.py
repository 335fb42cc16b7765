"""Buttons. A button names a deployment and what its presser saw; who may press is decided here and now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.domain.actor import Door
from bot.domain.errors import RequestRefused
from bot.slack.desk import Caller
from bot.slack.names import RESOLUTIONS, ActionId, ButtonValue
from bot.slack.replies import ByAddress, InPlace, OnTop

if TYPE_CHECKING:
    from collections.abc import Callable

    from slack_bolt.async_app import AsyncAck, AsyncApp

    from bot.domain.ids import DeploymentId
    from bot.slack.desk import Desk, Reply
    from bot.slack.listeners.once import Once


def register(app: AsyncApp, *, desk: Desk, once: Once, redraw: Callable[[DeploymentId], None]) -> None:
    """Listen to every button of a deployment; ``redraw`` shows its card anew."""

    async def pressed(ack: AsyncAck, body: dict[str, Any]) -> None:
        await ack()

        async def act(act_id: str) -> None:
            action = body["actions"][0]
            caller = Caller(
                user=body["user"]["id"],
                team=body["user"].get("team_id") or (body.get("team") or {}).get("id"),
                channel=(body.get("channel") or {}).get("id"),
                act=act_id,
                door=Door.BUTTON if body.get("channel") else Door.HOME,
            )
            value = ButtonValue.decode(action.get("value"))

            async def press() -> None:
                if value is None:
                    raise RequestRefused("This button carries nothing that the bot knows.", hint="Use /deploy.")
                try:
                    await _press(desk, ActionId(action["action_id"]), value.deployment, caller)
                finally:
                    redraw(value.deployment)

            await desk.answering(press, _reply(app, body))

        once.begin(body, act)

    for action_id in ActionId:
        app.action(action_id.value)(pressed)


async def _press(desk: Desk, action: ActionId, deployment: DeploymentId, caller: Caller) -> None:
    if action is ActionId.ABORT:
        await desk.abort(deployment, caller)
    elif action is ActionId.ROLL_BACK:
        await desk.roll_back(deployment, caller)
    else:
        await desk.resolve(deployment, RESOLUTIONS[action], caller)


def _reply(app: AsyncApp, body: dict[str, Any]) -> Reply:
    message = body.get("message") or {}
    if channel := (body.get("channel") or {}).get("id"):
        thread = message.get("thread_ts")
        if thread and thread != message.get("ts"):
            return InPlace(client=app.client, channel=channel, user=body["user"]["id"], thread=thread)
        if url := body.get("response_url"):
            return ByAddress(url=url)
        return InPlace(client=app.client, channel=channel, user=body["user"]["id"])
    return OnTop(client=app.client, trigger=body["trigger_id"])
