"""The versions of the fake registry's repository, as the tests ask for them, and a time that they can change."""

from __future__ import annotations

from typing import Any

from integration.images.fake_oci import CONTENT, NAME, USER, FakeRegistry
from integration.images.real_registry import digest_of

from bot.domain.ids import ServiceName
from bot.domain.release import Artifact, Release
from integrations.oci.images import OciImages
from integrations.oci.options import OciOptions

KNOWN = digest_of(CONTENT)


class Clock:
    """A time that goes on when it is told to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def images(registry: FakeRegistry, clock: Clock | None = None, *, known: bool = False, **options: Any) -> OciImages:
    """The subject of these tests; ``known``: with a password."""
    said: dict[str, Any] = {"repository": f"{registry.address}/{NAME}", "insecure": True, "timeout": 5.0, **options}
    if known:
        said |= {"username": USER, "password": "env:HUB_PASSWORD"}
    return OciImages(options=OciOptions.model_validate(said), service=ServiceName("checkout"), clock=clock or Clock())


def release(digest: str = KNOWN) -> Release:
    return Release(service=ServiceName("checkout"), version="v1.2", artifact=Artifact(digest=digest, location="there"))
