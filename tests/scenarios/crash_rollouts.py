"""Rollouts of several steps, and rollbacks that are counted down, told to their end however often the bot dies.

Each tale is one request with what people say to it, and what must be true when it is over: every change of the target
was made once, nobody was passed over, and all of it can be read in Slack.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from crash_kinds import Run
from world import until

from bot.domain.analysis.countdown import CountdownState
from bot.domain.lifecycle import Phase

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from crash_kinds import Look

    from bot.domain.deployment import Deployment

CATALOG = """\
version: 1
channel: "#deployments"
admin_channel: "#deploy-admin"
environments:
  staging: {}
  production: { approval: { expires: 12h } }
metrics:
  proxy: { type: local, root: platform }
checks:
  errors:
    { source: proxy, query: error_share, limit: 0.02, min_samples: 2, interval: 1s, window: 2s, failures: 1, of: 1 }
strategies:
  canary:
    canary:
      steps:
        - { weight: 20, bake: 1s, approval: true }
        - { weight: 50, bake: 1s, approval: true }
      timeout: 10m
      on_timeout: abort
defaults:
  health: { path: /health, interval: 0.1, timeout: 2s, passes: 2, deadline: 30s }
  deadline: 90s
  checks: [errors]
  countdown: 2s
services:
  checkout: # looked at while it is rolled out, and not afterwards
    target: { type: local, root: platform, instances: 2, start_timeout: 15 }
    images: { type: local, folder: artifacts/checkout }
  payments: # looked at afterwards
    target: { type: local, root: platform, instances: 2, start_timeout: 15 }
    images: { type: local, folder: artifacts/payments }
    bake: 20s
  catalog: # the same, with time enough for people to say something
    target: { type: local, root: platform, instances: 2, start_timeout: 15 }
    images: { type: local, folder: artifacts/catalog }
    bake: 20s
    countdown: 10m
roles:
  deployer:
    members: ["@deployers", "@release-managers"]
    allow:
      - actions: [deploy, rollback, abort, resolve, promote, approve, lock, unlock]
        services: "*"
        environments: "*"
"""
BAD = "v1.3"
_BY_ITSELF = "automatic:"
_STEPS = ("weight20-1-1", "weight50-2-1", "weight100-3-1", "promote-4-1")


@dataclass(kw_only=True)
class Rollout(Run):
    """One telling of a tale about a rollout."""

    bad: bool = False

    @property
    def version(self) -> str:
        """What is to be deployed."""
        return BAD if self.bad else super().version

    def waits_at(self, step: int) -> Look:
        """Whether people are asked to let it go on from that step."""

        async def look() -> bool:
            now = await self.now()
            assert not now.phase.final, f"it is {now.phase}: {now.note}\n{self.facts()}"
            at = now.progression.position.step if now.progression else -1
            return now.phase is Phase.PAUSED and at == step

        return look

    def approved_up_to(self, weight: int) -> Look:
        async def look() -> bool:
            progression = (await self.now()).progression
            return progression is not None and progression.position.approved >= weight

        return look

    def counted(self, *states: CountdownState) -> Look:
        """Whether the automatic rollback is in one of these states."""

        async def look() -> bool:
            countdown = (await self.now()).countdown
            return countdown is not None and countdown.state in states

        return look

    async def asked_to_stop(self) -> bool:
        now = await self.now()
        return now.request is not None or now.phase is Phase.ABORTED

    async def did(self, deployment: Deployment) -> list[str]:
        """What the agent was asked to do for a deployment, without its name."""
        name = f"{deployment.id}-"
        return [one.removeprefix(name) for one in await self.operations() if one.startswith(name)]

    async def rollbacks(self) -> list[Deployment]:
        """Of what is told here."""
        assert self.made is not None
        return [one for one in await self.world.deployments(self.service) if one.rollback_of == self.made.id]


async def climb(run: Rollout) -> None:
    """Approved by Grace, and let through by people at each step, in the thread."""
    await run.ask("checkout {v} {e} strategy=canary")
    await run.until(run.phase("awaiting_approval", "queued"), "a deployment that asks")
    assert not await run.operations(), "nothing is changed before it is approved"
    await run.press("grace", "Approve", run.approved)
    assert run.made is not None
    for step, who, weight in ((0, "ada", 50), (1, "grace", 100)):
        await run.until(run.waits_at(step), f"a question at step {step + 1}")
        assert await run.did(run.made) == list(_STEPS[: step + 1]), "it has gone on although nobody has said so"
        await run.press(who, f"Promote to {weight} %", run.approved_up_to(weight), where="thread")
    await run.ends()


async def climbed(run: Rollout) -> None:
    """Every step once, each by somebody's leave, and all of the traffic at the end."""
    made = await run.now()
    assert await run.did(made) == list(_STEPS)
    events = await run.world.events(made.id)
    assert [event.note for event in events if event.kind == "step"] == ["20 %", "50 %", "100 %", "promoted"]
    said = [(event.actor.name, event.note.partition(".")[0]) for event in events if event.kind == "promoted"]
    assert said == [("ada", "To 50 %"), ("grace", "To 100 %")]
    order = [event.note for event in events if event.kind in {"step", "promoted"}]
    assert [note.partition(".")[0] for note in order] == ["20 %", "To 50 %", "50 %", "To 100 %", "100 %", "promoted"]
    phases = [str(event.after) for event in events if event.kind in {"phase", "requested"}]
    through = [phase for phase in phases if phase not in {"paused", "deploying"}]
    assert through == ["requested", "awaiting_approval", "queued", "verifying", "succeeded"]
    await serves_all(run, made, run.version)


