"""Versions in a real registry: what was pushed over HTTP is found again by what the bot deploys from."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

import pytest
from integration.images.real_registry import DOCKER, PASSWORD, USER, Pusher, registry

from bot.domain.catalog import ProviderRef
from bot.domain.errors import BadCommand, ProviderRejected, RevisionNotFound
from bot.domain.ids import ServiceName
from integrations.registry import build_images

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.ports.images import Images

pytestmark = [pytest.mark.xdist_group("registry"), pytest.mark.timeout(60), pytest.mark.long]
CHECKOUT = ServiceName("checkout")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registry(tmp_path_factory.mktemp("registry")) as found:
        yield found


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registry(tmp_path_factory.mktemp("guarded"), auth=True) as found:
        Pusher(found, "acme/checkout", (USER, PASSWORD)).image("v1.0")
        yield found


def images(address: str, name: str, **options: Any) -> Images:
    """Where versions come from, built as the bot builds it."""
    said = {"repository": f"{address}/{name}", "insecure": True, **options}
    return build_images(ProviderRef(kind="oci", options=said), service=CHECKOUT)


async def test_a_tag_is_pinned_to_the_digest_of_the_index(address: str) -> None:
    whole, parts = Pusher(address, "acme/several").index("v1.2")
    release = await images(address, "acme/several").resolve(version="v1.2")
    assert release.service == CHECKOUT
    assert release.version == "v1.2"
    assert release.artifact.digest == whole
    assert release.artifact.location == f"{address}/acme/several@{whole}"
    assert whole not in parts


@pytest.mark.parametrize("kind", ["oci", "docker"])
async def test_an_image_of_one_platform_is_found_whoever_built_it(address: str, kind: str) -> None:
    pusher = Pusher(address, f"acme/one-{kind}")
    digest = pusher.image("v1.0", **({"kind": DOCKER} if kind == "docker" else {}))
    release = await images(address, pusher.name).resolve(version="v1.0")
    assert release.artifact.digest == digest


async def test_a_digest_is_a_version_too(address: str) -> None:
    pusher = Pusher(address, "acme/digests")
    digest = pusher.image(None, text="no tag")
    subject = images(address, pusher.name)
    release = await subject.resolve(version=digest)
    assert (release.version, release.artifact.digest) == (digest, digest)
    with pytest.raises(RevisionNotFound):
        await subject.resolve(version="sha256:" + "0" * 64)


async def test_a_tag_that_moves_is_another_release_and_the_old_one_is_still_had(address: str) -> None:
    pusher = Pusher(address, "acme/moving")
    subject = images(address, pusher.name)
    first = pusher.image("latest", text="one")
    before = await subject.resolve(version="latest")
    second = pusher.image("latest", text="two")
    after = await subject.resolve(version="latest")
    assert (before.artifact.digest, after.artifact.digest) == (first, second)
    assert not before.same_as(after)
    assert await subject.has(release=before)
    pusher.remove(first)
    assert not await subject.has(release=before)
    assert await subject.has(release=after)
    with pytest.raises(RevisionNotFound):
        await subject.resolve(version=first)


async def test_versions_are_listed_newest_first_and_unknown_ones_name_the_nearest(address: str) -> None:
    pusher = Pusher(address, "acme/many")
    for tag in ("v1.9", "latest", "v1.10-rc.2", "v1.10", "v1.10-rc.10", "main-7"):
        pusher.image(tag, text="same")
    pusher.manifest(
        {
            "schemaVersion": 2,
            "mediaType": DOCKER.replace("docker.distribution.manifest.v2", "oci.image.manifest.v1"),
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **pusher.blob(b"{}")},
            "layers": [],
        },
        "sha256-" + "ab" * 32 + ".sig",
    )
    subject = images(address, pusher.name)
    assert list(await subject.versions()) == ["v1.10", "v1.10-rc.10", "v1.10-rc.2", "v1.9", "main-7", "latest"]
    assert list(await subject.versions(prefix="v1.10-")) == ["v1.10-rc.10", "v1.10-rc.2"]
    assert list(await subject.versions(limit=1)) == ["v1.10"]
    assert list(await subject.versions(limit=0)) == []
    with pytest.raises(RevisionNotFound) as caught:
        await subject.resolve(version="1.10")
    assert caught.value.suggestions[0] == "v1.10"
    assert caught.value.token == "1.10"
    assert "acme/many" in caught.value.message


async def test_a_version_may_be_written_otherwise_than_its_tag(address: str) -> None:
    pusher = Pusher(address, "acme/written")
    digest = pusher.image("checkout-v1.2-linux")
    pusher.image("payments-v1.3-linux")
    subject = images(address, pusher.name, tag="checkout-v{version}-linux")
    release = await subject.resolve(version="1.2")
    assert (release.version, release.artifact.digest) == ("1.2", digest)
    assert list(await subject.versions()) == ["1.2"]
    with pytest.raises(RevisionNotFound):
        await subject.resolve(version="checkout-v1.2-linux")


async def test_a_repository_that_is_not_there_is_told_apart_from_a_version_that_is_not(address: str) -> None:
    with pytest.raises(ProviderRejected, match=r"has no repository acme/nothing, or does not show it to everybody"):
        await images(address, "acme/nothing").resolve(version="v1.0")
    with pytest.raises(ProviderRejected, match="has no repository acme/nothing"):
        await images(address, "acme/nothing").versions()


@pytest.mark.parametrize("hostile", ["../v1.1", "v1.1/..", "", ".", "v1.1\x00", "/etc", "v" * 500, "v1?n=1", "a b"])
async def test_versions_cannot_lead_elsewhere(address: str, hostile: str) -> None:
    Pusher(address, "acme/hostile").image("v1.1", text="same")
    with pytest.raises(BadCommand):
        await images(address, "acme/hostile").resolve(version=hostile)


async def test_a_password_opens_what_is_not_for_everybody(guarded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGISTRY_PASSWORD", PASSWORD)
    subject = images(guarded, "acme/checkout", username=USER, password="env:REGISTRY_PASSWORD")
    release = await subject.resolve(version="v1.0")
    assert await subject.has(release=release)
    assert list(await subject.versions()) == ["v1.0"]
    with pytest.raises(ProviderRejected, match=r"does not show acme/checkout to everybody .* give username"):
        await images(guarded, "acme/checkout").resolve(version="v1.0")
    monkeypatch.setenv("REGISTRY_PASSWORD", "wrong-password-1")
    with pytest.raises(ProviderRejected, match="does not accept our credentials") as caught:
        await subject.resolve(version="v1.0")
    assert "wrong-password-1" not in "".join(traceback.format_exception(caught.value))
    assert not caught.value.retryable
