"""A world for the publisher: its ports in memory, and a sandbox workspace that it speaks to over the wire."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from slack_sdk.web.async_client import AsyncWebClient

from bot.domain.actor import BOT, Actor
from bot.domain.deployment import Deployment, Moment
from bot.domain.errors import UnknownDeployment
from bot.domain.ids import DeploymentId, EnvironmentName, LockScope, ServiceName
from bot.domain.lifecycle import Phase
from bot.domain.policy.approval import ApprovalRule, Tally, TallyState
from bot.domain.release import Artifact, Release
from bot.domain.rollout import Progress
from bot.domain.view import ApprovalView, DeploymentView
from bot.ports.messages import PostedMessage
from bot.sandbox.server import SandboxServer
from bot.sandbox.workspace import Workspace
from bot.slack.budget import Pacing
from bot.slack.publisher import Publisher

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from bot.sandbox.model import Message

P = Phase
ADA = Actor(workspace="T0SANDBOX", id="U0ADA", name="Ada Lovelace")
GRACE = Actor(workspace="T0SANDBOX", id="U0GRACE", name="Grace Hopper")
FAST = Pacing(
    window=6.0, first_spacing=0.2, last_spacing=1.0, growth=0.05, phase_spacing=0.05, posts_a_second=100.0,
    post_burst=50, poll=0.1, lease=3.0, call=3.0, settle=0.1, first_retry=0.05, last_retry=0.4, last_refusal=0.5,
    refusals=4, stop=3.0,
)  # fmt: skip


@dataclass
class Store:
    """Deployments, messages and leases: what the publisher's ports promise, in dicts. Survives a publisher."""

    deployments: dict[DeploymentId, Deployment] = field(default_factory=dict)
    told_views: dict[DeploymentId, int] = field(default_factory=dict)
    rows: dict[tuple[DeploymentId, str], PostedMessage] = field(default_factory=dict)
    leases: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    protected: bool = False
    asked: tuple[str, ...] = ()
    """Who may approve what waits for it."""
    shown: Callable[[DeploymentView], DeploymentView] = lambda view: view
    """What else people see of a deployment."""
    crash_before_posted: Callable[[str], bool] = lambda key: False

    # Deployments
    async def get(self, deployment_id: DeploymentId) -> Deployment:
        try:
            return self.deployments[deployment_id]
        except KeyError:
            raise UnknownDeployment from None

    async def active(self) -> Sequence[Deployment]:
        return [found for found in self.deployments.values() if not found.phase.final]

    async def view(self, deployment_id: DeploymentId) -> DeploymentView:
        deployment = await self.get(deployment_id)
        view = DeploymentView(
            deployment=deployment,
            protected=self.protected,
            current=deployment.phase is P.SUCCEEDED,
            approval=self._approval(deployment),
        )
        return self.shown(view)

    def _approval(self, deployment: Deployment) -> ApprovalView | None:
        asked_at = deployment.asked_at
        if asked_at is None:
            return None
        waits = deployment.phase is P.AWAITING_APPROVAL
        state = TallyState.PENDING if waits else TallyState.APPROVED
        tally = Tally(state=state, have=0 if waits else 1, need=1, by=() if waits else (GRACE,), sentence="x")
        asked = self.asked if waits else ()
        return ApprovalView(tally=tally, rule=ApprovalRule(), subject="ab" * 32, asked_at=asked_at, asked=asked)

    # Messages
    async def stale(self, *, limit: int) -> Sequence[DeploymentId]:
        found = [name for name, item in self.deployments.items() if item.view > self.told_views.get(name, 0)]
        return found[:limit]

    async def of(self, deployment_id: DeploymentId) -> Sequence[PostedMessage]:
        mine = [row for row in self.rows.values() if row.deployment == deployment_id]
        return sorted(mine, key=lambda row: row.key != "root")

    async def trying(self, deployment_id: DeploymentId, key: str, *, channel: str, at: datetime) -> None:
        row = PostedMessage(deployment=deployment_id, key=key, channel=channel, ts=None, digest="", tried_at=at)
        known = self.rows.get((deployment_id, key))
        if known is None:
            self.rows[deployment_id, key] = row
        elif known.ts is None:
            self.rows[deployment_id, key] = replace(known, channel=channel)

    async def posted(self, deployment_id: DeploymentId, key: str, *, channel: str, ts: str, digest: str) -> None:
        if self.crash_before_posted(key):
            await asyncio.Event().wait()
        known = self.rows.get((deployment_id, key))
        tried = known.tried_at if known else datetime.now(UTC)
        self.rows[deployment_id, key] = PostedMessage(
            deployment=deployment_id, key=key, channel=channel, ts=ts, digest=digest, tried_at=tried
        )

    async def told(self, deployment_id: DeploymentId, view: int) -> None:
        self.told_views[deployment_id] = max(view, self.told_views.get(deployment_id, 0))

    # Leases
    async def hold(self, name: str, *, holder: str, at: datetime, ttl: timedelta) -> bool:
        owner, until = self.leases.get(name, (holder, at))
        if owner != holder and until > at:
            return False
        self.leases[name] = (holder, at + ttl)
        return True

    async def release(self, name: str, *, holder: str) -> None:
        if self.leases.get(name, ("", None))[0] == holder:
            del self.leases[name]

    # What an engine would do
    def start(self, number: int = 1, *, channel: str = "C0DEPLOY") -> DeploymentId:
        identifier = DeploymentId(f"d{number:06}")
        artifact = Artifact(digest="sha256:" + "ab" * 32, location="x")
        now = datetime.now(UTC)
        self.deployments[identifier] = Deployment(
            id=identifier,
            number=number,
            service=ServiceName("checkout"),
            environment=EnvironmentName("staging"),
            scope=LockScope("checkout@staging"),
            release=Release(service=ServiceName("checkout"), version=f"v1.{number}", artifact=artifact),
            requester=ADA,
            channel=channel,
            catalog_revision="r",
            origin=f"o{number}",
            timeline=(Moment(phase=P.REQUESTED, at=now, actor=ADA),),
        )
        return identifier

    def advance(self, deployment_id: DeploymentId, *phases: Phase, note: str = "") -> None:
        for phase in phases:
            self.deployments[deployment_id] = self.deployments[deployment_id].advance(
                phase, actor=BOT, at=datetime.now(UTC), note=note
            )

    def progress(self, deployment_id: DeploymentId, done: int, total: int) -> None:
        deployment = self.deployments[deployment_id]
        self.deployments[deployment_id] = deployment.evolve(progress=Progress(done=done, total=total))

    def is_told(self) -> bool:
        return all(self.told_views.get(name, 0) >= item.view for name, item in self.deployments.items())


