"""The simulated Flagger: phases, weights and gates in its scheduler's order, with gates that answer over HTTP."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from kube.deployments import DeploymentController
from kube.flagger import FlaggerController
from kube.manifests import canary, deployment
from kube.server import KubeServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from kube.resources import Object


@dataclass
class Gates:
    """Answers by path: a status, or seconds to hang."""

    url: str = ""
    answers: dict[str, int] = field(default_factory=dict)
    slow: float = 0.0
    asked: list[tuple[str, Object]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append((request.path, await request.json()))
        await asyncio.sleep(self.slow)
        return web.Response(status=self.answers.get(request.path, 403), text="closed")

    def hook(self, kind: str, **more: Any) -> Object:
        return {"name": kind, "type": kind, "url": f"{self.url}/{kind}", **more}

    def paths(self) -> list[str]:
        return [path.strip("/") for path, _ in self.asked]


@asynccontextmanager
async def gates() -> AsyncIterator[Gates]:
    found = Gates()
    app = web.Application()
    app.router.add_post("/{path:.*}", found.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield found
    finally:
        await runner.cleanup()


class Stage:
    """A cluster with a Deployment and its Canary, initialised."""

    def __init__(self, server: KubeServer) -> None:
        self.server = server
        self.pods = DeploymentController(server)
        self.flagger = FlaggerController(server, self.pods)

    async def ticks(self, count: int) -> list[str]:
        seen = []
        for _ in range(count):
            await self.flagger.tick()
            self.pods.settle()
            seen.append(f"{self.status['phase']} {self.status.get('canaryWeight', 0)}")
        return seen

    async def begin(self, wanted: Object) -> None:
        self.server.add("deployments", "shop", deployment("web", {"web": "r/web:1"}))
        self.server.add("canaries", "shop", wanted)
        self.pods.settle()
        assert await self.ticks(2) == ["Initializing 0", "Initialized 0"]

    def change(self, image: str, **template: Any) -> None:
        containers = [{"name": "web", "image": image}]
        patch = {"spec": {"template": {"spec": {"containers": containers}, **template}}}
        self.server.change("deployments", "shop", "web", patch)

    @property
    def status(self) -> Object:
        return dict(self.server.get("canaries", "shop", "web")["status"])

    @property
    def traffic(self) -> int:
        return self.flagger.traffic("shop", "web")

    def image(self, name: str = "web-primary") -> str:
        found = self.server.get("deployments", "shop", name)
        return str(found["spec"]["template"]["spec"]["containers"][0]["image"])

    @property
    def target_size(self) -> int:
        return int(self.server.get("deployments", "shop", "web")["spec"]["replicas"])


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with KubeServer.running() as server:
        yield Stage(server)


async def test_a_new_version_goes_up_the_steps_and_becomes_the_primary(stage: Stage) -> None:
    await stage.begin(canary("web"))
    assert (stage.image(), stage.target_size) == ("r/web:1", 0)
    before = stage.status
    stage.change("r/web:2")
    assert stage.status == before
    seen = await stage.ticks(7)
    assert seen == [
        "Progressing 0", "Progressing 20", "Progressing 40", "Progressing 60", "Promoting 60", "Finalising 0",
        "Succeeded 0",
    ]  # fmt: skip
    assert stage.status["lastPromotedSpec"] == stage.status["lastAppliedSpec"] != before["lastAppliedSpec"]
    assert (stage.image(), stage.target_size, stage.traffic) == ("r/web:2", 0, 0)


async def test_failed_checks_take_it_back_and_the_target_keeps_the_template(stage: Stage) -> None:
    await stage.begin(canary("web"))
    stage.flagger.check = lambda _canary, image: "success rate 10% < 99%" if image == "r/web:2" else ""
    stage.change("r/web:2")
    assert await stage.ticks(5) == ["Progressing 0", "Progressing 20", "Progressing 20", "Progressing 20", "Failed 0"]
    assert (stage.image(), stage.image("web"), stage.target_size, stage.traffic) == ("r/web:1", "r/web:2", 0, 0)
    assert await stage.ticks(2) == ["Failed 0", "Failed 0"]  # the same template is not tried again
    stage.change("r/web:2", metadata={"annotations": {"retry": "1"}})
    assert (await stage.ticks(1))[0] == "Progressing 0"


async def test_what_was_promoted_last_is_not_analysed_again(stage: Stage) -> None:
    await stage.begin(canary("web"))
    stage.flagger.check = lambda _canary, _image: "bad"
    stage.change("r/web:2")
    await stage.ticks(5)
    stage.change("r/web:1")
    assert await stage.ticks(2) == ["Failed 0", "Failed 0"]
    assert stage.status["lastAppliedSpec"] == stage.status["lastPromotedSpec"]


async def test_in_failed_the_hash_follows_before_the_phase(stage: Stage) -> None:
    await stage.begin(canary("web"))
    stage.flagger.check = lambda _canary, _image: "bad"
    stage.change("r/web:2")
    await stage.ticks(5)
    old, since = stage.status["lastAppliedSpec"], len(stage.server.store.changes)
    stage.change("r/web:3")
    await stage.flagger.tick()
    told = [
        (each.object["status"]["phase"], each.object["status"]["lastAppliedSpec"] != old)
        for each in stage.server.store.changes[since:]
        if each.resource.plural == "canaries"
    ]
    assert told == [("Failed", True), ("Progressing", True)]


async def test_another_version_in_the_midst_of_it_begins_anew(stage: Stage) -> None:
    await stage.begin(canary("web"))
    stage.change("r/web:2")
    await stage.ticks(3)
    stage.change("r/web:3")
    assert stage.traffic == 40
    assert await stage.ticks(2) == ["Progressing 0", "Progressing 20"]
    assert (await stage.ticks(5))[-1] == "Succeeded 0"
    assert stage.image() == "r/web:3"


async def test_pods_that_never_come_up_end_it(stage: Stage) -> None:
    await stage.begin(canary("web"))
    stage.change("r/web:missing")
    assert await stage.ticks(3) == ["Progressing 0"] * 3
    stage.pods.advance(61)
    assert (await stage.ticks(1), stage.target_size) == (["Failed 0"], 0)


async def test_a_promotion_that_fails_leaves_all_the_traffic_on_the_canary(stage: Stage) -> None:
    await stage.begin(canary("web"))
    stage.change("r/web:2")
    await stage.ticks(4)
    await stage.flagger.tick()
    assert stage.status["phase"] == "Promoting"
    stage.pods.behaves("r/web:2", "unready")
    stage.pods.settle()
    stage.pods.advance(601)
    stage.pods.settle()
    assert await stage.ticks(1) == ["Failed 100"]
    assert stage.traffic == 100


async def test_skipping_the_analysis_promotes_at_once(stage: Stage) -> None:
    wanted = canary("web")
    wanted["spec"]["skipAnalysis"] = True
    await stage.begin(wanted)
    stage.change("r/web:2")
    assert await stage.ticks(2) == ["Progressing 0", "Succeeded 0"]
    assert stage.image() == "r/web:2"


async def test_suspended_it_does_nothing(stage: Stage) -> None:
    await stage.begin(canary("web"))
    stage.server.change("canaries", "shop", "web", {"spec": {"suspend": True}})
    stage.change("r/web:2")
    assert await stage.ticks(2) == ["Initialized 0", "Initialized 0"]


async def test_blue_green_by_iterations(stage: Stage) -> None:
    await stage.begin(canary("web", iterations=2))
    stage.change("r/web:2")
    assert (await stage.ticks(7))[-1] == "Succeeded 0"
    assert stage.image() == "r/web:2"


async def test_every_gate_is_asked_at_its_time(stage: Stage) -> None:
    async with gates() as open_:
        kinds = ("confirm-rollout", "pre-rollout", "confirm-traffic-increase", "rollback", "confirm-promotion")
        hooks = [open_.hook(kind, metadata={"token": "s3cret"}) for kind in kinds]
        await stage.begin(canary("web", stepWeight=50, maxWeight=50, webhooks=hooks))
        before = stage.status["lastAppliedSpec"]
        stage.change("r/web:2")
        assert await stage.ticks(2) == ["Waiting 0", "Waiting 0"]
        assert open_.paths() == ["confirm-rollout"] * 2  # the rollback hook is not asked now
        assert set(open_.asked[0][1]) == {"name", "namespace", "phase", "checksum", "metadata"}
        assert open_.asked[0][1]["metadata"] == {"token": "s3cret"}
        assert [payload["phase"] for _, payload in open_.asked] == ["Initialized", "Waiting"]
        assert stage.status["lastAppliedSpec"] == before  # so its checksum is of the spec before
        open_.answers = {"/confirm-rollout": 200, "/pre-rollout": 202}
        assert await stage.ticks(3) == ["Progressing 0"] * 3
        assert stage.status["lastAppliedSpec"] != before
        assert open_.asked[-1][0] == "/confirm-traffic-increase"
        open_.answers["/confirm-traffic-increase"] = 200
        assert await stage.ticks(1) == ["Progressing 50"]
        open_.asked.clear()
        assert await stage.ticks(2) == ["WaitingPromotion 0", "WaitingPromotion 0"]
        assert stage.traffic == 50  # whatever the status says
        assert open_.paths() == [
            "rollback", "confirm-traffic-increase", "confirm-promotion", "rollback", "confirm-promotion",
        ]  # fmt: skip
        open_.answers["/confirm-promotion"] = 200
        assert (await stage.ticks(3))[-1] == "Succeeded 0"


async def test_the_status_may_be_synced_before_the_gate_is_asked(stage: Stage) -> None:
    stage.flagger = FlaggerController(stage.server, stage.pods, sync_first=True)
    async with gates() as open_:
        await stage.begin(canary("web", stepWeight=50, maxWeight=50, webhooks=[open_.hook("confirm-rollout")]))
        before = stage.status["lastAppliedSpec"]
        stage.change("r/web:2")
        assert await stage.ticks(2) == ["Waiting 0", "Waiting 0"]
        assert stage.status["lastAppliedSpec"] != before
        assert [payload["phase"] for _, payload in open_.asked] == ["Progressing", "Progressing"]
        open_.answers["/confirm-rollout"] = 200
        assert await stage.ticks(2) == ["Progressing 0", "Progressing 50"]


async def test_while_it_waits_for_its_promotion_it_is_checked_and_can_fail(stage: Stage) -> None:
    async with gates() as open_:
        hooks = [open_.hook("confirm-promotion"), open_.hook("rollout")]
        open_.answers["/rollout"] = 200
        await stage.begin(canary("web", stepWeight=50, maxWeight=50, threshold=2, webhooks=hooks))
        stage.change("r/web:2")
        assert (await stage.ticks(4))[-1] == "WaitingPromotion 0"
        open_.asked.clear()
        assert await stage.ticks(1) == ["WaitingPromotion 0"]
        assert open_.paths() == ["rollout", "confirm-promotion"], "it is asked again at every round"
        open_.answers["/rollout"] = 500
        assert (await stage.ticks(3))[-1] == "Failed 0"
        assert (stage.traffic, stage.image()) == (0, "r/web:1")


async def test_another_version_while_it_waits_at_the_first_gate_is_what_goes_on(stage: Stage) -> None:
    async with gates() as open_:
        await stage.begin(canary("web", stepWeight=50, webhooks=[open_.hook("confirm-rollout")]))
        stage.change("r/web:2")
        await stage.ticks(2)
        stage.change("r/web:3")
        assert await stage.ticks(1) == ["Waiting 0"]
        checksums = {payload["checksum"] for _, payload in open_.asked}
        assert len(checksums) == 1, "it tells nothing of what it is about"
        open_.answers["/confirm-rollout"] = 200
        await stage.ticks(8)
        assert stage.image() == "r/web:3"


async def test_its_status_is_written_beside_and_its_spec_is_not(stage: Stage) -> None:
    await stage.begin(canary("web"))
    stage.server.change("canaries", "shop", "web", {"status": {"phase": "Succeeded"}})
    assert stage.status["phase"] == "Initialized", "on the main endpoint it is ignored"
    stage.server.change("canaries", "shop", "web", {"spec": {"skipAnalysis": True}}, status=True)
    assert "skipAnalysis" not in stage.server.get("canaries", "shop", "web")["spec"]


async def test_a_yes_to_rollback_means_now(stage: Stage) -> None:
    async with gates() as open_:
        await stage.begin(canary("web", stepWeight=20, webhooks=[open_.hook("rollback")]))
        stage.change("r/web:2")
        assert await stage.ticks(2) == ["Progressing 0", "Progressing 20"]
        open_.answers["/rollback"] = 200
        assert await stage.ticks(1) == ["Failed 0"]
        assert (stage.image(), stage.traffic) == ("r/web:1", 0)


@pytest.mark.parametrize(
    ("status", "phase"), [(200, "Progressing"), (202, "Progressing"), (204, "Waiting"), (404, "Waiting")]
)
async def test_up_to_202_is_yes(stage: Stage, status: int, phase: str) -> None:
    async with gates() as open_:
        await stage.begin(canary("web", stepWeight=20, webhooks=[open_.hook("confirm-rollout")]))
        open_.answers["/confirm-rollout"] = status
        stage.change("r/web:2")
        await stage.ticks(1)
        assert stage.status["phase"] == phase


async def test_no_answer_in_time_is_no(stage: Stage) -> None:
    async with gates() as open_:
        hook = open_.hook("confirm-rollout", timeout="50ms", retries=1)
        await stage.begin(canary("web", stepWeight=20, webhooks=[hook]))
        open_.answers["/confirm-rollout"], open_.slow = 200, 0.3
        stage.change("r/web:2")
        assert await stage.ticks(1) == ["Waiting 0"]
        assert len(open_.asked) == 2


async def test_events_are_told_to_the_hook_and_to_the_cluster(stage: Stage) -> None:
    async with gates() as open_:
        await stage.begin(canary("web", stepWeight=20, webhooks=[open_.hook("event")]))
        stage.change("r/web:2")
        await stage.ticks(2)
        told = [payload["metadata"] for _, payload in open_.asked]
    assert {"eventMessage", "eventType", "timestamp"} <= set(told[-1])
    assert told[-1]["eventMessage"] == "Advance web.shop canary weight 20"
    events = [
        each["message"] for each in stage.server.all("events", "shop") if each["involvedObject"]["kind"] == "Canary"
    ]
    assert "New revision detected! Scaling up web.shop" in events


async def test_it_goes_on_by_itself(stage: Stage) -> None:
    await stage.begin(canary("web"))
    stage.flagger.pace, stage.pods.pace = 0.01, 0.005
    async with stage.pods, stage.flagger:
        stage.change("r/web:2")
        await stage.server.until(lambda: stage.status["phase"] == "Succeeded", timeout=20)
    assert stage.image() == "r/web:2"
