"""The deploy form: opened from the bare command, filled by typeahead, checked when it is sent."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any

from bot.domain.errors import BadCommand, DeploymentArchitectError
from bot.domain.grammar import DeployIntent
from bot.domain.ids import EnvironmentName, ServiceName
from bot.slack.listeners.forms import open_form
from bot.slack.listeners.sent import Sent
from bot.slack.names import DEPLOY_FORM, FormField
from bot.slack.render import blocks as b
from bot.slack.render import form as render
from bot.slack.render.text import escape
from bot.slack.replies import Directly

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from slack_bolt.async_app import AsyncAck, AsyncApp

    from bot.domain.grammar import OpenFormIntent
    from bot.ports.providers import CatalogSource, Providers
    from bot.slack.desk import Desk
    from bot.slack.doors import Caller
    from bot.slack.listeners.once import Once
    from bot.slack.render.message import Message

log = logging.getLogger(__name__)

_TIME_FOR_TYPEAHEAD = 2.0
"""Seconds, of the three that Slack gives for an answer."""
_ALSO_SAID = ("strategy", "at", "expires", "dry_run", "force")
"""What the form does not ask for, and what was said of it beforehand counts."""


class DeployForm:
    """Opens the form and listens to it."""

    def __init__(self, app: AsyncApp, *, catalogs: CatalogSource, providers: Providers) -> None:
        self._app = app
        self._catalogs = catalogs
        self._providers = providers

    async def open(self, intent: OpenFormIntent, caller: Caller) -> None:
        """Show the form with what is known already. The skeleton goes first: a trigger lives three seconds."""
        assert caller.trigger is not None, "asked where there is one"
        opened = await open_form(self._app, caller.trigger, render.loading())
        catalog = self._catalogs.current()
        values = render.FormValues(
            service=intent.services[0] if intent.services else "",
            version=intent.version or "",
            environment=intent.environment or "",
            reason=intent.reason or "",
        )
        said = {name: found for name in _ALSO_SAID if (found := getattr(intent, name))}
        view = render.form(
            [environment.name for environment in catalog.environments.values()],
            values=values,
            context=json.dumps(said) if said else "",
        )
        if said:
            words = ", ".join(escape(f"{name.replace('_', '-')}={found}", 120) for name, found in said.items())
            view["blocks"].append(b.context(f"As you said: {words}"))
        await self._app.client.views_update(view_id=opened["id"], hash=opened["hash"], view=view)

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
            form = Sent(body)
            intent = _intent(form.view)

            async def act() -> Message | None:
                answered: list[Message] = []

                async def keep(message: Message) -> None:
                    answered.append(message)

                await desk.orders.deploy(intent, form.caller, keep)
                return answered[-1] if answered else None

            await form.settle(
                ack,
                act,
                once=once,
                reception=desk.reception,
                reply=Directly(client=self._app.client, user=form.caller.user),
                errors=render.errors,
                shown=True,
            )

        app = self._app
        app.options(FormField.SERVICE.action_id)(services)
        app.options(FormField.VERSION.action_id)(versions)
        app.view(DEPLOY_FORM)(sent)

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


def _intent(view: Mapping[str, Any]) -> DeployIntent:
    """What the form asks for, with what was said before it was opened."""
    values = render.submitted(view)
    try:
        found = json.loads(view.get("private_metadata") or "{}")
    except ValueError:
        found = {}
    said = found if isinstance(found, dict) else {}

    def text(name: str) -> str | None:
        return said[name] if isinstance(said.get(name), str) else None

    return DeployIntent(
        services=(ServiceName(values.service),),
        version=values.version,
        environment=EnvironmentName(values.environment),
        strategy=text("strategy"),
        reason=values.reason or None,
        dry_run=said.get("dry_run") is True,
        force=said.get("force") is True,
        at=text("at"),
        expires=text("expires"),
    )
