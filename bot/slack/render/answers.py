"""Answers to one person: refusals, help, and what they asked to see. Most are shown to that person alone.

An error says what was wrong, where, and what to do next. No traceback ever gets here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.errors import BadCommand, NotAuthorized, ProviderError, StoreError
from bot.slack.names import COMMAND
from bot.slack.render import blocks as b
from bot.slack.render.deployment import SYMBOLS, phase_words, release_words, root
from bot.slack.render.message import Message, compose
from bot.slack.render.steps import queue_parts
from bot.slack.render.text import clean, doer, duration, escape, instant, name, plain, sentence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.domain.deployment import Deployment
    from bot.domain.errors import DeploymentArchitectError, RequestRefused
    from bot.domain.grammar.help import HelpEntry
    from bot.domain.history import Placement
    from bot.domain.ids import EnvironmentName, LockScope, ServiceName
    from bot.domain.release import Release
    from bot.domain.rollout import Plan
    from bot.domain.view import DeploymentView

    Block = b.Block

SHOWN = 20
"""Entries that an answer lists; of the rest it tells how many there are."""
_DETAIL = 2_900


def refused(error: RequestRefused) -> Message:
    """What cannot be done, the nearest that can, and what to do next."""
    what = sentence(escape(error.message, 800)) or "This cannot be done."
    lines = [f"✗ *{'Not allowed' if isinstance(error, NotAuthorized) else 'Not done'}*: {what}"]
    spoken = [what]
    if isinstance(error, BadCommand) and error.suggestions and "Did you mean" not in (error.hint or ""):
        nearest = ", ".join(escape(entry, 120) for entry in error.suggestions[:3])
        lines.append(f"Did you mean {nearest}?")
        spoken.append(f"Did you mean {nearest}?")
    if error.hint:
        lines.append(f"→ {sentence(escape(error.hint, 400))}")
        spoken.append(sentence(escape(error.hint, 400)))
    elif isinstance(error, BadCommand):
        lines.append(f"→ {COMMAND} help shows what can be said.")
    return compose(" ".join(spoken), [b.section("\n".join(lines))])


def failure(error: DeploymentArchitectError, *, reference: str) -> Message:
    """Something that we depend on gave an error; the person did nothing wrong."""
    text = sentence(escape(error.message, 800))
    if isinstance(error, StoreError):
        line = f"✗ *The bot's database does not answer*: nothing was changed. {text}"
        advice = "Try again in a moment; if it stays so, tell the people who run this bot."
    elif isinstance(error, ProviderError):
        line = f"✗ *{escape(error.provider, 60)} gave an error*: {text}"
        advice = "Nothing that you said was wrong."
        if error.retry_after:
            advice += f" It asks to be left alone for {duration(error.retry_after)}; try again then."
        elif error.retryable:
            advice += " Try again in a moment."
        else:
            advice += " Somebody who runs it has to look."
    else:
        line = f"✗ *Not done*: {text}"
        advice = "Somebody who runs this bot has to look."
    return compose(
        f"{line.replace('*', '')} {advice}".strip(),
        [b.section(f"{line}\n→ {advice}"), b.context(f"Reference {escape(reference, 60)}")],
    )


def unexpected(reference: str) -> Message:
    """Something went wrong that nobody foresaw. The reference leads to the log; nothing else is shown."""
    code = escape(reference, 60)
    line = "Something went wrong in the bot, and it was not your command."
    advice = f"Tell the people who run this bot the reference {code}: they find it in the log."
    return compose(f"{line} {advice}", [b.section(f"✗ *Errored*: {line}\n→ {advice}")])


def accepted(deployment: Deployment, permalink: str | None = None) -> Message:
    """The request was taken; where to follow it."""
    line = (
        f"#{deployment.number} {escape(deployment.service, 80)} {escape(deployment.release.version, 80)} "
        f"to {escape(deployment.environment, 80)} was taken."
    )
    where = f" <{permalink}|Follow it here>." if permalink and _safe_link(permalink) else ""
    return compose(f"{line} Its message tells how it goes.", [b.section(f"✓ *Accepted*: {line}{where}")])


def help_(entries: Sequence[HelpEntry], *, intro: str = "") -> Message:
    """What can be said, each with an example."""
    content: list[Block] = [b.header(f"What {COMMAND} understands")]
    if intro:
        content.append(b.section(escape(intro, 600)))
    lines = [
        f"*{_said(entry.syntax, 200)}*\n{escape(entry.meaning, 200)}"
        + (f" For example: {_said(entry.example, 120)}" if entry.example.strip() else "")
        for entry in entries
    ]
    content += [b.section("\n".join(lines[start : start + 5])) for start in range(0, len(lines), 5)]
    content.append(b.context("Words may come in any order. The same works after a mention of the bot in a thread."))
    spoken = "; ".join(_said(entry.syntax, 100) for entry in entries)
    return compose(f"{COMMAND} understands: {spoken}.", content)


def _said(words: str, limit: int) -> str:
    """What a person types: the command and its words, whether the command is among them already or not."""
    return escape(f"{COMMAND} {words.strip().removeprefix(COMMAND).strip()}".strip(), limit)


def status(view: DeploymentView) -> Message:
    """One deployment as it is now: its card, shown to one person."""
    card = root(view)
    return Message(card.text, card.blocks)


def statuses(
    title: str, views: Sequence[DeploymentView], placements: Sequence[Placement] = (), *, total: int | None = None
) -> Message:
    """Several deployments in a line each, with what runs where. ``views`` may be the first `SHOWN` of ``total``."""
    many = len(views) if total is None else total
    content: list[Block] = [b.header(title)]
    lines = [_running(view) for view in views]
    content += _list(lines, "Nothing is under way.", total=many)
    if placements:
        content += [b.divider(), *_list([_placed(placement, full=True) for placement in placements], "")]
    return compose(f"{escape(title, 150)}: {many} under way.", content)


def history(
    service: ServiceName,
    environment: EnvironmentName | None,
    deployments: Sequence[Deployment],
    *,
    more: bool = False,
) -> Message:
    """Past deployments, newest first: when, who, what, how it ended and how long it took."""
    where = f"{service} in {environment}" if environment else service
    lines = [_past(deployment, with_environment=environment is None) for deployment in deployments[:SHOWN]]
    content: list[Block] = [b.header(f"History of {plain(where, 120)}")]
    content += _list(lines, f"Nothing has been deployed to {escape(where, 120)} yet.")
    if more or len(deployments) > SHOWN:
        content.append(b.context(f"Older ones are there too: {len(lines)} are shown."))
    newest = f" The newest: {_past(deployments[0], with_environment=True, spoken=True)}." if deployments else ""
    return compose(f"History of {escape(where, 120)}: {len(lines)} deployments.{newest}", content)


def queue(
    scope: LockScope, holder: Deployment | None, waiting: Sequence[DeploymentView], *, total: int | None = None
) -> Message:
    """Who has a lock and who waits for it, in order. ``waiting`` may be the first `SHOWN` of ``total``."""
    many = len(waiting) if total is None else total
    label = escape(scope, 120)
    content: list[Block] = [b.header(f"Queue of {plain(scope, 120)}")]
    if holder:
        content.append(b.section(f"● *Now* #{holder.number} {_short(holder)} · {holder.phase.words}"))
    else:
        content.append(b.section("○ *Free*: nothing has the lock."))
    lines = []
    for index, view in enumerate(waiting, 1):
        wait = view.queue.expected_wait if view.queue else None
        about = f" · expected wait about {duration(wait)}" if wait is not None else ""
        lines.append(f"{index}. #{view.deployment.number} {_short(view.deployment)}{about}")
    content += _list(lines, "Nobody waits.", total=many)
    held = f"#{holder.number} has the lock" if holder else "the lock is free"
    return compose(f"Queue of {label}: {held}, {many} waiting.", content)


def no_queue() -> Message:
    """There is nothing to tell about any queue."""
    line = "Nothing is being deployed there and nobody waits."
    return compose(line, [b.section(f"○ *Free*: {line}")])


def notice(text: str, detail: str = "") -> Message:
    """Something that operators should know, with what is behind it word for word."""
    line = sentence(escape(text, 800)) or "Something needs an operator."
    content: list[Block] = [b.section(f"! *Notice*: {line}")]
    if whole := clean(detail, one_line=False):
        content.append(b.literal(whole if len(whole) <= _DETAIL else whole[:_DETAIL].rstrip() + "…"))
    return compose(line, content)


def where(placements: Sequence[Placement]) -> Message:
    """What runs where, grouped by environment."""
    content: list[Block] = [b.header("What runs where")]
    environments = list(dict.fromkeys(placement.environment for placement in placements))
    shown = 0
    for environment in environments[:20]:
        here = [placement for placement in placements if placement.environment == environment]
        lines = [_placed(placement) for placement in here[:SHOWN]]
        shown += len(lines)
        content.append(b.section(f"*{escape(environment, 80)}*\n" + "\n".join(lines)))
    if not placements:
        content.append(b.section("Nothing that the bot knows of."))
    if shown < len(placements):
        content.append(b.context(f"… and {len(placements) - shown} more."))
    spoken = "; ".join(
        f"{escape(p.service, 60)} {escape(p.release.version, 60)} in {escape(p.environment, 60)}"
        for p in placements[:10]
    )
    return compose(f"What runs where: {spoken or 'nothing that the bot knows of'}.", content)


def plan(service: ServiceName, environment: EnvironmentName, release: Release, found: Plan) -> Message:
    """What a deployment would do. Nothing was changed and no lock was taken to find out."""
    place = f"{escape(service, 80)} in {escape(environment, 80)}"
    version = f"{escape(release.version, 80)} ({escape(release.short_digest, 20)})"
    now = (
        f"{escape(found.current.release.version, 80)}, {found.current.healthy} of {found.current.instances} healthy"
        if found.current
        else "nothing"
    )
    content: list[Block] = [
        b.header(f"Dry run: {plain(service, 60)} to {plain(environment, 60)}"),
        b.fields([("Runs now", now), ("Would run", version)]),
    ]
    if found.no_change:
        content.append(b.section("– *No change*: exactly this runs already and is healthy."))
    else:
        content += _list([f"• {escape(change, 200)}" for change in found.changes], "The target names no change.")
    content += [b.section(f"! *Warning*: {escape(warning, 300)}") for warning in found.warnings[:5]]
    content.append(b.context("Nothing was changed."))
    changes = "no change" if found.no_change else f"{len(found.changes)} changes"
    return compose(f"Dry run of {version} for {place}: {changes}. Nothing was changed.", content)


def _list(lines: Sequence[str], nothing: str, *, total: int | None = None) -> list[Block]:
    if not lines:
        return [b.section(nothing)] if nothing else []
    shown = list(lines[:SHOWN])
    many = len(lines) if total is None else total
    content = [b.section("\n".join(shown[start : start + 5])) for start in range(0, len(shown), 5)]
    if many > len(shown):
        content.append(b.context(f"… and {many - len(shown)} more."))
    return content


def _short(deployment: Deployment) -> str:
    return (
        f"{escape(deployment.service, 60)} {release_words(deployment)} to {escape(deployment.environment, 60)} "
        f"by {name(deployment.requester)}"
    )


def _running(view: DeploymentView) -> str:
    deployment = view.deployment
    line = f"{SYMBOLS[deployment.phase]} *{phase_words(deployment.phase)}* #{deployment.number} {_short(deployment)}"
    return line + (
        f" · {' · '.join(queue_parts(view.queue))}" if view.queue else f" · since {instant(deployment.since)}"
    )


def _past(deployment: Deployment, *, with_environment: bool, spoken: bool = False) -> str:
    place = f" to {escape(deployment.environment, 60)}" if with_environment else ""
    kind = " (rollback)" if deployment.is_rollback else ""
    took = ""
    if deployment.finished_at:
        took = f" in {duration((deployment.finished_at - deployment.requested_at).total_seconds())}"
    what = f"#{deployment.number} {escape(deployment.release.version, 60)}{place}{kind}"
    outcome = f"{deployment.phase.words}{took}"
    if spoken:
        return f"{what}, {outcome}, by {name(deployment.requester)}"
    symbol = SYMBOLS[deployment.phase]
    return f"{symbol} *{clean(what)}* · {outcome} · {name(deployment.requester)} · {instant(deployment.requested_at)}"


def _placed(placement: Placement, *, full: bool = False) -> str:
    place = f" in {escape(placement.environment, 60)}" if full else ""
    return (
        f"{escape(placement.service, 60)}{place}: *{escape(placement.release.version, 60)}* "
        f"({escape(placement.release.short_digest, 20)}) since {instant(placement.since)}, {doer(placement.by)}"
    )


def _safe_link(link: str) -> bool:
    return link.startswith(("https://", "http://")) and not set(link) & set("<>|\n ")
