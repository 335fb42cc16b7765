"""Others are at work on the same Deployment, or the bot is not there for a while: what is told, and nobody fights.

On the stand-in always, on a real cluster where TEST_KUBECONFIG names one.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest
from kube.real import EVERYWHERE
from kube.rolling_places import place

from bot.domain.catalog import HealthCheck
from bot.domain.errors import ProviderRejected
from bot.domain.ids import OperationId
from bot.domain.rollout import OutcomeKind
from integrations._shared.workloads import image

if TYPE_CHECKING:
    from kube.rolling_places import Place

pytestmark = [pytest.mark.timeout(60), EVERYWHERE]
ONE, TWO, BACK = OperationId("one"), OperationId("two"), OperationId("back")


async def test_somebody_with_kubectl_is_named_and_nobody_fights(where: str) -> None:
    async with place(where, patient=True) as here:
        target, bad = here.target(), here.release(here.failing)
        handle = await target.apply(release=bad, operation=ONE)
        await here.set_image(here.theirs)
        _, outcome = await here.seen(target, handle)
        assert outcome.kind is OutcomeKind.SUPERSEDED
        assert "kubectl-set at" in outcome.message
        assert image.shown(here.theirs) in outcome.message
        await here.settled()
        assert (await here.seen(target, handle))[1].kind is OutcomeKind.SUPERSEDED, "also when theirs is well"
        since = len(here.log)
        assert await target.apply(release=bad, operation=ONE) == handle
        assert "patch deployments" not in here.calls(since), "sent again, it changes nothing any more"
        assert await here.image() == here.theirs


async def test_kubectl_rollout_undo_brings_old_marks_back_and_the_change_is_found_all_the_same(where: str) -> None:
    async with place(where, patient=True) as here:
        target, bad = here.target(), here.release(here.failing)
        await here.deploy(target, "v1.1", "one")
        first = await here.get()
        handle = await target.apply(release=bad, operation=TWO)
        await here.hands.until(lambda: _sets(here, 3))

        def undo(live: dict[str, Any]) -> dict[str, Any]:
            marked = {**live["metadata"], "annotations": first["metadata"]["annotations"]}
            return {**live, "metadata": marked, "spec": first["spec"]}

        await here.change(undo, manager="kubectl-rollout")
        _, outcome = await here.seen(target, handle)
        assert outcome.kind is OutcomeKind.SUPERSEDED
        assert "kubectl-rollout at" in outcome.message
        assert "put back" in outcome.message
        assert await target.find(operation=TWO) == handle
        assert await target.apply(release=bad, operation=TWO) == handle
        assert await here.image() == here.release("v1.1").artifact.location


async def _sets(here: Place, number: int) -> bool:
    return len(await here.hands.all("replicasets")) == number


async def test_another_bot_takes_its_place_and_both_know(where: str) -> None:
    async with place(where) as here:
        mine, theirs = here.target(), here.target(kube=here.another_kube())
        handle = await mine.apply(release=here.release("v1.1"), operation=ONE)
        other = await theirs.apply(release=here.release("v1.2"), operation=TWO)
        _, outcome = await here.seen(mine, handle)
        assert outcome.kind is OutcomeKind.SUPERSEDED
        assert "two" in outcome.message
        assert (await here.seen(theirs, other))[1].kind is OutcomeKind.SUCCEEDED
        assert await mine.find(operation=ONE) == handle


async def test_an_annotation_or_more_replicas_or_a_restart_supersede_nothing(where: str) -> None:
    async with place(where) as here:
        target = here.target()
        handle = await target.apply(release=here.release("v1.1"), operation=ONE)
        await here.change({"metadata": {"annotations": {"note": "hello"}}})
        await here.change({"spec": {"replicas": 5}}, manager="horizontal")
        stamp = {"kubectl.kubernetes.io/restartedAt": "2026-11-23T12:00:00Z"}
        await here.change({"spec": {"template": {"metadata": {"annotations": stamp}}}})
        generation = (await here.get())["metadata"]["generation"]
        assert generation == int(handle.generation.rpartition(":")[2]) + 3
        progress, outcome = await here.seen(target, handle)
        assert outcome.kind is OutcomeKind.SUCCEEDED
        assert outcome.message == "5 of 5 pods available."
        assert (await here.get())["status"]["observedGeneration"] == generation
        assert progress[-1].total == 5
        assert await target.find(operation=ONE) == handle, "the handle is that of the change's own answer"


async def test_what_is_deleted_or_made_anew_is_told(where: str) -> None:
    async with place(where, patient=True) as here:
        target = here.target()
        handle = await target.apply(release=here.release("v1.5-missing"), operation=ONE)
        await here.hands.gone("deployments", "checkout")
        assert (await here.seen(target, handle))[1].kind is OutcomeKind.DELETED
        await here.add()
        _, outcome = await here.seen(target, handle)
        assert outcome.kind is OutcomeKind.DELETED
        assert "made anew" in outcome.message
        assert await target.find(operation=ONE) is None


async def test_what_is_deleted_while_it_is_watched_is_told(where: str) -> None:
    async with place(where, patient=True) as here:
        target = here.target()
        handle = await target.apply(release=here.release("v1.5-missing"), operation=ONE)
        kinds = []
        async with aclosing(target.observe(handle=handle)) as telling:
            async for each in telling:
                kinds.append(getattr(each, "kind", None))
                if len(kinds) == 1:
                    await here.hands.delete("deployments", "checkout")
        assert kinds[-1] is OutcomeKind.DELETED
        assert kinds.count(None) == len(kinds) - 1


async def test_what_is_paused_is_refused_and_pausing_on_the_way_ends_it(where: str) -> None:
    async with place(where, patient=True) as here:
        target, bad, good = here.target(), here.release("v1.5-missing"), here.release("v1.2")
        before = await target.current()
        handle = await target.apply(release=bad, operation=ONE)
        await here.change({"spec": {"paused": True}}, manager="kubectl-rollout")
        _, outcome = await here.seen(target, handle)
        assert outcome.kind is OutcomeKind.FAILED
        assert "paused by kubectl-rollout" in outcome.message
        for refused in (target.plan(release=good), target.restore(to=before, operation=BACK)):
            with pytest.raises(ProviderRejected, match="kubectl rollout resume"):
                await refused
        with pytest.raises(ProviderRejected, match="paused"):
            await target.apply(release=good, operation=TWO)
        assert await target.apply(release=bad, operation=ONE) == handle


async def test_scaled_to_zero_it_is_set_and_nothing_is_claimed_about_its_health(where: str) -> None:
    async with place(where, replicas=0) as here:
        target, new = here.target(), here.release("v1.1")
        plan = await target.plan(release=new)
        assert any("scaled to zero" in warning for warning in plan.warnings)
        _, outcome = await here.deploy(target, "v1.1", "one")
        assert outcome.kind is OutcomeKind.SUCCEEDED
        assert "nothing proves its health" in outcome.message
        health = await target.health(release=new, check=HealthCheck())
        assert not health.ok
        assert "scaled to zero" in health.message
        assert (await here.get())["spec"]["replicas"] == 0, "how many there are is not ours to say"


async def test_a_quota_is_told_while_it_is_in_the_way(where: str) -> None:
    async with place(where, patient=True) as here:
        await here.hands.make("resourcequotas", {"metadata": {"name": "compute"}, "spec": {"hard": {"pods": "3"}}})
        if where == "cluster":  # a real one counts before it refuses
            await here.hands.until(lambda: _counted(here))
        target = here.target(on_trouble="fail")
        handle = await target.apply(release=here.release("v1.1"), operation=ONE)
        _, outcome = await here.seen(target, handle)
        assert outcome.kind is OutcomeKind.FAILED
        assert "exceeded quota" in outcome.message
        assert "pods" in outcome.message


async def _counted(here: Place) -> bool:
    quota = await here.hands.get("resourcequotas", "compute")
    return quota.get("status", {}).get("used", {}).get("pods") == "3" or "status" not in quota


async def test_a_bot_that_died_is_followed_by_one_that_finds_its_change(where: str) -> None:
    async with place(where) as here:
        new, last_words = here.release("v1.1"), here.another_kube()
        handle = await here.target(kube=last_words).apply(release=new, operation=ONE)
        await last_words.close()
        again = here.target(kube=here.another_kube())
        found = await again.find(operation=ONE)
        assert found == handle
        generation = (await here.get())["metadata"]["generation"]
        assert await again.apply(release=new, operation=ONE) == handle, "what was done is not done twice"
        assert (await here.get())["metadata"]["generation"] == generation
        assert (await here.seen(again, found))[1].kind is OutcomeKind.SUCCEEDED
        assert (await here.seen(again, found))[1].kind is OutcomeKind.SUCCEEDED, "also after it is over"
        assert await again.find(operation=TWO) is None
