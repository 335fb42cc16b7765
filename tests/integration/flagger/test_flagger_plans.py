"""What is found out before anything is changed: steps, webhooks, rights. And what is printed for a Canary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from kube.flagger_world import KEY, OPTIONS, SECRET, V1, V2, seen, world

from bot.bootstrap import flagger_webhooks
from bot.domain.errors import ConfigurationError, ProviderRejected
from bot.domain.gate import Door, Hook
from bot.domain.ids import OperationId, ServiceName
from bot.domain.rollout import OutcomeKind
from integrations._shared.kube.api import Kube
from integrations.flagger.canary import Canary, seconds
from integrations.flagger.target import FlaggerTarget

RBAC = Path(__file__).parents[3] / "deploy" / "kubernetes" / "rbac" / "flagger.yaml"


async def test_the_plan_says_what_changes_for_those_who_are_served(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        plan = await one.target().plan(release=V2)
        assert plan.current is not None
        assert plan.current.release.same_as(V1)
        assert [change for change in plan.changes if "web runs" in change]
        assert plan.warnings == (
            "Flagger's highest step is 60 %: what a strategy calls 100 % is that until it is promoted.",
        )
        assert (await one.target().plan(release=V1)).no_change
        assert one.image() == V1.artifact.location


async def test_what_is_not_there_or_for_somebody_else_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        one.set_canary(targetRef={"apiVersion": "apps/v1", "kind": "Deployment", "name": "payments"})
        with pytest.raises(ProviderRejected, match="is for Deployment payments, not for the Deployment checkout"):
            await one.target().plan(release=V2)
        one.server.registry.delete(*_canary())
        with pytest.raises(ProviderRejected, match="There is no Canary checkout in namespace shop"):
            await one.target().plan(release=V2)


def _canary() -> tuple[Any, ...]:
    from kube.resources import BY_PLURAL

    return BY_PLURAL["canaries"], "shop", "checkout", {}


async def test_a_strategy_that_cannot_pace_it_is_refused_with_what_to_write(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        target = one.target()
        await target.check_steps(weights=[20, 60, 100])
        await target.check_steps(weights=[0, 100])
        await target.check_steps(weights=[])
        with pytest.raises(
            ProviderRejected, match=r"20 %, 40 %, 60 %; the strategy's 50 % .* `stepWeights: \[20, 50\]`"
        ):
            await target.check_steps(weights=[20, 50, 100])
        one.set_canary(provider="kubernetes")
        with pytest.raises(ProviderRejected, match=r"`provider: kubernetes`.* use the strategy `rolling`"):
            await target.check_steps(weights=[20, 100])
        await target.check_steps(weights=[])


async def test_without_its_webhooks_nothing_is_paced(tmp_path: Path) -> None:
    async with world(tmp_path, hooks=(Hook.ROLLOUT, Hook.ROLLBACK)) as one:
        target = one.target()
        with pytest.raises(ProviderRejected, match="lacks the webhooks confirm-traffic-increase, confirm-promotion"):
            await target.check_steps(weights=[20, 100])
        assert any("lacks the webhooks" in each for each in (await target.plan(release=V2)).warnings)
        blind = FlaggerTarget(
            options=OPTIONS, service=ServiceName("checkout"), kube=one.kube, gates=one.gates, door=Door()
        )
        with pytest.raises(ProviderRejected, match="FLAGGER_SECRET is not set"):
            await blind.check_steps(weights=[20, 100])
        findings = await target.examine()
        assert findings[-1].fix.splitlines()[1] == "webhooks:"
        handle = await target.apply(release=V2, operation=OperationId("d1-apply-1"))
        assert (await seen(target, handle))[1].kind is OutcomeKind.SUCCEEDED, "without steps nobody is asked"


@pytest.mark.long
async def test_rounds_without_weights_are_let_go_their_own_way(tmp_path: Path) -> None:
    async with world(tmp_path, iterations=2, threshold=2) as one:
        target = one.target()
        before = await target.current()
        handle = await target.apply(release=V2, operation=OperationId("d1-apply-1"))
        assert (await seen(target, handle))[1].kind is OutcomeKind.SUCCEEDED
        assert one.image("checkout-primary") == V2.artifact.location
        back = await target.restore(to=before, operation=OperationId("d1-restore-1"))
        assert (await seen(target, back))[1].kind is OutcomeKind.SUCCEEDED
        assert one.image("checkout-primary") == V1.artifact.location


@pytest.mark.long
async def test_the_role_that_comes_with_it_is_enough_and_no_more(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        role = next(each for each in yaml.safe_load_all(RBAC.read_text()) if each["kind"] == "Role")
        one.server.allow("narrow", [{**rule, "namespace": "shop"} for rule in role["rules"]])
        kube = Kube(one.server.access(token="narrow"))
        try:
            target = FlaggerTarget(
                options=OPTIONS, service=ServiceName("checkout"), kube=kube, gates=one.gates, door=one.door
            )
            target.pace = one.target().pace
            findings = await target.examine()
            assert [each.what for each in findings if not each.ok] == []
            before = await target.current()
            since = len(one.server.log)
            assert (await target.plan(release=V2)).changes
            first = await target.set_weight(release=V2, percent=20, operation=OperationId("d1-weight20-1"))
            assert (await seen(target, first))[1].kind is OutcomeKind.SUCCEEDED
            back = await target.take_back(to=before, operation=OperationId("d1-restore-1"))
            assert (await seen(target, back))[1].kind is OutcomeKind.SUCCEEDED
            await seen(target, await target.apply(release=V2, operation=OperationId("d2-apply-1")))
            restored = await target.restore(to=before, operation=OperationId("d2-restore-1"))
            assert (await seen(target, restored))[1].kind is OutcomeKind.SUCCEEDED
            mine = [call for call in one.server.log[since:] if call.user not in ("admin", "system:admin")]
            assert 403 not in {call.code for call in mine}
            written = {f"{call.resource}/{call.subresource}" for call in mine if call.writes}
            assert written <= {"deployments/", "canaries/", "selfsubjectaccessreviews/"}, "never a status"
        finally:
            await kube.close()


async def test_a_missing_right_is_named_with_the_line_that_grants_it(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        one.server.allow("nobody", [])
        kube = Kube(one.server.access(token="nobody"))
        try:
            target = FlaggerTarget(
                options=OPTIONS, service=ServiceName("checkout"), kube=kube, gates=one.gates, door=one.door
            )
            findings = await target.examine()
            assert not any(each.ok for each in findings)
            patch = next(each for each in findings if "patch canaries" in each.what)
            assert 'apiGroups: ["flagger.app"], resources: [canaries], verbs: [patch]' in patch.fix
        finally:
            await kube.close()


CATALOG = """
version: 1
channel: "#x"
environments: { production: {} }
clusters: { main: { type: in_cluster } }
services:
  checkout:
    target: { type: flagger, cluster: main, namespace: shop, canary: checkout }
    images: { type: oci, repository: ghcr.io/acme/checkout }
  payments:
    target: { type: kubernetes, cluster: main, namespace: shop, workload: payments }
    images: { type: oci, repository: ghcr.io/acme/payments }
