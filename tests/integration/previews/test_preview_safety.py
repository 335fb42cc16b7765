"""Crashes, lost answers, races and look-alikes: a preview is finished in the end, and nothing else is touched."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from integration.previews.preview_world import CHECKOUT, LATER, everything, inside, release, world
from kube.manifests import deployment
from kube.resources import BY_PLURAL, RESOURCES

from bot.domain.errors import ProviderError, ProviderRejected, RequestRefused, SomebodyWasFaster
from bot.domain.rollout import Outcome, OutcomeKind
from integrations._shared.kube.api import Kube

if TYPE_CHECKING:
    from collections.abc import Callable

    from integration.previews.preview_world import World

pytestmark = pytest.mark.timeout(60)
OWNER, UID = "deployment-architect.io/owner", "deployment-architect.io/uid"


class Crash(Exception):
    """The process is gone."""


class Mortal(Kube):
    """A client whose process dies at its ``last`` write: before it is sent, or before its answer is seen."""

    def __init__(self, here: World, last: int, *, sent: bool) -> None:
        super().__init__(here.server.access())
        self.left, self.sent = last, sent

    async def _write(self, write: Any) -> Any:
        self.left -= 1
        if self.left == 0 and not self.sent:
            write.close()
            raise Crash
        answer = await write
        if self.left == 0:
            raise Crash
        return answer

    async def create(self, *args: Any, **more: Any) -> Any:
        return await self._write(super().create(*args, **more))

    async def patch(self, *args: Any, **more: Any) -> Any:
        return await self._write(super().patch(*args, **more))

    async def delete(self, *args: Any, **more: Any) -> Any:
        return await self._write(super().delete(*args, **more))


@pytest.mark.parametrize("sent", [False, True])
async def test_whoever_opens_it_again_finishes_what_a_crash_left(sent: bool) -> None:
    async with world(housekeeping=False) as here:
        await here.open(1)
        whole = inside(here.server, "shop-pr-1")
        writes = sum(call.writes for call in here.server.log)
        assert writes >= 10
        for last in range(1, writes + 1):
            mortal = Mortal(here, last, sent=sent)
            with pytest.raises(Crash):
                await here.open(2, previews=here.previews(kube=mortal))
            await mortal.close()
            found = await here.open(2)
            assert _renumbered(inside(here.server, "shop-pr-2"), 2) == _renumbered(whole, 1), f"after write {last}"
            assert here.untouched(1, 2)
            here.server.delete("namespaces", None, "shop-pr-2")
            _gone(here, "shop-pr-2")
            assert found.services[CHECKOUT].version == "v1.2"


def _renumbered(found: Any, number: int) -> str:
    """What is in a preview, with a name for its number."""
    return str(found).replace(f"pr-{number}", "pr-N").replace(f"/preview': '{number}'", "/preview': 'N'")


def _gone(here: World, name: str) -> None:
    """Take a namespace away at once, as the cluster does in the end."""
    store = here.server.store
    for resource in RESOURCES:
        for one in list(store.all(resource, name)) if resource.namespaced else []:
            store.remove(resource, (name, one["metadata"]["name"]))
    if store.get(BY_PLURAL["namespaces"], None, name) is not None:
        store.remove(BY_PLURAL["namespaces"], ("", name))


@pytest.mark.parametrize("sent", [False, True])
async def test_whoever_closes_it_again_finishes_what_a_crash_left(sent: bool) -> None:
    async with world() as here:
        for last in (1, 2):
            preview = await here.open()
            mortal = Mortal(here, last, sent=sent)
            with pytest.raises(Crash):
                await here.previews(kube=mortal).close(number=7, identity=preview.identity, over_at=LATER)
            await mortal.close()
            [found] = await here.previews().all() or [None]
            if found is not None:
                assert found.is_over(LATER)
                await here.previews().close(number=7, identity=preview.identity, over_at=LATER)
            await here.server.until(lambda: "shop-pr-7" not in here.numbers())
            assert here.untouched()


@pytest.mark.parametrize("path", ["namespaces", "configmaps", "deployments", "ingresses"])
@pytest.mark.parametrize("verb", ["create", "patch"])
async def test_an_answer_that_is_lost_is_found_again(verb: str, path: str) -> None:
    async with world() as here:
        if verb == "patch" and path == "deployments":
            await here.open(version="v1.1", operation="zero")
        here.server.faults.lose_answer(verb=verb, path=path)
        [trouble] = await asyncio.gather(here.open(), return_exceptions=True)
        assert not isinstance(trouble, BaseException) or (isinstance(trouble, ProviderError) and trouble.retryable)
        preview = await here.open()
        assert preview.services[CHECKOUT].version == "v1.2"
        assert here.untouched(7)


async def test_a_namespace_of_somebody_else_is_left_alone() -> None:
    async with world() as here:
        before = everything(here.server)
        subject = here.previews()
        for ask in (
            here.open(99),
            subject.find(number=99),
            subject.extend(number=99, identity="x", until=LATER),
            subject.close(number=99, identity=here.server.get("namespaces", None, "shop-pr-99")["metadata"]["uid"]),
        ):
            with pytest.raises(ProviderRejected, match=r"is not one of .*, so it is left alone"):
                await ask
        assert await subject.all() == ()
        assert everything(here.server) == before
        assert not [call for call in here.server.log if call.writes]


@pytest.mark.parametrize(
    "why", ["copied", "copied half made", "other owner", "other note", "other template", "other number", "no label"]
)
async def test_what_only_looks_like_a_preview_is_none(why: str) -> None:
    async with world(housekeeping=False) as here:
        await here.open(1)
        real = here.server.get("namespaces", None, "shop-pr-1")["metadata"]
        labels, noted = dict(real["labels"]), dict(real["annotations"])
        labels["deployment-architect.io/preview"] = "5"
        noted.pop(UID, None)
        match why:
            case "copied":
                noted[UID] = real["uid"]
            case "other owner":
                labels[OWNER] = noted[OWNER] = "another-bot"
            case "other note":
                noted[OWNER] = "another-bot"
            case "other template":
                labels["deployment-architect.io/template"] = "elsewhere"
            case "other number":
                labels["deployment-architect.io/preview"] = "6"
            case "no label":
                del labels[OWNER]
        made = {"metadata": {"name": "shop-pr-5", "labels": labels, "annotations": noted}}
        uid = here.server.add("namespaces", None, made)["metadata"]["uid"]
        here.server.add("configmaps", "shop-pr-5", {"metadata": {"name": "precious"}, "data": {}})
        before = everything(here.server)
        subject = here.previews(most=1)
        for ask in (here.open(5), subject.close(number=5, identity=uid), subject.find(number=5)):
            with pytest.raises(ProviderRejected, match="left alone"):
                await ask
        assert [each.number for each in await subject.all()] == [1]
        assert everything(here.server) == before


async def test_somebody_s_own_objects_in_a_preview_stay() -> None:
    async with world() as here:
        await here.open()
        here.server.delete("configmaps", "shop-pr-7", "settings")
        here.server.add("configmaps", "shop-pr-7", {"metadata": {"name": "settings"}, "data": {"mine": "1"}})
        preview = await here.open(version="v1.3", operation="two")
        assert here.server.get("configmaps", "shop-pr-7", "settings")["data"] == {"mine": "1"}
        assert "The ConfigMap settings was there already; it is left as it is." in preview.notes


async def test_many_at_once_are_never_too_many() -> None:
    async with world() as here:
        # As many processes as previews: nothing but the cluster is between them.
        asked = [here.open(number, previews=here.previews(most=3)) for number in range(1, 9)]
        said = await asyncio.gather(*asked, return_exceptions=True)
        let_in = [each for each in said if not isinstance(each, BaseException)]
        assert len(let_in) <= 3
        assert all(isinstance(each, RequestRefused) for each in said if isinstance(each, BaseException))
        await here.server.until(lambda: len(here.numbers()) == len(let_in) + 1)
        await here.open(20, previews=here.previews(most=len(let_in) + 1))


async def test_the_same_one_at_once_is_one() -> None:
    async with world() as here:
        said = await asyncio.gather(*(here.open(previews=here.previews()) for _ in range(4)))
        assert len({each.identity for each in said}) == 1
        assert here.numbers() == ["shop-pr-7", "shop-pr-99"]


async def test_extending_and_closing_at_once_ends_one_way() -> None:
    for _ in range(5):
        async with world() as here:
            preview = await here.open()
            extend = here.previews().extend(number=7, identity=preview.identity, until=LATER.replace(year=2027))
            close = here.previews().close(number=7, identity=preview.identity, over_at=LATER)
            kept, closed = await asyncio.gather(extend, close, return_exceptions=True)
            assert isinstance(kept, SomebodyWasFaster) != isinstance(closed, SomebodyWasFaster), (kept, closed)
            if isinstance(kept, BaseException):
                await here.server.until(lambda server=here: "shop-pr-7" not in server.numbers())
            else:
                assert here.server.get("namespaces", None, "shop-pr-7")["status"]["phase"] == "Active"


async def test_another_preview_of_the_same_number_is_not_closed_for_the_first() -> None:
    async with world() as here:
        first = await here.open()
        await here.previews().close(number=7, identity=first.identity)
        await here.server.until(lambda: "shop-pr-7" not in here.numbers())
        second = await here.open()
        assert second.identity != first.identity
        assert await here.previews().close(number=7, identity=first.identity), "the first is gone"
        with pytest.raises(SomebodyWasFaster, match="another one"):
            await here.previews().close(number=7, identity=first.identity, over_at=LATER)
        with pytest.raises(SomebodyWasFaster, match="closed meanwhile"):
            await here.previews().extend(number=7, identity=first.identity, until=LATER)
        assert "shop-pr-7" in here.numbers()


@pytest.mark.parametrize("copied", [False, True])
@pytest.mark.parametrize("deed", ["patch", "delete"])
async def test_what_somebody_made_under_its_name_just_before_it_is_deleted_stays(deed: str, copied: bool) -> None:
    async with world(housekeeping=False) as here:
        preview = await here.open()
        metadata = here.server.get("namespaces", None, "shop-pr-7")["metadata"]
        marked = {key: metadata[key] for key in ("labels", "annotations")} if copied else {}

        class Late(Kube):
            async def patch(self, where: str, *args: Any, **more: Any) -> Any:
                self._meet("patch")
                return await super().patch(where, *args, **more)

            async def delete(self, where: str, *args: Any, **more: Any) -> Any:
                self._meet("delete")
                return await super().delete(where, *args, **more)

            def _meet(self, now: str) -> None:
                if (
                    now == deed
                    and here.server.get("namespaces", None, "shop-pr-7")["metadata"]["uid"] == metadata["uid"]
                ):
                    _gone(here, "shop-pr-7")
                    here.server.add("namespaces", None, {"metadata": {"name": "shop-pr-7", **marked}})
                    here.server.add("configmaps", "shop-pr-7", {"metadata": {"name": "precious"}, "data": {}})

        kube = Late(here.server.access())
        with pytest.raises(ProviderRejected, match="left alone"):
            await here.previews(kube=kube).close(number=7, identity=preview.identity)
        await kube.close()
        found = here.server.get("namespaces", None, "shop-pr-7")
        assert found["status"]["phase"] == "Active"
        assert found["metadata"].get("annotations") == marked.get("annotations")
        assert here.server.get("configmaps", "shop-pr-7", "precious")["data"] == {}


@pytest.mark.parametrize("at", ["networkpolicies", "services"])
async def test_one_that_is_closed_while_it_is_made_is_not_made_on(at: str) -> None:
    async with world(housekeeping=False) as here:
        kube = meddled(here, f"/{at}", lambda: here.server.delete("namespaces", None, "shop-pr-7"))
        with pytest.raises(SomebodyWasFaster, match="being closed"):
            await here.open(previews=here.previews(kube=kube))
        await kube.close()
        assert not here.server.all("deployments", "shop-pr-7")


async def test_nothing_is_started_in_a_namespace_that_somebody_made_meanwhile() -> None:
    async with world(housekeeping=False) as here:

        def another() -> None:
            _gone(here, "shop-pr-7")
            here.server.add("namespaces", None, {"metadata": {"name": "shop-pr-7"}})

        for where in ("/networkpolicies", "/configmaps", "/secrets", "/services", "/deployments", "/ingresses"):
            _gone(here, "shop-pr-7")
            kube = meddled(here, where, another)
            with pytest.raises(ProviderRejected, match="left alone"):
                await here.open(previews=here.previews(kube=kube))
            await kube.close()
            assert inside(here.server, "shop-pr-7") == {}, "nothing of ours is left in what is not ours"


async def test_no_deployment_is_changed_in_a_namespace_that_somebody_made_meanwhile() -> None:
    """Just between the refusal to make a second one and the look at the first, all of it goes and comes anew."""
    async with world(housekeeping=False) as here:
        await here.open()
        theirs = [deployment("checkout", {"web": "ghcr.io/somebody/else:v9", "side": "r/side:1"})]

        class Late(Kube):
            async def get(self, where: str) -> Any:
                if where.endswith("/shop-pr-7/deployments/checkout") and theirs:
                    _gone(here, "shop-pr-7")
                    here.server.add("namespaces", None, {"metadata": {"name": "shop-pr-7"}})
                    here.server.add("deployments", "shop-pr-7", theirs.pop())
                return await super().get(where)

        kube = Late(here.server.access())
        with pytest.raises(ProviderRejected, match="left alone"):
            await here.open(version="v1.3", operation="two", previews=here.previews(kube=kube))
        await kube.close()
        found = here.server.get("deployments", "shop-pr-7", "checkout")
        assert found["spec"]["template"]["spec"]["containers"][0]["image"] == "ghcr.io/somebody/else:v9"
        assert "annotations" not in found["metadata"]


async def test_an_image_is_set_on_what_was_looked_at_only() -> None:
    async with world() as here:
        await here.open()

        def another() -> None:
            here.server.change("deployments", "shop-pr-7", "checkout", {"spec": {"replicas": 5}})

        kube = meddled(here, "/deployments/checkout", another)
        mark = len(here.server.log)
        await here.open(version="v1.3", operation="two", previews=here.previews(kube=kube))
        await kube.close()
        tried = [
            call.code for call in here.server.log[mark:] if call.verb == "patch" and call.resource == "deployments"
        ]
        assert tried == [422, 200]
        found = here.server.get("deployments", "shop-pr-7", "checkout")["spec"]
        assert found["replicas"] == 5
        assert found["template"]["spec"]["containers"][0]["image"] == release("v1.3").artifact.location


def meddled(here: World, path: str, deed: Callable[[], object]) -> Kube:
    """A client before whose first write to ``path`` somebody else does something."""
    left = [deed]

    class Meddled(Kube):
        async def create(self, where: str, *args: Any, **more: Any) -> Any:
            self._meet(where)
            return await super().create(where, *args, **more)

        async def patch(self, where: str, *args: Any, **more: Any) -> Any:
            self._meet(where)
            return await super().patch(where, *args, **more)

        def _meet(self, where: str) -> None:
            if where.endswith(path) and left:
                left.pop()()

    return Meddled(here.server.access())


def documented() -> list[dict[str, Any]]:
    """The rules that the manifest grants; those for the template alone count everywhere here."""
    text = (Path(__file__).parents[3] / "deploy" / "kubernetes" / "rbac" / "previews.yaml").read_text()
    roles = [each for each in yaml.safe_load_all(text) if each and each["kind"] in ("ClusterRole", "Role")]
    assert roles
    return [rule for role in roles for rule in role["rules"]]


async def test_the_documented_rights_are_enough() -> None:
    async with world(alive=True) as here:
        here.server.allow("bot", documented())
        kube = Kube(here.server.access(token="bot"))
        subject = here.previews(kube=kube)
        preview = await here.open(previews=subject)
        await here.open(version="v1.3", operation="two", previews=subject)
        found = await subject.find(number=7)
        assert found is not None
        seen = [each async for each in subject.observe(preview=found, service=CHECKOUT)]
        assert isinstance(seen[-1], Outcome)
        assert seen[-1].kind is OutcomeKind.SUCCEEDED
        await subject.extend(number=7, identity=preview.identity, until=LATER)
        assert len(await subject.all()) == 1
        await subject.close(number=7, identity=preview.identity)
        await kube.close()
        assert not [call for call in here.server.log if call.code == 403]


async def test_a_missing_right_is_named() -> None:
    async with world() as here:
        here.server.allow("weak", [{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list"]}])
        kube = Kube(here.server.access(token="weak"))
        with pytest.raises(ProviderRejected, match="resourcequotas"):
            await here.open(previews=here.previews(kube=kube))
        await kube.close()
        assert here.untouched()
