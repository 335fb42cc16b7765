"""Clusters of Google, Amazon and Microsoft: their own SDKs over the wire, to servers on this machine."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import logging
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlsplit

import grpc
import pytest
from cluster_servers import AmazonFake, AzureFake, GoogleFake, amazon, api_server, azure, entra, google
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from kube.tls import Authority

from bot.domain.errors import ProviderError, ProviderRejected, ProviderUnavailable
from integrations._shared.kube.api import Kube
from integrations.clusters import aks, eks, gke
from integrations.clusters.options import AksOptions, EksOptions, GkeOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from integrations.clusters.managed import Managed

pytestmark = pytest.mark.long

SHOP = "/api/v1/namespaces/shop"
CLUSTER = "projects/acme/locations/europe-west1/clusters/shop"
GKE = GkeOptions(project="acme", location="europe-west1", cluster="shop")
EKS = EksOptions(region="eu-west-1", cluster="shop")
SUBSCRIPTION = "00000000-1111-2222-3333-444444444444"
AKS = AksOptions(subscription=SUBSCRIPTION, resource_group="Shop_(EU)", cluster="shop")
ROLE = "arn:aws:iam::123456789012:role/deployer"


class Clock:
    """Ours, beside the real one that the SDKs have."""

    def __init__(self) -> None:
        self.extra = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.extra

    def ahead(self, seconds: float) -> None:
        self.extra += timedelta(seconds=seconds)


# Google


@pytest.fixture
async def fake_google(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[GoogleFake]:
    """Google with a service account of which a key lies where google-auth looks for it."""
    async with google() as fake:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        account = {
            "type": "service_account",
            "project_id": "acme",
            "private_key_id": "1",
            "private_key": pem.decode(),
            "client_email": "deployer@acme.iam.gserviceaccount.com",
            "token_uri": fake.token_url,
        }
        (tmp_path / "account.json").write_text(json.dumps(account))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "account.json"))
        yield fake


def on_google(fake: GoogleFake, options: GkeOptions = GKE, clock: Clock | None = None) -> Managed:
    from google.cloud.container_v1 import ClusterManagerAsyncClient
    from google.cloud.container_v1.services.cluster_manager.transports import ClusterManagerGrpcAsyncIOTransport

    def client(_: Any) -> ClusterManagerAsyncClient:
        channel = grpc.aio.insecure_channel(fake.grpc_address)
        return ClusterManagerAsyncClient(transport=ClusterManagerGrpcAsyncIOTransport(channel=channel))

    return gke.access_to(options, name="gke1", client=client, now=clock or Clock())


def google_cluster(endpoint: str = "", ca: bytes = b"", dns: str = "", *, outside: bool = True) -> Any:
    from google.cloud.container_v1.types import Cluster

    return Cluster(
        name="shop",
        endpoint=endpoint,
        master_auth={"cluster_ca_certificate": base64.b64encode(ca).decode()},
        control_plane_endpoints_config={
            "dns_endpoint_config": {"endpoint": dns, "allow_external_traffic": outside} if dns else {}
        },
    )


async def test_gke_is_reached_with_its_own_authority_and_the_token_renewed_in_flight(
    fake_google: GoogleFake, tmp_path: Path
) -> None:
    clock = Clock()
    async with api_server(tmp_path) as server:
        fake_google.clusters[CLUSTER] = google_cluster(server.url.removeprefix("https://"), server.ca)
        kube = Kube(on_google(fake_google, clock=clock))
        try:
            server.good = {"ya29.token-1"}
            await asyncio.gather(*(kube.get(SHOP) for _ in range(10)))
            assert fake_google.minted == 1
            # It expires: the next request has another one, and none was refused.
            server.good = {"ya29.token-2"}
            clock.ahead(3600 - 59)
            await kube.get(SHOP)
            assert fake_google.minted == 2
            assert server.shown == ["ya29.token-1"] * 10 + ["ya29.token-2"]
            # It is taken back before: all that are refused together get one new token.
            server.good = {"ya29.token-3"}
            await asyncio.gather(*(kube.get(SHOP) for _ in range(10)))
            assert fake_google.minted == 3
        finally:
            await kube.close()
    assert set(fake_google.asked) == {CLUSTER}
    assert len(fake_google.asked) == 2, "where it is was asked again after ten minutes, and not with each token"


async def test_gke_with_the_certificate_of_another_is_refused(fake_google: GoogleFake, tmp_path: Path) -> None:
    async with api_server(tmp_path) as server:
        fake_google.clusters[CLUSTER] = google_cluster(server.url.removeprefix("https://"), Authority().pem)
        kube = Kube(on_google(fake_google))
        try:
            with pytest.raises(ProviderUnavailable, match=r"(?i)certificate"):
                await kube.get(SHOP)
        finally:
            await kube.close()
        assert server.shown == []


@pytest.mark.parametrize(
    ("cluster", "endpoint", "expected"),
    [
        ({"endpoint": "10.0.0.1", "dns": "gke-1.europe-west1.gke.goog"}, "auto", "https://gke-1.europe-west1.gke.goog"),
        ({"endpoint": "10.0.0.1", "dns": "gke-1.gke.goog", "outside": False}, "auto", "https://10.0.0.1"),
        ({"endpoint": "10.0.0.1", "dns": "gke-1.gke.goog"}, "ip", "https://10.0.0.1"),
        ({"endpoint": "fd00::1"}, "auto", "https://[fd00::1]"),
    ],
)
async def test_gke_has_two_endpoints(
    cluster: dict[str, Any], endpoint: Any, expected: str, fake_google: GoogleFake
) -> None:
    own = Authority().pem
    fake_google.clusters[CLUSTER] = google_cluster(ca=own, **cluster)
    found = await on_google(fake_google, GKE.model_copy(update={"endpoint": endpoint})).access()
    assert found.server == expected
    assert found.ca == (None if "goog" in expected else own), "the DNS endpoint shows a public certificate"


async def test_gke_says_what_to_do(fake_google: GoogleFake, tmp_path: Path) -> None:
    async def said(options: GkeOptions = GKE) -> str:
        with pytest.raises(ProviderRejected) as caught:
            await on_google(fake_google, options).access()
        return caught.value.message

    assert f"Google knows no {CLUSTER}" in await said()
    fake_google.clusters[CLUSTER] = google_cluster("10.0.0.1", Authority().pem)
    assert "no DNS endpoint that lets traffic in" in await said(GKE.model_copy(update={"endpoint": "dns"}))
    fake_google.clusters[CLUSTER] = google_cluster("10.0.0.1", b"no certificate")
    assert "the certificate of its authority cannot be read" in await said()
    fake_google.clusters[CLUSTER] = google_cluster()
    assert "no address yet" in await said()
    fake_google.refuses = grpc.StatusCode.PERMISSION_DENIED
    assert "grant it container.clusters.get" in await said()
    fake_google.refuses = grpc.StatusCode.UNAVAILABLE
    with pytest.raises(ProviderUnavailable, match="Google cannot be asked"):
        await on_google(fake_google).access()
    fake_google.refuses = None
    fake_google.broken = True
    assert "there are no credentials for Google" in await said()
    (tmp_path / "account.json").unlink()
    assert "there are no credentials for Google" in await said()


async def test_a_google_that_is_away_does_not_take_a_good_token_away(fake_google: GoogleFake) -> None:
    clock = Clock()
    fake_google.clusters[CLUSTER] = google_cluster("10.0.0.1", Authority().pem)
    found = on_google(fake_google, clock=clock)
    first = await found.access()
    fake_google.refuses = grpc.StatusCode.UNAVAILABLE
    clock.ahead(590)
    assert await found.access() == first
    clock.ahead(60)
    with pytest.raises(ProviderUnavailable):
        await found.access()


# Amazon


@pytest.fixture
async def fake_amazon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AmazonFake]:
    """AWS with the credentials in the environment, as boto3 finds them."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOWN")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "own-secret")
    async with amazon() as fake:
        monkeypatch.setenv("AWS_ENDPOINT_URL_EKS", fake.url)
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", fake.url)
        yield fake


