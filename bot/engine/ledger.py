"""The only writer of deployments: every change is one transition of the domain, written once and announced.

Keys name acts. An act repeated after a crash finds its key in the store and changes nothing.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bot.domain.actor import ActorKind, Door
from bot.domain.history import Event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bot.domain.actor import Actor
    from bot.domain.deployment import Deployment, Request
    from bot.domain.ids import DeploymentId
    from bot.domain.lifecycle import Phase
    from bot.ports.deployments import Deployments


def utc_now() -> datetime:
    """The current instant."""
    return datetime.now(UTC)


@dataclass(kw_only=True)
class Ledger:
    """Writes deployments and tells whoever watches them."""

    deployments: Deployments
    now: Callable[[], datetime] = utc_now
    listeners: list[Callable[[Deployment], None]] = field(default_factory=list)
    """Called after every change; must return at once."""
    _waiting: dict[DeploymentId, set[asyncio.Event]] = field(default_factory=lambda: defaultdict(set))

    async def advance(
        self,
        deployment_id: DeploymentId,
        phase: Phase,
        *,
        actor: Actor,
        key: str,
        note: str = "",
        at: datetime | None = None,
        door: Door | None = None,
        rule: str = "",
        first: Callable[[Deployment], Deployment] = lambda deployment: deployment,
    ) -> Deployment:
        """Bring a deployment into ``phase`` at most once; ``first`` may add facts to it or refuse by raising.

        ``door`` and ``rule`` say how a person came to do it. Who gives an ``at`` can tell from the last moment of what
        comes back whether it was this call that did it.
        """
        at = at or self.now()

        def change(deployment: Deployment) -> Deployment:
            return first(deployment).advance(phase, actor=actor, at=at, note=note)

        def event(before: Deployment, after: Deployment) -> Event:
            return Event(
                deployment=after.id,
                key=key,
                kind="phase",
                actor=actor,
                at=at,
                before=before.phase,
                after=after.phase,
                note=note,
                door=Door.ENGINE if actor.kind is ActorKind.BOT else door,
                rule=rule,
            )

        return self.announce(await self.deployments.update(deployment_id, change, event=event, key=key))

    async def ask(
        self, deployment_id: DeploymentId, request: Request, *, door: Door | None = None, rule: str = ""
    ) -> Deployment:
        """Leave a person's word with a deployment; raises if it cannot be obeyed or somebody was faster."""
        kind = "abort_requested" if request.resolution is None else "resolved"

        def event(before: Deployment, after: Deployment) -> Event:
            return Event(
                deployment=after.id,
                key=f"{kind}:{after.version}",
                kind=kind,
                actor=request.actor,
                at=request.at,
                before=before.phase,
                after=after.phase,
                note=request.reason or (request.resolution or ""),
                door=door,
                rule=rule,
            )

        changed = await self.deployments.update(deployment_id, lambda found: found.ask(request), event=event)
        return self.announce(changed)

    async def amend(self, deployment_id: DeploymentId, change: Callable[[Deployment], Deployment]) -> Deployment:
        """Write new facts about a deployment whose phase stays."""
        return self.announce(await self.deployments.update(deployment_id, change))

    async def amend_as(
        self,
        deployment_id: DeploymentId,
        change: Callable[[Deployment], Deployment],
        *,
        kind: str,
        actor: Actor,
        at: datetime,
        note: str = "",
        door: Door | None = None,
        rule: str = "",
        override: bool = False,
    ) -> Deployment:
        """Write what a person changed about a deployment whose phase stays, with its event; ``change`` may refuse."""

        def event(before: Deployment, after: Deployment) -> Event:
            return Event(
                deployment=after.id,
                key=f"{kind}:{after.version}",
                kind=kind,
                actor=actor,
                at=at,
                before=before.phase,
                after=after.phase,
                note=note,
                door=door,
                rule=rule,
                override=override,
            )

        return self.announce(await self.deployments.update(deployment_id, change, event=event))

    async def add(
        self,
        deployment: Deployment,
        *,
        taking_back: DeploymentId | None,
        phase: Phase,
        door: Door | None = None,
        rule: str = "",
        override: str | None = None,
    ) -> Deployment:
        """Store a new deployment, and bring the one that it takes back into ``phase`` in the same transaction.

        ``override`` is the exception that it uses, which no other deployment can use from then on.
        """
        actor, at = deployment.requester, deployment.requested_at
        event = Event(
            deployment=deployment.id,
            key="requested",
            kind="requested",
            actor=actor,
            at=at,
            after=deployment.phase,
            note=deployment.reason,
            door=door,
            rule=rule,
            override=override is not None,
        )
        if taking_back is None:
            return self.announce(await self.deployments.add(deployment, event=event, override=override))
        added = await self.deployments.add(
            deployment,
            event=event,
            taking_back=taking_back,
            change=lambda found: found.advance(phase, actor=actor, at=at),
            taking_back_event=Event(
                deployment=taking_back,
                key=f"taken_back:{deployment.id}",
                kind="phase",
                actor=actor,
                at=at,
                after=phase,
                door=door,
                rule=rule,
            ),
        )
        self.announce(await self.deployments.get(taking_back))
        return self.announce(added)

    def announce(self, deployment: Deployment) -> Deployment:
        """Tell whoever watches that a deployment, or what is shown around it, has changed."""
        for listener in self.listeners:
            listener(deployment)
        for waiting in self._waiting.get(deployment.id, ()):
            waiting.set()
        return deployment

    @contextmanager
    def woken_by(self, deployment_id: DeploymentId) -> Iterator[asyncio.Event]:
        """An event that is set whenever this process changes the deployment; other replicas' changes must be read."""
        event = asyncio.Event()
        self._waiting[deployment_id].add(event)
        try:
            yield event
        finally:
            self._waiting[deployment_id].discard(event)
            if not self._waiting[deployment_id]:
                del self._waiting[deployment_id]
