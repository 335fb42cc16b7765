"""A service in an environment as the engine sees it: one Rollout, led from one of its rests to the next.

Holds no state: what was changed, and up to where it may go, is written on the object itself.
"""

from __future__ import annotations

import json
from contextlib import aclosing
from typing import TYPE_CHECKING

from bot.domain.errors import ProviderRejected
from bot.domain.finding import Finding
from bot.domain.ids import OperationId
from bot.domain.rollout import Handle, Plan
from bot.ports.target import (
    ChecksSteps,
    Examines,
    SupportsAbort,
    SupportsPromote,
    SupportsTrafficWeight,
    Target,
    TellsTakenBack,
)
from integrations._shared.kube import raw
from integrations._shared.kube.errors import PROVIDER
from integrations._shared.kube.patches import images_of
from integrations._shared.workloads import changing, image, marks
from integrations._shared.workloads.health import health
from integrations._shared.workloads.needs import check, findings, helpful
from integrations._shared.workloads.owners import owned_elsewhere
from integrations._shared.workloads.running import TEMPLATE, look
from integrations.argo_rollouts import books, driving, judging, needs, steps
from integrations.argo_rollouts.books import Entry
from integrations.argo_rollouts.observing import observe
from integrations.argo_rollouts.running import running
from integrations.argo_rollouts.workload import RolloutWorkload

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from bot.domain.catalog import HealthCheck
    from bot.domain.ids import EnvironmentName, ServiceName
    from bot.domain.release import Release
    from bot.domain.rollout import Health, Outcome, Progress, Running, TakenBack
    from integrations._shared.kube.api import Kube
    from integrations._shared.kube.patches import Operation
    from integrations._shared.kube.raw import Object
    from integrations._shared.workloads.workload import Workload
    from integrations.argo_rollouts.options import ArgoRolloutsOptions

_STRATEGIES = {"canary": False, "blue-green": True}
_TRIAL = OperationId("plan")


class _GoneError(Exception):
    """The release that is to go on is not there any more."""

    def __init__(self, uid: str) -> None:
        super().__init__(uid)
        self.uid = uid