def amazon_cluster(endpoint: str, ca: bytes) -> dict[str, Any]:
    return {
        "endpoint": endpoint,
        "status": "ACTIVE",
        "certificateAuthority": {"data": base64.b64encode(ca).decode()},
    }


def checked(token: str, *, key: str, secret: str, session: str | None = None, at: datetime | None = None) -> str:
    """What a cluster does with a token, by the book of Signature Version 4; gives the URL that is in it."""
    assert token.startswith("k8s-aws-v1.")
    encoded = token.removeprefix("k8s-aws-v1.")
    assert "=" not in encoded
    url = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode("ascii")
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc, parts.path) == ("https", "sts.eu-west-1.amazonaws.com", "/")
    query = dict(parse_qsl(parts.query, strict_parsing=True))
    signature = query.pop("X-Amz-Signature")
    stamp = query["X-Amz-Date"]
    scope = f"{stamp[:8]}/eu-west-1/sts/aws4_request"
    expected = {
        "Action": "GetCallerIdentity",
        "Version": "2011-06-15",
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{key}/{scope}",
        "X-Amz-Date": stamp,
        "X-Amz-Expires": "60",
        "X-Amz-SignedHeaders": "host;x-k8s-aws-id",
    }
    assert query == expected | ({"X-Amz-Security-Token": session} if session else {})
    signed = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert abs(signed - (at or datetime.now(UTC))) < timedelta(seconds=30)
    canonical = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(query.items()))
    headers = f"host:{parts.netloc}\nx-k8s-aws-id:shop\n"
    empty = hashlib.sha256(b"").hexdigest()
    request = f"GET\n/\n{canonical}\n{headers}\nhost;x-k8s-aws-id\n{empty}"
    to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    derived = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        derived = hmac.digest(derived, part.encode(), "sha256")
    assert hmac.new(derived, to_sign.encode(), "sha256").hexdigest() == signature
    return url


