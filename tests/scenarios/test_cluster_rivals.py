"""Two bots and a person with kubectl change the same thing in a cluster: what the person did stays, and is told.

The deployment that was under way ends as superseded, with who did it, in Slack; nobody puts anything back, no bot says
a word to the cluster any more, and the next deployment works as any other. Real processes, the real kubectl.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from cluster_world import ClusterWorld, cluster_world
from integration.images.real_registry import digest_of
from kube.kubectl import KUBECTL, kubectl
from world import until

from bot.domain.lifecycle import Phase
from integrations._shared.kube.api import MANAGER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from cluster_world import Cluster

    from bot.domain.deployment import Deployment
    from bot.sandbox.process import BotProcess

pytestmark = [
    pytest.mark.long,
    pytest.mark.postgres,
    pytest.mark.timeout(170),
    pytest.mark.xdist_group("cluster-rivals"),
    pytest.mark.skipif(KUBECTL is None, reason="needs kubectl (make install)"),
]
THEIRS = "r/web:theirs"
PLUGIN = "kubectl-argo-rollouts"
"""What Argo's plugin for kubectl is called in the cluster's books."""
TWIN = """\
  twin: # somebody has written the same Deployment into the catalog twice
    target: { type: kubernetes, cluster: main, namespace: shop, workload: checkout, container: web }
"""


@dataclass(kw_only=True)
class Rivals:
    """Two bots, a cluster and a person at a terminal."""

    world: ClusterWorld
    cluster: Cluster
    folder: Path
    first: BotProcess
    second: BotProcess
    changes: int
    """How many there had been in the cluster before."""

    async def types(self, *words: str) -> int:
        """kubectl, as the person; how many calls the cluster has had when it is done."""
        code, said = await kubectl(self.cluster.server.kubeconfig(self.folder), "shop", *words)
        assert code == 0, said
        return len(self.cluster.server.log)

    async def writes_status(self, body: str) -> int:
        """As Argo's plugin for kubectl does."""
        how = ("--subresource=status", "--type=merge", f"--field-manager={PLUGIN}", "-p", body)
        return await self.types("patch", "rollouts.argoproj.io", "catalog", *how)

    def written(self, since: int) -> list[str]:
        """What bots have changed in the cluster after so many calls."""
        ours = [call for call in self.cluster.server.log[since:] if call.query.get("fieldManager") == MANAGER]
        return [f"{call.verb} {call.path}" for call in ours if call.writes]

    async def asks(self, who: str, words: str) -> Deployment:
        """For a deployment; as it is once it is stored."""
        service = words.split(maxsplit=1)[0]
        newest = await self.world.newest(service)
        before = newest.number if newest else 0
        await self.world.command(who, words)

        async def there() -> Deployment | None:
            found = await self.world.newest(service)
            return found if found is not None and found.number > before else None

        return await until(there, what=f"a deployment after {words!r}")

    async def is_rolling(self, service: str) -> None:
        """Once the template was changed and its pods do not come up."""

        async def rolling() -> bool:
            changed = self.cluster.templates(service, self.changes)
            status = self.cluster.get(service).get("status", {})
            return bool(changed) and status.get("unavailableReplicas", 0) > 0

        await until(rolling, what=f"a rollout of {service} that gets nowhere")

    async def reads(self, who: str, words: str, where: str) -> None:
        """Once this person can read that there."""

        async def there() -> bool:
            seen = self.world.server.hands.can_see(who)
            return any(words in one.text for one in seen if one.where == where)

        await until(there, what=f"{words!r} in the {where}\n{self.world.log_tail()}")

    async def ends(self, made: Deployment, *phases: Phase) -> Deployment:
        """The deployment once it is in one of these; it never was said to have succeeded on the way."""
        service = str(made.service)

        async def over() -> Deployment | None:
            found = next(one for one in await self.world.deployments(service) if one.id == made.id)
            return found if found.phase.final else None

        found = await until(over, what=f"an end of #{made.number}\n{self.world.log_tail()}")
        assert found.phase in phases, f"it is {found.phase}: {found.note}"
        if Phase.SUCCEEDED not in phases:
            reached = {str(event.after) for event in await self.world.events(made.id)}
            assert not reached & {"verifying", "succeeded"}, reached

        async def shown() -> bool:
            return self.world.shown(made.id) == found.phase

        await until(shown, what=f"a card that says {found.phase}")
        return found

    async def is_superseded(self, made: Deployment, *who: str, since: int) -> None:
        """It is, it says by whom, in the card and in the thread, and no bot has changed anything after that."""
        found = await self.ends(made, Phase.SUPERSEDED)
        for words in who:
            assert words in found.note
            await self.reads("ada", words, "channel")
        assert self.written(since) == []

        async def noted() -> bool:
            return "superseded" in self.world.notes(made.id)

        await until(noted, what=f"a note that it was superseded among {self.world.notes(made.id)}")

    async def goes_on(self, service: str, version: str, before: list[str], since: int, *press: str) -> None:
        """The next deployment works, and until then nobody has changed anything after the person."""
        assert self.cluster.templates(service, self.changes) == before
        made = await self.asks("grace", f"{service} {version} staging")
        for label in press:
            await self.world.press("grace", label, about=made.id)
        await self.ends(made, Phase.SUCCEEDED)
        ours = self.cluster.location(version)
        assert self.cluster.templates(service, self.changes) == [*before, ours]

        async def settled() -> bool:
            return self.cluster.settled(service)

        await until(settled, what=f"pods of {version} and no others")
        assert not self.world.told_twice()
        verdict = await self.world.audit()
        assert verdict.ok, verdict.why