async def turn_red(run: Rollout) -> None:
    """It fails its checks, is counted down and taken back, and nobody says anything."""
    await run.ask("checkout {v} {e} strategy=canary")
    await run.until(run.phase("failed"), "a canary that was taken back")


async def taken_back(run: Rollout) -> None:
    """One step there and one back; what ran before serves everything."""
    made = await run.now()
    assert await run.did(made) == [_STEPS[0], "restore-1"]
    assert made.countdown is not None
    assert made.countdown.state is CountdownState.FIRED
    assert made.countdown.by is None
    counted = [event for event in await run.world.events(made.id) if event.kind == "countdown"]
    assert len(counted) == 2, [event.note for event in counted]  # begun, and over
    assert f"{run.runs} serves again" in made.note
    await serves_all(run, None, run.runs)


async def stop_in_a_step(run: Rollout) -> None:
    """Aborted right after it was let through, so that it meets the change that this has begun."""
    await run.ask("checkout {v} {e} strategy=canary")
    await run.until(run.waits_at(0), "a question at step 1")
    await run.press("ada", "Promote to 50 %", run.approved_up_to(50), where="thread")
    await run.press("ada", "Abort", run.asked_to_stop)
    await run.until(run.phase("aborted"), "a canary that was aborted")


async def stopped(run: Rollout) -> None:
    """Nothing was begun after the word, and what ran before serves everything."""
    made = await run.now()
    did = await run.did(made)
    assert did in ([_STEPS[0], "restore-1"], [*_STEPS[:2], "restore-1"]), did
    asked = [event for event in await run.world.events(made.id) if event.kind == "abort_requested"]
    assert len(asked) == 1
    await serves_all(run, None, run.runs)


async def fail_afterwards(run: Rollout) -> None:
    """It succeeds, fails its checks after that, and is rolled back when the countdown is over."""
    await run.ask("payments {v} {e}")
    await run.until(run.phase("rolled_back"), "a rollback by itself")


async def fail_and_not_be_waited_for(run: Rollout) -> None:
    """The same, and Grace does not want to wait for the end of the countdown."""
    await run.ask("catalog {v} {e}")
    await run.until(run.counted(CountdownState.RUNNING), "a countdown")
    assert not await run.rollbacks()
    await run.press("grace", "Roll back now", run.counted(CountdownState.FIRED))
    await run.until(run.phase("rolled_back"), "a rollback")


async def rolled_back_once(run: Rollout) -> None:
    """There and back, once each; and the way there is shut until somebody has looked."""
    made = await run.now()
    assert made.countdown is not None
    assert made.countdown.state is CountdownState.FIRED
    counted = [event.actor.name for event in await run.world.events(made.id) if event.kind == "countdown"]
    if made.countdown.by is None:
        assert len(counted) == 2, counted
    else:
        assert made.countdown.by.name == "grace"
        assert counted.count("grace") == 1
        assert len(counted) == 2, counted
    (rollback,) = await run.rollbacks()
    assert rollback.origin == f"{_BY_ITSELF}{made.id}"
    await _is_back(run, made, rollback)


async def call_it_off(run: Rollout) -> None:
    """Called off: it stays, although it fails, until a person rolls it back."""
    await run.ask("catalog {v} {e}")
    await run.until(run.counted(CountdownState.RUNNING), "a countdown")
    await run.press("ada", "Cancel auto-rollback", run.counted(CountdownState.CANCELLED))
    assert await run.phase("succeeded")()

    async def rolling() -> bool:
        return bool(await run.rollbacks())

    assert not await rolling()
    await run.press("ada", f"Roll back to {run.runs}", rolling)
    await run.until(run.phase("rolled_back"), "a rollback")


async def rolled_back_by_a_person(run: Rollout) -> None:
    """Only the person's rollback, once."""
    made = await run.now()
    assert made.countdown is not None
    assert made.countdown.state is CountdownState.CANCELLED
    (rollback,) = await run.rollbacks()
    assert rollback.requester.name == "ada"
    assert not rollback.origin.startswith(_BY_ITSELF)
    await _is_back(run, made, rollback)


