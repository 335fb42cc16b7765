"""Whatever people, clocks, targets and dying processes do, in whatever order: what must never happen does not.

Every example is one story with real use cases over a real database. A failing one is made as small as it gets, and
prints what happened, line by line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from unit.engine.simulation.outside import catalog
from unit.engine.simulation.stories import Story, play, stories
from unit.engine.simulation.world import copy_of, empty, run

if TYPE_CHECKING:
    from pathlib import Path

_CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
_PHASES = [Phase.explicit, Phase.reuse, Phase.generate, Phase.target, Phase.shrink]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database with the schema."""
    path = tmp_path_factory.mktemp("simulation") / "empty.sqlite"
    empty(path)
    return path


def tell(story: Story, template: Path) -> None:
    """Play a story in a world of its own."""
    run(
        lambda world: play(world, story),
        path=copy_of(template, template.with_name("world.sqlite")),
        seed=story.seed,
        replicas=story.replicas,
        haste=story.haste,
        configuration=catalog(
            quorum=story.quorum,
            shared_lock=story.shared_lock,
            queue=story.queue,
            freeze_running=story.freeze_running,
        ),
    )


@settings(max_examples=20, deadline=None, suppress_health_check=_CHECKS, phases=_PHASES)
@given(story=stories(scenes=7))
def test_whatever_happens_the_rules_hold(story: Story, template: Path) -> None:
    tell(story, template)


@pytest.mark.long
@pytest.mark.timeout(1750)
@settings(max_examples=800, deadline=None, print_blob=True, suppress_health_check=_CHECKS, phases=_PHASES)
@given(story=stories(scenes=14))
def test_whatever_happens_for_long_the_rules_hold(story: Story, template: Path) -> None:
    tell(story, template)