@pytest.fixture
async def rivals(tmp_path: Path, postgres_url: str) -> AsyncIterator[Rivals]:
    """A cluster in which v1.2 cannot be pulled, and two bots; the second comes after the first."""
    async with cluster_world(tmp_path / "world", postgres_url, tls=True) as (world, cluster):
        cluster.pods.behaves(digest_of(cluster.registry.manifests["v1.2"]), "missing")
        patient = {"spec": {"progressDeadlineSeconds": 30000}}
        cluster.server.change("deployments", "shop", "checkout", patient)
        config = world.folder / ".deploy" / "config.yaml"
        text = config.read_text()
        images = next(line for line in text.splitlines() if line.startswith("    images:"))
        config.write_text(text.replace("roles:\n", f"{TWIN}{images}\nroles:\n"))
        first, second = world.bot(EXECUTOR_ID="one"), world.bot(EXECUTOR_ID="two", PORT="0")
        await first.start()
        yield Rivals(
            world=world,
            cluster=cluster,
            folder=tmp_path,
            first=first,
            second=second,
            changes=len(cluster.server.store.changes),
        )


@pytest.mark.parametrize("dies", [False, True], ids=["", "when the bot that rolls it out dies"])
async def test_what_kubectl_set_stays_and_is_told(rivals: Rivals, dies: bool) -> None:
    made = await rivals.asks("ada", "checkout v1.2 staging")
    await rivals.is_rolling("checkout")
    await rivals.second.start()
    if dies:
        await rivals.first.kill()
    since = await rivals.types("set", "image", "deployment/checkout", f"web={THEIRS}")
    await rivals.is_superseded(made, "kubectl-set at", THEIRS, since=since)
    await rivals.goes_on("checkout", "v1.4", [rivals.cluster.location("v1.2"), THEIRS], since)


async def test_what_kubectl_took_back_stays_and_is_told(rivals: Rivals) -> None:
    await rivals.second.start()
    made = await rivals.asks("ada", "checkout v1.2 staging")
    await rivals.is_rolling("checkout")
    since = await rivals.types("rollout", "undo", "deployment/checkout")
    await rivals.is_superseded(made, "kubectl at", since=since)
    before = [rivals.cluster.location("v1.2"), rivals.cluster.location("v1.1")]
    await rivals.goes_on("checkout", "v1.4", before, since)


async def test_of_two_bots_at_one_deployment_and_a_person_the_last_one_has_it(rivals: Rivals) -> None:
    await rivals.second.start()
    cluster = rivals.cluster
    ours = await rivals.asks("ada", "checkout v1.2 staging")
    await rivals.is_rolling("checkout")
    cluster.pods.behaves(digest_of(cluster.registry.manifests["v1.4"]), "missing")
    other = await rivals.asks("grace", "twin v1.4 staging")
    found = await rivals.ends(ours, Phase.SUPERSEDED)
    assert f"{other.id}-apply-1" in found.note
    before = [cluster.location("v1.2"), cluster.location("v1.4")]
    assert cluster.templates("checkout", rivals.changes) == before
    since = await rivals.types("set", "image", "deployment/checkout", f"web={THEIRS}")
    await rivals.is_superseded(other, "kubectl-set at", THEIRS, since=since)
    cluster.pods.behaves(digest_of(cluster.registry.manifests["v1.4"]), "well")
    await rivals.goes_on("checkout", "v1.4", [*before, THEIRS], since)


