"""What the catalog may say about metric sources, where secrets come from, and what is missing without an extra."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from integration.metrics.labs import about, built
from pydantic import ValidationError

from bot.catalog.document import compose
from bot.catalog.explain import explained
from bot.domain.catalog import ProviderRef
from bot.domain.errors import ConfigurationError
from integrations import registry
from integrations._shared.secrets import reveal
from integrations.registry import METRICS

if TYPE_CHECKING:
    from pathlib import Path

GOOD: dict[str, dict[str, Any]] = {
    "datadog": {"api_key": "env:A", "app_key": "file:/run/secrets/app"},
    "http_probe": {"address": "http://checkout.internal:8080"},
    "newrelic": {"account": 1, "user_key": "env:A"},
    "prometheus": {"address": "https://prometheus.example/base"},
}
BAD: list[tuple[str, dict[str, Any], str]] = [
    ("datadog", {"site": "datadoghq.de"}, "site"),
    ("datadog", {"api_key": "0123456789abcdef0123456789abcdef"}, "api_key"),
    ("datadog", {"reduce": "median"}, "reduce"),
    ("http_probe", {"address": "checkout:8080"}, "address"),
    ("http_probe", {"address": "http://ada:pw@checkout"}, "address"),
    ("http_probe", {"address": "http://checkout/?a=b"}, "address"),
    ("http_probe", {"address": "file:///etc/passwd"}, "address"),
    ("http_probe", {"address": "http://checkout:99999"}, "address"),
    ("http_probe", {"address": "http://[::1"}, "address"),
    ("http_probe", {"probes": 0}, "probes"),
    ("newrelic", {"account": 0}, "account"),
    ("newrelic", {"user_key": "NRAK-0123456789"}, "user_key"),
    ("newrelic", {"user_key": 123456789}, "user_key"),
    ("newrelic", {"region": "asia"}, "region"),
    ("prometheus", {"bearer": "env:A", "username": "b", "password": "env:C"}, "either bearer"),
    ("prometheus", {"username": "b"}, "belong together"),
    ("prometheus", {"headers": {"Authorization": "Bearer x"}}, "headers"),
    ("prometheus", {"headers": {"X-A": "b\r\nX-C: d"}}, "headers"),
    ("prometheus", {"headers": {"X A": "b"}}, "headers"),
    ("prometheus", {"timeout": 0}, "timeout"),
    ("prometheus", {"adress": "http://typo"}, "adress"),
]


@pytest.mark.parametrize("kind", sorted(GOOD))
def test_options_survive_the_catalog(kind: str) -> None:
    model = METRICS.options(kind)
    checked = model.model_validate_json(json.dumps(GOOD[kind]), strict=True)
    source = registry.build_metrics(ProviderRef(kind=kind, options=checked.model_dump(by_alias=True)))
    assert callable(source.read)
    assert model.model_json_schema()["additionalProperties"] is False
    assert all(
        "description" in field for field in model.model_json_schema()["properties"].values() if "$ref" not in field
    )


@pytest.mark.parametrize(("kind", "options", "where"), BAD)
def test_what_cannot_work_is_refused_without_telling_the_value(kind: str, options: dict[str, Any], where: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        built(kind, **{**GOOD[kind], **options})
    message = str(caught.value)
    assert where in message
    for secret in ("0123456789", "123456789", "pw"):
        assert secret not in message


def test_a_pasted_secret_is_not_told_by_the_catalog_either() -> None:
    document = compose("user_key: NRAK-0123456789\naccount: 1\n", "config.yaml")
    model = METRICS.options("newrelic")
    with pytest.raises(ValidationError) as caught:
        model.model_validate(document.root.plain())
    problems = [problem.message for problem in explained(caught.value, model, document.root, document.source)]
    assert problems == ["must say where the secret stands, as env:NAME or file:/path, and not be the secret itself"]


async def test_secrets_from_files(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    with pytest.raises(ConfigurationError, match=r"^The secret file:.* cannot be read: No such file or directory\.$"):
        await reveal(f"file:{file}")
    file.write_text("  s3cr3t\n")
    assert await reveal(f"file:{file}") == "s3cr3t"
    file.write_text("\n")
    with pytest.raises(ConfigurationError, match="is empty"):
        await reveal(f"file:{file}")
    file.write_text("s3cr3t\r\nX-Admin: yes")
    with pytest.raises(ConfigurationError, match="characters in it that cannot be sent") as caught:
        await reveal(f"file:{file}")
    assert "s3cr3t" not in str(caught.value)
    file.write_bytes(b"\xff\xfe s3cr3t")
    with pytest.raises(ConfigurationError, match="it is no text") as caught:
        await reveal(f"file:{file}")
    assert caught.value.__cause__ is None
    with pytest.raises(ConfigurationError, match="cannot be read"):
        await reveal(f"file:{tmp_path}")


def run(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("kind", "package"), [("datadog", "datadog_api_client"), ("newrelic", "httpx"), ("prometheus", "httpx")]
)
def test_without_its_extra_a_source_says_which(kind: str, package: str) -> None:
    said = run(
        f"import sys; sys.modules[{package!r}] = None\n"
        "from bot.domain.catalog import ProviderRef\n"
        "from bot.domain.errors import ConfigurationError\n"
        "from integrations import registry\n"
        f"registry.METRICS.options({kind!r})\n"
        f"try: registry.build_metrics(ProviderRef(kind={kind!r}, options={GOOD[kind]!r}))\n"
        "except ConfigurationError as error: print(error)"
    )
    assert f"The metrics type '{kind}' cannot be loaded" in said
    assert f"pip install 'deployment-architect[{kind}]'" in said


def test_options_need_no_vendor_and_the_registry_needs_no_source() -> None:
    loaded = run(
        "import sys, integrations.registry as r; r.METRICS.names(); a = set(sys.modules)\n"
        f"[r.METRICS.options(name) for name in {sorted(GOOD)!r}]; print(*a, '|', *sys.modules)"
    )
    first, _, second = loaded.partition("|")
    assert not [name for name in first.split() if name.startswith(("integrations.prometheus", "integrations.datadog"))]
    assert not {"httpx", "datadog_api_client", "aiosonic", "aiohttp"} & set(second.split())


def test_an_unknown_source_names_the_known_ones() -> None:
    with pytest.raises(
        ConfigurationError, match=r"no metrics type 'graphite'. There are: datadog, http_probe, .*newrelic, prometheus"
    ):
        built("graphite")


async def test_odd_windows_are_not_sent_as_nothing() -> None:
    source = built("http_probe", address="http://127.0.0.1:9", probes=1, measure="errors")
    assert (await source.read("/x?w={window}", subject=about(), window=0.2)).value == 100.0
