"""Slack as one thing that starts and stops: the Bolt app, its listeners, the socket or HTTP, publisher and Home tab."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.web.async_client import AsyncWebClient

from bot.domain.errors import ConfigurationError, RequestRefused
from bot.slack.desk import Desk, Forms
from bot.slack.identity import Identity
from bot.slack.listeners import actions, commands, controls, mentions
from bot.slack.listeners.form import DeployForm
from bot.slack.listeners.forms import ReasonForms
from bot.slack.listeners.home import Home
from bot.slack.listeners.once import Once
from bot.slack.noticeboard import Noticeboard
from bot.slack.publisher import Publisher
from bot.slack.render import answers
from bot.slack.socket import SocketSupervisor
from bot.slack.trouble import TROUBLE, brief, code_of
from bot.slack.work import Work

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

    from starlette.requests import Request
    from starlette.responses import Response

    from bot.domain.deployment import Deployment
    from bot.engine.engine import Engine
    from bot.ports.inbox import Inbox
    from bot.ports.leases import Leases
    from bot.ports.messages import Messages
    from bot.ports.notices import Notices
    from bot.ports.providers import CatalogSource, Providers

log = logging.getLogger(__name__)

_BAD_TOKEN = {"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired"}
_CALL = 10
"""Seconds that one Web API call may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackTokens:
    """What Slack knows us by. Shown nowhere."""

    bot: str = field(repr=False)
    app: str | None = field(default=None, repr=False)
    signing_secret: str | None = field(default=None, repr=False)
    api_url: str = "https://slack.com/api/"


def identify(tokens: SlackTokens, *, default_zone: Callable[[], str]) -> Identity:
    """Who people are, as Slack says: what the engine asks before it lets anybody do anything. Nothing is sent yet."""
    client = AsyncWebClient(token=tokens.bot, base_url=tokens.api_url, timeout=_CALL, retry_handlers=[])
    return Identity(client=client, default_zone=default_zone)


