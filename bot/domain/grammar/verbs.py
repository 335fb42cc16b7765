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
    #: Say yes to a deployment.
    APPROVE = "approve"
    #: Say no to a deployment.
    REJECT = "reject"
    #: Let a deployment that is held try again.
    START = "start"
    #: Let a rollout go on, to its next step or further.
    PROMOTE = "promote"
    #: Leave a rollout where it is.
    HOLD = "hold"
    #: Hold a rollout no longer.
    RESUME = "resume"
    #: What waits for its time.
    SCHEDULE = "schedule"
    #: Let a deployment that waits go before the others.
    RUN_NEXT = "run-next"
    #: Put a lock on a place.
    LOCK = "lock"
    #: Take a place's locks away.
    UNLOCK = "unlock"
    #: What is locked and frozen.
    LOCKS = "locks"
    #: Stop the line.
    FREEZE = "freeze"
    #: Let the line go on.
    UNFREEZE = "unfreeze"
    #: Who may do what, and which row says so.
    MAY = "may"
    #: In what two environments differ.
    DIFF = "diff"
    #: The delivery figures.
    STATS = "stats"
    #: Bring a version to the preview of a pull request, or close that.
    PREVIEW = "preview"
    #: Which previews there are.
    PREVIEWS = "previews"
    #: Deploy past the rules, in an emergency.
    BREAK_GLASS = "break-glass"
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
        "accept": Verb.APPROVE,
        "decline": Verb.REJECT,
        "deny": Verb.REJECT,
        "veto": Verb.REJECT,
        "advance": Verb.PROMOTE,
        "pause": Verb.HOLD,
        "unpause": Verb.RESUME,
        "continue": Verb.RESUME,
        "proceed": Verb.RESUME,
        "reschedule": Verb.SCHEDULE,
        "schedules": Verb.SCHEDULE,
        "runnext": Verb.RUN_NEXT,
        "run_next": Verb.RUN_NEXT,
        "halt": Verb.FREEZE,
        "thaw": Verb.UNFREEZE,
        "freezes": Verb.LOCKS,
        "can": Verb.MAY,
        "compare": Verb.DIFF,
        "dora": Verb.STATS,
        "metrics": Verb.STATS,
        "breakglass": Verb.BREAK_GLASS,
        "break_glass": Verb.BREAK_GLASS,
        "emergency": Verb.BREAK_GLASS,
    }
)

#: Actions that deployment tools commonly have and that this one does not know.
UNAVAILABLE_VERBS = frozenset({"doctor", "restart", "retry", "scale"})
