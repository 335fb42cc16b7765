"""A canary of Flagger's before people: each step waits for a word in the thread, and Flagger waits for the bot."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from kube.flagger_world import V1, V3, until, world
from office import open_office

from bot.domain.gate import Hook

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from kube.flagger_world import World
    from office import Office

pytestmark = pytest.mark.long

CATALOG = """\
version: 1
channel: "#deployments"
environments:
  staging: {}
strategies:
  canary:
    canary:
      steps:
        - { weight: 20, bake: 1s, approval: true }
        - { weight: 40, bake: 1s, approval: true }
      timeout: 10m
  other:
    canary:
      steps:
        - { weight: 30, bake: 1s, approval: true }
defaults:
  health: { path: /health, interval: 0.05, timeout: 2s, passes: 1, deadline: 20s }
services:
  checkout:
    target: { type: local, root: platform }
    images: { type: local, folder: artifacts }
    strategy: canary
roles:
  release-manager:
    members: ["@release-managers", "@deployers"]
    allow:
      - { actions: "*", services: "*", environments: "*" }
"""


def digest(version: str) -> str:
    return f"sha256:{hashlib.sha256(f'checkout {version}'.encode()).hexdigest()}"


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as opened:
        yield opened


@pytest.fixture
async def office(tmp_path: Path, cluster: World) -> AsyncIterator[Office]:
    async with open_office(tmp_path / "office", text=CATALOG) as opened:
        opened.places["checkout@staging"] = cluster.target()  # type: ignore[assignment]  # a real one
        yield opened


async def test_each_step_is_held_until_somebody_lets_it_go_on(office: Office, cluster: World) -> None:
    await office.says("ada", "checkout v1.2 staging")
    await office.reads("ada", "gets 20 % of the traffic. Promote to", "thread")
    held = len(cluster.flagger.rounds)
    await cluster.rounds(6)
    assert set(cluster.flagger.rounds[held:]) == {20}
    await office.presses("ada", "Promote to 40 %", "thread")
    await office.reads("ada", "gets 40 % of the traffic. Promote to", "thread")
    assert cluster.weight == 40
    assert True not in cluster.asked(Hook.PROMOTION)
    await office.presses("grace", "Promote to 100 %", "channel")
    await office.reaches(1, "succeeded")
    assert cluster.phase == "Succeeded"
    assert digest("v1.2") in cluster.image("checkout-primary")
    assert not (await cluster.gate()).held


async def test_an_abort_in_the_thread_takes_the_canary_back(office: Office, cluster: World) -> None:
    await office.says("ada", "checkout v1.2 staging")
    await office.reads("ada", "gets 20 % of the traffic. Promote to", "thread")
    await office.says("ada", "abort #1")
    await office.reaches(1, "aborted")
    assert (cluster.phase, cluster.weight) == ("Failed", 0)
    assert cluster.image() == cluster.image("checkout-primary") == V1.artifact.location
    assert cluster.asked(Hook.ROLLBACK).count(True) == 1


async def test_what_flagger_takes_back_while_people_are_asked_has_failed_and_its_image_is_gone(
    office: Office, cluster: World
) -> None:
    await office.says("ada", "checkout v1.2 staging")
    await office.reads("ada", "gets 20 % of the traffic. Promote to", "thread")
    cluster.flagger.check = lambda _canary, image: "error rate 12 %" if digest("v1.2") in image else ""
    await office.reaches(1, "failed")
    card = await office.reads("ada", "Flagger took v1.2 back: Canary analysis failed", "channel")
    assert "error rate 12 %" in card
    assert "serves again" in card
    assert "outside the bot" not in card
    assert "error rate 12 %" in await office.reads("ada", "Flagger took v1.2 back", "thread")
    assert cluster.image() == cluster.image("checkout-primary") == V1.artifact.location
    begun = len(cluster.flagger.rounds)
    await cluster.rounds(4)
    assert set(cluster.flagger.rounds[begun:]) == {0}
    assert cluster.phase == "Failed"
    assert not (await cluster.gate()).held


async def test_roll_back_brings_back_what_was_proven_without_analysis(office: Office, cluster: World) -> None:
    for number, version in enumerate(("v1.1", "v1.2"), start=1):
        await office.says("ada", f"checkout {version} staging")
        await office.reads("ada", f"#{number} checkout {version} to staging gets 20 % of the traffic", "thread")
        await office.presses("grace", "Promote to 100 %", "channel")
        await office.reaches(number, "succeeded")
    cluster.flagger.check = lambda _canary, _image: "error rate 50 %"  # an analysis could only fail
    await office.presses("grace", "Roll back to v1.1", "channel")
    await office.reaches(3, "succeeded")
    assert digest("v1.1") in cluster.image("checkout-primary")
    assert cluster.canary["spec"]["skipAnalysis"] is False
    assert not (await cluster.gate()).held


async def test_somebody_with_kubectl_is_left_alone(office: Office, cluster: World) -> None:
    await office.says("ada", "checkout v1.2 staging")
    await office.reads("ada", "gets 20 % of the traffic. Promote to", "thread")
    cluster.set_image(V3.artifact.location)
    await office.reaches(1, "superseded")
    assert "kubectl-set at" in await office.reads("ada", "It was taken back outside the bot", "channel")
    await until(lambda: cluster.weight == 0)
    assert cluster.image() == V3.artifact.location


async def test_a_strategy_with_other_steps_is_refused_before_anything_is_changed(
    office: Office, cluster: World
) -> None:
    await office.says("ada", "checkout v1.2 staging strategy=other")
    await office.reaches(1, "errored")
    await office.reads("ada", "stepWeights: [30]", "channel")
    assert cluster.image() == V1.artifact.location
