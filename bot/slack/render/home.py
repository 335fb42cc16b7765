"""The Home tab: what needs somebody, what is under way, and what runs where. A pure function of the overview."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.domain.lifecycle import Phase
from bot.slack.names import COMMAND, HOME
from bot.slack.render import blocks as b
from bot.slack.render import limits
from bot.slack.render.buttons import buttons
from bot.slack.render.deployment import release_words, status, working
from bot.slack.render.text import doer, escape, instant, name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.domain.actor import Actor
    from bot.domain.history import Placement
    from bot.domain.view import DeploymentView, Overview

    Block = b.Block

_LINES = 8
"""Placements in one block: far below 3,000 characters even with the longest names."""
_PLACES_KEPT = 30
"""Blocks kept for what runs where, however much is under way."""


def home(overview: Overview, *, viewer: Actor | None = None) -> dict[str, Any]:
    """The view for ``views.publish``: at most 100 blocks, what needs a person first, then theirs, then the rest."""
    places = _places(overview.placements)
    room = limits.VIEW_BLOCKS - min(len(places), _PLACES_KEPT) - 6
    content: list[Block] = [b.header("Under way")]
    shown = 0
    ordered = sorted(overview.running, key=lambda view: _order(view, overview, viewer))
    for view in ordered:
        card = _card(view, viewer)
        if len(content) + len(card) > room:
            break
        content += card
        shown += 1
    if not ordered:
        content.append(b.section(f"– Nothing is being deployed. Start with {COMMAND} in any channel."))
    elif shown < len(ordered):
        content.append(b.context(f"… and {len(ordered) - shown} more. {COMMAND} status shows them."))
    content += [b.divider(), b.header("What runs where")]
    left = limits.VIEW_BLOCKS - len(content) - 2
    content += [block for _, block in places[:left]]
    if hidden := sum(many for many, _ in places[left:]):
        content.append(b.context(f"… and {hidden} more. {COMMAND} where shows them."))
    if not places:
        content.append(b.section("– Nothing that the bot knows of."))
    content.append(b.context(f"As of {instant(overview.at)}"))
    return {
        "type": "home",
        "callback_id": HOME,
        "blocks": limits.fit(content, blocks_limit=limits.VIEW_BLOCKS, total=None),
    }


def _order(view: DeploymentView, overview: Overview, viewer: Actor | None) -> tuple[bool, bool, int]:
    deployment = view.deployment
    attention = deployment.id in overview.attention or deployment.phase is Phase.NEEDS_ATTENTION
    mine = viewer is not None and deployment.requester.same_as(viewer)
    return (not attention, not mine, deployment.number)


def _card(view: DeploymentView, viewer: Actor | None) -> list[Block]:
    deployment = view.deployment
    by = "you" if viewer is not None and deployment.requester.same_as(viewer) else name(deployment.requester)
    card = [
        b.section(
            f"*#{deployment.number} {escape(deployment.service, 80)} to {escape(deployment.environment, 80)}* "
            f"{release_words(deployment)}, requested by {by}\n{status(view)}"
        )
    ]
    if deployment.request:
        card.append(b.context(working(deployment)))
    elif row := buttons(view):
        card.append(b.actions(row))
    return card


def _places(placements: Sequence[Placement]) -> list[tuple[int, Block]]:
    """Blocks of placements, each with how many it holds."""
    found = []
    for environment in dict.fromkeys(placement.environment for placement in placements):
        here = [placement for placement in placements if placement.environment == environment]
        for start in range(0, len(here), _LINES):
            some = here[start : start + _LINES]
            title = [f"*{escape(environment, 80)}*"] if start == 0 else []
            found.append((len(some), b.section("\n".join([*title, *(_line(placement) for placement in some)]))))
    return found


def _line(placement: Placement) -> str:
    return (
        f"{escape(placement.service, 60)}: *{escape(placement.release.version, 60)}* since {instant(placement.since)}, "
        f"{doer(placement.by)}"
    )
