"""Every source against a server that does not keep to HTTP, or that is not who it says."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from integration.metrics.labs import about, built
from wire import serving

from bot.domain.errors import ConfigurationError, ProviderError, ProviderUnavailable

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.xdist_group("metrics")
SOURCES: dict[str, tuple[dict[str, Any], str]] = {
    "datadog": ({"api_key": "env:LAB_KEY", "app_key": "env:LAB_KEY"}, "avg:m{*}"),
    "http_probe": ({"probes": 1}, "/health"),
    "newrelic": ({"account": 1, "user_key": "env:LAB_KEY"}, "SELECT count(*) FROM T"),
    "prometheus": ({"bearer": "env:LAB_KEY"}, "vector(1)"),
}
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
WIRE = {
    "nothing": b"",
    "other protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "no status": b"HTTP/1.1\r\n\r\n",
    "bad status": b"HTTP/1.1 two OK\r\n\r\n",
    "cut in the headers": OK,
    "cut in the body": OK + b'Content-Length: 100\r\n\r\n{"status": ',
    "bad length": OK + b"Content-Length: many\r\n\r\n{}",
    "bad chunks": OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
    "cut in the chunks": OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
    "no gzip": OK + b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nabcde",
    "no text": OK + b"Content-Length: 4\r\n\r\n\xff\xfe\xfd\xfc",
}


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_KEY", "k-27182818")


@asynccontextmanager
async def saying(text: bytes) -> AsyncIterator[str]:
    """A server that reads a request and says ``text``, whatever it was asked."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.write(text)

    async with serving(answer) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("kind", sorted(SOURCES))
@pytest.mark.parametrize("what", sorted(WIRE))
async def test_what_is_no_http_is_an_error(kind: str, what: str) -> None:
    options, query = SOURCES[kind]
    async with saying(WIRE[what]) as address:
        source = built(kind, **options, address=address, timeout=1.0)
        if kind == "http_probe" and what in ("no gzip", "no text"):
            assert (await source.read(query, subject=about(), window=60.0)).value is not None
            return
        with pytest.raises(ProviderError) as caught:
            await source.read(query, subject=about(), window=60.0)
    assert caught.value.__context__ is None
    assert "k-27182818" not in str(caught.value)


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 that nobody signed, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl on PATH, which makes the certificate of this test")
    made, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test"
    extra = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(made)]
    subprocess.run([*command.split(), *extra], check=True, capture_output=True)
    return made, key


@pytest.mark.parametrize("kind", ["prometheus", "newrelic"])
async def test_a_server_is_trusted_by_its_certificate_only(
    kind: str, certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    options, query = SOURCES[kind]
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    asked = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.headers)
        if kind == "prometheus":
            return web.json_response({"status": "success", "data": {"resultType": "scalar", "result": [1, "5"]}})
        return web.json_response({"data": {"actor": {"account": {"nrql": {"results": [{"count": 5}]}}}}})

    app = web.Application()
    app.router.add_post("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        address = f"https://127.0.0.1:{runner.addresses[0][1]}"
        with pytest.raises(ProviderUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
            await built(kind, **options, address=address).read(query, subject=about(), window=60.0)
        assert not asked, "a secret was sent to a stranger"
        source = built(kind, **options, address=address, ca_file=certificate[0])
        for _ in range(2):
            assert (await source.read(query, subject=about(), window=60.0)).value == 5.0
        (tmp_path / "empty.pem").write_text("")
        for file in (tmp_path / "missing.pem", tmp_path / "empty.pem"):
            source = built(kind, **options, address=address, ca_file=file)
            with pytest.raises(ConfigurationError, match=r"certificates in .* cannot be read"):
                await source.read(query, subject=about(), window=60.0)
    finally:
        await runner.cleanup()