async def test_eks_takes_a_request_to_sts_that_was_signed_for_it_alone(fake_amazon: AmazonFake, tmp_path: Path) -> None:
    clock = Clock()
    async with api_server(tmp_path) as server:
        fake_amazon.clusters["shop"] = amazon_cluster(server.url, server.ca)
        found = eks.access_to(EKS, name="eks1", now=clock)
        access = await found.access()
        assert access.token is not None
        checked(access.token, key="AKIAOWN", secret="own-secret")
        assert access.expires is not None
        assert timedelta(minutes=13) < access.expires - datetime.now(UTC) <= timedelta(minutes=14)
        assert fake_amazon.asked == [("eks GET /clusters/shop", "AKIAOWN")], "to sign is to send nothing"
        server.good = {access.token}
        kube = Kube(found)
        try:
            await kube.get(SHOP)
            # Seconds later a new one is another one, for its time stands in it.
            server.good = set()
            async with asyncio.timeout(10):
                while (again := (await found.access(fresh=True)).token) == access.token:
                    await asyncio.sleep(0.05)
            assert again is not None
            server.good = {again}
            await kube.get(SHOP)
            clock.ahead(13 * 60 + 5)
            late = await found.access()
            assert late.token is not None
            assert late.expires is not None
            assert late.expires > access.expires
        finally:
            await kube.close()