class ArgoRolloutsTarget(
    Target, SupportsTrafficWeight, SupportsPromote, SupportsAbort, TellsTakenBack, ChecksSteps, Examines
):
    """One Rollout of one namespace."""

    def __init__(
        self, *, options: ArgoRolloutsOptions, service: ServiceName, environment: EnvironmentName, kube: Kube
    ) -> None:
        self._options = options
        self._service = service
        self._environment = environment
        named = options.of(options.rollout)
        self._workload = RolloutWorkload(kube, options.namespace, named)

    async def current(self) -> Running | None:
        """The stable release; None when there never was one."""
        one = await self._workload.read()
        if one is None:
            return None
        return await running(self._workload, one, await self._workload.holder(one).there(), self._service)

    async def plan(self, *, release: Release) -> Plan:
        """What `apply` would do: the cluster tries the very patch. Raises `ProviderRejected` if it must not be."""
        return await changing.looked(lambda: self._planned(release))

    async def _planned(self, release: Release) -> Plan:
        one, workload, holder = await self._workload.both()
        self._check(one, holder, workload)
        await check(workload.kube, needs.needed(self._workload, workload))
        patch = changing.deploy_patch(workload, holder, release=release, operation=_TRIAL)
        tried = await workload.kube.patch(workload.path, patch, kind="json", dry_run=True)
        now = await running(self._workload, one, holder, self._service)
        # What is aborted stands in the template, and yet those who are served get something else.
        before = holder if now is None or steps.stable(one) else {"spec": {"template": _template(now, workload)}}
        return Plan(
            current=now,
            changes=tuple(changing.image_changes(workload, holder, before=before, tried=tried, release=release)),
            warnings=tuple(self._warnings(one, holder, workload, now)),
            no_change=bool(now and now.all_healthy and now.release.same_as(release) and steps.stable(one)),
        )

    async def check_steps(self, *, weights: Sequence[int]) -> None:
        """Raise `ProviderRejected` unless its rests are where a strategy with these ``weights`` stops."""
        steps.check(await self._workload.there(), self._workload.name, weights)

    async def apply(self, *, release: Release, operation: OperationId) -> Handle:
        """Bring the release all the way. Where the Rollout would wait for a person, its steps are left out.

        A strategy that asks nobody is refused for such a Rollout (`check_steps`), so that is how a rollback goes.
        """
        await self._begin_anew(release, operation)
        handle = await self._bring(release, operation, steps.END)
        one = await self._workload.there()
        if steps.rests(one):
            await driving.promote_fully(self._workload, operation)
        elif steps.undecided(one):
            await driving.let_go_on(self._workload, steps.END, operation)
        return handle

    async def set_weight(self, *, release: Release, percent: int, operation: OperationId) -> Handle:
        """Let it go on to the rest at ``percent``, or at 100 all the way; the first time, bring the release there.

        Where somebody has taken it away on the way, nothing is changed, and who follows the handle is told.
        """
        one, workload, holder = await self._workload.both()
        goal = self._goal(one, percent)
        rests = steps.rests(one)
        is_first = not rests or goal == rests[0].weight
        if is_first and books.find(holder, operation) is None and not self._has(workload, holder, release):
            return await self._bring(release, operation, goal)
        if is_first:
            await self._begin_anew(release, operation)
        return await self._let_go_on(release, operation, goal, f"Go on to {percent} %")

    async def weight(self, *, release: Release) -> int | None:
        """What the release gets now; None while that changes."""
        one, workload, holder = await self._workload.both()
        if not self._has(workload, holder, release):
            return 0
        return steps.weight(one)

    async def taken_back(self, *, release: Release) -> TakenBack | None:
        """The analysis that has failed, else who has aborted it or put something else there."""
        one, workload, holder = await self._workload.both()
        here = self._has(workload, holder, release)
        return judging.taken_back(one, holder, self._workload.name, here=here)

    async def promote(self, *, release: Release, operation: OperationId) -> Handle:
        """Let it go on to the end. Where somebody has taken it away, nothing is changed, as in `set_weight`."""
        return await self._let_go_on(release, operation, steps.END, f"Promote {release.version}")

    async def take_back(self, *, to: Running | None, operation: OperationId) -> Handle:
        """Send all traffic to the stable release at once, then put its template back, so that nothing goes on."""
        _, _, holder = await self._workload.both()
        if books.find(holder, operation) is None:
            await driving.abort(self._workload)
        return await self._put_back(to, operation)

    async def restore(self, *, to: Running | None, operation: OperationId) -> Handle:
        """Put back the template that ran before, and leave out every step on the way."""
        return await self._put_back(to, operation)

    async def find(self, *, operation: OperationId) -> Handle | None:
        """The operation, also one that is over or was superseded.

        One that was to let it go on, and of which there is the mark and not the word, has changed nothing.
        """
        one = await self._workload.read()
        holder = await self._workload.holder(one).read() if one is not None else None
        if holder is None or books.find(holder, operation) is None:
            return None
        one, holder = await driving.taken_up(self._workload, operation)
        if driving.unsaid(one, holder, operation):
            return None
        return Handle(operation=operation, generation=f"{raw.uid(holder)}:0")

    async def observe(self, *, handle: Handle) -> AsyncIterator[Progress | Outcome]:
        """Tell how it goes until it rests where the operation lets it, or is stable."""
        options = self._options
        seen = observe(self._workload, handle, deadline=options.deadline, log_lines=options.log_lines)
        async with aclosing(seen) as told:
            async for each in told:
                yield each

    async def health(self, *, release: Release, check: HealthCheck) -> Health:
        """One fresh look at every pod of ``release``."""
        one, _, holder = await self._workload.both()
        # Its pods are the Rollout's, its template may stand elsewhere.
        shown = {**one, "spec": {**one.get("spec", {}), "template": raw.at(holder, "spec", "template")}}
        return await health([await look(self._workload, shown)], release, check, port=None)

    async def examine(self) -> Sequence[Finding]:
        """Whether the Rollout is there, and what we may do with it."""
        kube, mine = self._workload.kube, needs.needed(self._workload, self._workload)
        may = helpful(self._workload, logs=self._options.log_lines > 0)
        found = await findings(kube, mine, may)
        if not found[0].ok:
            return found  # it may not be looked at
        where = f"Rollout {self._workload.name} in namespace {self._workload.namespace}"
        one = await self._workload.read()
        if one is None:
            fix = "Create it; the bot only changes what is there."
            return [*found, Finding(ok=False, what=f"there is no {where}", fix=fix)]
        try:
            holder = self._workload.holder(one)
            more = [each for each in needs.needed(self._workload, holder) if each not in mine]
            found += (elsewhere := await findings(kube, more))
            if any(finding.wrong for finding in elsewhere):
                return found
            self._check(one, await holder.there(), holder)
        except ProviderRejected as error:
            what = f"{where}: {error.message.rstrip('.')}"
            return [*found, Finding(ok=False, what=what, fix="Mend it on the Rollout.")]
        return [*found, Finding(ok=True, what=f"{where} is there")]

    async def _let_go_on(self, release: Release, operation: OperationId, goal: int, cause: str) -> Handle:
        def build(workload: Workload, holder: Object) -> list[Operation]:
            if not self._has(workload, holder, release):
                raise _GoneError(raw.uid(holder))
            return driving.note(holder, operation, cause)

        try:
            handle = await driving.change(self._workload, self._entry(release, operation, goal), build)
        except _GoneError as gone:
            return Handle(operation=operation, generation=f"{gone.uid}:0")
        await driving.let_go_on(self._workload, goal, operation)
        return handle

    async def _begin_anew(self, release: Release, operation: OperationId) -> None:
        """Bring a release that was aborted there back to its first step, once: its template alone would change nothing.

        Before anything is noted, so that who dies in between does it still, and who comes later overrules nobody.
        """
        one, workload, holder = await self._workload.both()
        begun = books.find(holder, operation) is not None or not self._has(workload, holder, release)
        if not begun and steps.retry_patch(one) is not None:
            self._check(one, holder, workload)
            await driving.retry(self._workload)

    async def _bring(self, release: Release, operation: OperationId, goal: int) -> Handle:
        def build(workload: Workload, holder: Object) -> list[Operation]:
            return changing.deploy_patch(workload, holder, release=release, operation=operation)

        one, workload, holder = await self._workload.both()
        self._check(one, holder, workload)
        return await driving.change(self._workload, self._entry(release, operation, goal), build)

    async def _put_back(self, to: Running | None, operation: OperationId) -> Handle:
        def build(workload: Workload, holder: Object) -> list[Operation]:
            return changing.restore_patch(workload, holder, to=to, operation=operation)

        release = to.release if to is not None else None
        handle = await driving.change(self._workload, self._entry(release, operation, steps.END), build)
        await driving.resume(self._workload, operation)
        await driving.promote_fully(self._workload, operation)
        return handle

    def _entry(self, release: Release | None, operation: OperationId, goal: int) -> Entry:
        version, digest = (release.version, release.artifact.digest) if release is not None else ("", "")
        return Entry(operation, goal, version, digest)

    def _goal(self, one: Object, percent: int) -> int:
        """Up to where ``percent`` lets it go; raises `ProviderRejected` when it does not rest there."""
        has = [rest.weight for rest in steps.rests(one)]
        if percent in has:
            return percent
        if percent >= 100:
            return steps.END
        said = ", ".join(f"{each} %" for each in has) or "nowhere"
        raise ProviderRejected(
            f"{self._workload.name} cannot be held at {percent} %: it waits at {said}.", provider=PROVIDER
        )

    def _has(self, workload: Workload, holder: Object, release: Release) -> bool:
        wanted, images = image.location(release) or "", images_of(holder)
        return all(image.same(images.get(name, ""), wanted) for name in workload.containers(holder))

    def _check(self, one: Object, holder: Object, workload: Workload) -> None:
        """Raise `ProviderRejected` when the Rollout must not be changed as it is."""
        name = self._workload.name
        if raw.at(one, "spec", "paused") is True:
            raise ProviderRejected(
                f"{name} is paused, so nothing would be rolled out; kubectl argo rollouts promote lets it go on.",
                provider=PROVIDER,
            )
        wanted = marks.of(one).get(marks.STRATEGY)
        if wanted is not None and _STRATEGIES.get(wanted) is not steps.is_blue_green(one):
            kinds = " or ".join(_STRATEGIES)
            is_one = "blue-green" if steps.is_blue_green(one) else "canary"
            raise ProviderRejected(
                f"{name} asks for another strategy ({marks.STRATEGY}) than the one that its spec has, {is_one}; it can "
                f"be {kinds}.",
                provider=PROVIDER,
            )
        marks.probe(one)
        owners = owned_elsewhere(holder, workload.containers(holder))
        if owners and self._options.owned_elsewhere == "refuse":
            raise ProviderRejected(" ".join(owners), provider=PROVIDER)

    def _warnings(self, one: Object, holder: Object, workload: Workload, now: Running | None) -> list[str]:
        found = owned_elsewhere(holder, workload.containers(holder))
        if raw.at(one, "status", "abort") is True:
            found.append("The release before was aborted and is still what the Rollout asks for.")
        elif not steps.stable(one):
            found.append("A rollout that somebody else began is under way there.")
        if now is not None and now.instances and not now.all_healthy:
            found.append(f"{now.healthy} of {now.instances} pods run {now.release.version} in good health.")
        return found


def _template(running: Running, workload: Workload) -> Object:
    """The template of what runs."""
    found: Object = json.loads(running.details[TEMPLATE])[workload.name]
    return found


def build(
    *, options: ArgoRolloutsOptions, service: ServiceName, environment: EnvironmentName, kube: Kube
) -> ArgoRolloutsTarget:
    """The target ``service`` in ``environment``. Asks nothing of the cluster until it is used."""
    return ArgoRolloutsTarget(options=options, service=service, environment=environment, kube=kube)
