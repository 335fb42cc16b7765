"""A success where no instance is wanted says so everywhere, and nowhere that something serves or was verified."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from slack_scenes import deployment, view

from bot.domain.lifecycle import Phase
from bot.domain.rollout import NOTHING_RAN
from bot.slack.render.deployment import root
from bot.slack.render.notes import notes
from bot.slack.render.steps import StepState, steps


def said(*, note: str = NOTHING_RAN, current: bool = True) -> tuple[str, str, StepState]:
    """The card, the thread, and how the step that verifies stands."""
    done = deployment(Phase.SUCCEEDED)
    done = replace(done, note=note, timeline=(*done.timeline[:-1], replace(done.timeline[-1], note=note)))
    shown = replace(view(Phase.SUCCEEDED, current=current), deployment=done)
    card, thread = root(shown), notes(shown)
    verify = next(each for each in steps(shown) if each.key == "verify")
    written = [json.dumps([each.message.text, each.message.blocks], ensure_ascii=False) for each in thread]
    return json.dumps([card.text, card.blocks], ensure_ascii=False), "\n".join(written), verify.state


@pytest.mark.parametrize("current", [True, False])
def test_nothing_ran(current: bool) -> None:
    card, thread, verify = said(current=current)
    for each in (card, thread):
        assert f"! {NOTHING_RAN}" in each
        assert "serves" not in each
    assert verify is StepState.SKIPPED


def test_what_was_verified_is_told_as_ever() -> None:
    card, thread, verify = said(note="")
    assert NOTHING_RAN not in card + thread
    assert "serves" in card
    assert "serves" in thread
    assert verify is StepState.DONE
