"""A service in an environment as the engine sees it: one Deployment, or several that are one release.

Holds no state: what was changed is written on the objects themselves.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from bot.domain.errors import ProviderRejected
from bot.domain.finding import Finding
from bot.ports.target import Examines, Target
from integrations._shared.workloads import changing, marks, needs
from integrations._shared.workloads.health import asked_at, health
from integrations._shared.workloads.running import look, running
from integrations._shared.workloads.workload import Workload
from integrations.kubernetes import planning
from integrations.kubernetes.observing import Watching, observe

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from bot.domain.catalog import HealthCheck
    from bot.domain.ids import EnvironmentName, OperationId, ServiceName
    from bot.domain.release import Release
    from bot.domain.rollout import Handle, Health, Outcome, Plan, Progress, Running
    from integrations._shared.kube.api import Kube
    from integrations._shared.kube.patches import Operation
    from integrations._shared.kube.raw import Object
    from integrations._shared.workloads.running import Look
    from integrations.kubernetes.options import KubernetesOptions


class KubernetesTarget(Target, Examines):
    """Deployments of one namespace. The cluster rolls them out as their own strategy says."""

    def __init__(
        self, *, options: KubernetesOptions, service: ServiceName, environment: EnvironmentName, kube: Kube
    ) -> None:
        self._options = options
        self._service = service
        self._environment = environment
        self._kube = kube
        self._workloads = [Workload(kube, options.namespace, each) for each in options.every]
        self.watching = Watching(
            deadline=options.deadline, fail_on_trouble=options.on_trouble == "fail", log_lines=options.log_lines
        )

    async def current(self) -> Running | None:
        """What most pods run now; None when there is no Deployment. What is scaled to zero has no instances."""
        found = [await workload.read() for workload in self._workloads]
        if all(one is None for one in found):
            return None
        return await running(await self._looks(found), self._service)

    async def plan(self, *, release: Release) -> Plan:
        """What `apply` would do: the cluster tries the very patch. Raises `ProviderRejected` if it must not be."""
        return await changing.looked(lambda: self._planned(release))

    async def _planned(self, release: Release) -> Plan:
        looks = await self._looks([await workload.there() for workload in self._workloads])
        wanted = []
        for each in looks:
            changing.check(each.one, each.workload, owned=self._options.owned_elsewhere)
            wanted += needs.needed(each.workload)
            if asked_at(each.one, each.container, port=self._options.probe_port, path=self._path(each.one)):
                wanted.append(needs.probing(each.workload))
        await needs.check(self._kube, wanted)
        return await planning.plan(looks, await running(looks, self._service), release)

    async def apply(self, *, release: Release, operation: OperationId) -> Handle:
        """Set the image of each Deployment's containers; the same ``operation`` again changes nothing."""

        def build(workload: Workload, one: Object) -> list[Operation]:
            changing.check(one, workload, owned=self._options.owned_elsewhere)
            return changing.deploy_patch(workload, one, release=release, operation=operation)

        return await changing.change(self._workloads, operation, build)

    async def find(self, *, operation: OperationId) -> Handle | None:
        """The change that was begun under ``operation``, also one that is over or was superseded."""
        return await changing.find(self._workloads, operation)

    async def restore(self, *, to: Running | None, operation: OperationId) -> Handle:
        """Put back the recorded templates; with None, the images that stood there before the last change."""

        def build(workload: Workload, one: Object) -> list[Operation]:
            changing.check(one, workload, owned="warn", restoring=True)
            return changing.restore_patch(workload, one, to=to, operation=operation)

        return await changing.change(self._workloads, operation, build)

    async def observe(self, *, handle: Handle) -> AsyncIterator[Progress | Outcome]:
        """Tell how the change goes, as it happens; outlives whatever happens to the API server for two minutes."""
        async with aclosing(observe(self._workloads, handle, self.watching)) as seen:
            async for each in seen:
                yield each

    async def health(self, *, release: Release, check: HealthCheck) -> Health:
        """One fresh look at every pod of ``release``."""
        looks = await self._looks([await workload.there() for workload in self._workloads])
        return await health(looks, release, check, port=self._options.probe_port)

    async def examine(self) -> Sequence[Finding]:
        """Whether the Deployments are there, and what we may do with them."""
        found: list[Finding] = []
        for workload in self._workloads:
            may = needs.helpful(workload, logs=self._options.log_lines > 0)
            rights = await needs.findings(self._kube, needs.needed(workload), may)
            found += rights
            if rights[0].ok:
                found += await self._there(workload)
            elif self._options.probe_port is not None:
                found += await needs.findings(self._kube, [needs.probing(workload)])
        return found

    async def _there(self, workload: Workload) -> list[Finding]:
        one = await workload.read()
        where = f"Deployment {workload.name} in namespace {workload.namespace}"
        if one is None:
            fix = "Create it; the bot only changes what is there."
            return [Finding(ok=False, what=f"there is no {where}", fix=fix)]
        try:
            changing.check(one, workload, owned="warn")
            container = workload.containers(one)[0]
            asked = asked_at(one, container, port=self._options.probe_port, path=self._path(one))
        except ProviderRejected as error:
            return [Finding(ok=False, what=f"{where}: {error.message.rstrip('.')}", fix="Mend it on the Deployment.")]
        probing = await needs.findings(self._kube, [needs.probing(workload)]) if asked else []
        return [*probing, Finding(ok=True, what=f"{where} is there")]

    async def _looks(self, found: Sequence[Object | None]) -> list[Look]:
        return [
            await look(workload, one if one is not None else await workload.there())
            for workload, one in zip(self._workloads, found, strict=True)
        ]

    def _path(self, one: Object) -> str:
        probe = marks.probe(one)
        return probe.path if probe is not None else "/"


def build(
    *, options: KubernetesOptions, service: ServiceName, environment: EnvironmentName, kube: Kube
) -> KubernetesTarget:
    """The target ``service`` in ``environment``. Asks nothing of the cluster until it is used."""
    return KubernetesTarget(options=options, service=service, environment=environment, kube=kube)