async def test_eks_by_a_role(fake_amazon: AmazonFake) -> None:
    clock = Clock()
    fake_amazon.clusters["shop"] = amazon_cluster("https://10.0.0.1", Authority().pem)
    fake_amazon.expiration = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    found = eks.access_to(EKS.model_copy(update={"role_arn": ROLE}), name="eks1", now=clock)
    access = await found.access()
    assert access.token is not None
    checked(access.token, key="ASIAROLE", secret="role-secret", session="role/session")
    assert fake_amazon.asked == [("sts POST /", "AKIAOWN"), ("eks GET /clusters/shop", "ASIAROLE")]
    assert fake_amazon.assumed[0]["RoleArn"] == ROLE
    clock.ahead(14 * 60)
    await found.access()
    assert len(fake_amazon.assumed) == 1, "the role is good for an hour"
    clock.ahead(46 * 60)
    fake_amazon.expiration = (clock() + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    await found.access()
    assert len(fake_amazon.assumed) == 2
    assert "role-secret" not in repr(found) + repr(access) + repr(found.__dict__)


async def test_a_token_is_not_older_than_the_role_that_it_was_signed_with(fake_amazon: AmazonFake) -> None:
    fake_amazon.clusters["shop"] = amazon_cluster("https://10.0.0.1", Authority().pem)
    ends = (datetime.now(UTC) + timedelta(minutes=5)).replace(microsecond=0)
    fake_amazon.expiration = ends.strftime("%Y-%m-%dT%H:%M:%SZ")
    access = await eks.access_to(EKS.model_copy(update={"role_arn": ROLE}), name="eks1").access()
    assert access.expires == ends


async def test_eks_pins_the_authority_that_it_tells(fake_amazon: AmazonFake, tmp_path: Path) -> None:
    async with api_server(tmp_path) as server:
        fake_amazon.clusters["shop"] = amazon_cluster(server.url, Authority().pem)
        kube = Kube(eks.access_to(EKS, name="eks1"))
        try:
            with pytest.raises(ProviderUnavailable, match=r"(?i)certificate"):
                await kube.get(SHOP)
        finally:
            await kube.close()
        assert server.shown == []


async def test_eks_says_what_to_do(fake_amazon: AmazonFake, monkeypatch: pytest.MonkeyPatch) -> None:
    async def said() -> str:
        with pytest.raises(ProviderRejected) as caught:
            await eks.access_to(EKS, name="eks1").access()
        assert "own-secret" not in caught.value.message
        return caught.value.message

    assert "EKS knows no cluster shop in eu-west-1" in await said()
    fake_amazon.clusters["shop"] = {"status": "CREATING"}
    assert "gives it no address while it is creating" in await said()
    fake_amazon.refuses = (403, "AccessDeniedException", "User: deployer is not authorized to perform it")
    assert "AWS does not allow eks:DescribeCluster: User: deployer is not authorized" in await said()
    fake_amazon.refuses = (503, "ServerException", "try again")
    with pytest.raises(ProviderUnavailable, match="AWS cannot be asked: try again"):
        await eks.access_to(EKS, name="eks1").access()
    fake_amazon.refuses = None
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert "there are no credentials for AWS" in await said()
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    assert "there are no credentials for AWS" in await said()


@pytest.mark.parametrize(
    "says",
    [
        {},
        [],
        {"cluster": None},
        {"cluster": "shop"},
        {"cluster": ["shop"]},
        {"cluster": {"endpoint": 7}},
        {"cluster": {"endpoint": "https://shop.example.com", "certificateAuthority": "x"}},
        {"cluster": {"endpoint": "http://shop.example.com", "certificateAuthority": {"data": ""}}},
        {"cluster": {"endpoint": "https://shop.example.com", "certificateAuthority": {"data": [1]}}},
    ],
    ids=str,
)
async def test_what_is_no_answer_of_amazon_is_told_as_such(fake_amazon: AmazonFake, says: object) -> None:
    fake_amazon.says = says
    with pytest.raises(ProviderError, match=r"The cluster eks1 cannot be (reached|used)") as caught:
        await eks.access_to(EKS, name="eks1").access()
    assert caught.value.message.isprintable()


# Microsoft

PATH = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/Shop_(EU)/providers/Microsoft.ContainerService/managedClusters/shop"
)
KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters:
- name: shop
  cluster: {{ server: "{server}", certificate-authority-data: {ca} }}
