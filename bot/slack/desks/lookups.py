"""What people only want to know. Nothing is changed from here."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bot.domain.actor import Actor, Membership, service_account
from bot.domain.errors import RequestRefused
from bot.domain.grammar import Verb, Vocabulary, usage
from bot.domain.policy.access import Action, may
from bot.slack.render import answers, rules
from bot.slack.render import blocks as b

if TYPE_CHECKING:
    from bot.charts import Chart
    from bot.domain.grammar import (
        DiffIntent,
        HelpIntent,
        HistoryIntent,
        MayIntent,
        QueueIntent,
        StatsIntent,
        StatusIntent,
        WhereIntent,
    )
    from bot.engine.insight import Insight
    from bot.engine.queries import Queries
    from bot.ports.providers import CatalogSource
    from bot.slack.desks.decisions import Decisions
    from bot.slack.doors import Caller, Reception, Reply
    from bot.slack.replies import Aloud

log = logging.getLogger(__name__)

NEEDS = {
    Verb.DEPLOY: Action.DEPLOY,
    Verb.ROLLBACK: Action.ROLLBACK,
    Verb.ABORT: Action.ABORT,
    Verb.APPROVE: Action.APPROVE,
    Verb.REJECT: Action.APPROVE,
    Verb.START: Action.DEPLOY,
    Verb.PROMOTE: Action.PROMOTE,
    Verb.HOLD: Action.PROMOTE,
    Verb.RESUME: Action.PROMOTE,
    Verb.LOCK: Action.LOCK,
    Verb.UNLOCK: Action.LOCK,
    Verb.FREEZE: Action.CONFIGURE,
    Verb.UNFREEZE: Action.CONFIGURE,
    Verb.RUN_NEXT: Action.RUN_NEXT,
    Verb.PREVIEW: Action.DEPLOY,
    Verb.BREAK_GLASS: Action.BREAK_GLASS,
}
"""What takes a right, somewhere at least; everybody may do the rest."""

NO_CHARTS = (
    "There is no picture of it: the bot was installed without charts. `pip install 'deployment-architect[charts]'` "
    "adds them."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookups:
    """The desk for questions."""

    queries: Queries
    insight: Insight
    catalogs: CatalogSource
    reception: Reception
    decisions: Decisions

    async def status(self, intent: StatusIntent, caller: Caller, reply: Reply) -> None:
        """What is going on."""
        deployment = await self.decisions.meant(intent.deployment, intent.service or intent.environment, caller)
        if deployment is not None:
            await reply(answers.status(await self.queries.view_of(deployment)))
            return
        running = await self.queries.under_way(intent.service, intent.environment)
        views = [await self.queries.view_of(found) for found in running[: answers.SHOWN]]
        placements = await self.queries.where(intent.service, intent.environment)
        where = " ".join(filter(None, [intent.service, f"in {intent.environment}" if intent.environment else None]))
        await reply(
            answers.statuses(f"Status of {where}" if where else "Status", views, placements, total=len(running))
        )

    async def history(self, intent: HistoryIntent, reply: Reply) -> None:
        """What was deployed."""
        found = await self.queries.history(intent.service, intent.environment, limit=intent.limit + 1)
        more = len(found) > intent.limit
        await reply(answers.history(intent.service, intent.environment, found[: intent.limit], more=more))

    async def queue(self, intent: QueueIntent, reply: Reply) -> None:
        """Who waits for whom."""
        queues = await self.queries.queues(intent.service, intent.environment)
        if not queues:
            await reply(answers.no_queue())
        for scope, holder, waiting in queues:
            views = [await self.queries.view_of(found) for found in waiting[: answers.SHOWN]]
            await reply(answers.queue(scope, holder, views, total=len(waiting)))

    async def where(self, intent: WhereIntent, reply: Reply) -> None:
        """What runs where, and what was changed outside the bot."""
        placements = await self.queries.where(intent.service)
        await reply(answers.where(placements, await self.insight.drift(intent.service)))

    async def diff(self, intent: DiffIntent, reply: Reply) -> None:
        """In what two environments differ."""
        found = await self.insight.diff(intent.one, intent.other, intent.service)
        await reply(answers.diff(found, intent.one, intent.other, await self.insight.drift(intent.service)))

    async def may(self, intent: MayIntent, caller: Caller, reply: Reply) -> None:
        """Whether somebody may do something, and which row says so."""
        asker = await self.reception.member(caller)
        subject = asker
        if intent.account is not None:
            subject = Membership(actor=service_account(intent.account))
        elif intent.person is not None and intent.person != asker.actor.id:
            named = Actor(workspace=asker.actor.workspace, id=intent.person, name=intent.person)
            subject = await self.reception.identity.member(named)
        await reply(rules.may(await self.insight.explain(intent, asker, subject)))

    async def stats(self, intent: StatsIntent, aloud: Aloud) -> None:
        """The delivery figures, for everybody in the channel; the picture goes into the thread of the answer."""
        found = await self.insight.stats(intent.service, intent.environment, intent.days)
        message = answers.stats(found)
        picture = await _drawn(found.chart) if found.chart else None
        if found.chart and picture is None:
            message = replace(message, blocks=[*message.blocks, b.context(NO_CHARTS)])
        posted = await aloud.post(message)
        if posted and picture and found.chart:
            await aloud.show(posted, "delivery.png", picture, title=found.chart.title, alt=found.chart.alt)

    async def help(self, intent: HelpIntent, caller: Caller, reply: Reply) -> None:
        """What can be said, as far as the caller may."""
        catalog = self.catalogs.current()
        allowed = {verb for verb in Verb if verb not in NEEDS}
        try:
            member = await self.reception.member(caller)
        except RequestRefused:
            pass  # who they are cannot be told: they are shown what everybody may say
        else:
            allowed |= {verb for verb, action in NEEDS.items() if self._somewhere(member, action)}
        entries = usage(Vocabulary.of(catalog), allowed=allowed, topic=intent.topic, command="")
        await reply(answers.help_(entries))

    def _somewhere(self, member: Membership, action: Action) -> bool:
        catalog = self.catalogs.current()
        return any(
            may(catalog.rules, member, action, service=service.name, environment=environment.name).allowed
            for service, environment in catalog.places()
        )


async def _drawn(chart: Chart) -> bytes | None:
    """The chart as a picture; None where nothing is installed that could draw it."""
    from bot.charts import render

    try:
        return await render(chart, format="png")
    except ImportError:
        log.info("matplotlib is not installed, so figures are told without a picture")
        return None
