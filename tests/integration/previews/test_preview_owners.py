"""A preview that somebody else takes over, or puts something in the place of, is theirs from that moment on."""

from __future__ import annotations

from typing import Any

import pytest
from integration.previews.preview_world import LATER, World, everything, world
from integration.previews.test_preview_safety import _gone

from bot.domain.errors import ProviderRejected, RequestRefused
from integrations._shared.kube.api import Kube

pytestmark = pytest.mark.timeout(60)
MARK = "deployment-architect.io/"


@pytest.mark.parametrize(
    ("place", "key", "value"),
    [
        ("labels", "owner", "another-bot"),
        ("labels", "owner", None),
        ("labels", "template", "elsewhere"),
        ("labels", "preview", "8"),
        ("labels", "preview", None),
        ("annotations", "owner", "another-bot"),
        ("annotations", "owner", None),
        ("annotations", "uid", "of-another-one"),
        ("annotations", "uid", ""),
    ],
)
async def test_one_of_whose_marks_somebody_changed_one_is_left_alone(place: str, key: str, value: str | None) -> None:
    async with world(housekeeping=False) as here:
        preview = await here.open()
        here.server.change("namespaces", None, "shop-pr-7", {"metadata": {place: {MARK + key: value}}})
        before = everything(here.server)
        subject = here.previews()
        for ask in (
            here.open(version="v1.3", operation="two"),
            subject.find(number=7),
            subject.extend(number=7, identity=preview.identity, until=LATER),
            subject.close(number=7, identity=preview.identity),
        ):
            with pytest.raises(ProviderRejected, match="left alone"):
                await ask
        assert await subject.all() == ()
        assert everything(here.server) == before


async def test_one_too_many_is_given_up_and_not_what_somebody_made_in_its_place() -> None:
    async with world(housekeeping=False) as here:
        kube = Unlucky(here)
        with pytest.raises((RequestRefused, ProviderRejected)):
            await here.open(previews=here.previews(kube=kube, most=1))
        await kube.close()
        found = here.server.get("namespaces", None, "shop-pr-7")
        assert found["status"]["phase"] == "Active"
        assert found["metadata"]["uid"] == kube.theirs


class Unlucky(Kube):
    """Another preview comes as soon as it has claimed its own, and somebody takes the name when it gives it up."""

    def __init__(self, here: World) -> None:
        super().__init__(here.server.access())
        self.here, self.theirs = here, ""

    async def create(self, path: str, *args: Any, **more: Any) -> Any:
        made = await super().create(path, *args, **more)
        if path.endswith("/namespaces"):
            await self.here.open(8, operation="other")
        return made

    async def delete(self, path: str, *args: Any, **more: Any) -> None:
        _gone(self.here, "shop-pr-7")
        made = self.here.server.add("namespaces", None, {"metadata": {"name": "shop-pr-7"}})
        self.theirs = made["metadata"]["uid"]
        await super().delete(path, *args, **more)