contexts:
- name: shop
  context: {{ cluster: shop, user: clusterUser_shop }}
current-context: shop
users:
- name: clusterUser_shop
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1beta1
      command: kubelogin
      args: [get-token, --server-id, 6dae42f8-4368-4678-94ff-3960e28e3630]
      env: null
      provideClusterInfo: false
"""


class Issued:
    """Tokens by scope, as azure-identity's credentials give them."""

    def __init__(self, *, lasts: float = 3600) -> None:
        self.asked: list[str] = []
        self.lasts = lasts

    async def __aenter__(self) -> Issued:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def close(self) -> None:
        return None

    async def get_token(self, *scopes: str, **_: Any) -> Any:
        from azure.core.credentials import AccessToken

        [scope] = scopes
        self.asked.append(scope)
        kind = "arm" if scope.startswith("https://management") else "aks"
        count = sum((one.startswith("https") == (kind == "arm")) for one in self.asked)
        return AccessToken(f"{kind}-{count}", int(datetime.now(UTC).timestamp() + self.lasts))


@pytest.fixture
async def fake_azure() -> AsyncIterator[AzureFake]:
    async with azure() as fake:
        fake.good = {"arm-1", "arm-2", "arm-3"}
        yield fake


def on_azure(fake: AzureFake, issued: Issued, clock: Clock | None = None) -> Managed:
    return aks.access_to(AKS, name="aks1", credential=lambda: issued, arm=fake.arm, now=clock or Clock())


def azure_kubeconfig(server: str, ca: bytes) -> str:
    return KUBECONFIG.format(server=server, ca=base64.b64encode(ca).decode())


