"""Several containers, init containers and Deployments that are one release: changed, followed and put back together.

On the stand-in always, on a real cluster where TEST_KUBECONFIG names one.
"""

from __future__ import annotations

from typing import Any

import pytest
from kube.real import EVERYWHERE
from kube.rolling_places import place

from bot.domain.errors import ProviderRejected
from bot.domain.ids import OperationId
from bot.domain.rollout import OutcomeKind

pytestmark = [pytest.mark.timeout(60), EVERYWHERE]
ONE, BACK = OperationId("one"), OperationId("back")
BOTH: dict[str, Any] = {
    "workload": None,
    "container": None,
    "workloads": [{"name": "checkout", "container": "web"}, {"name": "worker"}],
}


async def test_several_containers_and_several_deployments_are_one_release(where: str) -> None:
    async with place(where) as here:
        await here.add("worker", {"app": here.other, "side": here.side})

        def with_init(live: dict[str, Any]) -> dict[str, Any]:
            spec = live["spec"]["template"]["spec"]
            spec["initContainers"] = [{**spec["containers"][0], "name": "migrate", "args": ["-v"]}]
            return live

        await here.change(with_init, name="worker")
        await here.settled("worker")
        workloads = [{"name": "checkout", "container": "web"}, {"name": "worker", "containers": ["app", "migrate"]}]
        target = here.target(workload=None, container=None, workloads=workloads)
        new = here.release("v1.1")
        plan = await target.plan(release=new)
        assert sorted(change.partition(" runs ")[0] for change in plan.changes) == [
            "checkout: web",
            "worker: app",
            "worker: migrate",
        ]
        before = await target.current()
        progress, outcome = await here.deploy(target, "v1.1", "one")
        assert outcome.kind is OutcomeKind.SUCCEEDED
        assert progress[-1].total == 6
        spec = (await here.get("worker"))["spec"]["template"]["spec"]
        wanted = new.artifact.location
        assert [spec["initContainers"][0]["image"], *(each["image"] for each in spec["containers"])] == [
            wanted,
            wanted,
            here.side,
        ]
        running = await target.current()
        assert running is not None
        assert running.all_healthy
        assert (await target.plan(release=new)).no_change
        handle = await target.restore(to=before, operation=BACK)
        assert (await here.seen(target, handle))[1].kind is OutcomeKind.SUCCEEDED
        assert await here.image() == here.first
        assert await here.image("worker") == here.other


async def test_of_several_none_is_changed_when_one_would_be_refused(where: str) -> None:
    async with place(where) as here:
        await here.add("worker", {"app": here.other}, paused=True)
        target = here.target(**BOTH)
        with pytest.raises(ProviderRejected, match="worker is paused"):
            await target.apply(release=here.release("v1.1"), operation=ONE)
        assert await here.image() == here.first
        assert await target.find(operation=ONE) is None


async def test_of_several_one_that_is_refused_after_all_is_told_and_all_can_be_put_back(where: str) -> None:
    async with place(where) as here:
        await here.add("worker", {"app": here.other})
        await here.settled("worker")
        both, new = here.target(**BOTH), here.release("v1.1")
        before = await both.current()
        # The other one is refused in the moment between the trial and the change.
        await here.target().apply(release=new, operation=ONE)
        await here.change({"spec": {"paused": True}}, name="worker")
        handle = await both.apply(release=new, operation=ONE)
        assert await both.find(operation=ONE) == handle
        _, outcome = await here.seen(both, handle)
        assert outcome.kind is OutcomeKind.FAILED
        assert "worker was not changed" in outcome.message
        await here.change({"spec": {"paused": False}}, name="worker")
        handle = await both.restore(to=before, operation=BACK)
        assert (await here.seen(both, handle))[1].kind is OutcomeKind.SUCCEEDED
        assert await here.image() == here.first
