"""The Home tab: what needs somebody, what is under way, and what runs where. A pure function of the overview."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bot.domain.lifecycle import Phase
from bot.slack.names import COMMAND, HOME
from bot.slack.render import blocks as b
from bot.slack.render import controls, limits
from bot.slack.render.buttons import buttons
from bot.slack.render.deployment import release_words, status, working
from bot.slack.render.gates import freeze_line, lock_line, override_line, void_line, window_line
from bot.slack.render.plans import change_lines
from bot.slack.render.progress import headline
from bot.slack.render.text import doer, escape, instant, name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.domain.actor import Actor
    from bot.domain.deployment import Deployment
    from bot.domain.history import Placement
    from bot.domain.rollout import Plan
    from bot.domain.view import DeploymentView, Overview

    Block = b.Block

_LINES = 8
"""Placements in one block: far below 3,000 characters even with the longest names."""
_PLACES_KEPT = 20
"""Blocks kept for what runs where, however much else there is."""
_SECTION = 12
"""Blocks that locks, freezes, times and exceptions may take each, so that none hides the others."""
_WINDOWS = 10
_TO_APPROVE = "Waits for your approval"


def home(overview: Overview, *, viewer: Actor | None = None) -> dict[str, Any]:
    """The view for ``views.publish``: at most 100 blocks, what needs its reader first, then theirs, then the rest."""
    places = _places(overview.placements)
    rules = _rules(overview)
    room = limits.VIEW_BLOCKS - min(len(places), _PLACES_KEPT) - min(len(rules), 4 * _SECTION) - 7
    content: list[Block] = []
    groups = _groups(overview, viewer)
    for title, views in groups:
        content += _cards(title, views, viewer, room - len(content), votes=title == _TO_APPROVE)
    if not any(views for _, views in groups):
        content += [b.header("Under way")]
        content.append(b.section(f"– Nothing is being deployed. Start with {COMMAND} in any channel."))
    content += [*rules, b.divider(), b.header("What runs where")]
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


def _groups(overview: Overview, viewer: Actor | None) -> list[tuple[str, list[DeploymentView]]]:
    """What is under way, each deployment once, in the order in which it needs somebody."""
    to_approve, attention = set(overview.to_approve), set(overview.attention)
    groups: dict[str, list[DeploymentView]] = {
        _TO_APPROVE: [],
        "Needs attention": [],
        "Under way": [],
        "Scheduled": [],
    }
    times = {schedule.deployment: schedule for schedule in overview.scheduled}
    for found in overview.running:
        deployment = found.deployment
        view = found if found.schedule else replace(found, schedule=times.get(deployment.id))
        if deployment.id in to_approve:
            title = _TO_APPROVE
        elif deployment.id in attention or deployment.phase is Phase.NEEDS_ATTENTION:
            title = "Needs attention"
        else:
            title = "Scheduled" if deployment.phase is Phase.SCHEDULED else "Under way"
        groups[title].append(view)
    return [(title, sorted(views, key=lambda view: _order(view, viewer))) for title, views in groups.items()]


def _cards(title: str, views: Sequence[DeploymentView], viewer: Actor | None, room: int, *, votes: bool) -> list[Block]:
    """A heading and as many cards as there is room for; how many more there are is said."""
    if not views or room < 2:
        return []
    content: list[Block] = [b.header(title)]
    shown = 0
    for view in views:
        card = _card(view, viewer, votes=votes)
        if len(content) + len(card) > room - 1:
            break
        content += card
        shown += 1
    if shown < len(views):
        content.append(b.context(f"… and {len(views) - shown} more. {COMMAND} status shows them."))
    return content


def _rules(overview: Overview) -> list[Block]:
    """Broken glass to be reviewed, locks and freezes, and whether each environment takes deployments now."""
    content: list[Block] = []
    if overview.to_review:
        glass = [
            b.section(
                f"{override_line(override)}\n{escape(override.service, 80)} to {escape(override.environment, 80)}, "
                f"{instant(override.at)}",
                controls.of_override(override),
            )
            for override in overview.to_review
        ]
        content += _some("Broken glass to review", glass, "status")
    if overview.locks or overview.freezes:
        held = [b.section(freeze_line(freeze), controls.of_freeze(freeze)) for freeze in overview.freezes]
        held += [
            b.section(lock_line(lock), controls.unlock(lock.id, lock.scope.words, owner=lock.owner))
            for lock in overview.locks
        ]
        content += _some("Locks and freezes", held, "locks")
    if overview.windows:
        lines = [window_line(environment, decision) for environment, decision in overview.windows]
        blocks = [b.section("\n".join(lines[at : at + _WINDOWS])) for at in range(0, len(lines), _WINDOWS)]
        content += _some("Windows", blocks, "schedule")
    return content


def _some(title: str, blocks: Sequence[Block], verb: str) -> list[Block]:
    content = [b.header(title), *blocks[: _SECTION - 2]]
    if len(blocks) > _SECTION - 2:
        content.append(b.context(f"… and {len(blocks) - _SECTION + 2} more. {COMMAND} {verb} shows them."))
    return content


def _order(view: DeploymentView, viewer: Actor | None) -> tuple[bool, float, int]:
    deployment = view.deployment
    mine = viewer is not None and deployment.requester.same_as(viewer)
    at = view.schedule.at.timestamp() if view.schedule else 0.0
    return (not mine, at, deployment.number)


def _card(view: DeploymentView, viewer: Actor | None, *, votes: bool) -> list[Block]:
    deployment = view.deployment
    by = "you" if viewer is not None and deployment.requester.same_as(viewer) else name(deployment.requester)
    card = [
        b.section(
            f"*#{deployment.number} {escape(deployment.service, 80)} to {escape(deployment.environment, 80)}* "
            f"{release_words(deployment)}, requested by {by}\n{status(view)}"
        )
    ]
    if deployment.phase is Phase.AWAITING_APPROVAL and deployment.plan:
        card.append(b.context(_planned(deployment, deployment.plan)))
    if line := headline(view):
        card.append(b.context(line))
    marks = [*(override_line(override) for override in view.overrides), void_line(view)]
    card += [b.context(line) for line in marks if line][:3]
    if deployment.request:
        card.append(b.context(working(deployment)))
    elif row := buttons(view, with_votes=votes):
        card.append(b.actions(row))
    return card


def _planned(deployment: Deployment, plan: Plan) -> str:
    """What exactly is to be approved, and what it would change."""
    lines = [line.removeprefix("• ") for line in change_lines(plan, most=2)]
    return " · ".join([escape(deployment.release.short_digest, 20), *lines])


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