@pytest.mark.parametrize("away", [False, True], ids=["", "while no bot is there"])
async def test_what_is_aborted_by_argos_plugin_stays_aborted_and_is_told(rivals: Rivals, away: bool) -> None:
    rivals.cluster.pods.behaves(digest_of(rivals.cluster.registry.manifests["v1.2"]), "well")
    await rivals.second.start()
    made = await rivals.asks("ada", "catalog v1.2 staging")
    await rivals.reads("ada", "gets 25 % of the traffic. Promote to", "thread")
    if away:
        await rivals.first.kill()
        await rivals.second.kill()
    since = await rivals.writes_status('{"status": {"abort": true}}')
    if away:
        await rivals.second.start()
    await rivals.is_superseded(made, f"{PLUGIN} at", "aborted catalog", since=since)
    assert rivals.cluster.argo.traffic("shop", "catalog") == 0
    assert rivals.cluster.get("catalog")["status"]["abort"] is True
    before = [rivals.cluster.location("v1.2")]
    await rivals.goes_on("catalog", "v1.4", before, since, "Promote to 100 %")


async def test_what_is_promoted_by_argos_plugin_is_where_it_is_now(rivals: Rivals) -> None:
    rivals.cluster.pods.behaves(digest_of(rivals.cluster.registry.manifests["v1.2"]), "well")
    await rivals.second.start()
    made = await rivals.asks("ada", "catalog v1.2 staging")
    await rivals.reads("ada", "gets 25 % of the traffic. Promote to", "thread")
    since = await rivals.writes_status('{"status": {"pauseConditions": null}}')
    await rivals.reads("ada", "went from 25 % to 50 %", "thread")
    await rivals.reads("ada", "gets 50 % of the traffic. Promote to", "thread")
    assert rivals.written(since) == []
    assert rivals.cluster.argo.traffic("shop", "catalog") == 50
    await rivals.world.press("grace", "Promote to 100 %", about=made.id)
    await rivals.ends(made, Phase.SUCCEEDED)
    assert [one.rpartition("/")[2] for one in rivals.written(since)].count("status") == 1
    assert rivals.cluster.templates("catalog", rivals.changes) == [rivals.cluster.location("v1.2")]
    await rivals.goes_on("catalog", "v1.4", [rivals.cluster.location("v1.2")], since, "Promote to 100 %")


async def test_what_kubectl_gave_to_flagger_is_left_to_it_and_told(rivals: Rivals) -> None:
    rivals.cluster.pods.behaves(digest_of(rivals.cluster.registry.manifests["v1.2"]), "well")
    await rivals.second.start()
    made = await rivals.asks("ada", "payments v1.2 staging")
    await rivals.reads("ada", "gets 20 % of the traffic. Promote to", "thread")
    since = await rivals.types("set", "image", "deployment/payments", f"web={THEIRS}")
    await rivals.is_superseded(made, "kubectl-set at", THEIRS, since=since)
    before = [rivals.cluster.location("v1.2"), THEIRS]
    await rivals.goes_on("payments", "v1.4", before, since, "Promote to 100 %")


async def test_what_is_promoted_fully_by_argos_plugin_is_adopted(rivals: Rivals) -> None:
    rivals.cluster.pods.behaves(digest_of(rivals.cluster.registry.manifests["v1.2"]), "well")
    await rivals.second.start()
    made = await rivals.asks("ada", "catalog v1.2 staging")
    await rivals.reads("ada", "gets 25 % of the traffic. Promote to", "thread")
    since = await rivals.writes_status('{"status": {"promoteFull": true}}')
    await rivals.reads("ada", "went from 25 % to 100 %", "thread")
    await rivals.ends(made, Phase.SUCCEEDED)
    assert not [one for one in rivals.written(since) if one.endswith("/status")], "there was nothing left to let on"
    before = [rivals.cluster.location("v1.2")]
    await rivals.goes_on("catalog", "v1.4", before, since, "Promote to 100 %")
