"""A Rollout of Argo before people: its pauses are asked about in the thread, and only they let it go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from kube.argo_world import world
from office import open_office

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from kube.argo_world import World
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
        - { weight: 25, bake: 1s, approval: true }
        - { weight: 50, bake: 1s, approval: true }
      timeout: 10m
  other:
    canary:
      steps: [{ weight: 33, bake: 1s, approval: true }]
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


@pytest.fixture
async def argo() -> AsyncIterator[World]:
    async with world() as opened:
        yield opened


@pytest.fixture
async def office(tmp_path: Path, argo: World) -> AsyncIterator[Office]:
    async with open_office(tmp_path, text=CATALOG) as opened:
        opened.places["checkout@staging"] = argo.target()  # type: ignore[assignment]  # a real one
        yield opened


async def test_its_pauses_become_questions_in_the_thread(office: Office, argo: World) -> None:
    before = argo.image()
    await office.says("ada", "checkout v1.2 staging")
    await office.reads("ada", "gets 25 % of the traffic. Promote to", "thread")
    assert argo.traffic == 25
    await office.presses("grace", "Promote to 50 %", "thread")
    await office.reads("ada", "gets 50 % of the traffic. Promote to", "thread")
    assert argo.traffic == 50
    await office.presses("grace", "Promote to 100 %", "thread")
    await office.reaches(1, "succeeded")
    assert argo.status["stableRS"] == argo.status["currentPodHash"]
    assert argo.image() != before
    # The next one all the way at one word, and back again without any of the steps.
    brought = argo.image()
    await office.says("ada", "checkout v1.3 staging")
    await office.reads("ada", "#2 checkout v1.3 to staging gets 25 % of the traffic", "thread")
    await office.presses("grace", "Promote to 100 %", "channel")  # not the one of #1, whose card may still have it
    await office.reaches(2, "succeeded")
    await office.presses("grace", "Roll back to v1.2", "channel")
    await office.reaches(3, "succeeded")
    assert argo.image() == brought
    assert argo.status["stableRS"] == argo.status["currentPodHash"]


async def test_what_is_promoted_elsewhere_is_adopted_and_what_is_aborted_is_taken_back(
    office: Office, argo: World
) -> None:
    before = argo.image()
    await office.says("ada", "checkout v1.2 staging")
    await office.reads("ada", "gets 25 % of the traffic. Promote to", "thread")
    argo.kubectl({"pauseConditions": None})
    await office.reads("ada", "went from 25 % to 50 %", "thread")
    await office.presses("grace", "Abort", "channel")
    await office.reaches(1, "aborted")
    assert (argo.traffic, argo.image()) == (0, before)


@pytest.fixture
async def analysed() -> AsyncIterator[World]:
    """With an analysis that goes on while it rests."""
    steps = [{"setWeight": 25}, {"pause": {}}, {"setWeight": 50}, {"pause": {}}]
    analysis = {"templates": [{"templateName": "error-rate"}]}
    routing = {"nginx": {"stableIngress": "checkout"}}
    async with world(strategy={"canary": {"steps": steps, "trafficRouting": routing, "analysis": analysis}}) as opened:
        opened.controller.analyses.verdict = lambda _run: "Running"
        yield opened


async def test_what_an_analysis_takes_back_while_people_are_asked_has_failed_and_its_template_is_gone(
    office: Office, analysed: World
) -> None:
    office.places["checkout@staging"] = analysed.target()  # type: ignore[assignment]  # a real one
    before = analysed.image()
    await office.says("ada", "checkout v1.2 staging")
    await office.reads("ada", "gets 25 % of the traffic. Promote to", "thread")
    analysed.controller.analyses.verdict = lambda _run: "Failed"
    await office.reaches(1, "failed")
    card = await office.reads("ada", "Argo Rollouts took v1.2 back", "channel")
    assert 'Metric "error-rate" assessed Failed due to failed (1) > failureLimit (0)' in card
    assert "serves again" in card
    assert "outside the bot" not in card
    assert "error-rate" in await office.reads("ada", "Argo Rollouts took v1.2 back", "thread")
    assert (analysed.traffic, analysed.image()) == (0, before)
    await analysed.until("Healthy")


async def test_what_somebody_aborts_with_kubectl_is_told_by_whom_and_left_to_them(office: Office, argo: World) -> None:
    await office.says("ada", "checkout v1.2 staging")
    await office.reads("ada", "gets 25 % of the traffic. Promote to", "thread")
    brought = argo.image()
    argo.kubectl({"abort": True})
    await office.reaches(1, "superseded")
    card = await office.reads("ada", "It was taken back outside the bot", "channel")
    assert "kubectl-argo-rollouts at" in card
    assert "from 25 % to 0 %" in card
    assert argo.image() == brought


async def test_steps_that_do_not_fit_are_refused_before_anything_is_changed(office: Office, argo: World) -> None:
    before = argo.image()
    await office.says("ada", "checkout v1.2 staging strategy=other")
    card = await office.reads("ada", "stops at 33 %", "channel")
    assert "pauses without an end at 25 %, 50 %" in card
    assert "Nothing was changed" in card
    assert argo.image() == before
