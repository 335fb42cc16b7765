"""A cluster of Azure Kubernetes Service: where it is tells Azure's Resource Manager, the token comes from Entra ID.

Azure answers with a kubeconfig that would run kubelogin. Only the server and its authority are taken from it.
"""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

import aiohttp

from integrations._shared.failures import refusal, told
from integrations._shared.kube.errors import PROVIDER
from integrations.clusters.cached import utc_now
from integrations.clusters.credentials import Endpoint, Token, Unusable, authority, decoded, refused, token
from integrations.clusters.kubeconfig_file import described
from integrations.clusters.managed import DESCRIBED, Managed, away

if TYPE_CHECKING:
    from collections.abc import Callable

    from azure.core.credentials import AccessToken
    from azure.core.credentials_async import AsyncTokenCredential

    from integrations.clusters.options import AksOptions

ARM = "https://management.azure.com"
#: The application that every AKS cluster with Entra ID takes tokens for.
AKS_SCOPE = "6dae42f8-4368-4678-94ff-3960e28e3630/.default"
_VERSION = "2024-09-01"
_LARGEST = 1024 * 1024


def build(*, options: AksOptions, name: str) -> Managed:
    """The cluster in its resource group; asks nobody yet."""
    return access_to(options, name=name)


def access_to(
    options: AksOptions,
    *,
    name: str,
    credential: Callable[[], AsyncTokenCredential] | None = None,
    arm: str = ARM,
    now: Callable[[], datetime] = utc_now,
) -> Managed:
    """Like `build`; ``credential`` makes what is used instead of azure-identity's default, ``arm`` is whom to ask."""
    found = _Found(options, name, credential or _default, arm, now)
    return Managed(name, describe=found.describe, mint=found.mint, now=now)


def _default() -> AsyncTokenCredential:
    from azure.identity.aio import DefaultAzureCredential

    # Nothing that would run a command of another product or ask a person.
    return DefaultAzureCredential(
        exclude_cli_credential=True,
        exclude_developer_cli_credential=True,
        exclude_powershell_credential=True,
        exclude_shared_token_cache_credential=True,
        exclude_visual_studio_code_credential=True,
    )


class _Found:
    """One cluster. Opens a credential for each token and closes it, so that nothing is left to be closed."""

    def __init__(
        self,
        options: AksOptions,
        name: str,
        make: Callable[[], AsyncTokenCredential],
        arm: str,
        now: Callable[[], datetime],
    ) -> None:
        self._options = options
        self._name = name
        self._make = make
        self._arm = arm
        self._now = now

    async def describe(self) -> Endpoint:
        options = self._options
        given = await self._token(f"{ARM}/.default")
        group = quote(options.resource_group, safe="")
        path = (
            f"/subscriptions/{options.subscription}/resourceGroups/{group}/providers/"
            f"Microsoft.ContainerService/managedClusters/{options.cluster}/listClusterUserCredential"
        )
        answer = await self._post(f"{self._arm}{path}?api-version={_VERSION}&format=exec", given.token)
        try:
            server, ca = _place(answer)
        except Unusable as error:
            raise refused(self._name, str(error)) from None
        return Endpoint(server=server, ca=ca, until=self._now() + DESCRIBED)

    async def mint(self) -> Token:
        given = await self._token(AKS_SCOPE)
        try:
            return Token(value=token(given.token), expires=datetime.fromtimestamp(given.expires_on, UTC))
        except Unusable as error:
            raise refused(self._name, str(error)) from None

    async def _token(self, scope: str) -> AccessToken:
        from azure.core.exceptions import AzureError, ClientAuthenticationError, ServiceRequestError

        try:
            async with asyncio.timeout(2 * self._options.timeout), self._make() as credential:
                return await credential.get_token(scope)
        except ClientAuthenticationError as error:
            raise refused(self._name, f"there are no credentials for Azure: {told(error.message)}") from None
        except (ServiceRequestError, AzureError) as error:
            raise away(self._name, "Entra ID", error) from None
        except TimeoutError:
            limit = 2 * self._options.timeout
            raise away(self._name, "Entra ID", TimeoutError(f"no answer within {limit:g} s")) from None

    async def _post(self, url: str, bearer: str) -> bytes:
        limit = self._options.timeout
        headers = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"}
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=limit)) as session,
                # The bearer token is meant for this server and no other.
                session.post(url, headers=headers, data=b"", allow_redirects=False) as response,
            ):
                content = await _bounded(response)
                if response.status == 200:
                    return content
                status, answered = response.status, dict(response.headers)
        except TimeoutError:
            raise away(self._name, "Azure", TimeoutError(f"no answer within {limit:g} s")) from None
        except (aiohttp.ClientError, OSError) as error:
            raise away(self._name, "Azure", error) from None
        said = _said(content)
        if status == 404:
            raise refused(self._name, f"Azure knows no such cluster: {said}")
        if status in (401, 403):
            role = "grant the bot the role Azure Kubernetes Service Cluster User Role"
            raise refused(self._name, f"Azure does not let the bot read where it is ({status}): {said}; {role}")
        raise refusal(PROVIDER, "Azure", status, answered, said)


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    content = bytearray()
    async for part in response.content.iter_chunked(64 * 1024):
        content += part
        if len(content) > _LARGEST:
            break
    return bytes(content)


def _said(content: bytes) -> str:
    try:
        return told(str(json.loads(content)["error"]["message"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return "it does not say why"


def _place(answer: bytes) -> tuple[str, bytes]:
    """The address and the authority in Azure's answer; raises `Unusable`."""
    try:
        encoded = json.loads(answer)["kubeconfigs"][0]["value"]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        raise Unusable("Azure answered no kubeconfig") from None
    found = described(decoded(encoded, "the kubeconfig that Azure gave"), None)
    if found.ca is None or found.ca.data is None:
        raise Unusable("the kubeconfig that Azure gave has no certificate of its authority")
    if not found.server.startswith("https://"):
        raise Unusable("the kubeconfig that Azure gave has a server that is not asked over https")
    return found.server, authority(decoded(found.ca.data, "the certificate of its authority"))
