"""What a canary of Flagger's is told on its way, and what stays behind when the way ends early: nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from kube.flagger_world import CHECKOUT, KEY, OPTIONS, V1, V2, V3, promote, seen, step, until, world

from bot.domain.errors import ProviderRejected
from bot.domain.gate import Hook
from bot.domain.ids import OperationId
from bot.domain.rollout import OutcomeKind, Progress
from integrations._shared.kube.api import Kube
from integrations.flagger.target import FlaggerTarget

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.long


async def test_phases_and_weights_are_told_in_words_and_no_per_cents_as_instances(tmp_path: Path) -> None:
    async with world(tmp_path, threshold=1000) as one:
        one.flagger.check = lambda _canary, image: "slow" if image == V2.artifact.location and one.weight == 20 else ""
        target = one.target()
        handle = await target.set_weight(release=V2, percent=40, operation=OperationId("d1-weight40-1"))
        messages = []
        async for each in target.observe(handle=handle):
            messages.append(each.message)
            if isinstance(each, Progress):
                assert (each.done, each.total) == (0, 0), "these would be counted as instances"
            if "20 % of the traffic, 2 failed checks" in each.message:
                one.flagger.check = lambda _canary, _image: ""
        assert any(message.startswith("Flagger: progressing, 20 % of the traffic") for message in messages)
        assert messages[-1] == "The canary gets 40 % of the traffic."


async def test_a_way_back_says_that_it_is_not_analysed_and_ends_with_the_canary(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        target = one.target()
        before = await target.current()
        await seen(target, await target.apply(release=V2, operation=OperationId("d1-apply-1")))
        handle = await target.restore(to=before, operation=OperationId("d1-restore-1"))
        told, outcome = await seen(target, handle)
        assert outcome.kind is OutcomeKind.SUCCEEDED
        assert any("without analysis" in each.message for each in told)
        assert one.canary["spec"]["skipAnalysis"] is False
        await seen(target, await target.apply(release=V2, operation=OperationId("d2-apply-1")))
        handle = await target.restore(to=before, operation=OperationId("d2-restore-1"))
        assert one.canary["spec"]["skipAnalysis"] is True
        one.server.delete("canaries", "shop", "checkout")
        assert (await seen(target, handle))[1].kind is OutcomeKind.DELETED
        assert not (await one.gate()).unskip


async def test_a_restore_that_nobody_followed_is_analysed_again_by_the_next_release(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        target = one.target()
        before = await target.current()
        await seen(target, await target.apply(release=V2, operation=OperationId("d1-apply-1")))
        await target.restore(to=before, operation=OperationId("d1-restore-1"))
        await until(lambda: one.phase == "Waiting")
        assert one.canary["spec"]["skipAnalysis"] is True
        less = [finding for finding in await target.examine() if finding.less]
        assert [finding.what for finding in less if "skipAnalysis" in finding.what], "and the doctor tells of it"
        handle = await one.target().apply(release=V3, operation=OperationId("d2-apply-1"))
        assert one.canary["spec"]["skipAnalysis"] is False
        since = len(one.flagger.rounds)
        assert (await seen(one.target(), handle))[1].kind is OutcomeKind.SUCCEEDED
        assert max(one.flagger.rounds[since:]) == 60


UNPACED = (Hook.ROLLOUT, Hook.PROMOTION, Hook.ROLLBACK)
"""Without the hook for each step Flagger goes up by itself, and waits for its promotion."""


async def test_what_waits_for_its_promotion_can_still_fail(tmp_path: Path) -> None:
    async with world(tmp_path, hooks=UNPACED) as one:
        assert (await step(one, 40)).kind is OutcomeKind.SUCCEEDED
        await until(lambda: one.phase == "WaitingPromotion")
        assert one.weight == 60
        assert await one.target().weight(release=V2) == 100, "so that who paces it sees that it went further"
        one.flagger.check = lambda _canary, image: "too slow" if image == V2.artifact.location else ""
        await until(lambda: one.phase == "Failed")
        outcome = await promote(one)
        assert outcome.kind is OutcomeKind.FAILED
        assert "too slow" in outcome.message
        assert (one.weight, one.image("checkout-primary")) == (0, V1.artifact.location)


async def test_what_waits_for_its_promotion_can_be_taken_back(tmp_path: Path) -> None:
    async with world(tmp_path, hooks=UNPACED) as one:
        target = one.target()
        before = await target.current()
        assert (await step(one, 40)).kind is OutcomeKind.SUCCEEDED
        await until(lambda: one.phase == "WaitingPromotion")
        handle = await target.take_back(to=before, operation=OperationId("d1-restore-1"))
        assert (await seen(target, handle))[1].kind is OutcomeKind.SUCCEEDED
        assert (one.phase, one.weight, one.image()) == ("Failed", 0, V1.artifact.location)
        assert one.asked(Hook.ROLLBACK).count(True) == 1
        assert True not in one.asked(Hook.PROMOTION)


async def test_what_the_cluster_refuses_is_allowed_no_more_and_analysed_again(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        before = await one.target().current()
        await seen(one.target(), await one.target().apply(release=V2, operation=OperationId("d1-apply-1")))
        reads = [
            {"apiGroups": [group], "resources": [name], "verbs": ["get", "list"], "namespace": "shop"}
            for group, name in (
                ("apps", "deployments"),
                ("apps", "replicasets"),
                ("flagger.app", "canaries"),
                ("", "pods"),
            )
        ]
        may = {"apiGroups": ["flagger.app"], "resources": ["canaries"], "verbs": ["patch"], "namespace": "shop"}
        one.server.allow("narrow", [*reads, may])
        kube = Kube(one.server.access(token="narrow"))
        try:
            target = FlaggerTarget(options=OPTIONS, service=CHECKOUT, kube=kube, gates=one.gates, door=one.door)
            with pytest.raises(ProviderRejected):
                await target.set_weight(release=V3, percent=20, operation=OperationId("d2-weight20-1"))
            assert not (await one.gate()).held
            with pytest.raises(ProviderRejected):
                await target.restore(to=before, operation=OperationId("d1-restore-1"))
            gate = await one.gate()
            assert (gate.held, gate.unskip) == (False, False)
            assert one.canary["spec"]["skipAnalysis"] is False
            assert one.image() == V2.artifact.location
        finally:
            await kube.close()


async def test_the_template_goes_back_when_flagger_has_let_go_of_the_traffic_and_not_before(tmp_path: Path) -> None:
    """Put back earlier, it would be what was promoted last: Flagger would go on as if nothing had happened."""
    async with world(tmp_path) as one:
        target = one.target()
        before = await target.current()
        assert (await step(one, 40)).kind is OutcomeKind.SUCCEEDED
        since = len(one.server.store.changes)
        handle = await target.take_back(to=before, operation=OperationId("d1-restore-1"))
        assert (await seen(target, handle))[1].kind is OutcomeKind.SUCCEEDED
        told = []
        for each in one.server.store.changes[since:]:
            if each.resource.plural == "canaries":
                told.append(each.object["status"]["phase"])
            elif each.resource.plural == "deployments" and each.object["metadata"]["name"] == "checkout":
                told.append(each.object["spec"]["template"]["spec"]["containers"][0]["image"])
        assert V1.artifact.location in told[told.index("Failed") :]
        assert V1.artifact.location not in told[: told.index("Failed")]


async def test_whoever_reads_the_addresses_cannot_keep_a_canary_from_being_taken_back(tmp_path: Path) -> None:
    async with world(tmp_path) as one, httpx.AsyncClient(trust_env=False, verify=False) as client:
        target = one.target()
        before = await target.current()
        assert (await step(one, 0)).kind is OutcomeKind.SUCCEEDED
        await one.flagger.stop()
        await target.set_weight(release=V2, percent=20, operation=OperationId("d1-weight20-2"))
        await target.weight(release=V2)
        asks = {"name": "checkout", "namespace": "shop", "phase": "Progressing", "checksum": "foreign"}
        assert (await client.post(one.door.address(KEY, Hook.TRAFFIC), json=asks)).status_code == 200
        handle = await target.take_back(to=before, operation=OperationId("d1-restore-1"))
        one.flagger.start()
        assert (await seen(target, handle))[1].kind is OutcomeKind.SUCCEEDED
        assert (one.phase, one.weight, one.image()) == ("Failed", 0, V1.artifact.location)
