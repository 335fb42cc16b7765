"""What a command can ask for. Knows the words only, never who may say them."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Verb(StrEnum):
    """The action of a command. `DEPLOY` is meant when none is named."""

    #: Bring a version of a service into an environment.
    DEPLOY = "deploy"
    #: What is going on.
    STATUS = "status"
    #: What was deployed.
    HISTORY = "history"
    #: Bring the earlier release back.
    ROLLBACK = "rollback"
    #: Stop a deployment.
    ABORT = "abort"
    #: Who waits for what.
    QUEUE = "queue"
    #: What runs where.
    WHERE = "where"
    #: How to say it.
    HELP = "help"


#: Words that people bring from other tools. They are answered with the right word, never obeyed and never a version.
OTHER_WORDS: Mapping[str, Verb] = MappingProxyType(
    {
        "ship": Verb.DEPLOY,
        "cancel": Verb.ABORT,
        "stop": Verb.ABORT,
        "kill": Verb.ABORT,
        "undo": Verb.ROLLBACK,
        "revert": Verb.ROLLBACK,
        "back": Verb.ROLLBACK,
        "log": Verb.HISTORY,
        "logs": Verb.HISTORY,
        "list": Verb.WHERE,
        "ls": Verb.WHERE,
        "state": Verb.STATUS,
        "info": Verb.STATUS,
    }
)

#: Actions that deployment tools commonly have and that this one does not know.
UNAVAILABLE_VERBS = frozenset(
    {"approve", "diff", "doctor", "freeze", "lock", "locks", "promote", "pause", "resume", "retry", "schedule"}
    | {"scale", "reject", "restart", "unfreeze", "unlock"}
)
