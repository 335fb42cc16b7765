"""A cluster that knows people by certificates, or that is reached by another name than its own, over real TLS."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from kube.manifests import deployment
from kube.server import KubeServer

from bot.domain.errors import ProviderRejected, ProviderUnavailable
from integrations._shared.kube.api import Kube
from integrations._shared.kube.names import path_to
from integrations.clusters.kubeconfig import Kubeconfig
from integrations.clusters.options import KubeconfigOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(60)
CHECKOUT = path_to("apps/v1", "deployments", namespace="shop", name="checkout")
READS = {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"]}


@pytest.fixture
async def server() -> AsyncIterator[KubeServer]:
    async with KubeServer.running(tls=True) as found:
        found.add("deployments", "shop", deployment("checkout", {"web": "r/web:1"}))
        yield found


def kube(server: KubeServer, folder: Path, user: dict[str, Any], **cluster: Any) -> Kube:
    """A client by a kubeconfig file for that user."""
    document = yaml.safe_load(server.kubeconfig(folder).read_text())
    document["users"][0]["user"] = user
    document["clusters"][0]["cluster"].update(cluster)
    path = folder / "config"
    path.write_text(yaml.safe_dump(document))
    return Kube(Kubeconfig(KubeconfigOptions(path=path), name="main"))


@pytest.mark.parametrize("written", ["inside", "beside"])
async def test_a_certificate_says_who_we_are(server: KubeServer, tmp_path: Path, written: str) -> None:
    pair = server.client_certificate("ada")
    server.authoriser.given.append(("ada", None, [READS]))
    user = {"client-certificate": "ada.crt", "client-key": "ada.key"}
    (tmp_path / "ada.crt").write_bytes(pair.certificate)
    (tmp_path / "ada.key").write_bytes(pair.key)
    if written == "inside":
        both = {"client-certificate-data": pair.certificate, "client-key-data": pair.key}
        user = {key: base64.b64encode(content).decode() for key, content in both.items()}
    client = kube(server, tmp_path, user)
    one = await client.get(CHECKOUT)
    assert one is not None
    assert one["metadata"]["name"] == "checkout"
    assert server.log[-1].user == "ada"
    with pytest.raises(ProviderRejected, match="does not allow us to delete deployments checkout"):
        await client.delete(CHECKOUT)
    await client.close()


@pytest.mark.parametrize(
    "wrong", [b"", b"no key", b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"]
)
async def test_a_key_that_is_none_is_told_without_it(server: KubeServer, tmp_path: Path, wrong: bytes) -> None:
    pair = server.client_certificate("ada")
    (tmp_path / "ada.crt").write_bytes(pair.certificate)
    (tmp_path / "ada.key").write_bytes(wrong)
    client = kube(server, tmp_path, {"client-certificate": "ada.crt", "client-key": "ada.key"})
    with pytest.raises(ProviderRejected, match="The certificates for the cluster main cannot be used"):
        await client.get(CHECKOUT)
    await client.close()
    assert not [call for call in server.log if call.resource == "deployments"]


async def test_the_certificate_must_have_the_name_that_the_file_says(server: KubeServer, tmp_path: Path) -> None:
    token = {"token": server.token}
    same = kube(server, tmp_path, token, **{"tls-server-name": "localhost"})
    assert await same.get(CHECKOUT) is not None
    await same.close()
    other = kube(server, tmp_path, token, **{"tls-server-name": "shop.example.com"})
    before = len(server.log)
    with pytest.raises(ProviderUnavailable, match="certificate"):
        await other.get(CHECKOUT)
    await other.close()
    assert len(server.log) == before, "the token is not sent"