async def test_aks_is_reached_without_kubelogin(
    fake_azure: AzureFake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")  # whatever is to be run is not found
    clock, issued = Clock(), Issued()
    async with api_server(tmp_path, "aks-1") as server:
        fake_azure.kubeconfigs[PATH] = azure_kubeconfig(server.url, server.ca)
        kube = Kube(on_azure(fake_azure, issued, clock))
        try:
            await asyncio.gather(*(kube.get(SHOP) for _ in range(5)))
            server.good = {"aks-2"}
            await kube.get(SHOP)
            server.good = {"aks-3"}
            clock.ahead(3600)
            await kube.get(SHOP)
        finally:
            await kube.close()
        assert server.shown == ["aks-1"] * 6 + ["aks-2", "aks-3"]
    assert set(issued.asked) == {"https://management.azure.com/.default", aks.AKS_SCOPE}
    assert fake_azure.asked[0] == f"POST {PATH}/listClusterUserCredential?api-version=2024-09-01&format=exec"


async def test_aks_pins_the_authority_that_azure_tells(fake_azure: AzureFake, tmp_path: Path) -> None:
    async with api_server(tmp_path) as server:
        fake_azure.kubeconfigs[PATH] = azure_kubeconfig(server.url, Authority().pem)
        kube = Kube(on_azure(fake_azure, Issued()))
        try:
            with pytest.raises(ProviderUnavailable, match=r"(?i)certificate"):
                await kube.get(SHOP)
        finally:
            await kube.close()
        assert server.shown == []


async def test_aks_says_what_to_do(fake_azure: AzureFake) -> None:
    async def said() -> str:
        with pytest.raises(ProviderRejected) as caught:
            await on_azure(fake_azure, Issued()).access()
        return caught.value.message

    assert "Azure knows no such cluster" in await said()
    fake_azure.kubeconfigs[PATH] = "current-context: x"
    assert "there is no context 'x' in it" in await said()
    fake_azure.kubeconfigs[PATH] = azure_kubeconfig("http://127.0.0.1:1", Authority().pem)
    assert "not asked over https" in await said()
    fake_azure.kubeconfigs[PATH] = azure_kubeconfig("https://a.example.com", b"none")
    assert "certificate of its authority cannot be read" in await said()
    whole = azure_kubeconfig("https://a.example.com", Authority().pem)
    for authority in ("", ", certificate-authority: /etc/ssl/cert.pem"):
        fake_azure.kubeconfigs[PATH] = re.sub(", certificate-authority-data: [^ ]+", authority, whole)
        assert "the kubeconfig that Azure gave has no certificate of its authority" in await said()
    fake_azure.kubeconfigs[PATH] = re.sub("certificate-authority-data: [^ ]+", "insecure-skip-tls-verify: true", whole)
    assert "insecure-skip-tls-verify" in await said()
    fake_azure.status = 403
    assert "grant the bot the role Azure Kubernetes Service Cluster User Role" in await said()
    fake_azure.status = 503
    with pytest.raises(ProviderUnavailable):
        await on_azure(fake_azure, Issued()).access()


async def test_a_token_for_azure_goes_nowhere_else(fake_azure: AzureFake, tmp_path: Path) -> None:
    async with api_server(tmp_path) as elsewhere:
        fake_azure.elsewhere = elsewhere.url
        with pytest.raises(ProviderRejected, match="sends us elsewhere"):
            await on_azure(fake_azure, Issued()).access()
        assert elsewhere.shown == []


async def test_aks_by_the_real_azure_identity(
    fake_azure: AzureFake, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from azure.identity.aio import ClientSecretCredential

    caplog.set_level(logging.DEBUG)
    fake_azure.good = {"entra-1", "entra-2"}
    async with entra(tmp_path) as tenant, api_server(tmp_path) as server:
        fake_azure.kubeconfigs[PATH] = azure_kubeconfig(server.url, server.ca)

        def credential() -> ClientSecretCredential:
            return ClientSecretCredential(
                "tenant",
                "client",
                "not-for-logs",
                authority=tenant.authority,
                disable_instance_discovery=True,
                connection_verify=str(tmp_path / "entra.crt"),
            )

        found = aks.access_to(AKS, name="aks1", credential=credential, arm=fake_azure.arm)
        access = await found.access()
        assert access.token in tenant.issued
        assert access.expires is not None
        assert timedelta(minutes=55) < access.expires - datetime.now(UTC) <= timedelta(hours=1)
        assert sorted(scope.split()[0] for scope in tenant.scopes) == [
            aks.AKS_SCOPE,
            "https://management.azure.com/.default",
        ]
        tenant.refuses = True
        with pytest.raises(ProviderRejected) as caught:
            await aks.access_to(AKS, name="aks1", credential=credential, arm=fake_azure.arm).access()
        assert "there are no credentials for Azure: " in caught.value.message
        assert "AADSTS7000215" in caught.value.message
    for secret in ("not-for-logs", *tenant.issued):
        assert secret not in caplog.text
        assert secret not in caught.value.message


async def test_the_credentials_of_azure_run_no_command_and_ask_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_TENANT_ID", "tenant")
    monkeypatch.setenv("AZURE_CLIENT_ID", "client")
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "secret")
    async with aks._default() as credential:
        kinds = {type(one).__name__ for one in credential.credentials}  # type: ignore[attr-defined]
    running = re.compile(r"Cli|PowerShell|SharedToken|VisualStudio|Browser|Broker|DeviceCode")
    assert not [kind for kind in kinds if running.search(kind)]
    assert "EnvironmentCredential" in kinds


async def test_no_secret_is_in_what_is_logged_or_shown(
    fake_google: GoogleFake, fake_amazon: AmazonFake, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    fake_google.clusters[CLUSTER] = google_cluster("10.0.0.1", Authority().pem)
    fake_amazon.clusters["shop"] = amazon_cluster("https://10.0.0.1", Authority().pem)
    for found in (on_google(fake_google), eks.access_to(EKS, name="eks1")):
        access = await found.access()
        assert access.token is not None
        for shown in (caplog.text, repr(access), str(access), repr(found), repr(vars(found))):
            assert access.token not in shown
