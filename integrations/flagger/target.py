"""A service in an environment that Flagger rolls out, as the engine sees it: the engine paces it by Flagger's gates.

Holds no state: what was changed is written on the Deployment, what is allowed stands in the database.
"""

from __future__ import annotations

from contextlib import aclosing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from bot.domain.errors import ProviderError, ProviderRejected
from bot.domain.finding import Finding
from bot.domain.gate import Goal, place
from bot.domain.ids import OperationId
from bot.domain.rollout import Plan
from bot.ports.target import (
    ChecksSteps,
    Examines,
    SupportsAbort,
    SupportsPromote,
    SupportsRollback,
    SupportsTrafficWeight,
    Target,
    TellsTakenBack,
)
from integrations._shared.kube.errors import PROVIDER
from integrations._shared.workloads import changing
from integrations._shared.workloads import needs as plain_needs
from integrations._shared.workloads.health import health
from integrations._shared.workloads.owners import owned_elsewhere
from integrations._shared.workloads.running import look
from integrations._shared.workloads.workload import Workload, replicas
from integrations.flagger import driving, hooks, judging, needs, running, ticket
from integrations.flagger.canary import TERMINAL
from integrations.flagger.observing import Pace, observe
from integrations.flagger.place import Place, rolled_out

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from bot.domain.catalog import HealthCheck
    from bot.domain.gate import Door
    from bot.domain.ids import EnvironmentName, ServiceName
    from bot.domain.release import Release
    from bot.domain.rollout import Handle, Health, Outcome, Progress, Running, TakenBack
    from bot.ports.gates import Gates
    from integrations._shared.kube.api import Kube
    from integrations._shared.kube.raw import Object
    from integrations.flagger.canary import Canary
    from integrations.flagger.options import FlaggerOptions
    from integrations.flagger.place import Seen

_TRIAL = OperationId("plan")


