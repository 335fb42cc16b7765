"""Who is asked directly for approval, and how long their message is kept true. Pure: nothing is posted from here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.lifecycle import Phase
from bot.slack.render.approval import KEY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bot.domain.view import DeploymentView
    from bot.ports.messages import PostedMessage

MOST = 10
"""People who are asked one by one; the others see it in the channel and on their Home tab."""
NOWHERE = "none"
"""Stands for the ``ts`` of a message that never can be posted."""
_DECIDED = "decided:"
_SETTLED = "settled:"


def is_open(view: DeploymentView) -> bool:
    """Whether the word of those who are asked is still wanted."""
    return view.deployment.phase is Phase.AWAITING_APPROVAL


def askable(view: DeploymentView, rows: Mapping[str, PostedMessage]) -> Sequence[tuple[str, str]]:
    """Keys of the messages that there are or are to be, each with the person whom it is for; at most `MOST` people.

    Who is asked anew, because what they approved is not what would be deployed any more, gets another message.
    """
    found = {key: key.split(".")[1] for key in rows if key.startswith(f"{KEY}.")}
    if view.approval is None or not is_open(view):
        return list(found.items())
    times = sum(moment.phase is Phase.AWAITING_APPROVAL for moment in view.deployment.timeline)
    people = set(found.values())
    for person in view.approval.asked:
        if person in people or len(people) < MOST:
            people.add(person)
            found.setdefault(f"{KEY}.{person}" + (f".{times}" if times > 1 else ""), person)
    return list(found.items())


def shows(view: DeploymentView, digest: str) -> str:
    """What is recorded of a message with that content. It follows all that changes while it asks, then tells what was
    decided, and at last what came of it.
    """
    if is_open(view):
        return digest
    return f"{_SETTLED if view.deployment.phase.final else _DECIDED}{digest}"[:32]


def is_true(row: PostedMessage, view: DeploymentView, digest: str) -> bool:
    """Whether the message shows what it is to show."""
    if row.ts == NOWHERE or row.digest.startswith(_SETTLED):
        return True
    if row.digest.startswith(_DECIDED) and not is_open(view):
        return not view.deployment.phase.final
    return row.digest == digest
