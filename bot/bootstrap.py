"""The composition root: the only module that sees everything, and the only one that imports integrations.

`Bot` is one running bot. Start-up fails with one clear sentence or not at all; once it runs, Slack or a provider being
down never ends it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.catalog.load import parse
from bot.catalog.options import Providers as ProviderModels
from bot.catalog.past import CatalogWithPast
from bot.catalog.watch import LiveCatalog
from bot.domain.errors import ConfigurationError, DeploymentArchitectError
from bot.domain.gate import Door
from integrations import registry
from integrations.previews.registered import PREVIEWS
from integrations.previews.registered import SharedPreviews as SharedPreviews  # noqa: PLC0414 - the doctor asks for it
from integrations.providers import RegisteredProviders as RegisteredProviders  # noqa: PLC0414 - others ask for it here

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
    from pathlib import Path

    from bot.api.server import HttpServer
    from bot.domain.catalog import Catalog
    from bot.domain.ids import EnvironmentName, ServiceName
    from bot.sandbox.demo import Demo
    from bot.sandbox.script.lines import Script
    from bot.settings import Settings

log = logging.getLogger(__name__)


def provider_models() -> ProviderModels:
    """What there is to be configured: the options of every provider that is installed, and what it can do."""
    known: dict[str, registry.Registry[Any]] = {
        "target": registry.TARGETS,
        "images": registry.IMAGES,
        "metrics": registry.METRICS,
        "cluster": registry.CLUSTERS,
        "preview": PREVIEWS,
    }
    return ProviderModels(
        targets=registry.TARGETS.models(),
        images=registry.IMAGES.models(),
        metrics=registry.METRICS.models(),
        clusters=registry.CLUSTERS.models(),
        clustered=registry.TARGETS.clustered(),
        unpullable=registry.IMAGES.on_this_machine(),
        previews=PREVIEWS.models(),
        powers=registry.TARGETS.powers(),
        queries=registry.METRICS.queries(),
        check=lambda noun, name: known[noun].check(name),
    )


@contextlib.asynccontextmanager
async def running_bot(settings: Settings) -> AsyncIterator[Bot]:
    """A bot that serves until the block is left. Raises `ConfigurationError` or `StoreError` if it cannot start."""
    async with contextlib.AsyncExitStack() as stack:
        yield await _start(settings, stack)


@dataclass(kw_only=True)
class Bot:
    """A bot that is up."""

    http: HttpServer
    replica: str


async def _start(settings: Settings, stack: contextlib.AsyncExitStack) -> Bot:
    from bot.api.app import build_api
    from bot.api.hooks.flagger import FlaggerHooks
    from bot.api.metrics import Metrics
    from bot.api.scrape import Scrape
    from bot.api.server import HttpServer, bind
    from bot.api.webhooks.counting import AlertCounts
    from bot.api.webhooks.doors import Webhooks
    from bot.api.webhooks.incidents import IncidentDoor
    from bot.engine.engine import Engine, Ports
    from bot.engine.incidents import Incidents
    from bot.engine.ledger import utc_now
    from bot.engine.places import take_stock
    from bot.engine.telemetry import Telemetry
    from bot.engine.tracing import Tracing
    from bot.slack.app import Slack, SlackTokens, identify
    from bot.store.overview import StoredOverview
    from bot.store.store import Store
    from integrations.tracing.build import build_traces

    tracing = Tracing(traces=build_traces(settings.tracing, replica=settings.executor_id))
    stack.callback(tracing.close)  # the last to go: what ends before it is told
    live = LiveCatalog(settings.deploy_config, providers=provider_models())
    listening = bind(settings.host, settings.port)
    stack.callback(listening.close)
    store = await stack.enter_async_context(Store.open(settings.database, replica=settings.executor_id))
    catalogs = CatalogWithPast(live=live, revisions=store.revisions, providers=provider_models)
    await catalogs.keep_current()
    providers = RegisteredProviders(gates=store.gates, door=settings.door)
    stack.push_async_callback(providers.clusters.close)
    metrics = Metrics()
    overview = StoredOverview(store.database)
    telemetry = Telemetry(
        instruments=metrics, displays=metrics, overview=overview, catalogs=catalogs, now=utc_now, tracing=tracing
    )
    tokens = SlackTokens(
        bot=settings.slack_bot_token.get_secret_value(),
        app=settings.slack_app_token.get_secret_value() if settings.slack_app_token else None,
        signing_secret=settings.slack_signing_secret.get_secret_value() if settings.slack_signing_secret else None,
        api_url=settings.slack_api_url,
    )
    identity = identify(tokens, default_zone=lambda: live.current().zone)
    engine = Engine.build(
        Ports(
            catalogs=catalogs,
            providers=providers,
            people=identity,
            deployments=telemetry.watching(store.deployments),
            releases=store.releases,
            leases=store.leases,
            locks=store.locks,
            freezes=store.freezes,
            ballots=store.ballots,
            schedules=store.schedules,
            overrides=store.overrides,
            notices=store.notices,
            readings=store.readings,
            alerts=store.alerts,
            markers=store.markers,
        ),
        previews=SharedPreviews(clusters=providers.clusters),
        audit=store.audit,
        database_url=store.durable_url,
        executor=settings.executor_id,
        shared=store.shared,
        tracing=tracing,
    )
    slack = Slack.build(
        tokens=tokens,
        identity=identity,
        engine=engine,
        catalogs=catalogs,
        providers=providers,
        inbox=store.inbox,
        messages=store.messages,
        notices=store.notices,
        leases=store.leases,
        replica=settings.executor_id,
        life=f"{settings.executor_id}:{uuid.uuid4().hex[:8]}",
    )
    await slack.check()

    async def readiness() -> Mapping[str, str]:
        missing: dict[str, str] = {}
        try:
            await store.ping()
        except DeploymentArchitectError as error:
            missing["database"] = error.message
        if not slack.listening:
            missing["slack"] = "no connection to Slack"
        return missing

    stack.push_async_callback(engine.stop)
    await engine.start()
    stack.push_async_callback(slack.stop)
    scrape = Scrape(registry=metrics.registry, refresh=telemetry.look, token=settings.metrics_secret)
    await telemetry.look()
    engine.alerting.counts = counts = AlertCounts(metrics.registry)
    webhooks = Webhooks(take=engine.alerting.take, counts=counts, now=utc_now, **settings.alert_secrets)
    hooks = FlaggerHooks(gates=store.gates, door=settings.door, now=utc_now)
    stack.push_async_callback(hooks.close)
    incidents = Incidents(
        ledger=engine.ledger,
        deployments=store.deployments,
        catalogs=catalogs,
        locks=store.locks,
        notices=store.notices,
        gatekeeper=engine.gatekeeper,
        locking=engine.locking,
        account=settings.incident_account,
    )
    telling = IncidentDoor(take=incidents.take, account=incidents.account, token=settings.incident_secret)
    routes = webhooks.routes() | hooks.routes() | telling.routes()
    api = build_api(readiness=readiness, slack=slack.http_handler(), metrics=scrape.answer, webhooks=routes)
    http = HttpServer(api, listening)
    stack.push_async_callback(http.stop)
    http.start()
    await slack.start()

    async def reloaded(_: Catalog) -> None:
        await catalogs.keep_current()
        await engine.admission.wake_all()
        await slack.tell_admins("The configuration was read again and is in force.")

    async def invalid(problems: str) -> None:
        await slack.tell_admins(
            "The configuration has changed and cannot be used; the last good one stays in force.", detail=problems
        )

    async def stock() -> None:
        await take_stock(
            live.current(),
            providers=providers,
            releases=store.releases,
            deployments=store.deployments,
            ledger=engine.ledger,
        )
        slack.home.changed()

    background = [
        asyncio.create_task(_logged(engine.durable.watch_over(), "watching over replicas")),
        asyncio.create_task(_logged(live.run(on_invalid=invalid, on_reloaded=reloaded), "watching the configuration")),
        asyncio.create_task(_logged(stock(), "taking stock")),
        asyncio.create_task(_logged(telemetry.feel_pulse(), "measuring the event loop")),
        asyncio.create_task(_logged(engine.alerting.run(), "working off alerts")),
        asyncio.create_task(_logged(engine.marking.run(), "telling metric sources")),
    ]

    async def end_background() -> None:
        for running in background:
            running.cancel()
        await asyncio.gather(*background, return_exceptions=True)

    stack.push_async_callback(end_background)
    log.info("ready on port %d as %s", http.port, settings.executor_id)
    return Bot(http=http, replica=settings.executor_id)


async def _logged(work: Coroutine[object, object, None], what: str) -> None:
    """Run background work whose failure must be seen but must not end the bot."""
    try:
        await work
    except Exception:
        log.exception("%s failed", what)


def check_catalog(path: Path) -> Catalog:
    """The catalog in that file; raises `CatalogError` with every problem."""
    from bot.catalog.load import load

    return load(path, providers=provider_models())


def flagger_webhooks(path: Path, service: str, environment: str, *, url: str | None, secret: str) -> str:
    """What the Canary of a service needs to ask the bot, as YAML. Raises `ConfigurationError`."""
    from bot.domain.gate import DEFAULT_URL
    from bot.domain.ids import EnvironmentName, ServiceName
    from integrations.flagger.printing import webhooks_of

    reference = check_catalog(path).service(ServiceName(service)).targets.get(EnvironmentName(environment))
    return webhooks_of(reference, where=f"{service} in {environment}", door=Door(url=url or DEFAULT_URL, secret=secret))


@dataclass(kw_only=True)
class Samples:
    """The sample services of the demo, on the local platform."""

    folder: Path

    async def bring_up(self, version: str) -> Mapping[str, str]:
        """Run ``version`` of every service everywhere; the addresses of their proxies by ``service@environment``."""
        from bot.domain.ids import OperationId
        from bot.domain.rollout import Outcome, OutcomeKind
        from integrations.local import LocalPlatform

        catalog = check_catalog(self.folder / ".deploy" / "config.yaml")
        providers = RegisteredProviders()
        platform = LocalPlatform(self.folder / "platform")
        await platform.start(faults=True)

        async def bring(service: ServiceName, environment: EnvironmentName) -> tuple[str, str]:
            target = providers.target(catalog, service, environment)
            release = await providers.images(catalog, service).resolve(version=version)
            handle = await target.apply(release=release, operation=OperationId(f"sample-{service}-{environment}"))
            async for seen in target.observe(handle=handle):
                if isinstance(seen, Outcome) and seen.kind is not OutcomeKind.SUCCEEDED:
                    raise ConfigurationError(f"The sample service {service} did not start: {seen.message}")
            address = await platform.address(service, environment)
            assert address is not None, "a place that was deployed has an address"
            return f"{service}@{environment}", address

        places = [(service.name, environment.name) for service, environment in catalog.places()]
        return dict(await asyncio.gather(*(bring(*place) for place in places)))

    async def silence(self, *, silent: bool) -> None:
        """Let what the proxies count be told a minute late, which is no answer in time, or at once again."""
        from integrations.local import LocalPlatform

        await LocalPlatform(self.folder / "platform").faults(read=60.0 if silent else 0.0)

    async def shut_down(self) -> None:
        """Stop every instance, every proxy and the agent."""
        from integrations.local import LocalPlatform

        await LocalPlatform(self.folder / "platform").stop_all()


def _hints(text: str, versions: Mapping[str, Sequence[str]], catalog_text: str) -> list[str]:
    """Completions of a command in the demo's workspace."""
    from bot.domain.grammar import Vocabulary, hints
    from bot.domain.ids import ServiceName

    catalog = parse(catalog_text, "demo", provider_models())
    known = {ServiceName(service): found for service, found in versions.items()}
    return hints(text, vocabulary=Vocabulary.of(catalog), versions=known)


