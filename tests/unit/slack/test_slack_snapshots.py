"""What people see of every situation, kept as files: `UPDATE_SNAPSHOTS=1 pytest tests/unit/slack` writes them anew."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from rollout_scenes import rollout_scenes
from slack_scenes import scenes
from slack_sdk.models.blocks import Block

from bot.domain.lifecycle import Phase
from bot.sandbox import blocks as sandbox
from bot.slack.render import limits
from bot.slack.render.deployment import root
from bot.slack.render.notes import notes

FOLDER = Path(__file__).parent / "snapshots"
SCENES = scenes() | rollout_scenes()


def snapshot(name: str, content: Any) -> None:
    path = FOLDER / f"{name}.json"
    text = json.dumps(content, ensure_ascii=False, indent=2) + "\n"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        path.write_text(text, encoding="utf-8")
    assert path.exists(), f"no snapshot {path.name}; write it with UPDATE_SNAPSHOTS=1"
    assert json.loads(path.read_text(encoding="utf-8")) == content


@pytest.mark.parametrize("name", sorted(SCENES))
def test_the_card_and_its_thread_look_as_they_did(name: str) -> None:
    view = SCENES[name]
    card = root(view)
    snapshot(
        name,
        {
            "text": card.text,
            "blocks": card.blocks,
            "metadata": card.metadata,
            "notes": [
                {"key": note.key, "broadcast": note.broadcast, "text": note.message.text, "blocks": note.message.blocks}
                for note in notes(view)
            ],
        },
    )


@pytest.mark.parametrize("name", sorted(SCENES))
def test_slack_would_take_it(name: str) -> None:
    view = SCENES[name]
    for message in (root(view), *(note.message for note in notes(view))):
        assert limits.problems(message.text, message.blocks) == []
        assert sandbox.message_faults(message.blocks) == []
        for block in Block.parse_all(message.blocks):
            assert block is not None
            block.to_dict()


def test_every_phase_has_a_snapshot() -> None:
    assert {phase.value for phase in Phase} <= set(SCENES)


def test_no_snapshot_is_left_over() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(SCENES)
