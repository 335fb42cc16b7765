"""Names, versions and challenges of registries: what is read from text, before anything is sent."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from bot.domain.catalog import ProviderRef
from bot.domain.errors import ConfigurationError, ProviderRejected
from bot.domain.ids import ServiceName
from integrations.oci.challenge import read, scope, token_server
from integrations.oci.options import OciOptions
from integrations.oci.reference import Repository, is_attached, is_digest, is_tag, tag_of, version_of
from integrations.oci.registry import _next
from integrations.oci.versions import nearest, newest_first
from integrations.registry import build_images

ORDER = [
    "2.0",
    "v1.10.0",
    "1.10.0-rc.10",
    "v1.10.0-rc.2",
    "v1.10.0-beta",
    "v1.10.0-7",
    "v1.9.12",
    "v1.9",
    "release-12",
    "release-9",
    "main-4f0c2aa",
    "latest",
    "2026-11-23",
    "2026-11-09",
]


def test_newest_first() -> None:
    mixed = ORDER.copy()
    random.Random(7).shuffle(mixed)
    assert newest_first(mixed) == ORDER


@given(st.lists(st.text(alphabet="v01289.-rcA", min_size=1, max_size=12)))
@settings(max_examples=100, deadline=None)
def test_any_names_have_an_order(names: list[str]) -> None:
    found = newest_first(names)
    assert sorted(found) == sorted(names)
    assert newest_first(reversed(found)) == found


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("1.10.0", "v1.10.0"), ("v2.0", "2.0"), ("V1.9", "v1.9"), ("v1.10", "v1.10.0"), ("relase-9", "release-9")],
)
def test_what_was_meant(typed: str, meant: str) -> None:
    found = nearest(typed, ORDER)
    assert found[0] == meant
    assert len(found) <= 3


def test_nothing_is_near_to_nothing() -> None:
    assert nearest("", ORDER) == []
    assert nearest("zzz", ORDER) == []
    assert nearest("v1", []) == []


@pytest.mark.parametrize(
    ("text", "registry", "name", "authority", "host"),
    [
        ("ghcr.io/acme/checkout", "ghcr.io", "acme/checkout", "ghcr.io", "ghcr.io"),
        ("docker.io/acme/checkout", "docker.io", "acme/checkout", "registry-1.docker.io", "registry-1.docker.io"),
        ("docker.io/nginx", "docker.io", "library/nginx", "registry-1.docker.io", "registry-1.docker.io"),
        ("localhost/a", "localhost", "a", "localhost", "localhost"),
        (
            "Registry.Example.com:5050/g/p/web__x",
            "Registry.Example.com:5050",
            "g/p/web__x",
            None,
            "registry.example.com",
        ),
        ("[::1]:5000/a-b.c", "[::1]:5000", "a-b.c", None, "::1"),
    ],
)
def test_repositories(text: str, registry: str, name: str, authority: str | None, host: str) -> None:
    found = Repository.read(text)
    assert (found.registry, found.name, found.authority, found.host) == (registry, name, authority or registry, host)
    assert found.at("sha256:1") == f"{registry}/{name}@sha256:1"
    assert Repository.read(str(found)) == found


@pytest.mark.parametrize(
    "text",
    [
        *("", "checkout", "acme/checkout", "https://ghcr.io/acme/checkout", "ghcr.io/", "ghcr.io/Acme/checkout"),
        *("ghcr.io/acme/a:v1", "ghcr.io/acme/a@sha256:1", "ada:pw@ghcr.io/acme/a", "ghcr.io//a", "ghcr.io/a/"),
        *("ghcr.io/a/../b", "ghcr.io/a?b", "ghcr.io:99999/a", "ghcr.io:0/a", "ghcr.io:x/a", "-x.io/a", "ghcr.io/a b"),
        *("ghcr.io/" + "a" * 300, "ghcr.io/a___b", "ghcr.io/a\n"),
    ],
)
def test_what_names_no_repository(text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        OciOptions(repository=text)
    assert "such as" in str(caught.value) or "port" in str(caught.value)


def test_tags_and_digests() -> None:
    digest = "sha256:" + "0a" * 32
    assert all(map(is_tag, ["v1", "_", "a" * 128, "1.2.3-rc.1"]))
    assert not any(map(is_tag, ["", "-a", ".a", "a/b", "a:b", "a" * 129, "a\n", "ä", 5, None]))
    assert is_digest(digest)
    assert not any(map(is_digest, ["sha256:", digest.upper(), f"{digest}\n", f"{digest}0", "sha512:" + "0" * 128]))
    assert is_attached(digest.replace(":", "-") + ".sig")
    assert not is_attached("sha256-short")


@pytest.mark.parametrize("template", ["{version}", "v{version}", "checkout-v{version}-linux"])
@pytest.mark.parametrize("version", ["1.2", "v1.2", "a-linux"])
def test_a_tag_leads_back_to_its_version(template: str, version: str) -> None:
    tag = tag_of(version, template)
    assert tag is not None
    assert version_of(tag, template) == version


def test_other_tags_are_no_versions() -> None:
    assert version_of("1.2", "v{version}") is None
    assert version_of("v", "v{version}") is None
    assert version_of("ab", "ab{version}b") is None
    assert tag_of("", "v{version}") is None
    assert tag_of("{version}", "v{version}") is None


def test_a_challenge_with_commas_and_quotes_in_it() -> None:
    basic, bearer = read('Basic realm="a, Bearer b", BEARER realm="https://x/?a=\\"b\\"" , service=s,scope="a b"')
    assert (basic.scheme, dict(basic.said)) == ("basic", {"realm": "a, Bearer b"})
    assert (bearer.scheme, dict(bearer.said)) == (
        "bearer",
        {"realm": 'https://x/?a="b"', "service": "s", "scope": "a b"},
    )


@given(st.text(max_size=300))
@settings(max_examples=100, deadline=None)
def test_any_challenge_is_read(text: str) -> None:
    read(text)
    read(f"Bearer realm={text}")


def test_what_is_long_is_read_quickly() -> None:
    began = time.process_time()
    for text in ("," * 10**6, 'a="' * 10**5, "a=" * 10**5, '"' + "\\" * 10**6, " " * 10**6 + "x"):
        read(text)
        read(f"Bearer {text}")
    for text in ("<>;" * 10**5, "<" * 10**6, "<a>; rel " * 10**5, "<a>;" + "rel=" * 10**5):
        _next(text)
    assert time.process_time() - began < 3


@pytest.mark.parametrize(
    ("registry", "realm"),
    [
        ("ghcr.io", "https://ghcr.io/token"),
        ("GHCR.io", "https://ghcr.IO:443/token"),
        ("docker.io", "https://auth.docker.io/token"),
        ("registry.gitlab.com", "https://gitlab.com/jwt/auth"),
        ("acme.azurecr.io", "https://acme.azurecr.io/oauth2/token"),
        ("[::1]:5000", "https://[::1]:5001/token"),
        ("registry.example.com", "https://login.example.com/token"),
    ],
)
def test_token_servers_that_belong_to_the_registry(registry: str, realm: str) -> None:
    where = Repository.read(f"{registry}/acme/checkout")
    assert token_server(realm, where, further=("login.example.com",), insecure=False)


@pytest.mark.parametrize(
    ("registry", "realm"),
    [
        ("ghcr.io", "http://ghcr.io/token"),
        ("ghcr.io", "https://io/token"),
        ("ghcr.io", "https://evil-ghcr.io/token"),
        ("ghcr.io", "https://ghcr.io.evil.example/token"),
        ("ghcr.io", "https://sub.ghcr.io/token"),
        ("ghcr.io", "https://ghcr.io@evil.example/token"),
        ("ghcr.io", "https://evil.example\\@ghcr.io/token"),
        ("ghcr.io", "https://evil.example#@ghcr.io/"),
        ("ghcr.io", "https://ghcr.io/token#x"),
        ("ghcr.io", "https://ghcr.io:0/"),
        ("ghcr.io", "https://ghcr.io:x/"),
        ("ghcr.io", "https://ghcr.io\n.evil.example/"),
        ("ghcr.io", "https://[::1/"),
        ("ghcr.io", "https://%67hcr.io/"),
        ("ghcr.io", "https:///token"),
        ("ghcr.io", "ghcr.io/token"),
        ("ghcr.io", "ftp://ghcr.io/token"),
        ("ghcr.io", "https://127.0.0.1/token"),
        ("10.0.0.1", "https://0.0.1/token"),
        ("registry.example.com", "https://auth.docker.io/token"),
        ("registry.example.com", "https://login.example.com/token"),
        ("registry.example.com", ""),
    ],
)
@pytest.mark.parametrize("insecure", [False, True])
def test_token_servers_that_do_not(registry: str, realm: str, insecure: bool) -> None:
    if insecure and realm == "http://ghcr.io/token":
        return
    where = Repository.read(f"{registry}/acme/checkout")
    with pytest.raises(ProviderRejected, match="sends us for a token") as caught:
        token_server(realm, where, further=("other.example.com",), insecure=insecure)
    assert caught.value.message.isprintable()


def test_the_scope_is_about_this_repository_only() -> None:
    where = Repository.read("ghcr.io/acme/checkout")
    own = "repository:acme/checkout:pull"
    for asked in (
        "",
        own,
        "repository:acme/other:pull",
        "registry:catalog:*",
        f"{own},push",
        "repository:acme/checkout:*",
    ):
        assert scope(asked, where) == own
    assert scope("repository:acme/checkout:metadata_read", where) == f"{own} repository:acme/checkout:metadata_read"


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"tag": "v1"}, "tag"),
        ({"tag": "{version}{version}"}, "tag"),
        ({"tag": "-{version}"}, "tag"),
        ({"tag": "a/{version}"}, "tag"),
        ({"username": "a"}, "belong together"),
        ({"password": "env:A"}, "belong together"),
        ({"username": "a", "password": "dckr_pat_0123456789"}, "password"),
        ({"username": "a:b", "password": "env:A"}, "username"),
        ({"username": "a", "password": "env:A", "insecure": True}, "plain http"),
        ({"token_hosts": ["https://login.example.com"]}, "token_hosts"),
        ({"token_hosts": "login.example.com"}, "token_hosts"),
        ({"timeout": 0}, "timeout"),
        ({"repo": "x"}, "repo"),
    ],
)
def test_what_cannot_work_is_refused_without_telling_the_value(options: dict[str, Any], where: str) -> None:
    said = {"repository": "ghcr.io/acme/checkout", **options}
    with pytest.raises(ConfigurationError) as caught:
        build_images(ProviderRef(kind="oci", options=said), service=ServiceName("checkout"))
    assert where in caught.value.message
    assert "0123456789" not in caught.value.message


def test_options_survive_the_catalog() -> None:
    said = '{"repository": "docker.io/nginx", "token_hosts": ["a.example.com"], "tag": "v{version}"}'
    checked = OciOptions.model_validate_json(said, strict=True)
    assert build_images(ProviderRef(kind="oci", options=checked.model_dump()), service=ServiceName("checkout"))
    schema = OciOptions.model_json_schema()
    assert schema["additionalProperties"] is False
    assert all("description" in field for field in schema["properties"].values())


@pytest.mark.parametrize("registry", ["localhost:5000", "127.0.0.1:5000", "[::1]:5000"])
def test_a_password_may_go_to_this_machine_without_tls(registry: str) -> None:
    assert OciOptions(repository=f"{registry}/a", username="a", password="env:A", insecure=True)