@contextlib.asynccontextmanager
async def demonstration(
    *, port: int = 0, data: Path | None = None, database_url: str | None = None
) -> AsyncIterator[Demo]:
    """A whole demo from the beginning; see `bot.sandbox.demo`."""
    from bot.sandbox.demo import catalog_text, running_demo

    catalog = catalog_text()
    async with running_demo(
        platform=lambda folder: Samples(folder=folder),
        hints=lambda text, versions: _hints(text, versions, catalog),
        port=port,
        data=data,
        database_url=database_url,
    ) as demo:
        yield demo


async def run_demo(
    *,
    port: int,
    data: Path | None,
    database_url: str | None,
    echo: Callable[[str], None],
    stopped: Callable[[], asyncio.Event],
) -> None:
    """Run a demo for somebody with a browser, until they have seen enough."""
    stop = stopped()
    echo("Starting a workspace, the bot and three services in two environments …")
    async with demonstration(port=port, data=data, database_url=database_url) as demo:
        echo(f"\n  Open      {demo.url}")
        echo("  You are   Ada, who may deploy. Switch to Grace or Linus at the bottom of the sidebar.")
        echo("  Say       /deploy checkout v1.2 staging")
        for place, address in sorted(demo.addresses.items()):
            echo(f"  {place:<20} {address}/health")
        echo(f"\nThe bot's log is {demo.folder / 'bot.log'}. Ctrl-C ends everything.")
        await stop.wait()
        echo("\nEnding …")


def read_script(path: Path) -> Script:
    """The script in a file; raises `ConfigurationError` when it cannot be read, `ScriptError` when it is not good."""
    from bot.sandbox.script.grammar import parse as parse_script

    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"The script {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"The script {path} is not text in UTF-8.") from None
    return parse_script(text, name=str(path), people=("ada", "grace", "linus"))


async def play_demo(script: Script, *, as_json: bool, data: Path | None, database_url: str | None) -> int:
    """Play a script on a fresh demo; the exit code of the command."""
    import sys

    from bot.sandbox.script.player import play
    from bot.store.engine import Database
    from bot.store.feed import DatabaseFeed

    async with (
        demonstration(data=data, database_url=database_url) as demo,
        await Database.open(demo.database_url, read_only=True) as database,
    ):
        return await play(
            script,
            hands=demo.server.hands,
            workspace=demo.server.workspace,
            faults=demo.server.faults,
            feed=DatabaseFeed(database),
            bot=demo.bot,
            out=sys.stdout,
            as_json=as_json,
        )