roles:
  nobody: { members: [U0ADA], allow: [{ actions: [deploy] }] }
"""


def test_prints_what_to_write_into_the_canary(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(CATALOG)
    text = flagger_webhooks(path, "checkout", "production", url="http://bot.ns.svc", secret=SECRET)
    assert "Canary checkout in the namespace shop" in text
    found = yaml.safe_load(text)["webhooks"]
    door = Door(url="http://bot.ns.svc", secret=SECRET)
    assert {each["type"]: each["url"] for each in found} == {str(hook): door.address(KEY, hook) for hook in Hook}
    assert SECRET not in text
    with pytest.raises(ConfigurationError, match="FLAGGER_SECRET is not set"):
        flagger_webhooks(path, "checkout", "production", url=None, secret="")
    with pytest.raises(ConfigurationError, match="is of type kubernetes"):
        flagger_webhooks(path, "payments", "production", url=None, secret=SECRET)


@pytest.mark.parametrize(
    ("analysis", "steps"),
    [
        ({"stepWeight": 20, "maxWeight": 60}, (20, 40, 60)),
        ({"stepWeight": 25, "maxWeight": 60}, (25, 50, 75)),
        ({"stepWeight": 30}, (30, 60, 90, 100)),
        ({"stepWeights": [1, 2, 10, 80]}, (1, 2, 10, 80)),
        ({"stepWeights": [10, 5, "x", 200, True, 20]}, (10, 20)),
        ({"stepWeight": 0}, ()),
        ({"stepWeight": -5}, ()),
        ({"stepWeight": "20"}, ()),
        ({"stepWeight": 1, "maxWeight": 10**12}, tuple(range(1, 101))),
        ([], ()),
        ("x", ()),
        (None, ()),
    ],
)
def test_flaggers_own_steps(analysis: Any, steps: tuple[int, ...]) -> None:
    assert Canary({"spec": {"analysis": analysis}, "status": "odd"}).steps == steps


@pytest.mark.parametrize(("text", "wanted"), [("10s", 10), ("1m30s", 90), ("500ms", 0.5), ("", 0), ("1d", 0), ("s", 0)])
def test_durations(text: str, wanted: float) -> None:
    assert seconds(text) == wanted
