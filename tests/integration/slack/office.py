"""The whole bot in one process before a sandbox workspace: real Slack clients, store, engine; made-up targets only.

Tests act and look as people do, by the workspace's hands and eyes.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml
from dbos._dbos import _get_or_create_dbos_registry

from bot.bootstrap import provider_models
from bot.catalog.load import parse
from bot.domain.errors import RevisionNotFound
from bot.domain.metric import Reading, Track
from bot.domain.release import Artifact, Release
from bot.domain.rollout import Handle, Health, Outcome, OutcomeKind, Plan, Running
from bot.engine.engine import Engine, Ports
from bot.sandbox import seed
from bot.sandbox.server import SandboxServer
from bot.sandbox.workspace import Workspace
from bot.slack.app import Slack, SlackTokens, identify
from bot.store.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from bot.domain.catalog import Catalog
    from bot.domain.ids import EnvironmentName, OperationId, ServiceName
    from bot.domain.metric import Point, Subject
    from bot.ports.images import Images
    from bot.ports.metrics import MetricSource
    from bot.ports.previews import PreviewSource
    from bot.ports.target import Target
    from bot.sandbox.model import Button, Message, MessageRef, Receipt, Seen, Where

T = TypeVar("T")

CHANNEL = "deployments"
PATIENCE = 20.0
VERSIONS = ("v1.4", "v1.3", "v1.2", "v1.1")

CATALOG = """\
version: 1
channel: "#deployments"
admin_channel: "#deploy-admin"
zone: Europe/Paris
environments:
  staging: {}
  production:
    protected: true
    approval: { group: "@release-managers", expires: 30m }
  night:
    windows:
      - { name: new year, allow: "0 0 1 1 *", for: 1h, zone: Europe/Paris }
defaults:
  health: { path: /health, interval: 0.05, timeout: 2s, passes: 1, deadline: 10s }
services:
  checkout: &service
    target: { type: local, root: platform }
    images: { type: local, folder: artifacts }
  payments: *service
roles:
  deployer:
    members: ["@deployers"]
    allow:
      - { actions: [deploy, rollback, abort, lock], services: "*", environments: "*" }
  release-manager:
    members: ["@release-managers"]
    allow:
      - { actions: "*", services: "*", environments: "*" }
      - { actions: [configure, override_freeze, break_glass], services: "*", environments: "*" }
