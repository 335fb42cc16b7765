"""The life of a preview: made, deployed to, kept, told of and deleted, and nothing else is ever touched."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from integration.previews.preview_world import CHECKOUT, LATER, NOW, PAYMENTS, TEMPLATE, release, world

from bot.domain.errors import ProviderRejected, RequestRefused, SomebodyWasFaster
from bot.domain.ids import OperationId, ServiceName
from bot.domain.rollout import Outcome, OutcomeKind
from bot.ports.previews import PreviewState

pytestmark = pytest.mark.timeout(60)


async def test_a_preview_is_the_template_with_the_release_in_it() -> None:
    async with world() as here:
        preview = await here.open()
        assert (preview.number, preview.place, preview.state) == (7, "shop-pr-7", PreviewState.OPEN)
        assert (preview.until, preview.by) == (LATER, "Ada")
        space = here.server.get("namespaces", None, "shop-pr-7")
        assert preview.identity == space["metadata"]["uid"]
        assert space["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
        assert "argocd.argoproj.io/instance" not in space["metadata"]["labels"]
        assert preview.services[CHECKOUT].address == "https://checkout-pr-7.preview.example.com"
        assert preview.services[CHECKOUT].version == "v1.2"
        assert preview.services[CHECKOUT].digest == release().artifact.digest
        assert preview.services[PAYMENTS].version is None
        assert preview.notes == ("checkout needs the Secret stripe, which is not copied.",)
        web, side = here.server.get("deployments", "shop-pr-7", "checkout")["spec"]["template"]["spec"]["containers"]
        assert web["image"] == release().artifact.location
        assert side["image"] == "r/side:1"
        ran = {one["spec"]["containers"][0]["image"] for one in here.server.all("pods", "shop-pr-7")}
        assert "ghcr.io/acme/checkout:main" not in ran
        assert here.untouched(7)


async def test_what_the_cluster_and_other_tools_wrote_stays_behind() -> None:
    async with world() as here:
        await here.open()
        get = here.server.get
        names = {
            kind: [one["metadata"]["name"] for one in here.server.all(kind, "shop-pr-7")]
            for kind in ("resourcequotas", "limitranges", "networkpolicies", "serviceaccounts", "configmaps", "secrets")
        }
        assert names["resourcequotas"] == ["quota"]
        assert names["limitranges"] == ["limits"]
        assert names["networkpolicies"] == ["fence"]
        assert set(names["serviceaccounts"]) - {"default"} == {"checkout"}
        assert set(names["configmaps"]) - {"kube-root-ca.crt"} == {"settings"}, "what another object owns is made by it"
        assert names["secrets"] == ["database"]
        service = get("services", "shop-pr-7", "checkout")["spec"]
        assert not {"clusterIP", "clusterIPs", "externalIPs"} & set(service)
        assert "nodePort" not in service["ports"][0]
        assert "secrets" not in get("serviceaccounts", "shop-pr-7", "checkout")
        for kind, name in (("deployments", "checkout"), ("configmaps", "settings")):
            noted = get(kind, "shop-pr-7", name)["metadata"]["annotations"]
            assert noted["team"] == "checkout"
            assert not any("argocd" in key or "kubectl" in key for key in noted)
        ingress = get("ingresses", "shop-pr-7", "checkout")["spec"]
        assert ingress["rules"][0]["host"] == "checkout-pr-7.preview.example.com"
        assert ingress["tls"][0]["hosts"] == ["checkout-pr-7.preview.example.com"]
        creates = [call.resource for call in here.server.log if call.verb == "create"]
        assert creates.index("networkpolicies") < creates.index("deployments") < creates.index("ingresses")


async def test_it_comes_up_and_says_so() -> None:
    async with world(alive=True) as here:
        subject = here.previews()
        preview = await here.open(previews=subject)
        seen = [each async for each in subject.observe(preview=preview, service=CHECKOUT)]
        assert isinstance(seen[-1], Outcome)
        assert seen[-1].kind is OutcomeKind.SUCCEEDED
        assert not any(isinstance(each, Outcome) for each in seen[:-1])
        found = await subject.find(number=7)
        assert found is not None
        assert found.services[CHECKOUT].ready
        await here.open(operation="two")
        [*_, outcome] = [each async for each in subject.observe(preview=preview, service=CHECKOUT)]
        assert outcome.kind is OutcomeKind.SUPERSEDED
        await subject.close(number=7, identity=preview.identity)
        later = subject.observe(preview=preview, service=CHECKOUT)
        [*_, outcome] = [each async for each in later]
        assert outcome.kind is OutcomeKind.DELETED


async def test_another_version_changes_one_image_of_the_same_preview() -> None:
    async with world() as here:
        first = await here.open()
        mark = len(here.server.log)
        second = await here.open(version="v1.3", operation="two", until=LATER + timedelta(days=1), by="Grace")
        assert second.identity == first.identity
        assert second.services[CHECKOUT].version == "v1.3"
        assert (second.until, second.by) == (LATER + timedelta(days=1), "Grace")
        [patch] = [call for call in here.server.log[mark:] if call.verb == "patch" and call.resource == "deployments"]
        assert patch.content_type == "application/json-patch+json"
        third = await here.open(release=release("v9", service=PAYMENTS), operation="three")
        assert {name: each.version for name, each in third.services.items()} == {CHECKOUT: "v1.3", PAYMENTS: "v9"}
        assert here.untouched(7)


async def test_the_same_call_again_changes_nothing() -> None:
    async with world() as here:
        first = await here.open()
        mark = len(here.server.log)
        assert await here.open() == first
        assert not [call for call in here.server.log[mark:] if call.writes and call.code < 300]


async def test_all_are_told_in_two_calls() -> None:
    async with world() as here:
        for number in (12, 3):
            await here.open(number)
        mark = len(here.server.log)
        found = await here.previews().all()
        assert [(each.number, each.services[CHECKOUT].version) for each in found] == [(3, "v1.2"), (12, "v1.2")]
        assert len(here.server.log) - mark == 2
        assert await here.previews().find(number=5) is None


async def test_it_is_kept_longer_and_closed_when_it_is_over() -> None:
    async with world() as here:
        subject = here.previews()
        preview = await here.open()
        longer = LATER + timedelta(days=2)
        found = await subject.extend(number=7, identity=preview.identity, until=longer)
        assert found.until == longer
        assert not found.is_over(LATER)
        with pytest.raises(SomebodyWasFaster, match="not over yet"):
            await subject.close(number=7, identity=preview.identity, over_at=LATER)
        assert here.numbers() == ["shop-pr-7", "shop-pr-99"]
        assert not await subject.close(number=7, identity=preview.identity, over_at=longer)
        await here.server.until(lambda: "shop-pr-7" not in here.numbers())
        assert await subject.close(number=7, identity=preview.identity)
        assert await subject.find(number=7) is None
        assert here.untouched()
        [delete] = [call for call in here.server.log if call.verb == "delete"]
        assert delete.body["preconditions"] == {"uid": preview.identity}


async def test_one_that_is_going_is_told_and_not_used() -> None:
    async with world(housekeeping=False) as here:
        subject = here.previews()
        preview = await here.open()
        assert not await subject.close(number=7, identity=preview.identity)
        found = await subject.find(number=7)
        assert found is not None
        assert found.state is PreviewState.CLOSING
        assert found.is_over(NOW)
        for ask in (here.open(), subject.extend(number=7, identity=preview.identity, until=LATER)):
            with pytest.raises(SomebodyWasFaster, match="being"):
                await ask
        assert not await subject.close(number=7, identity=preview.identity)


async def test_what_keeps_it_from_going_is_told() -> None:
    async with world() as here:
        preview = await here.open()
        here.server.add(
            "configmaps", "shop-pr-7", {"metadata": {"name": "held", "finalizers": ["example.com/never"]}, "data": {}}
        )
        await here.previews().close(number=7, identity=preview.identity)
        status = await here.server.until(
            lambda: here.server.get("namespaces", None, "shop-pr-7")["status"].get("conditions")
        )
        assert status
        found = await here.previews().find(number=7)
        assert found is not None
        assert any("example.com/never" in note for note in found.notes)


async def test_there_are_no_more_than_may_be() -> None:
    async with world() as here:
        for number in (1, 2, 3):
            await here.open(number)
        with pytest.raises(RequestRefused, match=r"There are 3 previews .* may be 3: #1, #2, #3") as caught:
            await here.open(4)
        assert caught.value.hint
        assert here.server.log[-1].verb == "list", "it was not even tried"
        assert "shop-pr-4" not in here.numbers()
        await here.open(2, version="v1.3", operation="two")
        found = await here.previews().find(number=1)
        assert found is not None
        await here.previews().close(number=1, identity=found.identity)
        await here.open(4)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"template": "nothing"}, "no template namespace nothing"),
        ({"services": {"checkout": {"workload": "check-out"}}}, "no Deployment check-out"),
        ({"services": {"checkout": {"workload": "checkout"}}}, "several containers.*web, side"),
        ({"services": {"checkout": {"workload": "checkout", "container": "wep"}}}, "no container wep.*web, side"),
        ({"services": {"payments": {"workload": "pay"}}}, "checkout has no previews; these have: payments"),
    ],
)
async def test_what_cannot_be_copied_is_not_begun(change: dict[str, object], words: str) -> None:
    async with world() as here:
        with pytest.raises(ProviderRejected, match=words):
            await here.open(previews=here.previews(**change))
        assert here.untouched()


@pytest.mark.parametrize("host", ["checkout.example.com", None])
async def test_no_preview_takes_the_visitors_of_another_place(host: str | None) -> None:
    async with world() as here:
        rule = {"http": {"paths": []}} | ({"host": host} if host else {})
        here.server.change("ingresses", TEMPLATE, "checkout", {"spec": {"rules": [rule]}})
        with pytest.raises(ProviderRejected, match="has no pr-number in it"):
            await here.open()
        assert "shop-pr-7" not in here.numbers()


NAME_IN_DNS, ALIAS = "external-dns.alpha.kubernetes.io/hostname", "nginx.ingress.kubernetes.io/server-alias"


@pytest.mark.parametrize(
    ("plural", "note"), [("services", NAME_IN_DNS), ("ingresses", NAME_IN_DNS), ("ingresses", ALIAS)]
)
async def test_no_preview_takes_the_names_of_another_place(plural: str, note: str) -> None:
    async with world() as here:

        def noted(hosts: str) -> None:
            here.server.change(plural, TEMPLATE, "checkout", {"metadata": {"annotations": {note: hosts}}})

        noted("a-pr-number.example.com, checkout.example.com")
        with pytest.raises(ProviderRejected, match=r"The host checkout\.example\.com in the .* has no pr-number in it"):
            await here.open()
        assert "shop-pr-7" not in here.numbers()
        noted("a-pr-number.example.com, b-pr-number.example.com")
        await here.open()
        found = here.server.get(plural, "shop-pr-7", "checkout")["metadata"]["annotations"]
        assert found[note] == "a-pr-7.example.com,b-pr-7.example.com"


@pytest.mark.parametrize("number", [0, -1, 10**9])
async def test_what_is_no_number_is_refused(number: int) -> None:
    async with world() as here:
        subject = here.previews()
        for ask in (here.open(number), subject.find(number=number), subject.close(number=number, identity="x")):
            with pytest.raises(ProviderRejected, match="no number of a pull request"):
                await ask
        assert not here.server.log


async def test_what_people_write_on_it_is_shown_harmlessly() -> None:
    async with world() as here:
        await here.open(by="Ada\n*Lovelace*\x1b[31m" + "a" * 500)
        noted = {"deployment-architect.io/expires": "soon", "deployment-architect.io/by": "x\n<!channel>" + "y" * 900}
        here.server.change("namespaces", None, "shop-pr-7", {"metadata": {"annotations": noted}})
        found = await here.previews().find(number=7)
        assert found is not None
        assert found.until is None
        assert not found.is_over(datetime.now(UTC) + timedelta(days=9999)), "nobody knows when, so nobody closes it"
        assert "\n" not in found.by
        assert len(found.by) <= 300


async def test_what_cannot_be_an_operation_is_refused() -> None:
    async with world() as here:
        with pytest.raises(ProviderRejected, match="cannot be written"):
            await here.previews().open(
                number=7, release=release(), until=LATER, by="Ada", operation=OperationId("a b\n")
            )
        with pytest.raises(ProviderRejected, match="has no previews"):
            await here.open(release=release(service=ServiceName("other")))
        assert here.untouched()
