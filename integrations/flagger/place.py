"""One Canary with its Deployment, its primary and its gate, as they are read together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bot.domain.errors import ProviderError, ProviderRejected, ProviderUnavailable, SomebodyWasFaster, StoreError
from bot.domain.gate import FRESH, Sighting
from integrations._shared.failures import told
from integrations._shared.kube import raw
from integrations._shared.kube.errors import PROVIDER
from integrations._shared.kube.names import path_to
from integrations._shared.kube.patches import images_of
from integrations._shared.workloads import image
from integrations.flagger.canary import API, TERMINAL, Canary

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.domain.gate import Door, Gate
    from bot.ports.gates import Gates
    from integrations._shared.kube.api import Kube
    from integrations._shared.kube.raw import Object
    from integrations._shared.workloads.workload import Workload
    from integrations.flagger.options import FlaggerOptions
    from integrations.flagger.ticket import Ticket

_ROUNDS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """All of it at one moment."""

    at: datetime
    """Just before it was asked for."""
    canary: Canary | None
    one: Object | None
    """The Deployment that is changed."""
    primary: Object | None
    """The Deployment that gets the traffic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one service is rolled out by Flagger."""

    kube: Kube
    options: FlaggerOptions
    workload: Workload
    primary: Workload
    gates: Gates | None
    door: Door
    key: str

    @property
    def path(self) -> str:
        """Where the Canary is."""
        return path_to(API, "canaries", namespace=self.options.namespace, name=self.options.canary)

    @property
    def all_path(self) -> str:
        """Where all are; only with `field` may we list and watch there."""
        return path_to(API, "canaries", namespace=self.options.namespace)

    @property
    def field(self) -> str:
        """What lets only this one through."""
        return f"metadata.name={self.options.canary}"

    async def look(self, *, whole: bool = True) -> Seen:
        """The Canary first: what it says is about what the Deployments were, not the other way round.

        The primary only where it matters, when not the ``whole`` is wanted.
        """
        at = datetime.now(UTC)
        found = await self.kube.get(self.path)
        canary = None if found is None else Canary(found)
        one = await self.workload.read()
        matters = whole or canary is None or canary.phase in TERMINAL
        primary = await self.primary.read() if matters else None
        return Seen(at=at, canary=canary, one=one, primary=primary)

    async def there(self, *, whole: bool = True) -> tuple[Seen, Canary, Object]:
        """A look at a Canary that is there, and analyses our Deployment; raises `ProviderRejected` for all else."""
        seen = await self.look(whole=whole)
        if seen.canary is None:
            raise ProviderRejected(
                f"There is no Canary {self.options.canary} in namespace {self.options.namespace} of the cluster "
                f"{self.kube.cluster}; create it first, the bot only changes what is there.",
                provider=PROVIDER,
            )
        kind, name = seen.canary.target
        if (kind, name) != ("Deployment", self.workload.name):
            raise ProviderRejected(
                f"The Canary {self.options.canary} is for {told(kind)[:60] or 'nothing'} {told(name)[:80]}, not for "
                f"the Deployment {self.workload.name}; the catalog names that with workload.",
                provider=PROVIDER,
            )
        return seen, seen.canary, seen.one if seen.one is not None else await self.workload.there()

    def digest(self, one: Object | None) -> str:
        """The digest that the containers of the release are to run; empty when it is none, or not the same one."""
        if one is None:
            return ""
        images = images_of(one)
        digests = {image.digest_of(images.get(name, "")) or "" for name in self.workload.containers(one)}
        return digests.pop() if len(digests) == 1 else ""

    def sighting(self, seen: Seen, before: Sighting | None, ticket: Ticket) -> Sighting:
        """What the gate has to know of a look, which is about what ``ticket`` is for."""
        canary = seen.canary
        going_on = canary is not None and canary.going_on and ticket.anew(canary)
        return Sighting(
            at=seen.at,
            phase=canary.phase if canary is not None else "",
            weight=canary.weight if canary is not None else None,
            digest=self.digest(seen.one),
            going_on=going_on,
            begun=going_on or (before is not None and before.begun),
        )

    async def gate(self) -> Gate:
        """The gate as it is; raises `ProviderUnavailable` when the database does not answer."""
        try:
            return await self._gates.get(self.key)
        except StoreError as error:
            raise ProviderUnavailable(error.message, provider=PROVIDER) from error

    async def turn(self, change: Callable[[Gate], Gate], *, blind: bool = False) -> Gate:
        """Change the gate, whoever else changes it at the same time. Raises `ProviderUnavailable`."""
        for _ in range(_ROUNDS):
            gate = await self.gate()
            wanted = change(gate)
            if wanted == gate and not blind:
                return gate
            try:
                return await self._gates.put(wanted, blind=blind)
            except SomebodyWasFaster:
                continue
            except StoreError as error:
                raise ProviderUnavailable(error.message, provider=PROVIDER) from error
        raise ProviderUnavailable(f"The gate of {self.options.canary} changes all the time.", provider=PROVIDER)

    async def saw(self, sighting: Sighting, *, told: Sighting | None) -> Sighting:
        """Tell the gate of a look, unless it was ``told`` the same a moment ago; what it knows now.

        Raises `ProviderUnavailable`.
        """
        if told is not None and replace(told, at=sighting.at) == sighting and sighting.at - told.at < FRESH / 4:
            return told
        try:
            await self._gates.saw(self.key, sighting)
        except StoreError as error:
            raise ProviderUnavailable(error.message, provider=PROVIDER) from error
        return sighting

    async def skip(self, *, skip: bool) -> None:
        """Have Flagger leave the analysis out, or not; one that is gone has none to be put back."""
        try:
            await self.kube.patch(self.path, {"spec": {"skipAnalysis": skip}}, kind="merge")
        except ProviderRejected:
            if skip or await self.kube.get(self.path) is not None:
                raise

    async def last_words(self) -> str:
        """What Flagger complained of last; empty when that is not known. Raises nothing."""
        path = path_to("v1", "events", namespace=self.options.namespace)
        field = f"involvedObject.kind=Canary,involvedObject.name={self.options.canary}"
        try:
            events, _ = await self.kube.list(path, field=field)
        except ProviderError:
            return ""
        said = [event for event in events if raw.text(event, "type") == "Warning"]
        said.sort(key=lambda event: raw.text(event, "lastTimestamp"))
        ends = ("Halt", "Rolling back", "Promotion failed")
        # What waits for us at a gate is no complaint.
        words = [raw.text(event, "message") for event in said]
        words = [each for each in words if each.startswith(ends) and " waiting for " not in each]
        halts = [each for each in words if each.startswith("Halt")]
        if words and words[-1].startswith("Rolling back") and halts:
            return told(halts[-1])  # what it follows from
        return told(words[-1]) if words else ""

    @property
    def _gates(self) -> Gates:
        if self.gates is None:
            raise ProviderRejected("Without its database the bot holds no gates for Flagger.", provider=PROVIDER)
        return self.gates


def rolled_out(one: Object | None) -> bool:
    """Whether all pods of a Deployment run its template, and there are some."""
    if one is None or raw.count(one, "status", "observedGeneration") < raw.count(one, "metadata", "generation"):
        return False
    wanted = raw.count(one, "spec", "replicas")
    counts = [raw.count(one, "status", name) for name in ("updatedReplicas", "replicas", "availableReplicas")]
    return wanted > 0 and all(count == wanted for count in counts)
