"""What people type, read into one typed intent; the same for the slash command, a mention and the form.

Pure: no input or output, no Slack call, no look-up of versions. Every text is either an intent or a `BadCommand`.
"""

from __future__ import annotations

from bot.domain.grammar.complete import hints
from bot.domain.grammar.help import HelpEntry, usage
from bot.domain.grammar.intents import (
    AbortIntent,
    ApproveIntent,
    BreakGlassIntent,
    ClosePreviewIntent,
    DeployIntent,
    DeploymentRef,
    DiffIntent,
    FreezeIntent,
    HelpIntent,
    HistoryIntent,
    HoldIntent,
    Intent,
    LockIntent,
    LocksIntent,
    MayIntent,
    OpenFormIntent,
    PreviewIntent,
    PreviewsIntent,
    PromoteIntent,
    QueueIntent,
    RejectIntent,
    ResumeIntent,
    RollbackIntent,
    RunNextIntent,
    ScheduleIntent,
    StartIntent,
    StatsIntent,
    StatusIntent,
    UnfreezeIntent,
    UnlockIntent,
    WhereIntent,
)
from bot.domain.grammar.parse import parse
from bot.domain.grammar.render import render
from bot.domain.grammar.verbs import Verb
from bot.domain.grammar.vocabulary import Vocabulary

__all__ = [
    "AbortIntent",
    "ApproveIntent",
    "BreakGlassIntent",
    "ClosePreviewIntent",
    "DeployIntent",
    "DeploymentRef",
    "DiffIntent",
    "FreezeIntent",
    "HelpEntry",
    "HelpIntent",
    "HistoryIntent",
    "HoldIntent",
    "Intent",
    "LockIntent",
    "LocksIntent",
    "MayIntent",
    "OpenFormIntent",
    "PreviewIntent",
    "PreviewsIntent",
    "PromoteIntent",
    "QueueIntent",
    "RejectIntent",
    "ResumeIntent",
    "RollbackIntent",
    "RunNextIntent",
    "ScheduleIntent",
    "StartIntent",
    "StatsIntent",
    "StatusIntent",
    "UnfreezeIntent",
    "UnlockIntent",
    "Verb",
    "Vocabulary",
    "WhereIntent",
    "hints",
    "parse",
    "render",
    "usage",
]
