"""What registries answer: rightly, slowly, wrongly, and in order to do harm."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import web
from integration.images.fake_oci import (
    CONTENT,
    FakeRegistry,
    endless,
    fake,
    saying,
    silent,
)
from integration.images.oci_subject import KNOWN, Clock, images, release
from integration.images.real_registry import DOCKER, INDEX, MANIFEST, digest_of

from bot.domain.errors import (
    ProviderError,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
    RevisionNotFound,
)

pytestmark = pytest.mark.timeout(60)
OTHER = "sha256:" + "0" * 64
LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
ODD = [
    "",
    "<html>hello</html>",
    "[]",
    "{}",
    "null",
    "[" * 5000,
    '{"tags": 5}',
    '{"tags": {"v1.2": 1}}',
    '{"tags": "v1.2"}',
]


@pytest.mark.parametrize("kind", [INDEX, LIST, MANIFEST, DOCKER])
async def test_every_kind_of_image_is_asked_for(registry: FakeRegistry, kind: str) -> None:
    registry.kind = kind
    assert (await images(registry).resolve(version="v1.2")).artifact.digest == KNOWN
    assert [method for method, _, _ in registry.seen] == ["HEAD"], "a HEAD does not count as a pull"


@pytest.mark.parametrize("why", ["no digest", "no HEAD", "odd digest", "odd kind"])
async def test_a_digest_that_is_not_told_is_found_out(registry: FakeRegistry, why: str) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.method == "HEAD" and why == "no HEAD":
            return web.Response(status=405)
        headers = {"Content-Type": INDEX}
        if request.method == "HEAD" and why == "odd digest":
            headers["Docker-Content-Digest"] = "sha256:short"
        if request.method == "HEAD" and why == "odd kind":
            headers = {"Content-Type": "text/html", "Docker-Content-Digest": OTHER}
        return web.Response(body=CONTENT, headers=headers)

    registry.instead["manifests"] = answer
    subject = images(registry)
    assert (await subject.resolve(version="v1.2")).artifact.digest == KNOWN
    assert (await subject.resolve(version=KNOWN)).artifact.digest == KNOWN


@pytest.mark.parametrize("head", [True, False])
async def test_a_digest_that_is_not_what_is_given_is_refused(registry: FakeRegistry, head: bool) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.method == "HEAD" and not head:
            return web.Response(headers={"Content-Type": INDEX})
        return web.Response(body=CONTENT, headers={"Content-Type": INDEX, "Docker-Content-Digest": OTHER})

    registry.instead["manifests"] = answer
    subject = images(registry)
    with pytest.raises(ProviderRejected, match=r"answers with sha256:0000|but what it gives is sha256"):
        await subject.resolve(version=KNOWN if head else "v1.2")
    with pytest.raises(ProviderRejected):
        await subject.has(release=release())


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", '{"schemaVersion": 1, "fsLayers": []}'),
        ("application/json", '{"manifests": []}'),
        (INDEX, json.dumps({"mediaType": MANIFEST, "layers": []})),
        (INDEX, '{"manifests": [], "layers": []}'),
        (INDEX, "[]"),
        (INDEX, "not JSON"),
        (INDEX, ""),
        ("text/html", "<html>sign in</html>"),
    ],
)
async def test_what_is_no_image_is_refused(registry: FakeRegistry, kind: str, content: str) -> None:
    registry.instead["manifests"] = saying(200, content, Content_Type=kind)
    with pytest.raises(ProviderRejected):
        await images(registry).resolve(version="v1.2")


@pytest.mark.parametrize("where", ["manifests", "tags", "token"])
async def test_an_answer_without_end_is_not_read_to_the_end(registry: FakeRegistry, where: str) -> None:
    registry.guarded = True
    registry.instead[where] = endless
    subject = images(registry, timeout=20.0)
    with pytest.raises(ProviderError, match=r"answered more than \d+ [KM]iB"):
        await (subject.versions() if where == "tags" else subject.resolve(version="v1.2"))


@pytest.mark.parametrize("where", ["manifests", "tags", "token"])
async def test_the_deadline_holds(registry: FakeRegistry, where: str) -> None:
    registry.guarded = True
    registry.instead[where] = silent
    subject = images(registry, timeout=0.2)
    with pytest.raises(ProviderTimeout) as caught:
        await (subject.versions() if where == "tags" else subject.resolve(version="v1.2"))
    assert caught.value.retryable


async def test_cancelling_ends_the_call_and_frees_the_list(registry: FakeRegistry) -> None:
    began = asyncio.Event()

    async def waiting(request: web.Request) -> web.StreamResponse:
        began.set()
        return await silent(request)

    registry.instead["tags"] = waiting
    subject = images(registry)
    asking = asyncio.create_task(subject.versions())
    async with asyncio.timeout(5):
        await began.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        del registry.instead["tags"]
        assert list(await subject.versions()) == ["v1.2"]


async def test_somebody_who_is_not_there_may_be_there_later() -> None:
    async with fake() as registry:
        pass
    for ask in (
        images(registry).resolve(version="v1.2"),
        images(registry).versions(),
        images(registry).has(release=release()),
    ):
        with pytest.raises(ProviderUnavailable):
            await ask


@pytest.mark.parametrize("text", ODD)
async def test_a_list_that_cannot_be_read_is_an_error(registry: FakeRegistry, text: str) -> None:
    registry.instead["tags"] = saying(200, text, Content_Type="application/json")
    with pytest.raises(ProviderError):
        await images(registry).versions()


async def test_an_empty_list_is_none(registry: FakeRegistry) -> None:
    registry.instead["tags"] = saying(200, '{"name": "x", "tags": null}')
    assert list(await images(registry).versions()) == []


# Lists of tags.


@pytest.mark.parametrize(
    "link",
    [
        "/v2/{name}/tags/list?{query}",
        "http://elsewhere.invalid/v2/{name}/tags/list?{query}",
        "//10.0.0.1/?{query}",
        "?{query}",
    ],
)
async def test_all_pages_are_read_from_the_registry_itself(registry: FakeRegistry, link: str) -> None:
    registry.link = link
    registry.tags = [f"v1.{number}" for number in range(250)]
    found = await images(registry).versions(limit=1000)
    assert list(found) == [f"v1.{number}" for number in reversed(range(250))]
    assert len(registry.paths("tags")) == 3


async def test_pages_in_a_circle_end(registry: FakeRegistry) -> None:
    registry.instead["tags"] = saying(200, '{"tags": ["v1"]}', Link='</v2/x?last=v1&n=1000>; rel="next"')
    with pytest.raises(ProviderRejected, match="again and again"):
        await images(registry).versions()
    assert len(registry.paths("tags")) == 2


async def test_pages_without_end_end(registry: FakeRegistry) -> None:
    registry.tags, registry.page = ["v1"] * 60_000, 1000
    with pytest.raises(ProviderRejected, match="more than 50,000 tags"):
        await images(registry, timeout=30.0).versions()


async def test_names_that_are_no_versions_are_left_out(registry: FakeRegistry) -> None:
    attached = "sha256-" + "ab" * 32
    registry.tags = [
        "v1.0",
        5,
        None,
        "",
        "../x",
        "a b",
        "v\n1",
        "<!channel>",
        "x" * 129,
        f"{attached}.sig",
        attached,
        "v1.0",
    ]
    assert list(await images(registry).versions()) == ["v1.0"]
    with pytest.raises(RevisionNotFound) as caught:
        await images(registry).resolve(version="<!channel>")
    assert caught.value.suggestions == ("v1.0",)


async def test_a_list_is_asked_for_once_in_a_while_and_a_tag_each_time(registry: FakeRegistry, clock: Clock) -> None:
    subject = images(registry, clock)
    await asyncio.gather(*(subject.versions(prefix="v") for _ in range(20)))
    clock.now += 29
    await subject.versions()
    assert len(registry.paths("tags")) == 1
    registry.manifests["v1.3"] = CONTENT + b" "
    assert (await subject.resolve(version="v1.3")).artifact.digest == digest_of(CONTENT + b" ")
    clock.now += 2
    assert list(await subject.versions()) == ["v1.3", "v1.2"]
    registry.manifests["v1.3"] = CONTENT
    assert (await subject.resolve(version="v1.3")).artifact.digest == KNOWN


async def test_it_can_be_asked_in_several_loops_at_once(registry: FakeRegistry) -> None:
    registry.guarded, registry.lifetime = True, 1
    subject = images(registry, timeout=20.0)

    async def many() -> set[str]:
        found = await asyncio.gather(*(subject.resolve(version="v1.2") for _ in range(10)))
        listed = await asyncio.gather(*(subject.versions() for _ in range(10)))
        return {one.artifact.digest for one in found} | {version for versions in listed for version in versions}

    elsewhere = [asyncio.to_thread(asyncio.run, many()) for _ in range(2)]
    for found in await asyncio.gather(many(), *elsewhere):
        assert found == {KNOWN, "v1.2"}


async def test_a_digest_is_looked_up_once_but_whether_it_is_there_each_time(registry: FakeRegistry) -> None:
    subject = images(registry)
    for _ in range(3):
        await subject.resolve(version=KNOWN)
    assert len(registry.paths("manifests")) == 1
    assert await subject.has(release=release())
    registry.manifests.clear()
    assert not await subject.has(release=release())
    with pytest.raises(RevisionNotFound):
        await subject.resolve(version=KNOWN)


async def test_what_is_no_digest_is_not_there(registry: FakeRegistry) -> None:
    assert not await images(registry).has(release=release("v1.2"))
    assert not await images(registry).has(release=release("sha256:../../v1.2"))
    assert not registry.seen


async def test_a_list_that_is_refused_costs_the_suggestions_only(registry: FakeRegistry) -> None:
    registry.instead["tags"] = saying(403, '{"errors": [{"code": "DENIED"}]}')
    with pytest.raises(RevisionNotFound) as caught:
        await images(registry).resolve(version="v1.3")
    assert caught.value.suggestions == ()
    with pytest.raises(ProviderRejected, match="DENIED"):
        await images(registry).versions()


async def test_hostile_versions_are_not_sent(registry: FakeRegistry) -> None:
    for version in (
        "../v1",
        "v1/../../x",
        "",
        ".",
        "-x",
        "v1\x00",
        "v1\r\nX: y",
        "v" * 129,
        "v1?a",
        "v1#a",
        "%2e",
        "ü",
    ):
        with pytest.raises(RevisionNotFound) as caught:
            await images(registry).resolve(version=version)
        assert len(caught.value.message) < 300
        assert caught.value.message.isprintable()
    assert not registry.paths("manifests")


# Rate limits.


async def test_who_is_told_to_wait_waits_and_does_not_ask_meanwhile(registry: FakeRegistry, clock: Clock) -> None:
    registry.instead["manifests"] = saying(429, "", Retry_After="20")
    subject = images(registry, clock)
    with pytest.raises(ProviderUnavailable, match="ask too often") as caught:
        await subject.resolve(version="v1.2")
    assert caught.value.retry_after == 20
    registry.instead.clear()
    clock.now += 19
    for ask in (subject.resolve(version="v1.2"), subject.versions()):
        with pytest.raises(ProviderUnavailable, match="ask too often") as caught:
            await ask
        assert caught.value.retry_after == pytest.approx(1)
    assert len(registry.seen) == 1
    clock.now += 1
    assert (await subject.resolve(version="v1.2")).artifact.digest == KNOWN


async def test_nobody_can_be_kept_waiting_for_long(registry: FakeRegistry, clock: Clock) -> None:
    for said in ("100000", "Fri, 31 Dec 2999 23:59:59 GMT", "soon", ""):
        registry.instead["tags"] = saying(429, "", Retry_After=said)
        subject = images(registry, clock)
        with pytest.raises(ProviderUnavailable):
            await subject.versions()
        registry.instead.clear()
        clock.now += 60
        assert list(await subject.versions()) == ["v1.2"]
