"""Rollouts of all three kinds that a cluster knows, told to their end however often the bot dies.

What must be true afterwards is read off the cluster: every template was changed once for each move, no more traffic was
given than people had let through, and what was taken back is there word for word.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import httpx
from cluster_world import ARGO_STEPS, FLAGGER_STEPS, SECRET, cluster_world, image_of, slow
from crash_matrix import DAY
from crash_rollouts import Rollout, Tale
from crash_telling import Tellings
from world import until

from bot.domain.gate import Door, Hook, place

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from cluster_world import Cluster

_UNDER_WAY = 0.25
"""Seconds that each change takes to the cluster, and its answer back."""
_ALLOWS = "transaction StoredGates.put"


@dataclass(kw_only=True)
class ClusterRollout(Rollout):
    """One telling of a tale about a rollout in a cluster."""

    cluster: Cluster
    changes: int = 0
    """How many there were in the cluster before."""
    calls: int = 0
    asked: int = 0
    """How many questions Flagger had asked before."""
    template: dict[str, Any] = field(default_factory=dict)
    generation: int = 0

    @classmethod
    def of(cls, cluster: Cluster, service: str, **more: Any) -> ClusterRollout:
        """A telling that begins with the cluster as it is now."""
        one = cluster.get(service)
        return cls(
            cluster=cluster,
            service=service,
            runs=cluster.serves(service),
            journal=(),
            changes=len(cluster.server.store.changes),
            calls=len(cluster.server.log),
            asked=len(cluster.flagger.hooks.asked),
            template=one["spec"]["template"],
            generation=one["metadata"]["generation"],
            **more,
        )

    @property
    def ours(self) -> str:
        """The image that is brought."""
        return self.cluster.location(self.version)

    async def operations(self) -> list[str]:
        """What stands in the books of the service since the story began."""
        return self.cluster.operations(self.service, self.changes)

    async def arrived(self, sending: str) -> bool:
        """Whether the cluster has dealt with what the bot was sending when it died."""
        before, _, path = sending.partition(" ")
        lines = (self.world.folder / "cluster.log").read_text().splitlines()
        handled = [what for what, _, where in (line.partition(" ") for line in lines) if where == path]
        return any(what != "came" for what in handled[int(before) :])

    async def _buried(self) -> None:
        await super()._buried()
        if self.service == "payments":
            await self.cluster.holds_still()

    def allow(self, weight: int) -> None:
        """People let it go on up to here, from now on."""
        self.cluster.watches[self.service].ceiling = weight

    @property
    def weight(self) -> int:
        """What it really gets of the traffic."""
        watched = self.cluster.flagger if self.service == "payments" else self.cluster.argo
        return watched.traffic("shop", self.service)

    def yes(self, hook: Hook) -> int:
        """How often Flagger was told yes."""
        return sum(each.ok and each.kind == hook for each in self.cluster.flagger.hooks.asked[self.asked :])


async def roll(run: Rollout) -> None:
    """A plain rollout, which nobody has to say anything to."""
    await run.ask("checkout {v} {e}")
    await run.ends()


async def rolled(run: Rollout) -> None:
    """The template was changed once, and everything runs it."""
    assert isinstance(run, ClusterRollout)
    await _changed(run, ["apply-1"], [run.ours])
    await _serves(run, run.version)


async def crash(run: Rollout) -> None:
    """Its pods crash, and the cluster gives it up."""
    await run.ask("checkout {v} {e}")
    await run.until(run.phase("failed"), "a rollout that failed")


async def put_back(run: Rollout) -> None:
    """Once there and once back, and all is as it was before."""
    assert isinstance(run, ClusterRollout)
    await _changed(run, ["apply-1", "restore-1"], [run.ours, run.cluster.location(run.runs)])
    assert "panic: cannot reach the database" in (await run.now()).note
    await _serves(run, run.runs)


async def climb_in_cluster(run: Rollout) -> None:
    """Let through by people at each step, in the thread, and never further than they said."""
    assert isinstance(run, ClusterRollout)
    steps = FLAGGER_STEPS if run.service == "payments" else ARGO_STEPS
    run.allow(steps[0])
    await run.ask(f"{run.service} {{v}} {{e}}")
    for step, who, weight in ((0, "ada", steps[1]), (1, "grace", 100)):
        await run.until(run.waits_at(step), f"a question at step {step + 1}")
        assert run.weight == steps[step], "it gets something else than what is asked about"
        run.allow(weight)
        await run.press(who, f"Promote to {weight} %", run.approved_up_to(weight), where="thread")
    await run.ends()


async def flagged(run: Rollout) -> None:
    """Flagger was told yes once for each of its three steps and at the top, and nothing is allowed any more."""
    assert isinstance(run, ClusterRollout)
    await _climbed(run, FLAGGER_STEPS)
    await _changed(run, ["weight20-1-1"], [run.ours])
    told = [run.yes(hook) for hook in (Hook.ROLLOUT, Hook.TRAFFIC, Hook.PROMOTION, Hook.ROLLBACK)]
    assert told == [1, 4, 1, 0], told
    assert run.cluster.phase == "Succeeded", run.cluster.phase
    await _gates_are_closed(run)
    await _serves(run, run.version)


async def paused(run: Rollout) -> None:
    """Each word to go on was given once, and none of the steps was left out."""
    assert isinstance(run, ClusterRollout)
    await _climbed(run, ARGO_STEPS)
    await _changed(run, ["weight25-1-1", "weight50-2-1", "weight100-3-1", "promote-4-1"], [run.ours])
    assert run.cluster.patches("catalog", run.calls, status=True) == 2, "it waits twice, and is let on twice"
    await _is_stable(run)
    await _serves(run, run.version)


async def stop_at_a_step(run: Rollout) -> None:
    """Aborted by a person while it waits at its first step."""
    assert isinstance(run, ClusterRollout)
    first = (FLAGGER_STEPS if run.service == "payments" else ARGO_STEPS)[0]
    run.allow(first)
    await run.ask(f"{run.service} {{v}} {{e}}")
    await run.until(run.waits_at(0), "a question at step 1")
    await run.press("ada", "Abort", run.asked_to_stop)
    await run.until(run.phase("aborted"), "a canary that was aborted")


async def flagged_down(run: Rollout) -> None:
    """Flagger was told once to take it back; the primary was never touched."""
    assert isinstance(run, ClusterRollout)
    await _stopped(run)
    await _changed(run, ["weight20-1-1", "restore-1"], [run.ours, image_of({"spec": {"template": run.template}})])
    told = [run.yes(hook) for hook in (Hook.ROLLOUT, Hook.TRAFFIC, Hook.PROMOTION, Hook.ROLLBACK)]
    assert told == [1, 1, 0, 1], told
    assert run.cluster.phase == "Failed", run.cluster.phase
    await _gates_are_closed(run)
    await _serves(run, run.runs)


async def taken_down(run: Rollout) -> None:
    """All traffic is where it was, and the Rollout asks for nothing else any more."""
    assert isinstance(run, ClusterRollout)
    await _stopped(run)
    await _changed(run, ["weight25-1-1", "restore-1"], [run.ours, run.cluster.location(run.runs)])
    await _is_stable(run)
    await _serves(run, run.runs)


async def _changed(run: ClusterRollout, did: Sequence[str], images: Sequence[str]) -> None:
    """What was done to the template, no more and no less; what ended where it began is the same word for word."""
    cluster, service = run.cluster, run.service
    found = await run.did(await run.now())
    assert found == list(did), f"{found} instead of {did}"
    every = await run.operations()
    assert len(every) == len(did), f"somebody else changed it: {every}"
    patches, templates = cluster.patches(service, run.calls), cluster.templates(service, run.changes)
    assert patches == len(did), f"{patches} changes for {did}"
    assert templates == list(images), f"its template had {templates} in turn instead of {images}"
    one = cluster.get(service)
    if len(images) > 1:
        assert one["spec"]["template"] == run.template, "it is not word for word what it was"
    if service == "checkout":
        generations = one["metadata"]["generation"] - run.generation
        assert generations == len(images), f"{generations} generations for {images}"


async def _climbed(run: ClusterRollout, steps: tuple[int, int]) -> None:
    events = await run.world.events((await run.now()).id)
    said = [(event.actor.name, event.note.partition(".")[0]) for event in events if event.kind == "promoted"]
    assert said == [("ada", f"To {steps[1]} %"), ("grace", "To 100 %")], said
    order = [event.note.partition(".")[0] for event in events if event.kind in {"step", "promoted"}]
    first, second = (f"{weight} %" for weight in steps)
    assert order == [first, f"To {second}", second, "To 100 %", "100 %", "promoted"], order
    _never_beyond(run)


async def _stopped(run: ClusterRollout) -> None:
    events = await run.world.events((await run.now()).id)
    asked = [event.actor.name for event in events if event.kind == "abort_requested"]
    assert asked == ["ada"], asked
    assert run.weight == 0, f"{run.weight} % still go there"
    _never_beyond(run)


def _never_beyond(run: ClusterRollout) -> None:
    beyond = run.cluster.watches[run.service].beyond
    assert not beyond, "; ".join(beyond[:3])


async def _is_stable(run: ClusterRollout) -> None:
    async def stable() -> bool:
        status = run.cluster.get("catalog")["status"]
        return bool(status["phase"] == "Healthy" and status["stableRS"] == status["currentPodHash"])

    await until(stable, what="a stable Rollout")
    left = {"abort", "promoteFull", "pauseConditions"} & set(run.cluster.get("catalog")["status"])
    assert not left, f"{left} are left in its status"


async def _gates_are_closed(run: ClusterRollout) -> None:
    door = Door(url=f"http://127.0.0.1:{run.world.port}", secret=SECRET)
    key = place(namespace="shop", canary="payments", cluster="main")
    async with httpx.AsyncClient(timeout=20) as client:
        for hook in (Hook.ROLLOUT, Hook.TRAFFIC, Hook.PROMOTION, Hook.ROLLBACK):
            answer = await client.post(door.address(key, hook), json={"name": "payments", "namespace": "shop"})
            assert answer.status_code == 403, f"{hook} is answered {answer.status_code}: {answer.text}"


async def _serves(run: ClusterRollout, version: str) -> None:
    """That version runs, alone, and the bot believes so."""
    cluster, service = run.cluster, run.service

    async def only_this() -> bool:
        return cluster.settled(service)

    await until(only_this, what=f"pods of {version} and no others")
    assert cluster.serves(service) == version, f"{cluster.serves(service)} instead of {version}"
    made, placement = await run.now(), await run.world.placement(service, run.environment)
    if placement is not None:
        # What was there before the bot came has no name that it could know.
        digest = placement.release.artifact.digest
        assert cluster.location(version).endswith(digest), f"the bot believes that {digest} runs, and it is {version}"
        assert (placement.deployment == made.id) == (version == run.version), "somebody else is said to have brought it"
    else:
        assert version == run.runs, "the bot does not know what it has brought"


@dataclass(kw_only=True)
class ClusterTales(Tellings):
    """A world with a cluster, in which bots die."""

    cluster: Cluster
    _stack: contextlib.AsyncExitStack

    @classmethod
    async def open(cls, folder: Path, database_url: str | None) -> ClusterTales:
        """Every service runs a version that nobody has told the bot of."""
        async with contextlib.AsyncExitStack() as stack:
            world, cluster = await stack.enter_async_context(cluster_world(folder, database_url))
            slow(cluster, folder, _UNDER_WAY)
            tales = cls(world=world, tales=TALES, cluster=cluster, deaths=6, _stack=stack.pop_all())
            tales.goes_nowhere()
        return tales

    async def share(self, name: str, size: int) -> list[str]:
        """Some all along the tale, one around each change of the cluster, and some around what Flagger may do."""
        around: dict[str, list[str]] = {}
        for point in await self.points(name):
            if point.startswith(("mutation ", _ALLOWS)):
                what, _, when = point.rpartition(":")
                around.setdefault(f"{what} {when.rpartition('#')[2]}", []).append(point)
        turn = DAY + (0 if self.world.database_url.startswith("sqlite") else 2)
        chosen = [points[(turn + at) % len(points)] for at, points in enumerate(around.values())]
        gates = [point for point in chosen if point.startswith(_ALLOWS)]
        gates = gates[turn % 3 :: 3]
        mutations = [point for point in chosen if point.startswith("mutation ")]
        return list(dict.fromkeys([*await super().share(name, size // 2), *mutations, *gates]))

    async def begin(self, name: str, at: Sequence[str]) -> Rollout:
        """A telling of the tale ``name``, with the cluster as it is now."""
        world, tale = self.world, self.tales[name]
        assert self.bot is not None
        for watch in self.cluster.watches.values():
            watch.beyond.clear()
        newest = await world.newest(tale.service)
        return ClusterRollout.of(
            self.cluster,
            tale.service,
            world=world,
            bot=self.bot,
            environment=tale.environment,
            at=at,
            newest=newest.number if newest else 0,
            name=f"{name} {next(self.names)}",
            bad=tale.bad,
        )

    def over(self, tale: Tale) -> None:
        """Nobody holds it to anything any more."""
        for watch in self.cluster.watches.values():
            watch.ceiling = 100

    async def close(self) -> None:
        """End everything."""
        await self._stack.aclose()


TALES: Mapping[str, Tale] = MappingProxyType(
    {
        "rolling": Tale(
            tell=roll,
            holds=rolled,
            must=("succeeded",),
            meets=(
                "mutation of deployments/checkout:not sent#1",
                "mutation of deployments/checkout:sent, not applied#1",
                "mutation of deployments/checkout:applied, not answered#1",
                "mutation of deployments/checkout:answered#1",
            ),
        ),
        "rolling_fails": Tale(
            tell=crash,
            holds=put_back,
            bad=True,
            end="failed",
            must=("failed",),
            meets=("mutation of deployments/checkout:applied, not answered#2",),
        ),
        "flagger": Tale(
            tell=climb_in_cluster,
            holds=flagged,
            service="payments",
            must=("step.0", "step.1", "succeeded"),
            may=("decide.0", "decide.1", "step.2"),
            meets=("mutation of deployments/payments:applied, not answered#1",),
        ),
        "flagger_aborted": Tale(
            tell=stop_at_a_step,
            holds=flagged_down,
            service="payments",
            end="aborted",
            must=("aborted",),
            may=("decide.0", "step.0"),
            meets=("mutation of deployments/payments:applied, not answered#2",),
        ),
        "argo": Tale(
            tell=climb_in_cluster,
            holds=paused,
            service="catalog",
            must=("step.0", "step.1", "succeeded"),
            may=("decide.0", "decide.1", "step.2"),
            meets=(
                "mutation of rollouts/catalog:applied, not answered#4",
                "mutation of rollouts/catalog/status:applied, not answered#2",
            ),
        ),
        "argo_aborted": Tale(
            tell=stop_at_a_step,
            holds=taken_down,
            service="catalog",
            end="aborted",
            must=("aborted",),
            may=("decide.0", "step.0"),
            meets=(
                "mutation of rollouts/catalog/status:applied, not answered#1",
                "mutation of rollouts/catalog:applied, not answered#2",
            ),
        ),
    }
)