"""


@dataclass
class Somewhere:
    """A place that runs at once what it is told to, unless ``busy`` is set: then the change goes on until it is not."""

    busy: asyncio.Event = field(default_factory=asyncio.Event)
    running: Running | None = None
    changes: dict[OperationId, Handle] = field(default_factory=dict)
    applied: list[str] = field(default_factory=list)
    share: int = 0
    """Per cent of the traffic that go to the release on trial."""
    moves: list[str] = field(default_factory=list)
    """What became of the one on trial, each once: weights, ``promote``, ``take back``."""

    async def current(self) -> Running | None:
        return self.running

    async def plan(self, *, release: Release) -> Plan:
        same = self.running is not None and self.running.release.same_as(release)
        return Plan(current=self.running, changes=() if same else (f"Runs {release.version}.",), no_change=same)

    async def apply(self, *, release: Release, operation: OperationId) -> Handle:
        if operation not in self.changes:
            self.applied.append(release.version)
            self.changes[operation] = Handle(operation=operation, generation=str(len(self.changes)))
            self.running = Running(release=release, healthy=1, instances=1, operation=operation)
        return self.changes[operation]

    async def set_weight(self, *, release: Release, percent: int, operation: OperationId) -> Handle:
        if operation not in self.changes:
            self.share = percent
            self.moves.append(f"{percent} %")
        return self._changed(operation)

    async def weight(self, *, release: Release) -> int | None:
        return None if self.busy.is_set() else self.share

    async def promote(self, *, release: Release, operation: OperationId) -> Handle:
        if operation not in self.changes:
            self.share = 100
            self.moves.append("promote")
            self.running = Running(release=release, healthy=1, instances=1, operation=operation)
        return self._changed(operation)

    async def take_back(self, *, to: Running | None, operation: OperationId) -> Handle:
        if operation not in self.changes:
            self.share, self.running = 0, to
            self.moves.append("take back")
        return self._changed(operation)

    def _changed(self, operation: OperationId) -> Handle:
        return self.changes.setdefault(operation, Handle(operation=operation, generation=str(len(self.changes))))

    async def find(self, *, operation: OperationId) -> Handle | None:
        return self.changes.get(operation)

    async def restore(self, *, to: Running | None, operation: OperationId) -> Handle:
        self.running = to
        return self.changes.setdefault(operation, Handle(operation=operation, generation=str(len(self.changes))))

    async def observe(self, *, handle: Handle) -> AsyncIterator[Outcome]:
        while self.busy.is_set():
            await asyncio.sleep(0.02)
        yield Outcome(kind=OutcomeKind.SUCCEEDED)

    async def health(self, **_: Any) -> Health:
        return Health(healthy=1, instances=1)


@dataclass
class Gauge:
    """A metric source that says of every release what a test wants it to."""

    values: dict[Track, float | None] = field(default_factory=lambda: {Track.CANARY: 0.004, Track.STABLE: 0.004})
    samples: float = 500.0

    async def read(self, query: str, *, subject: Subject, window: float, at: datetime | None = None) -> Reading:
        return Reading(value=self.values[subject.track], at=at or datetime.now(UTC), samples=self.samples)

    async def series(self, *_: Any, **__: Any) -> Sequence[Point]:
        return ()


@dataclass(frozen=True)
class Shelf:
    """Every version of a service that there is."""

    service: ServiceName

    async def resolve(self, *, version: str) -> Release:
        if version not in VERSIONS:
            raise RevisionNotFound(f"There is no {version} of {self.service}.", token=version, suggestions=["v1.2"])
        digest = hashlib.sha256(f"{self.service} {version}".encode()).hexdigest()
        artifact = Artifact(digest=f"sha256:{digest}", location=version)
        return Release(service=self.service, version=version, artifact=artifact)

    async def has(self, *, release: Release) -> bool:
        return release.version in VERSIONS

    async def versions(self, *, prefix: str = "", limit: int = 100) -> Sequence[str]:
        return [version for version in VERSIONS if version.startswith(prefix)][:limit]


@dataclass
class Office:
    """The workspace and the bot in it."""

    server: SandboxServer
    catalog: Catalog
    store: Store
    places: dict[str, Somewhere] = field(default_factory=dict)
    gauge: Gauge = field(default_factory=Gauge)
    engine: Engine = field(init=False)
    slack: Slack = field(init=False)

    # Ports

    def current(self) -> Catalog:
        return self.catalog

    async def at(self, revision: str) -> Catalog:
        return self.catalog

    def target(self, _: Catalog, service: ServiceName, environment: EnvironmentName) -> Target:
        return self.place(f"{service}@{environment}")

    def images(self, _: Catalog, service: ServiceName) -> Images:
        return Shelf(service)

    def metrics(self, _: Catalog, name: str) -> MetricSource:
        return self.gauge

    def place(self, name: str) -> Somewhere:
        return self.places.setdefault(name, Somewhere())

    # What people do

    def joins(self, who: str, group: str) -> None:
        """Somebody comes into a user group, and what was known of groups is forgotten."""
        workspace, identity = self.server.workspace, self.slack.identity
        workspace.groups[group].users.append(workspace.person(who).id)
        ahead = identity.clock() + 61.0 - time.monotonic()
        identity.clock = lambda: time.monotonic() + ahead

    async def says(self, who: str, text: str, *, channel: str = CHANNEL) -> Receipt:
        """``/deploy text``."""
        receipt = await self.server.hands.command(who, "/deploy", text, channel=channel)
        assert receipt.acked, receipt.error
        return receipt

    async def button(self, who: str, label: str, where: Where | None = None) -> Button:
        """The newest such button, once it is there."""

        def there() -> Button | None:
            buttons = self.server.hands.visible_buttons(who)
            return next((b for b in buttons if b.label == label and where in {None, b.where}), None)

        return await self.until(there, lambda: f"a button {label!r} for {who} among {self._labels(who)}")

    async def presses(self, who: str, label: str, where: Where | None = None) -> Button:
        """Press it, once it is there."""
        button = await self.button(who, label, where)
        await self.clicks(who, button)
        return button

    async def clicks(self, who: str, button: Button) -> Receipt:
        """Press this very button."""
        receipt = await self.server.hands.click(
            who, container=button.container, action_id=button.action_id, block_id=button.block_id
        )
        assert receipt.acked, receipt.error
        return receipt

    async def form(self, who: str, title: str) -> str:
        """The id of the form of that title, once it is open."""

        def there() -> str | None:
            view = self.server.hands.modal(who)
            return view.id if view and view.body["title"]["text"] == title and view.body.get("submit") else None

        return await self.until(there, lambda: f"a form {title!r} before {who}")

    async def sends(self, who: str, title: str, **values: str) -> Receipt:
        """Fill in and send the form of that title."""
        return await self.server.hands.submit(who, await self.form(who, title), values)

    # What people see

    def seen(self, who: str, where: Where) -> list[str]:
        """Everything that somebody can read there, the oldest first."""
        return [_flat(one) for one in self.server.hands.can_see(who) if one.where == where]

    async def reads(self, who: str, text: str, where: Where, *, after: int = 0) -> str:
        """What somebody reads there that holds ``text``, once they do; the first ``after`` do not count."""

        def there() -> str | None:
            return next((one for one in self.seen(who, where)[after:] if text in one), None)

        return await self.until(there, lambda: f"{text!r} in {where} of {who} among {self.seen(who, where)[after:]}")

    def ref(self, who: str, where: Where, text: str) -> MessageRef:
        """Where the newest such message is."""
        found = [one for one in self.server.hands.can_see(who) if one.where == where and text in _flat(one)]
        return found[-1].ref  # type: ignore[return-value]  # asked of messages only

    def messages(self, channel: str = CHANNEL) -> list[Message]:
        return list(self.server.workspace.channel(channel).messages.values())

    async def reaches(self, number: int, phase: str) -> None:
        """Once that deployment is in that phase."""
        deadline = time.monotonic() + PATIENCE
        seen = ""
        while time.monotonic() < deadline:
            with contextlib.suppress(Exception):
                found = await self.store.deployments.by_number(number)
                seen = f"{found.phase} ({found.note})"
                if found.phase == phase:
                    return
            await asyncio.sleep(0.02)
        raise AssertionError(f"#{number} is {seen} and not {phase}")

    async def until(self, look: Callable[[], T | None], what: Callable[[], str]) -> T:
        """What ``look`` finds, asked after every change of the workspace."""
        try:
            return await self.server.workspace.wait_for(look, PATIENCE)  # type: ignore[arg-type]  # what comes back is truthy
        except TimeoutError:
            raise AssertionError(f"there is not {what()}") from None

    def _labels(self, who: str) -> list[str]:
        return [f"{button.label} ({button.where})" for button in self.server.hands.visible_buttons(who)]


def _scopes() -> list[str]:
    """What the manifest asks for, and nothing else."""
    manifest = yaml.safe_load((Path(__file__).parents[3] / "manifest.yml").read_text())
    scopes: list[str] = manifest["oauth_config"]["scopes"]["bot"]
    return scopes


def _flat(seen: Seen) -> str:
    return " ".join(seen.text.split())


@contextlib.asynccontextmanager
async def open_office(
    folder: Path, *, text: str = CATALOG, previews: PreviewSource | None = None
) -> AsyncIterator[Office]:
    """A workspace with a bot that listens, until the block is left."""
    async with contextlib.AsyncExitStack() as stack:
        server = SandboxServer(Workspace(scopes=_scopes()))
        await server.start()
        stack.push_async_callback(server.stop)
        tokens = SlackTokens(bot=seed.BOT_TOKEN, app=seed.APP_TOKEN, api_url=f"{server.url}/api/")
        store = await stack.enter_async_context(Store.open(f"sqlite:///{folder / 'bot.sqlite'}", replica="office"))
        office = Office(server, parse(text, "config.yaml", provider_models()), store)
        await store.revisions.save(office.catalog.revision, name="config.yaml", text=text)
        identity = identify(tokens, default_zone=lambda: office.catalog.zone)
        office.engine = Engine.build(
            Ports(
                catalogs=office,
                providers=office,
                people=identity,
                deployments=store.deployments,
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
            database_url=store.durable_url,
            executor="office",
            shared=False,
            previews=previews,
            audit=store.audit,
        )
        office.slack = Slack.build(
            tokens=tokens,
            identity=identity,
            engine=office.engine,
            catalogs=office,
            providers=office,
            inbox=store.inbox,
            messages=store.messages,
            notices=store.notices,
            leases=store.leases,
            replica="office",
            life="office:1",
        )
        await office.slack.check()
        # One process has one DBOS, and tests are many processes in one.
        stack.callback(_get_or_create_dbos_registry().instance_info_map.clear)
        stack.push_async_callback(office.engine.stop)
        await office.engine.start()
        stack.push_async_callback(office.slack.stop)
        await office.slack.start()
        yield office
