"""The way in at a registry, and where a password can go and where it cannot."""

from __future__ import annotations

import asyncio
import logging
import shutil
import ssl
import subprocess
import traceback
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web
from integration.images.fake_oci import (
    NAME,
    PASSWORD,
    SCOPE,
    FakeRegistry,
    error,
    fake,
    listening,
    saying,
    silent,
)
from integration.images.oci_subject import KNOWN, Clock, images, release
from integration.images.real_registry import INDEX

from bot.domain.errors import (
    ConfigurationError,
    ProviderError,
    ProviderRejected,
    ProviderUnavailable,
    RevisionNotFound,
)

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize("known", [False, True])
async def test_a_token_is_asked_for_where_the_registry_says_and_used_again(
    registry: FakeRegistry, clock: Clock, known: bool
) -> None:
    registry.guarded, registry.anonymous = True, not known
    subject = images(registry, clock, known=known)
    for _ in range(3):
        assert (await subject.resolve(version="v1.2")).artifact.digest == KNOWN
    assert await subject.has(release=release())
    assert list(await subject.versions()) == ["v1.2"]
    [(path, headers)] = registry.asked
    assert parse_qs(urlsplit(path).query) == {"service": ["fake, of tests"], "scope": [SCOPE]}
    assert ("Authorization" in headers) is known
    assert all("Basic" not in headers.get("Authorization", "") for _, _, headers in registry.seen)


async def test_a_token_is_renewed_when_it_is_over_or_not_taken_any_more(registry: FakeRegistry, clock: Clock) -> None:
    registry.guarded = True
    subject = images(registry, clock)
    await subject.resolve(version="v1.2")
    clock.now += 290
    await subject.resolve(version="v1.2")
    assert len(registry.asked) == 1
    clock.now += 6
    await subject.resolve(version="v1.2")
    assert len(registry.asked) == 2, "it is renewed shortly before it is over"
    registry.given.clear()
    await subject.resolve(version="v1.2")
    assert len(registry.asked) == 3


@pytest.mark.parametrize(
    ("said", "seconds"), [(None, 54), ("300", 54), (True, 0), (-1, 54), (1e300, 54), (10**8, 594), (float("1e-3"), 0)]
)
async def test_a_token_counts_for_a_time_that_makes_sense(
    registry: FakeRegistry, clock: Clock, said: object, seconds: int
) -> None:
    registry.guarded, registry.lifetime = True, said
    subject = images(registry, clock)
    await subject.resolve(version="v1.2")
    clock.now += seconds
    await subject.resolve(version="v1.2")
    assert len(registry.asked) == (1 if seconds else 2)
    clock.now += 2
    await subject.resolve(version="v1.2")
    assert len(registry.asked) == (2 if seconds else 3)


async def test_many_at_once_ask_for_one_token(registry: FakeRegistry) -> None:
    registry.guarded = True
    subject = images(registry)
    found = await asyncio.gather(*(subject.resolve(version="v1.2") for _ in range(20)))
    assert {one.artifact.digest for one in found} == {KNOWN}
    assert len(registry.asked) == 1


async def test_an_access_token_is_a_token_too(registry: FakeRegistry) -> None:
    registry.guarded = True
    registry.given.add("other-name")
    registry.instead["token"] = saying(200, '{"access_token": "other-name"}')
    assert (await images(registry).resolve(version="v1.2")).artifact.digest == KNOWN


async def test_a_registry_that_asks_for_the_password_itself_gets_it(registry: FakeRegistry) -> None:
    sent = []

    async def basic(request: web.Request) -> web.StreamResponse:
        sent.append(request.headers.get("Authorization"))
        if sent[-1] is None:
            return error(401, "UNAUTHORIZED", "no", {"WWW-Authenticate": 'Basic realm="it"'})
        return web.Response(headers={"Docker-Content-Digest": KNOWN, "Content-Type": INDEX})

    registry.instead["manifests"] = basic
    subject = images(registry, known=True)
    for _ in range(2):
        await subject.resolve(version="v1.2")
    assert [said and said.partition(" ")[0] for said in sent] == [None, "Basic", "Basic"]


async def test_what_the_registry_would_have_us_ask_for_is_no_more_than_reading(registry: FakeRegistry) -> None:
    greedy = f"repository:{NAME}:pull,push,delete registry:catalog:* repository:acme/other:pull"
    modest = f"repository:{NAME}:metadata_read"
    way = f'Negotiate, Bearer realm="{registry.token_address}?a=b",scope="{greedy} {modest}"'
    registry.instead["manifests"] = saying(401, "", WWW_Authenticate=way)
    with pytest.raises(ProviderRejected):
        await images(registry).resolve(version="v1.2")
    [(path, _)] = registry.asked
    assert parse_qs(urlsplit(path).query) == {"a": ["b"], "scope": [f"{SCOPE} {modest}"]}


