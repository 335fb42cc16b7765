"""Template, preview and all that is in them with one thing that is not what it should be: it is said, and no crash."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import pytest
from aiohttp import web
from integration.kubernetes.test_kube_hostile import answering
from integration.kubernetes.test_kube_spoiled import DEPLOYMENT, JUNK, places, spoiled
from integration.previews.preview_world import CHECKOUT, LATER, OPTIONS, TEMPLATE, release

from bot.domain.errors import DeploymentArchitectError
from bot.domain.ids import OperationId
from integrations.previews.options import PreviewsOptions
from integrations.previews.previews import NamespacePreviews, build

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable

    from bot.ports.previews import Preview
    from integrations._shared.kube.api import Kube

pytestmark = pytest.mark.timeout(60)
MARK = "deployment-architect.io/"
PREVIEW: dict[str, Any] = {
    "metadata": {
        "name": "shop-pr-7",
        "uid": "n1",
        "resourceVersion": "5",
        "labels": {MARK + "owner": "deployment-architect", MARK + "template": TEMPLATE, MARK + "preview": "7"},
        "annotations": {
            MARK + "owner": "deployment-architect",
            MARK + "uid": "n1",
            MARK + "state": "open",
            MARK + "expires": "2026-11-26T12:00:00Z",
            MARK + "by": "Ada",
        },
        "managedFields": [{"manager": "deployment-architect", "fieldsV1": {"f:metadata": {"f:annotations": {}}}}],
    },
    "status": {"phase": "Active", "conditions": [{"type": "X", "status": "True", "message": "stays"}]},
}
HOST = "checkout-pr-number.example.com"
NOTED = {**DEPLOYMENT["metadata"]["annotations"], MARK + "uid": "n1", MARK + "operation-id": "one"}
KINDS: dict[str, dict[str, Any]] = {
    "shop-pr-7": PREVIEW,
    "deployments": spoiled(DEPLOYMENT, ("metadata", "annotations"), NOTED),
    "services": {
        "metadata": {"name": "checkout", "annotations": {"external-dns.alpha.kubernetes.io/hostname": HOST}},
        "spec": {"clusterIP": "10.0.0.7", "ports": [{"port": 80, "nodePort": 30080}]},
    },
    "ingresses": {
        "metadata": {"name": "checkout"},
        "spec": {"rules": [{"host": HOST, "http": {"paths": []}}], "tls": [{"hosts": [HOST], "secretName": "tls"}]},
    },
    "serviceaccounts": {"metadata": {"name": "checkout"}, "secrets": [{"name": "token-x"}]},
    "database": {"metadata": {"name": "database"}, "type": "Opaque", "data": {"password": "c2VjcmV0"}},
}


class Answers:
    """A cluster in which all is there already, and what previews say of it."""

    def __init__(self) -> None:
        self.objects = KINDS
        self.kube: Kube
        self.said: list[str] = []

    async def serve(self, request: web.Request) -> web.StreamResponse:
        *_, where, last = request.path.split("/")
        if request.method == "POST":
            return web.json_response({"kind": "Status", "reason": "AlreadyExists"}, status=409)
        if last == "namespaces":
            return web.json_response({"items": [self.objects["shop-pr-7"]]})
        if last == TEMPLATE:
            return web.json_response({"metadata": {"name": TEMPLATE, "labels": {"a": "b"}}})
        found = self.objects.get(last) or self.objects.get(where)
        if last in self.objects and last.endswith("s"):
            return web.json_response({"items": [found], "metadata": {"resourceVersion": "9"}})
        return web.json_response(found or {"items": []})

    async def with_one(self, kind: str, path: tuple[str | int, ...], junk: object) -> None:
        """What is said when one place is not what it should be. Raises what is no error of ours."""
        self.objects = {**KINDS, kind: spoiled(KINDS[kind], path, junk)}
        self.said = []
        await self.asked()
        for each in self.said:
            assert each.isprintable(), (kind, path, junk, each)
            assert len(each) < 1500, (kind, path, junk, each)

    def previews(self) -> NamespacePreviews:
        return build(options=PreviewsOptions.model_validate(OPTIONS), kube=self.kube)

    async def asked(self) -> None:
        subject = self.previews()
        found = cast("Preview | None", await self._told(subject.find(number=7)))
        await self._told(subject.all())
        given = {"release": release("v1.2"), "until": LATER, "by": "Ada", "operation": OperationId("two")}
        opened = await self._told(subject.open(number=7, **given))  # type: ignore[arg-type]  # they are as they should be
        await self._told(subject.extend(number=7, identity="n1", until=LATER))
        for preview in (found, opened):
            if preview is not None:
                looks = cast("AsyncGenerator[Any]", subject.observe(preview=preview, service=CHECKOUT))
                await self._told(anext(looks))
                await looks.aclose()
                self.said += [*preview.notes, *(each.message for each in preview.services.values()), preview.by]
        await self._told(subject.close(number=7, identity="n1"))

    async def _told(self, deed: Awaitable[Any]) -> Any:
        try:
            found = await deed
        except DeploymentArchitectError as error:
            self.said.append(error.message)
            return None
        self.said.append(str(getattr(found, "message", "")))
        return found


@pytest.fixture
async def answers() -> AsyncIterator[Answers]:
    found = Answers()
    async with answering(found.serve) as found.kube:
        yield found


ALL = [(kind, path) for kind, one in KINDS.items() for path in places(one)]


async def test_as_it_should_be_it_is_found(answers: Answers) -> None:
    found = await answers.previews().find(number=7)
    assert found is not None
    assert found.services[CHECKOUT].operation == "one"
    assert "1 of 2 pods available" in found.services[CHECKOUT].message
    await answers.asked()
    assert "1 of 2 pods available" in json.dumps(answers.said)


@pytest.mark.parametrize("part", range(4))
async def test_one_thing_of_the_wrong_kind_in_a_preview_is_no_crash(part: int, answers: Answers) -> None:
    for number, (kind, path) in list(enumerate(ALL))[part::4]:
        await answers.with_one(kind, path, JUNK[number % len(JUNK)])


@pytest.mark.long
@pytest.mark.timeout(170)
@pytest.mark.parametrize("wrong", JUNK, ids=range(len(JUNK)))
async def test_anything_of_the_wrong_kind_in_a_preview_is_no_crash(wrong: object, answers: Answers) -> None:
    for kind, path in ALL:
        await answers.with_one(kind, path, wrong)