async def _is_back(run: Rollout, made: Deployment, rollback: Deployment) -> None:
    world, place = run.world, f"{run.service} {run.environment}"

    async def over() -> bool:
        return [one.phase for one in await run.rollbacks()] == [Phase.SUCCEEDED]

    await run.until(over, "a rollback that succeeded")
    assert await run.operations() == [f"{made.id}-apply-1", f"{rollback.id}-apply-1"]
    assert rollback.release.version == run.runs
    await serves_all(run, rollback, run.runs)
    locks = await world.rows("SELECT 1 FROM locks WHERE ended_at IS NULL")
    assert len(locks) == 1
    heard = len(world.whispers("ada"))
    await world.command("ada", f"{run.service} {BAD} {run.environment}")
    await world.whispered("ada", "Locked after a rollback", after=heard)
    assert len(await run.rollbacks()) == 1
    newest = await world.newest(run.service)
    assert newest is not None
    assert newest.id == rollback.id, "what was rolled back went there again"
    await world.command("grace", f"unlock {place}")

    async def free() -> bool:
        return not await world.rows("SELECT 1 FROM locks WHERE ended_at IS NULL")

    await until(free, what="an end of the lock")


async def serves_all(run: Rollout, made: Deployment | None, version: str) -> None:
    """This version has all of the traffic, and nothing else is there; ``made`` brought it (None: somebody before)."""
    world = run.world
    place = f"{run.service}@{run.environment}"
    assert {await world.serves(place) for _ in range(10)} == {version}
    placement = await world.placement(run.service, run.environment)
    if made is not None:
        assert placement is not None
        assert (placement.release.version, placement.deployment) == (version, made.id)
    elif placement is not None:
        assert placement.release.version == version

    async def only_this() -> bool:
        status = await world.platform.status(run.service, run.environment)
        assert status is not None
        there = [(one["version"], one["state"]) for one in status["instances"]]
        return there == [(version, "ready")] * 2 and status["stable"] is not None

    await until(only_this, within=15, what=f"two instances of {version} and nothing else")


@dataclass(frozen=True, kw_only=True)
class Tale:
    """What happens, where, and what must be true after it."""

    tell: Callable[[Rollout], Awaitable[None]]
    holds: Callable[[Rollout], Awaitable[None]]
    service: str = "checkout"
    environment: str = "staging"
    bad: bool = False
    end: str = "succeeded"
    must: tuple[str, ...] = ()
    """Notes in its thread; `countdown` stands for the one of its only countdown."""
    may: tuple[str, ...] = ()
    """Notes of what may be past before it is told."""
    meets: tuple[str, ...] = ()
    """Some of its points."""
    since: str = ""
    """The point from which on it is another story than a plain deployment's."""


_SUCCEEDED = "step succeed:begins#1"
TALES: Mapping[str, Tale] = MappingProxyType(
    {
        "canary": Tale(
            tell=climb,
            holds=climbed,
            environment="production",
            must=("approved.1", "step.0", "step.1", "succeeded"),
            may=("approval.1", "decide.0", "decide.1", "step.2"),
            meets=(
                "mutation weight:sent, not applied#1",
                "mutation weight:applied, not answered#3",
                "mutation promote:sent, not applied#1",
                "mutation promote:applied, not answered#1",
                "step reached:done, not in the journal#2",
                "step next move:done, not in the journal#3",
                "permit take:done#4",
            ),
        ),
        "canary_fails": Tale(
            tell=turn_red,
            holds=taken_back,
            bad=True,
            end="failed",
            must=("failed",),
            may=("countdown", "decide.0"),
            meets=("mutation weight:applied, not answered#1", "mutation take_back:applied, not answered#1"),
        ),
        "canary_aborted": Tale(
            tell=stop_in_a_step,
            holds=stopped,
            end="aborted",
            must=("aborted",),
            may=("decide.0", "decide.1", "step.0"),
            meets=("mutation take_back:sent, not applied#1",),
        ),
        "countdown": Tale(
            tell=fail_afterwards,
            holds=rolled_back_once,
            service="payments",
            bad=True,
            end="rolled_back",
            must=("succeeded", "rolled_back"),
            may=("countdown",),
            meets=("step bake:done, not in the journal#1", "step roll back:done, not in the journal#1"),
            since=_SUCCEEDED,
        ),
        "hastened": Tale(
            tell=fail_and_not_be_waited_for,
            holds=rolled_back_once,
            service="catalog",
            bad=True,
            end="rolled_back",
            must=("succeeded", "rolled_back"),
            may=("countdown",),
            meets=("step roll back:in the journal#1",),
            since=_SUCCEEDED,
        ),
        "called_off": Tale(
            tell=call_it_off,
            holds=rolled_back_by_a_person,
            service="catalog",
            bad=True,
            end="rolled_back",
            must=("succeeded", "rolled_back"),
            may=("countdown",),
            since=_SUCCEEDED,
        ),
    }
)
