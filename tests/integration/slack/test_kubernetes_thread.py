"""A Deployment before people: what keeps its pods from coming up is said, and so is who else changed it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from kube.deployment_world import REPOSITORY, world
from office import open_office

from bot.domain.ids import EnvironmentName, ServiceName

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from kube.deployment_world import World
    from office import Office

pytestmark = pytest.mark.long

CATALOG = """\
version: 1
channel: "#deployments"
environments:
  staging: {}
defaults:
  health: { path: /health, interval: 0.05, timeout: 2s, passes: 1, deadline: 20s }
services:
  checkout:
    target: { type: local, root: platform }
    images: { type: local, folder: artifacts }
roles:
  release-manager:
    members: ["@release-managers", "@deployers"]
    allow:
      - { actions: "*", services: "*", environments: "*" }
"""


def digest(version: str) -> str:
    return f"sha256:{hashlib.sha256(f'checkout {version}'.encode()).hexdigest()}"


@pytest.fixture
async def cluster() -> AsyncIterator[World]:
    async with world() as opened:
        yield opened


@pytest.fixture
async def office(tmp_path: Path, cluster: World) -> AsyncIterator[Office]:
    async with open_office(tmp_path, text=CATALOG) as opened:
        opened.places["checkout@staging"] = cluster.target()  # type: ignore[assignment]  # a real one
        yield opened


async def test_a_release_comes_a_bad_one_is_put_back_with_the_reason_and_all_is_as_before(
    office: Office, cluster: World
) -> None:
    await office.says("ada", "checkout v1.2 staging")
    await office.reaches(1, "succeeded")
    good = cluster.get()["spec"]["template"]
    assert digest("v1.2") in cluster.image()
    cluster.controller.behaves(digest("v1.3"), "crash")
    await office.says("ada", "checkout v1.3 staging")
    await office.reaches(2, "failed")
    card = await office.reads("ada", "panic: cannot reach the database", "channel")
    assert "v1.2 serves again" in card
    assert cluster.get()["spec"]["template"] == good
    await cluster.settled()


async def test_somebody_with_kubectl_is_named_and_theirs_is_left_alone(office: Office, cluster: World) -> None:
    cluster.server.change("deployments", "shop", "checkout", {"spec": {"progressDeadlineSeconds": 3000}})
    cluster.controller.behaves(digest("v1.3"), "missing")
    await office.says("ada", "checkout v1.3 staging")
    await office.reads("ada", "cannot pull the image", "channel")
    cluster.set_image(f"{REPOSITORY}:theirs")
    await office.reaches(1, "superseded")
    assert "kubectl-set at" in await office.reads("ada", "kubectl-set", "channel")
    await cluster.settled()
    assert cluster.image() == f"{REPOSITORY}:theirs"


async def test_what_is_scaled_to_zero_succeeds_with_a_warning_and_is_never_called_healthy(
    office: Office, cluster: World
) -> None:
    cluster.server.change("deployments", "shop", "checkout", {"spec": {"replicas": 0}})
    await cluster.settled()
    await office.says("ada", "checkout v1.2 staging")
    await office.reaches(1, "succeeded")
    assert digest("v1.2") in cluster.image()
    warning = "! 0 replicas: nothing was started, so nothing could be checked."
    card = await office.reads("ada", warning, "channel")
    assert "Verify health – Skipped" in card
    assert "v1.2 is set in staging" in card
    assert "serves" not in card
    note = await office.reads("ada", warning, "thread")
    assert "staging is set to v1.2" in note
    assert "serves" not in note
    brought = (await office.store.deployments.by_number(1)).release
    proven = await office.store.releases.proven(ServiceName("checkout"), EnvironmentName("staging"), brought)
    assert not any(one.release.same_as(brought) for one in proven)
