"""Where every door leads: what was said becomes an intent, and the desk that it belongs to carries it out.

Knows nothing of how the words came (command, mention, form, button) or how the answer goes back: `Reply` does that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from bot.domain.errors import BadCommand
from bot.domain.grammar import (
    AbortIntent,
    ApproveIntent,
    BreakGlassIntent,
    ClosePreviewIntent,
    DeployIntent,
    DiffIntent,
    FreezeIntent,
    HelpIntent,
    HistoryIntent,
    HoldIntent,
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
    Vocabulary,
    WhereIntent,
    parse,
)
from bot.slack.desks.controls import Controls
from bot.slack.desks.decisions import Decisions
from bot.slack.desks.lookups import Lookups
from bot.slack.desks.orders import Orders
from bot.slack.desks.previews import PreviewDesk
from bot.slack.desks.rollouts import Rollouts
from bot.slack.desks.times import Times
from bot.slack.doors import Reception
from bot.slack.names import OrderValue
from bot.slack.render import answers
from bot.slack.replies import Aloud

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from slack_sdk.web.async_client import AsyncWebClient

    from bot.domain.grammar import Intent
    from bot.engine.engine import Engine
    from bot.ports.providers import CatalogSource
    from bot.slack.doors import Caller, Reply
    from bot.slack.identity import Identity


@dataclass(frozen=True, slots=True, kw_only=True)
class Forms:
    """Open forms, each within the three seconds for which a trigger is good."""

    deploy: Callable[[OpenFormIntent, Caller], Awaitable[None]]
    break_glass: Callable[[OrderValue, Caller], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """All desks, and the way to the right one."""

    reception: Reception
    catalogs: CatalogSource
    orders: Orders
    decisions: Decisions
    controls: Controls
    rollouts: Rollouts
    lookups: Lookups
    previews: PreviewDesk
    client: AsyncWebClient

    @classmethod
    def of(
        cls,
        engine: Engine,
        *,
        catalogs: CatalogSource,
        identity: Identity,
        changed: Callable[[], None],
    ) -> Self:
        """The desks for these use cases; ``changed`` is called after every change of locks and freezes."""
        reception = Reception(identity=identity)
        times = Times(identity=identity, scheduling=engine.scheduling, now=engine.ledger.now)
        decisions = Decisions(
            requests=engine.requests,
            queries=engine.queries,
            approvals=engine.approvals,
            admission=engine.admission,
            queueing=engine.queueing,
            scheduling=engine.scheduling,
            reception=reception,
            times=times,
        )
        return cls(
            reception=reception,
            catalogs=catalogs,
            client=identity.client,
            decisions=decisions,
            orders=Orders(
                requests=engine.requests,
                locking=engine.locking,
                overriding=engine.overriding,
                reception=reception,
                times=times,
            ),
            controls=Controls(
                locking=engine.locking, freezing=engine.freezing, reception=reception, times=times, changed=changed
            ),
            previews=PreviewDesk(showing=engine.showing, reception=reception, changed=changed),
            rollouts=Rollouts(progressing=engine.progressing, decisions=decisions, reception=reception),
            lookups=Lookups(
                queries=engine.queries,
                insight=engine.insight,
                catalogs=catalogs,
                reception=reception,
                decisions=decisions,
            ),
        )

    async def say(self, text: str, caller: Caller, reply: Reply, *, forms: Forms) -> None:
        """Read what was said and do it; whatever happens, the caller is answered."""

        async def act() -> None:
            intent = parse(text, vocabulary=Vocabulary.of(self.catalogs.current()))
            if isinstance(intent, OpenFormIntent):
                await self._open(intent, caller, forms)
            elif isinstance(intent, BreakGlassIntent):
                await self._break_glass(intent, caller, reply, forms)
            else:
                await self.carry_out(intent, caller, reply)

        await self.reception.answering(act, reply)

    async def carry_out(self, intent: Intent, caller: Caller, reply: Reply) -> None:
        """Do what is meant; raises what stands in the way."""
        match intent:
            case DeployIntent():
                await self.orders.deploy(intent, caller, reply)
            case RollbackIntent():
                meant = await self.decisions.meant(intent.deployment, intent.service, caller)
                await self.orders.roll_back(intent, meant, caller)
            case AbortIntent():
                await self.decisions.abort(intent, caller)
            case ApproveIntent():
                await self.decisions.approve(intent, caller, reply)
            case RejectIntent():
                await self.decisions.reject(intent, caller, reply)
            case StartIntent():
                await self.decisions.start(intent, caller)
            case RunNextIntent():
                await self.decisions.run_next(intent, caller)
            case ScheduleIntent():
                await self.decisions.schedule(intent, caller, reply)
            case LockIntent():
                await self.controls.lock(intent, caller, self._aloud(caller, reply))
            case UnlockIntent():
                await self.controls.unlock(intent, caller, self._aloud(caller, reply))
            case LocksIntent():
                await self.controls.locks(intent, reply)
            case FreezeIntent():
                await self.controls.freeze(intent, caller, reply)
            case UnfreezeIntent():
                await self.controls.unfreeze(intent, caller, reply)
            case PromoteIntent():
                await self.rollouts.promote(intent, caller)
            case HoldIntent():
                await self.rollouts.hold(intent, caller)
            case ResumeIntent():
                await self.rollouts.resume(intent, caller)
            case StatusIntent():
                await self.lookups.status(intent, caller, reply)
            case HistoryIntent():
                await self.lookups.history(intent, reply)
            case QueueIntent():
                await self.lookups.queue(intent, reply)
            case WhereIntent():
                await self.lookups.where(intent, reply)
            case DiffIntent():
                await self.lookups.diff(intent, reply)
            case MayIntent():
                await self.lookups.may(intent, caller, reply)
            case StatsIntent():
                await self.lookups.stats(intent, self._aloud(caller, reply))
            case PreviewIntent():
                await self.previews.open(intent, caller, reply)
            case ClosePreviewIntent():
                await self.previews.close(intent, caller, reply)
            case PreviewsIntent():
                await self.previews.all(reply)
            case HelpIntent():
                await self.lookups.help(intent, caller, reply)
            case OpenFormIntent() | BreakGlassIntent():
                raise AssertionError("forms are opened where the trigger is")

    def _aloud(self, caller: Caller, reply: Reply) -> Aloud:
        return Aloud(client=self.client, channel=caller.channel, thread=caller.thread, alone=reply)

    async def _open(self, intent: OpenFormIntent, caller: Caller, forms: Forms) -> None:
        if caller.trigger is None:
            given = " ".join([*intent.services, intent.version or "", intent.environment or ""]).split()
            missing = [
                word
                for word, there in (
                    ("a service", bool(intent.services)),
                    ("a version", intent.version is not None),
                    ("an environment", intent.environment is not None),
                )
                if not there
            ]
            raise BadCommand(
                f"There is {' and '.join(missing)} missing" + (f" beside {' '.join(given)}." if given else "."),
                hint="Say service, version and environment; the form only opens from the slash command.",
            )
        await forms.deploy(intent, caller)

    async def _break_glass(self, intent: BreakGlassIntent, caller: Caller, reply: Reply, forms: Forms) -> None:
        if caller.trigger is not None and not (intent.reason and intent.confirm):
            order = OrderValue(
                intent.service,
                intent.version,
                intent.environment,
                reason=(intent.reason or "")[:200],
                force=intent.force,
            )
            await forms.break_glass(order, caller)
            return
        await reply(answers.accepted(await self.orders.break_glass(intent, caller)))