TO_THE_END = (P.QUEUED, P.DEPLOYING, P.VERIFYING, P.SUCCEEDED)


@dataclass
class World:
    """The sandbox, the store, and whichever publishers are running."""

    server: SandboxServer
    store: Store
    running: list[tuple[Publisher, asyncio.Task[None]]] = field(default_factory=list)

    @property
    def workspace(self) -> Workspace:
        return self.server.workspace

    def publisher(self, *, holder: str = "replica-1", pacing: Pacing = FAST, fallback: str = "C0ADMIN") -> Publisher:
        """A publisher that runs already."""
        workspace = self.workspace
        client = AsyncWebClient(
            token=workspace.bot_token, base_url=self.server.url + "/api/", retry_handlers=[], timeout=5
        )
        store: Any = self.store
        publisher = Publisher(
            client,
            deployments=store,
            messages=store,
            leases=store,
            views=self.store.view,
            channel_of=lambda deployment: deployment.channel,
            fallback_channel=lambda: fallback,
            clock=lambda: datetime.now(UTC),
            holder=holder,
            pacing=pacing,
        )
        self.running.append((publisher, asyncio.create_task(publisher.run())))
        return publisher

    async def crash(self) -> None:
        """End every publisher without a goodbye, as a killed process would; its lease has to run out."""
        leases = dict(self.store.leases)
        for _, task in self.running:
            task.cancel()
        await asyncio.gather(*(task for _, task in self.running), return_exceptions=True)
        self.running.clear()
        self.store.leases = leases

    async def until(self, look: Callable[[], object], timeout: float = 15.0) -> None:
        """Wait for it, looking whenever the loop has been round: the store tells nobody when it changes."""
        async with asyncio.timeout(timeout):
            while not look():
                await asyncio.sleep(0.01)

    async def told(self, timeout: float = 20.0) -> None:
        await self.until(self.store.is_told, timeout)

    def roots(self, channel: str = "C0DEPLOY") -> list[Message]:
        return [message for message in self.workspace.channels[channel].messages.values() if not message.is_reply]

    def replies(self, channel: str = "C0DEPLOY") -> list[Message]:
        return [message for message in self.workspace.channels[channel].messages.values() if message.is_reply]

    def direct(self, user: str) -> list[Message]:
        """What the bot has written to somebody."""
        found = [channel for channel in self.workspace.channels.values() if channel.im_user == user]
        return [message for channel in found for message in channel.messages.values()]

    def count(self, method: str, *, ok: bool = True) -> int:
        return sum(call.status == 200 and bool(call.answer.get("ok")) is ok for call in self.workspace.calls_to(method))


@contextlib.asynccontextmanager
async def world(**options: Any) -> AsyncIterator[World]:
    """A fresh workspace and store; everything is closed at the end."""
    server = SandboxServer(Workspace(), **options)
    await server.start()
    made = World(server, Store())
    try:
        yield made
    finally:
        await made.crash()
        await server.stop()
