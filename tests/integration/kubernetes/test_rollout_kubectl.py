"""The bot beside the real kubectl on the same server: both judge alike, nobody fights, and who did what is told.

On the stand-in (over TLS: kubectl sends no token without) always, on a real cluster where TEST_KUBECONFIG names one.
The last test is the stand-in's alone: no real cluster signs certificates for tests.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest
from kube import kubectl as terminal
from kube.deployment_world import world
from kube.real import EVERYWHERE
from kube.rolling_places import place

from bot.domain.ids import OperationId
from bot.domain.rollout import OutcomeKind
from integrations._shared.kube.access import Access
from integrations._shared.kube.api import Kube
from integrations._shared.workloads import image

if TYPE_CHECKING:
    from pathlib import Path

    from kube.rolling_places import Place

pytestmark = [
    pytest.mark.timeout(90),
    pytest.mark.skipif(terminal.KUBECTL is None, reason="needs kubectl (make install)"),
]
ONE, TWO = OperationId("one"), OperationId("two")


async def kubectl(here: Place, folder: Path, *words: str) -> tuple[int, str]:
    """How kubectl ends, and what it says."""
    config = here.kubeconfig(folder)
    return await terminal.kubectl(config, here.hands.namespace, *words, within=here.hands.patience + 20)


@EVERYWHERE
@pytest.mark.parametrize(("version", "kind", "code"), [("v1.1", OutcomeKind.SUCCEEDED, 0), ("", OutcomeKind.FAILED, 1)])
async def test_both_judge_alike(tmp_path: Path, where: str, version: str, kind: OutcomeKind, code: int) -> None:
    async with place(where, tls=True) as here:
        target = here.target()
        handle = await target.apply(release=here.release(version or here.failing), operation=ONE)
        (_, outcome), (ended, said) = await asyncio.gather(
            here.seen(target, handle), kubectl(here, tmp_path, "rollout", "status", "deployment/checkout")
        )
        assert outcome.kind is kind
        assert ended == code, said


@EVERYWHERE
async def test_kubectl_set_image_and_undo_are_told_by_name_and_left_alone(tmp_path: Path, where: str) -> None:
    async with place(where, tls=True, patient=True) as here:
        target = here.target()
        await here.deploy(target, "v1.1", "one")
        handle = await target.apply(release=here.release(here.failing), operation=TWO)
        code, said = await kubectl(here, tmp_path, "set", "image", "deployment/checkout", f"web={here.theirs}")
        assert code == 0, said
        _, outcome = await here.seen(target, handle)
        assert outcome.kind is OutcomeKind.SUPERSEDED
        assert "kubectl-set at" in outcome.message
        assert image.shown(here.theirs) in outcome.message
        await here.settled()

        three, missing = OperationId("three"), here.release("v1.5-missing")
        handle = await target.apply(release=missing, operation=three)
        async with aclosing(target.observe(handle=handle)) as telling:
            async for each in telling:
                if "cannot pull" in each.message:
                    break
        code, said = await kubectl(here, tmp_path, "rollout", "undo", "deployment/checkout")
        assert code == 0, said
        _, outcome = await here.seen(target, handle)
        assert outcome.kind is OutcomeKind.SUPERSEDED
        assert await target.find(operation=three) == handle
        assert await target.apply(release=missing, operation=three) == handle
        assert await here.image() == here.theirs


@EVERYWHERE
async def test_a_restart_and_more_pods_by_kubectl_change_nothing_about_the_end(tmp_path: Path, where: str) -> None:
    async with place(where, tls=True) as here:
        target = here.target()
        handle = await target.apply(release=here.release("v1.1"), operation=ONE)
        for words in (("rollout", "restart", "deployment/checkout"), ("scale", "deployment/checkout", "--replicas=4")):
            code, said = await kubectl(here, tmp_path, *words)
            assert code == 0, said
        _, outcome = await here.seen(target, handle)
        assert outcome.kind is OutcomeKind.SUCCEEDED
        assert outcome.message == "4 of 4 pods available."


@EVERYWHERE
async def test_a_pause_by_kubectl_is_told_and_history_shows_the_cause(tmp_path: Path, where: str) -> None:
    async with place(where, tls=True, patient=True) as here:
        target = here.target()
        await here.deploy(target, "v1.1", "one")
        code, said = await kubectl(here, tmp_path, "rollout", "history", "deployment/checkout")
        assert code == 0, said
        assert "Deploy v1.1 (one)" in said
        handle = await target.apply(release=here.release("v1.5-missing"), operation=TWO)
        code, said = await kubectl(here, tmp_path, "rollout", "pause", "deployment/checkout")
        assert code == 0, said
        _, outcome = await here.seen(target, handle)
        assert outcome.kind is OutcomeKind.FAILED
        assert "paused by kubectl-rollout" in outcome.message


async def test_a_client_certificate_opens_the_door_as_well() -> None:
    async with world(tls=True) as here:
        assert here.server.authority is not None
        ca, pair = here.server.authority.pem, here.server.client_certificate("ada")
        rule = {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"]}
        here.server.authoriser.given.append(("ada", "shop", [rule]))

        class Certified:
            name = "main"

            async def access(self, *, fresh: bool = False) -> Access:
                key = {"client_cert": pair.certificate, "client_key": pair.key}
                return Access(server=here.server.url, ca=ca, token=None, expires=None, **key)

        kube = Kube(Certified())
        found = await kube.get("/apis/apps/v1/namespaces/shop/deployments/checkout")
        assert found is not None
        assert here.server.log[-1].user == "ada"
        await kube.close()