@pytest.mark.parametrize("known", [False, True])
async def test_no_credentials_are_told_apart_from_wrong_ones(
    registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    registry.guarded, registry.anonymous = True, False
    monkeypatch.setenv("HUB_PASSWORD", "wrong")
    words = "does not accept our credentials .*incorrect username" if known else "to everybody .*give username and pass"
    with pytest.raises(ProviderRejected, match=words):
        await images(registry, known=known).resolve(version="v1.2")


async def test_a_missing_secret_is_the_operators_to_mend(
    registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.guarded = True
    monkeypatch.delenv("HUB_PASSWORD")
    with pytest.raises(ConfigurationError, match="env:HUB_PASSWORD is not set"):
        await images(registry, known=True).resolve(version="v1.2")


@pytest.mark.parametrize(
    "way",
    ["", "Negotiate", "Bearer", 'Bearer realm=""', 'Bearer realm="', "=,=,", 'Basic realm="it"', '"', "Digest a=b"],
)
async def test_a_way_in_that_cannot_be_taken_is_a_refusal(registry: FakeRegistry, way: str) -> None:
    registry.instead["manifests"] = saying(401, "", WWW_Authenticate=way)
    with pytest.raises(ProviderRejected):
        await images(registry).resolve(version="v1.2")
    assert not registry.asked


# Where a password could go.


async def test_a_registry_cannot_send_the_password_to_another_host(registry: FakeRegistry) -> None:
    registry.guarded = True
    for realm in (
        registry.token_address.replace("127.0.0.1", "localhost"),
        registry.token_address.replace("127.0.0.1", "127.0.0.2"),
        registry.token_address.replace("127.0.0.1", "127.1"),
        registry.token_address.replace("http://", "http://127.0.0.1@"),
        "http://169.254.169.254/latest/meta-data",
        "https://auth.docker.io/token",
        "file:///etc/passwd",
        "//evil.example/token",
        "gopher://127.0.0.1/",
    ):
        registry.realm = realm
        with pytest.raises(ProviderRejected, match="sends us for a token") as caught:
            await images(registry, known=True).resolve(version="v1.2")
        assert PASSWORD not in caught.value.message
    assert not registry.asked


async def test_a_host_that_the_catalog_names_needs_tls_all_the_same(registry: FakeRegistry) -> None:
    registry.guarded = True
    registry.realm = registry.token_address.replace("127.0.0.1", "localhost")
    with pytest.raises(ProviderRejected, match="localhost without TLS"):
        await images(registry, known=True, token_hosts=["localhost"]).resolve(version="v1.2")
    assert not registry.asked


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate for this machine that nobody signed, and a server's side of it."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl on PATH, which makes the certificate of this test")
    made, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test"
    extra = ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", str(key), "-out", str(made)]
    subprocess.run([*command.split(), *extra], check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made, key)
    return made, context


async def test_over_tls_the_whole_way(certificate: tuple[Path, ssl.SSLContext]) -> None:
    file, context = certificate
    async with fake(tls=context) as registry:
        registry.guarded = True
        safe: dict[str, Any] = {"known": True, "insecure": False, "ca_file": file}
        assert (await images(registry, **safe).resolve(version="v1.2")).artifact.digest == KNOWN
        asked = len(registry.asked)
        with pytest.raises(ProviderUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
            await images(registry, **{**safe, "ca_file": None}).resolve(version="v1.2")
        registry.realm = registry.token_address.replace("127.0.0.1", "localhost")
        with pytest.raises(ProviderRejected, match="localhost, another host; if that is right, name it"):
            await images(registry, **safe).resolve(version="v1.2")
        registry.realm = registry.token_address.replace("https:", "http:")
        with pytest.raises(ProviderRejected, match="without TLS"):
            await images(registry, **safe).resolve(version="v1.2")
        assert len(registry.asked) == asked
        registry.realm = registry.token_address.replace("127.0.0.1", "localhost")
        allowed = images(registry, **safe, token_hosts=["LocalHost"])
        assert (await allowed.resolve(version="v1.2")).artifact.digest == KNOWN


@pytest.mark.parametrize("where", ["manifests", "tags", "token"])
@pytest.mark.parametrize("status", [301, 307])
async def test_no_redirect_is_followed(registry: FakeRegistry, where: str, status: int) -> None:
    came = []

    async def elsewhere(request: web.Request) -> web.StreamResponse:
        came.append(request.raw_path)
        return web.json_response({"token": "x", "tags": ["v9"]})

    registry.guarded = True
    subject = images(registry, known=True)
    async with listening(elsewhere) as other:
        registry.instead[where] = saying(status, "", Location=f"http://{other}/v2/{NAME}/manifests/v1.2")
        with pytest.raises(ProviderRejected, match="sends us elsewhere"):
            await (subject.versions() if where == "tags" else subject.resolve(version="v1.2"))
    assert not came


async def test_secrets_are_told_to_nobody(registry: FakeRegistry, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    registry.guarded = True
    subject = images(registry, known=True, timeout=0.3)
    await subject.resolve(version="v1.2")
    [token] = registry.given
    said = [repr(subject), str(vars(subject))]
    for where in ("manifests", "token"):
        for manner in (silent, *(saying(status, "no") for status in (400, 401, 403, 429, 500))):
            registry.instead = {where: manner}
            registry.given.clear()
            another = images(registry, known=True, timeout=0.3)
            with pytest.raises((ProviderError, RevisionNotFound)) as caught:
                await another.resolve(version="v1.2")
            said += traceback.format_exception(caught.value)
            assert caught.value.__context__ is None, "what the client raised knows the request"
    said += [record.getMessage() for record in caplog.records]
    for secret in (PASSWORD, token):
        assert secret not in "\n".join(said)
