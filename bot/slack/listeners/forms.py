"""The forms that ask for a reason: opened by a button or a command while its trigger lives, and decided when sent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from slack_sdk.errors import SlackApiError

from bot.domain.errors import BadCommand, DeploymentArchitectError, IdentityUnknown, RequestRefused
from bot.slack.listeners.sent import Sent
from bot.slack.names import (
    BREAK_GLASS_FORM,
    OVERRIDE_FORM,
    REJECT_FORM,
    TAKE_OVER_FORM,
    ButtonValue,
    FormField,
    FormValue,
    IdValue,
    OrderValue,
)
from bot.slack.render import answers, forms
from bot.slack.replies import Directly, InPlace
from bot.slack.trouble import code_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from slack_bolt.async_app import AsyncAck, AsyncApp

    from bot.domain.deployment import Deployment
    from bot.domain.ids import DeploymentId
    from bot.domain.policy.lock import StickyLock
    from bot.slack.desk import Desk
    from bot.slack.doors import Caller, Reply
    from bot.slack.listeners.once import Once
    from bot.slack.listeners.press import Press
    from bot.slack.render.message import Message

_TIME_TO_LOOK = 1.0
"""Seconds, of the three for which a trigger is good, for what makes a form say more."""
_TOO_LATE = frozenset({"expired_trigger_id", "exchanged_trigger_id", "invalid_trigger_id"})


async def open_form(app: AsyncApp, trigger: str, view: dict[str, Any], *, on_top: bool = False) -> dict[str, Any]:
    """Show a form; raises `RequestRefused` when it is too late. ``on_top`` of the dialog whose button was pressed."""
    call = app.client.views_push if on_top else app.client.views_open
    try:
        opened = await call(trigger_id=trigger, view=view)
    except SlackApiError as error:
        if code_of(error) in _TOO_LATE:
            raise RequestRefused(
                "The form could not be opened in time.", hint="Try it again; nothing was changed."
            ) from error
        raise
    found: dict[str, Any] = opened["view"]
    return found


class ReasonForms:
    """Opens these forms and listens to them. What may be done is decided when a form is sent."""

    def __init__(self, app: AsyncApp, *, desk: Desk, once: Once, redraw: Callable[[DeploymentId], None]) -> None:
        self._app = app
        self._desk = desk
        self._once = once
        self._redraw = redraw

    async def reject(self, value: ButtonValue, press: Press) -> None:
        """Ask why somebody rejects a deployment."""
        found: Deployment | None = await _in_time(self._desk.decisions.to_decide(value.deployment, press.caller("")))
        await self._open(press, forms.reject(_carried(value, press), deployment=found))

    async def take_over(self, value: IdValue, press: Press) -> None:
        """Ask why somebody takes a lock over."""
        lock: StickyLock | None = await _in_time(self._desk.controls.to_take(value.id, press.caller("")))
        await self._open(press, forms.take_over(_carried(value, press), lock=lock))

    async def override(self, value: OrderValue, press: Press) -> None:
        """Ask why a deployment should pass a freeze or a window."""
        await self._open(press, forms.override(_carried(value, press)))

    async def break_glass(self, order: OrderValue, caller: Caller) -> None:
        """Ask for the reason and the name of the service, as `bot.slack.desk.Forms` wants it."""
        assert caller.trigger is not None, "asked where there is one"
        await _in_time(self._desk.orders.to_break(order, caller))
        carried = FormValue(order, caller.channel or "")
        await open_form(self._app, caller.trigger, forms.break_glass(carried, reason=order.reason))

    async def _open(self, press: Press, view: dict[str, Any]) -> None:
        await open_form(self._app, press.trigger, view, on_top=press.in_dialog)

    def register(self) -> None:
        """Listen to the forms being sent."""

        async def reject(value: Any, written: forms.Filled, caller: Caller) -> Message | None:
            try:
                await self._desk.decisions.vote_no(value.deployment, written.reason, caller, subject=value.subject)
            finally:
                self._redraw(value.deployment)
            return None

        async def take_over(value: Any, written: forms.Filled, caller: Caller) -> Message | None:
            return await self._desk.controls.take_over(value.id, written.reason, caller)

        async def override(value: Any, written: forms.Filled, caller: Caller) -> Message | None:
            return await self._desk.orders.ask_override(value, written.reason, caller)

        async def break_glass(value: Any, written: forms.Filled, caller: Caller) -> Message | None:
            return answers.accepted(await self._desk.orders.shatter(value, written.reason, written.confirm, caller))

        self._on(REJECT_FORM, ButtonValue, reject)
        self._on(TAKE_OVER_FORM, IdValue, take_over)
        self._on(OVERRIDE_FORM, OrderValue, override)
        self._on(BREAK_GLASS_FORM, OrderValue, break_glass)

    def _on(
        self,
        callback: str,
        carries: type[ButtonValue | OrderValue | IdValue],
        act: Callable[[Any, forms.Filled, Caller], Awaitable[Message | None]],
    ) -> None:
        async def sent(ack: AsyncAck, body: dict[str, Any]) -> None:
            form = Sent(body)
            carried, written = FormValue.decode(form.view.get("private_metadata"), carries), forms.filled(form.view)
            if carried is None:
                unknown = RequestRefused(
                    "This form carries nothing that the bot knows.", hint="Close it, and try anew."
                )
                await ack(response_action="errors", errors=forms.errors(unknown))
                return

            def errors(refusal: RequestRefused) -> dict[str, str]:
                mistyped = isinstance(refusal, BadCommand) and bool(written.confirm and written.reason)
                return forms.errors(refusal, at=FormField.CONFIRM if mistyped else FormField.REASON)

            await form.settle(
                ack,
                lambda: act(carried.value, written, form.caller),
                once=self._once,
                reception=self._desk.reception,
                reply=self._reply(form, carried),
                errors=errors,
            )

        self._app.view(callback)(sent)

    def _reply(self, sent: Sent, value: FormValue) -> Reply:
        """Where the button was; a form itself has no place."""
        user = sent.caller.user
        if value.channel:
            return InPlace(client=self._app.client, channel=value.channel, user=user)
        return Directly(client=self._app.client, user=user)


def _carried(value: ButtonValue | OrderValue | IdValue, press: Press) -> FormValue:
    return FormValue(value, press.channel, press.message)


async def _in_time(look: Awaitable[Any]) -> Any:
    """What is found while the trigger lives, or None when that takes longer; raises what refuses the press."""
    try:
        async with asyncio.timeout(_TIME_TO_LOOK):
            return await look
    except RequestRefused as refusal:
        if isinstance(refusal, IdentityUnknown):
            return None
        raise
    except (TimeoutError, DeploymentArchitectError):
        return None