class FlaggerTarget(
    Target,
    SupportsRollback,
    SupportsTrafficWeight,
    SupportsPromote,
    SupportsAbort,
    TellsTakenBack,
    ChecksSteps,
    Examines,
):
    """One Canary. Its traffic goes up only as far as the gate in the database says."""

    def __init__(
        self, *, options: FlaggerOptions, service: ServiceName, kube: Kube, gates: Gates | None, door: Door
    ) -> None:
        self._service = service
        self._options = options
        self.pace = Pace()
        self.place = Place(
            kube=kube,
            options=options,
            workload=Workload(kube, options.namespace, options.of(options.target)),
            primary=Workload(kube, options.namespace, options.of(options.primary)),
            gates=gates,
            door=door,
            key=key_of(options),
        )

    async def current(self) -> Running | None:
        """What the primary runs, since that gets the traffic; None when there is no Deployment."""
        found = await running.current(self.place, self._service)
        if found is None or self.place.gates is None:
            return found
        with suppress(ProviderError):
            gate = await self.place.gate()
            # What is written on the Deployment is the step that began it; the promotion came later.
            if gate.goal is Goal.PROMOTE and found.operation == gate.base and not gate.held:
                return replace(found, operation=OperationId(gate.operation))
        return found

    async def plan(self, *, release: Release) -> Plan:
        """What `apply` would do: the cluster tries the very patch. Raises `ProviderRejected` if it must not be."""
        seen, canary, one = await self.place.there()
        if canary.suspended:
            raise ProviderRejected(
                f"The Canary {canary.name} is suspended (spec.suspend), so Flagger would do nothing; set it to false.",
                provider=PROVIDER,
            )
        changing.check(one, self.place.workload, owned=self._options.owned_elsewhere)
        await plain_needs.check(self.place.kube, needs.needed(self.place))
        change = changing.deploy_patch(self.place.workload, one, release=release, operation=_TRIAL)
        tried = await self.place.kube.patch(self.place.workload.path, change, kind="json", dry_run=True)
        current = await self.current()
        changes = list(self._changes(seen, one, tried, release))
        settled = canary.phase in TERMINAL and not canary.weight and rolled_out(seen.primary)
        healthy = current is not None and current.all_healthy and current.release.same_as(release)
        return Plan(
            current=current,
            changes=tuple(changes),
            warnings=tuple(self._warnings(canary, one)),
            no_change=not changes and settled and healthy,
        )

    async def check_steps(self, *, weights: Sequence[int]) -> None:
        """Whether Flagger can be paced by these weights; with none of them it goes its own way to the end."""
        if not weights:
            return
        _, canary, _ = await self.place.there()
        if not canary.has_weights:
            why = (
                "has `provider: kubernetes`, which cannot split traffic"
                if canary.provider == "kubernetes"
                else "has no steps with weights (spec.analysis.stepWeight or stepWeights)"
            )
            raise ProviderRejected(
                f"The Canary {canary.name} {why}, so no strategy with weights can pace it; use the strategy `rolling`, "
                "which lets Flagger go its own way and waits for its verdict.",
                provider=PROVIDER,
            )
        own = ", ".join(f"{step} %" for step in canary.steps)
        wrong = [weight for weight in weights if weight not in {0, 100, *canary.steps}]
        if wrong:
            wanted = [weight for weight in weights if 0 < weight < 100]
            raise ProviderRejected(
                f"Flagger's own steps of the Canary {canary.name} are {own}; the strategy's "
                f"{', '.join(f'{weight} %' for weight in wrong)} is none of them. Write `stepWeights: {wanted}` into "
                "its spec.analysis, or use its weights in the strategy.",
                provider=PROVIDER,
            )
        lacks = hooks.lacks(canary, self.place.door, self.place.key)
        if lacks:
            raise ProviderRejected(f"{lacks} Without them nobody could hold it at a step.", provider=PROVIDER)

    async def apply(self, *, release: Release, operation: OperationId) -> Handle:
        """Let Flagger analyse and promote it without asking anybody on the way. Idempotent."""
        return await driving.forward(self.place, Goal.APPLY, percent=100, release=release, operation=operation)

    async def roll_back(self, *, release: Release, operation: OperationId) -> Handle:
        """Have Flagger promote it without analysis, unless the catalog wants one. Idempotent."""
        if self._options.analyse_rollbacks:
            return await self.apply(release=release, operation=operation)
        return await driving.at_once(self.place, release=release, operation=operation)

    async def set_weight(self, *, release: Release, percent: int, operation: OperationId) -> Handle:
        """Let Flagger go up to ``percent`` and no further. At 100, to its highest step: the rest is the promotion."""
        return await driving.forward(self.place, Goal.WEIGHT, percent=percent, release=release, operation=operation)

    async def promote(self, *, release: Release, operation: OperationId) -> Handle:
        """Let Flagger promote what it analyses. Idempotent."""
        return await driving.forward(self.place, Goal.PROMOTE, percent=100, release=release, operation=operation)

    async def take_back(self, *, to: Running | None, operation: OperationId) -> Handle:
        """Have Flagger roll back; its Deployment gets the template of before when Flagger has let go. Idempotent."""
        return await driving.back(self.place, to=to, operation=operation)

    async def restore(self, *, to: Running | None, operation: OperationId) -> Handle:
        """Take the canary back; what was promoted already is replaced without analysis. Idempotent."""
        return await driving.back(self.place, to=to, operation=operation)

    async def find(self, *, operation: OperationId) -> Handle | None:
        """The change that was begun under ``operation``; also one that allowed more traffic and changed no object."""
        one = await self.place.workload.read()
        if one is None:
            return None
        return await driving.found(self.place, await self.place.gate(), one, operation)

    async def observe(self, *, handle: Handle) -> AsyncIterator[Progress | Outcome]:
        """Tell how Flagger goes on with it, as it happens; what a way back leaves to be done is done here, once."""
        async with aclosing(observe(self.place, handle, self.pace)) as seen:
            async for each in seen:
                yield each

    async def weight(self, *, release: Release) -> int | None:
        """The weight as Flagger tells it; None while it moves, and at its highest step when that stands for 100 %."""
        seen, canary, one = await self.place.there(whole=False)
        gate = await self.place.gate()
        sighting = self.place.sighting(seen, gate.seen, ticket.of(gate))
        with suppress(ProviderError):  # the gate then stays as it is, which is closed soon
            await self.place.saw(sighting, told=gate.seen)
        digest = release.artifact.digest
        if canary.phase == "Succeeded" and canary.applied == canary.promoted:
            if self.place.digest(seen.primary) == digest:
                return 100
            begun = sighting.begun or gate.digest != digest or canary.applied != (*gate.before, "", "")[1]
            return 0 if begun else None  # else it is still the success of before
        if self.place.digest(one) != digest:
            return await self._share_of_stable(canary, digest)
        if canary.phase == "Failed":
            return canary.weight if judging.fails_now(gate, begun=sighting.begun) else None
        if canary.phase == "WaitingPromotion":
            return 100 if gate.ceiling < 100 else None
        if canary.phase != "Progressing" or canary.weight is None:
            return None
        top = gate.top(gate.ceiling)
        return None if canary.weight < top or (gate.ceiling == 100 and canary.weight == top < 100) else canary.weight

    async def taken_back(self, *, release: Release) -> TakenBack | None:
        """Flagger's reason where its own analysis has failed, else who has put something else there."""
        seen, _, _ = await self.place.there(whole=False)
        gate = await self.place.gate()
        begun = self.place.sighting(seen, gate.seen, ticket.of(gate)).begun
        found = judging.taken_back(self.place, gate, seen, digest=release.artifact.digest, begun=begun)
        if found is None or not found.by_platform:
            return found
        words = await self.place.last_words()
        return replace(found, why=f"{found.why} It said: {words}.") if words else found

    async def health(self, *, release: Release, check: HealthCheck) -> Health:
        """One fresh look at every pod of the primary, or of the canary while that is another release."""
        primary = await self.place.primary.there()
        one = await self.place.workload.there()
        digest = release.artifact.digest
        beside = self.place.digest(one) == digest != self.place.digest(primary) and replicas(one) > 0
        found = await look(self.place.workload, one) if beside else await look(self.place.primary, primary)
        return await health([found], release, check, port=self._options.probe_port)

    async def examine(self) -> Sequence[Finding]:
        """Whether the Canary is there and asks the bot, and what we may do with it."""
        must = [*needs.needed(self.place), *needs.probing(self.place)]
        found = await plain_needs.findings(self.place.kube, must, needs.helpful(self.place))
        if not found[0].ok:
            return found
        try:
            _, canary, one = await self.place.there()
            self.place.workload.containers(one)
        except ProviderRejected as error:
            if any(finding.wrong for finding in found):
                return found  # it may well be that right
            return [*found, Finding(ok=False, what=error.message.rstrip("."), fix="Mend it in the cluster.")]
        where = f"Canary {canary.name} in namespace {self._options.namespace}"
        if canary.skips:
            fix = "Set it to false, unless it is meant; a way back of the bot's that goes on now does so itself."
            what = f"{where} is promoted without analysis (spec.skipAnalysis)"
            found = [*found, Finding(ok=False, optional=True, what=what, fix=fix)]
        lacks = hooks.lacks(canary, self.place.door, self.place.key)
        if lacks:
            return [*found, Finding(ok=False, what=f"{where}: {lacks.rstrip('.')}", fix=self._yaml())]
        return [*found, Finding(ok=True, what=f"{where} is there and asks the bot")]

    async def _share_of_stable(self, canary: Canary, digest: str) -> int | None:
        """What is left of the traffic, for the release that the primary runs; nothing for all others."""
        if self.place.digest(await self.place.primary.read()) != digest:
            return 0
        return None if canary.weight is None else 100 - canary.weight

    def _yaml(self) -> str:
        if not self.place.door.there:
            return "Set FLAGGER_SECRET, the same for every replica of the bot."
        return f"Under spec.analysis of the Canary:\n{hooks.as_yaml(self.place.door, self.place.key)}"

    def _changes(self, seen: Seen, one: Object, tried: Object, release: Release) -> list[str]:
        before = seen.primary if seen.primary is not None else one
        return list(changing.image_changes(self.place.workload, one, before=before, tried=tried, release=release))

    def _warnings(self, canary: Canary, one: Object) -> list[str]:
        found = list(owned_elsewhere(one, self.place.workload.containers(one)))
        if canary.phase not in TERMINAL:
            found.append(f"Flagger is busy with the Canary {canary.name} now ({canary.phase or 'no phase yet'}).")
        if canary.skips:
            found.append(f"The Canary {canary.name} leaves the analysis out (spec.skipAnalysis).")
        if lacks := hooks.lacks(canary, self.place.door, self.place.key):
            found.append(lacks)
        elif canary.has_weights and canary.steps[-1] < 100:
            found.append(
                f"Flagger's highest step is {canary.steps[-1]} %: what a strategy calls 100 % is that until it is "
                "promoted."
            )
        return found


def key_of(options: FlaggerOptions) -> str:
    """The name of the place's gate."""
    return place(namespace=options.namespace, canary=options.canary, cluster=options.cluster)


def build(
    *,
    options: FlaggerOptions,
    service: ServiceName,
    environment: EnvironmentName,  # noqa: ARG001 - every target is built with it
    kube: Kube,
    gates: Gates | None,
    door: Door,
) -> FlaggerTarget:
    """The target ``service``. Asks nothing of the cluster until it is used."""
    return FlaggerTarget(options=options, service=service, kube=kube, gates=gates, door=door)
