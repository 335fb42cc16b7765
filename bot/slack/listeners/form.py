"""The deploy form: opened from the bare command, filled by typeahead, checked when it is sent."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from slack_sdk.errors import SlackApiError

from bot.domain.actor import Door
from bot.domain.errors import BadCommand, DeploymentArchitectError, RequestRefused
from bot.engine.requests import Order
from bot.slack.desk import Caller
from bot.slack.names import DEPLOY_FORM, FormField
from bot.slack.render import form as render

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slack_bolt.async_app import AsyncAck, AsyncApp

    from bot.domain.grammar import OpenFormIntent
    from bot.engine.requests import Requests
    from bot.ports.providers import CatalogSource, Providers
    from bot.slack.desk import Desk
    from bot.slack.listeners.once import Once

log = logging.getLogger(__name__)

_TIME_FOR_TYPEAHEAD = 2.0
_TIME_FOR_CHECKS = 2.0
"""Seconds, of the three that Slack gives for an answer."""


class DeployForm:
    """Opens the form and listens to it."""

    def __init__(self, app: AsyncApp, *, catalogs: CatalogSource, providers: Providers, requests: Requests) -> None:
        self._app = app
        self._catalogs = catalogs
        self._providers = providers
        self._requests = requests

    async def open(self, intent: OpenFormIntent, trigger: str) -> None:
        """Show the form with what is known already. The skeleton goes first: a trigger lives three seconds."""
        try:
            opened = await self._app.client.views_open(trigger_id=trigger, view=render.loading())
        except SlackApiError as error:
            if error.response.get("error") in {"expired_trigger_id", "exchanged_trigger_id", "invalid_trigger_id"}:
                raise RequestRefused(
                    "The form could not be opened in time.", hint="Run the command again; nothing was started."
                ) from error
            raise
        catalog = self._catalogs.current()
        values = render.FormValues(
            service=intent.services[0] if intent.services else "",
            version=intent.version or "",
            environment=intent.environment or "",
            reason=intent.reason or "",
        )
        view = render.form([environment.name for environment in catalog.environments.values()], values=values)
        await self._app.client.views_update(view_id=opened["view"]["id"], hash=opened["view"]["hash"], view=view)

    def register(self, *, desk: Desk, once: Once) -> None:
        """Listen to the form's typeahead and to its being sent."""

        async def services(ack: AsyncAck, body: dict[str, Any]) -> None:
            typed = str(body.get("value") or "").casefold()
            names = [service.name for service in self._catalogs.current().services.values()]
            await ack(render.options(name for name in names if typed in name.casefold()))

        async def versions(ack: AsyncAck, body: dict[str, Any]) -> None:
            values = render.submitted(body.get("view") or {})
            await ack(render.options(await self._versions(values.service, str(body.get("value") or ""))))

        async def sent(ack: AsyncAck, body: dict[str, Any]) -> None:
            values = render.submitted(body["view"])
            caller = Caller(
                user=body["user"]["id"],
                team=body["user"].get("team_id") or (body.get("team") or {}).get("id"),
                channel=None,
                act=f"view:{body['view']['id']}",
                door=Door.FORM,
            )
            try:
                async with asyncio.timeout(_TIME_FOR_CHECKS):
                    await self._requests.check(await self._order(desk, values, caller))
            except RequestRefused as refusal:
                await ack(response_action="errors", errors=render.errors(refusal))
                return
            except (DeploymentArchitectError, TimeoutError):
                log.info("the form is taken unchecked: something that it needs does not answer in time")
            await ack()

            async def act(_: str) -> None:
                async def deploy() -> None:
                    await self._requests.deploy(await self._order(desk, values, caller))

                await desk.answering(deploy, _DirectMessage(self._app, caller.user))

            once.begin(body, act)

        app = self._app
        app.options(FormField.SERVICE.action_id)(services)
        app.options(FormField.VERSION.action_id)(versions)
        app.view(DEPLOY_FORM)(sent)

    async def _order(self, desk: Desk, values: render.FormValues, caller: Caller) -> Order:
        return Order(
            service=values.service,
            version=values.version,
            environment=values.environment,
            requester=await desk.member(caller),
            origin=caller.act,
            reason=values.reason,
        )

    async def _versions(self, service: str, typed: str) -> Sequence[str]:
        """Versions for the typeahead; none while no service is chosen or its source does not answer."""
        try:
            catalog = self._catalogs.current()
            images = self._providers.images(catalog, catalog.service(service).name)
            async with asyncio.timeout(_TIME_FOR_TYPEAHEAD):
                return await images.versions(prefix=typed)
        except (BadCommand, DeploymentArchitectError, TimeoutError) as error:
            log.info("no versions to suggest: %s", error)
            return []


class _DirectMessage:
    """Answers where nothing else is open any more: the form is closed by now."""

    def __init__(self, app: AsyncApp, user: str) -> None:
        self._app = app
        self._user = user

    async def __call__(self, message: Any) -> None:
        opened = await self._app.client.conversations_open(users=self._user)
        await self._app.client.chat_postMessage(
            channel=opened["channel"]["id"], text=message.text, blocks=message.blocks
        )
