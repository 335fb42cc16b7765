"""How a step ended, in plain values that outlive the process: the workflows decide by nothing else."""

from __future__ import annotations

from enum import StrEnum
from typing import NotRequired, TypedDict


class EndKind(StrEnum):
    """How a step ended."""

    DONE = "done"
    #: A check said no; the target was changed.
    FAILED = "failed"
    #: It broke before anything was changed.
    ERRORED = "errored"
    #: A person asked to stop.
    STOPPED = "stopped"
    #: The target runs something else that nobody here put there.
    SUPERSEDED = "superseded"
    #: The platform put the earlier release back by itself.
    PUT_BACK = "put_back"
    #: A gate closed before anything was changed; ``stops`` says which.
    CLOSED = "closed"
    #: A gate closed between two steps: nothing was changed, and what is next is to be asked anew.
    LATER = "later"
    #: A person decided that what ran before must come back.
    SENT_BACK = "sent_back"
    #: It cannot be told what the target runs.
    UNKNOWN = "unknown"


class End(TypedDict):
    """The end of a step, as the workflow's journal keeps it."""

    kind: str
    note: str
    in_steps: NotRequired[bool]
    """Of the step that looks at what ran before: the strategy has steps of its own."""
    bakes: NotRequired[bool]
    """Of the same: its checks are watched after it has succeeded."""


def end(kind: EndKind, note: str = "") -> End:
    """How a step ended, with the sentence for people."""
    return End(kind=kind.value, note=note)
