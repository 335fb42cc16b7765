"""A cluster of Amazon EKS: where it is tells EKS, the token is a request to STS, signed here and sent by the cluster.

boto3 blocks, so it works in threads of its own. The AWS CLI is not run. Signing sends nothing.
"""

from __future__ import annotations

import base64
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from integrations._shared.failures import told
from integrations.clusters.cached import Cached, utc_now
from integrations.clusters.credentials import Endpoint, Token, Unusable, address, authority, decoded, refused
from integrations.clusters.managed import DESCRIBED, Managed, away, in_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from integrations.clusters.options import EksOptions

_PREFIX = "k8s-aws-v1."
_HEADER = "x-k8s-aws-id"
_SIGNED_FOR = 60
"""Seconds that the signed request says that it is good for; more than that, and clusters refuse it."""
#: A cluster takes the token for a quarter of an hour from its signing.
_LASTS = timedelta(minutes=14)
_NOT_ALLOWED = {"AccessDeniedException", "AccessDenied", "UnrecognizedClientException", "InvalidClientTokenId"}
_NOT_ALLOWED |= {"ExpiredToken", "ExpiredTokenException", "InvalidSignatureException", "SignatureDoesNotMatch"}


def build(*, options: EksOptions, name: str) -> Managed:
    """The cluster in its region; asks nobody yet."""
    return access_to(options, name=name)


def access_to(options: EksOptions, *, name: str, now: Callable[[], datetime] = utc_now) -> Managed:
    """Like `build`, with a clock of one's own."""
    found = _Found(options, name, now)
    return Managed(name, describe=found.describe, mint=found.mint, now=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Session:
    """A session of boto3, and when the role that it took on ends."""

    boto: Any = field(repr=False)
    ends: datetime | None
    making: threading.Lock = field(default_factory=threading.Lock, repr=False)
    """Held while a client is made of it: a session of boto3 cannot make two at the same time."""


class _Found:
    """One cluster."""

    def __init__(self, options: EksOptions, name: str, now: Callable[[], datetime]) -> None:
        self._options = options
        self._name = name
        self._now = now
        self._session = Cached(self._open, expires=lambda session: session.ends, now=now)

    async def describe(self) -> Endpoint:
        session = await self._session.get()
        options = self._options

        def ask() -> dict[str, Any]:
            with session.making:
                client = session.boto.client("eks", region_name=options.region, config=_config(options.timeout))
            try:
                cluster: dict[str, Any] = client.describe_cluster(name=options.cluster)["cluster"]
            finally:
                client.close()
            return cluster

        cluster = await self._aws(ask, "eks:DescribeCluster")
        try:
            if not cluster.get("endpoint"):
                raise Unusable(f"EKS gives it no address while it is {str(cluster.get('status', 'away')).lower()}")
            ca = (cluster.get("certificateAuthority") or {}).get("data")
            return Endpoint(
                server=address(cluster["endpoint"]),
                ca=authority(decoded(ca, "the certificate of its authority")),
                until=self._now() + DESCRIBED,
            )
        except Unusable as error:
            raise refused(self._name, str(error)) from None

    async def mint(self) -> Token:
        session = await self._session.get()
        options = self._options

        def sign() -> str | None:
            with session.making:
                return presigned(session.boto, region=options.region, cluster=options.cluster)

        url = await self._aws(sign, "sts:GetCallerIdentity")
        if url is None:
            raise refused(self._name, "there are no credentials for AWS where the bot runs")
        value = _PREFIX + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")
        ends = self._now() + _LASTS
        return Token(value=value, expires=min(ends, session.ends) if session.ends else ends)

    async def _open(self) -> _Session:
        options = self._options

        def begin() -> _Session:
            import boto3

            own = boto3.session.Session(region_name=options.region)
            if options.role_arn is None:
                return _Session(boto=own, ends=None)
            client = own.client("sts", region_name=options.region, config=_config(options.timeout))
            try:
                role = client.assume_role(RoleArn=options.role_arn, RoleSessionName="deployment-architect")
            finally:
                client.close()
            given = role["Credentials"]
            taken = boto3.session.Session(
                aws_access_key_id=given["AccessKeyId"],
                aws_secret_access_key=given["SecretAccessKey"],
                aws_session_token=given["SessionToken"],
                region_name=options.region,
            )
            ends: datetime = given["Expiration"]
            return _Session(boto=taken, ends=ends if ends.tzinfo else ends.replace(tzinfo=UTC))

        opened: _Session = await self._aws(begin, "sts:AssumeRole")
        return opened

    async def _aws(self, work: Callable[[], Any], right: str) -> Any:
        from botocore import exceptions

        try:
            return await in_thread(work, name=self._name, timeout=3 * self._options.timeout)
        except exceptions.ClientError as error:
            said = error.response.get("Error", {})
            code, message = str(said.get("Code", "")), told(str(said.get("Message", "")))
            status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
            if code == "ResourceNotFoundException":
                where = f"{self._options.cluster} in {self._options.region}"
                raise refused(self._name, f"EKS knows no cluster {where}: {message}") from None
            if code in _NOT_ALLOWED or status in (401, 403):
                raise refused(self._name, f"AWS does not allow {right}: {message or code}") from None
            raise away(self._name, "AWS", Exception(message or code)) from None
        except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError, exceptions.ProfileNotFound) as error:
            raise refused(self._name, f"there are no credentials for AWS: {told(str(error))}") from None
        except exceptions.BotoCoreError as error:
            raise away(self._name, "AWS", error) from None
        except (LookupError, TypeError, AttributeError, ValueError):
            # Neither boto3 nor we look at each step whether an answer has the shape that it should have.
            raise away(self._name, "AWS", Exception("it answers what nobody understands")) from None


def presigned(session: Any, *, region: str, cluster: str) -> str | None:
    """A request to STS for who we are, signed for one minute and for one cluster; None without credentials."""
    from botocore.config import Config

    if session.get_credentials() is None:
        return None

    def address_to_cluster(request: Any, **_: object) -> None:
        request.headers[_HEADER] = cluster

    # The regional host itself, whatever address this process reaches STS by: it is the cluster that will ask there.
    own = Config(ignore_configured_endpoint_urls=True, signature_version="v4")
    client = session.client("sts", region_name=region, config=own)
    try:
        client.meta.events.register("before-sign.sts.GetCallerIdentity", address_to_cluster)
        url: str = client.generate_presigned_url("get_caller_identity", ExpiresIn=_SIGNED_FOR, HttpMethod="GET")
    finally:
        client.close()
    return url


def _config(timeout: float) -> Any:
    from botocore.config import Config

    # Reading only, so that asking again is safe; the thread ends by these limits.
    return Config(connect_timeout=min(5.0, timeout), read_timeout=timeout, retries={"total_max_attempts": 2})