@dataclass(kw_only=True)
class Slack:
    """Everything of Slack that runs."""

    app: AsyncApp
    tokens: SlackTokens
    identity: Identity
    publisher: Publisher
    noticeboard: Noticeboard
    home: Home
    work: Work
    catalogs: CatalogSource
    socket: SocketSupervisor | None
    _running: list[asyncio.Task[None]] = field(default_factory=list)

    @classmethod
    def build(
        cls,
        *,
        tokens: SlackTokens,
        identity: Identity,
        engine: Engine,
        catalogs: CatalogSource,
        providers: Providers,
        inbox: Inbox,
        messages: Messages,
        notices: Notices,
        leases: Leases,
        replica: str,
        life: str,
    ) -> Self:
        """Put the parts together; nothing is sent or opened yet. ``identity`` is the one that `identify` made.

        ``replica`` is the same over a restart, so that a replica which died speaks on at once; ``life`` is another one
        each time, so that the act which it died over is known to be left behind.
        """
        ledger, queries = engine.ledger, engine.queries
        app = _app(identity.client, tokens, identity)
        work = Work()

        def fallback() -> str:
            return catalogs.current().admin_channel or catalogs.current().channel

        publisher = Publisher(
            client=identity.client,
            deployments=ledger.deployments,
            messages=messages,
            leases=leases,
            views=queries.view,
            channel_of=lambda deployment: deployment.channel,
            fallback_channel=fallback,
            clock=ledger.now,
            holder=replica,
        )
        noticeboard = Noticeboard(
            notices=notices,
            calls=publisher.calls,
            budget=publisher.budget,
            pacing=publisher.pacing,
            fallback_channel=fallback,
            clock=ledger.now,
            holds=lambda: publisher.holds,
        )

        async def stamp() -> Hashable:
            active = await ledger.deployments.active()
            return await queries.freezes.epoch(), tuple((deployment.id, deployment.view) for deployment in active)

        home = Home(app, queries=queries, identity=identity, work=work, stamp=stamp)
        once = Once(inbox=inbox, work=work, owner=life, now=ledger.now)

        def controlled() -> None:
            home.changed()
            noticeboard.nudge()

        desk = Desk.of(engine, catalogs=catalogs, identity=identity, changed=controlled)
        deploy_form = DeployForm(app, catalogs=catalogs, providers=providers)
        reason_forms = ReasonForms(app, desk=desk, once=once, redraw=publisher.nudge)
        forms = Forms(deploy=deploy_form.open, break_glass=reason_forms.break_glass)
        commands.register(app, desk=desk, once=once, forms=forms)
        mentions.register(app, desk=desk, once=once, forms=forms, messages=messages)
        actions.register(app, desk=desk, once=once, forms=reason_forms, messages=messages, redraw=publisher.nudge)
        controls.register(app, desk=desk, once=once, forms=reason_forms)
        deploy_form.register(desk=desk, once=once)
        reason_forms.register()
        home.register()

        def changed(deployment: Deployment) -> None:
            publisher.nudge(deployment.id)
            home.changed()

        ledger.listeners.append(changed)
        socket = SocketSupervisor(app=app, app_token=tokens.app) if tokens.app else None
        return cls(
            app=app,
            tokens=tokens,
            identity=identity,
            publisher=publisher,
            noticeboard=noticeboard,
            home=home,
            work=work,
            catalogs=catalogs,
            socket=socket,
        )

    @property
    def listening(self) -> bool:
        """Whether Slack can reach us now."""
        return self.socket is None or self.socket.connected > 0

    async def check(self) -> None:
        """Raise `ConfigurationError` if Slack refuses a token. A Slack that is down is no reason not to start."""
        try:
            self.identity.learn(await self.app.client.auth_test())
        except TROUBLE as error:
            if code_of(error) in _BAD_TOKEN:
                raise ConfigurationError(
                    f"Slack refuses SLACK_BOT_TOKEN ({code_of(error)}). Copy the bot token again from "
                    "OAuth & Permissions of the Slack app."
                ) from None
            log.warning("Slack does not answer yet: %s", brief(error))
            return
        if self.tokens.app is None:
            return
        try:
            await self.app.client.apps_connections_open(app_token=self.tokens.app)
        except TROUBLE as error:
            if code_of(error) in _BAD_TOKEN | {"not_allowed_token_type", "missing_scope"}:
                raise ConfigurationError(
                    f"Slack refuses SLACK_APP_TOKEN ({code_of(error)}). Make an app-level token with the "
                    "scope connections:write under Basic Information of the Slack app."
                ) from None
            log.warning("Slack gives no connection yet: %s", brief(error))

    async def start(self) -> None:
        """Begin to listen and to publish; returns when Slack is connected, or after a few seconds without it."""
        self._running = [
            asyncio.create_task(self.publisher.run(), name="publisher"),
            asyncio.create_task(self.noticeboard.run(), name="noticeboard"),
            asyncio.create_task(self.home.run(), name="home"),
        ]
        self.work.begin(self._warm())
        if self.socket and not await self.socket.start():
            log.warning("no connection to Slack yet; it is tried on")

    async def stop(self) -> None:
        """Stop listening, finish what people asked for, show what is true now, and close."""
        if self.socket:
            await self.socket.stop()
        await self.work.drain(within=3.0)
        await self.publisher.stop()
        for running in self._running:
            running.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def http_handler(self) -> Callable[[Request], Awaitable[Response]] | None:
        """What answers Slack's deliveries in HTTP mode; it verifies the signature over the raw bytes."""
        if self.socket is not None:
            return None
        from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler

        handler = AsyncSlackRequestHandler(self.app)

        async def handle(request: Request) -> Response:
            answer: Response = await handler.handle(request)
            return answer

        return handle

    async def tell_admins(self, text: str, *, detail: str = "") -> None:
        """Say something in the admin channel. Best effort: Slack may be down, and the log has it anyway."""
        channel = self.catalogs.current().admin_channel
        if channel is None:
            return
        message = answers.notice(text, detail)
        try:
            await self.app.client.chat_postMessage(channel=channel, text=message.text, blocks=message.blocks)
        except TROUBLE as error:
            log.warning("the admin channel could not be told: %s", brief(error))

    async def _warm(self) -> None:
        """Read the groups before the first person waits for them."""
        try:
            await self.identity.warm()
        except RequestRefused:
            log.info("the user groups cannot be read yet")


def _app(client: AsyncWebClient, tokens: SlackTokens, identity: Identity) -> AsyncApp:
    """A Bolt app that takes up every delivery, also while Slack limits us or is away.

    By itself Bolt asks Slack for our name before it hands over anything, and while it gets no answer it tells people
    that the app is not installed any more. We know our token, and who may do what is asked later.
    """

    async def authorize(enterprise_id: str | None, team_id: str | None) -> AuthorizeResult:
        return AuthorizeResult(
            enterprise_id=enterprise_id,
            team_id=team_id,
            bot_token=tokens.bot,
            bot_user_id=identity.bot_user,
            bot_id=identity.bot_id,
        )

    framework, quiet = logging.getLogger("slack_bolt.AsyncApp"), logging.Filter("nobody")
    framework.addFilter(quiet)  # it warns that there are both a token and somebody who knows tokens
    try:
        return AsyncApp(
            client=client,
            authorize=authorize,
            signing_secret=tokens.signing_secret,
            request_verification_enabled=tokens.app is None,
        )
    finally:
        framework.removeFilter(quiet)
