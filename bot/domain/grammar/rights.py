"""The words for what somebody may do. Says how a right is called, never who has it."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from bot.domain.errors import BadCommand
from bot.domain.grammar.refusals import clip, listing
from bot.domain.grammar.verbs import Verb
from bot.domain.policy.access import Action

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The right that saying each of these takes. What is not here, everybody may say.
NEEDED: Mapping[Verb, Action] = MappingProxyType(
    {
        Verb.DEPLOY: Action.DEPLOY,
        Verb.ROLLBACK: Action.ROLLBACK,
        Verb.ABORT: Action.ABORT,
        Verb.APPROVE: Action.APPROVE,
        Verb.REJECT: Action.APPROVE,
        Verb.START: Action.DEPLOY,
        Verb.PROMOTE: Action.PROMOTE,
        Verb.HOLD: Action.PROMOTE,
        Verb.RESUME: Action.PROMOTE,
        Verb.SCHEDULE: Action.SCHEDULE,
        Verb.RUN_NEXT: Action.RUN_NEXT,
        Verb.LOCK: Action.LOCK,
        Verb.UNLOCK: Action.UNLOCK,
        Verb.FREEZE: Action.CONFIGURE,
        Verb.UNFREEZE: Action.CONFIGURE,
        Verb.PREVIEW: Action.DEPLOY,
        Verb.BREAK_GLASS: Action.BREAK_GLASS,
    }
)

#: Every right by its word: ``override-freeze``.
RIGHTS: Mapping[str, Action] = MappingProxyType({action.value.replace("_", "-"): action for action in Action})


def right_of(verb: Verb) -> Action:
    """The right that ``verb`` takes; raises `BadCommand` when everybody may say it."""
    if verb not in NEEDED:
        hint = f"Ask about {listing(tuple(NEEDED), limit=20)}."
        raise BadCommand(f"{verb} takes no right of its own.", token=clip(verb), hint=hint)
    return NEEDED[verb]


def find_right(word: str) -> Action | None:
    """The right that a word which is no action of the command names: ``override-freeze``, ``resolve``."""
    return RIGHTS.get(word.casefold().rstrip(".,;:!?").replace("_", "-"))


def word_of(action: Action) -> str:
    """The word that `find_right` or the action of the command reads back."""
    return action.value.replace("_", "-")
