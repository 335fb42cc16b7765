"""Answers to one person: refusals, help, and what they asked to see. Most are shown to that person alone.

An error says what was wrong, where, and what to do next. No traceback ever gets here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.domain.errors import BadCommand, ChecksSayNo, NotAuthorized, ProviderError, StoreError
from bot.domain.lifecycle import WAITING, Phase
from bot.domain.policy.gates import Verdict, stopping
from bot.slack.names import COMMAND
from bot.slack.render import blocks as b
from bot.slack.render import controls, limits
from bot.slack.render.buttons import abort_one
from bot.slack.render.deployment import SYMBOLS, phase_words, release_words, root
from bot.slack.render.gates import gate_line, lock_line
from bot.slack.render.message import Message, compose
from bot.slack.render.placed import diff, placed, stats, where
from bot.slack.render.progress import UNDER_WAY, step_words
from bot.slack.render.steps import queue_parts
from bot.slack.render.text import clause, clean, duration, escape, instant, name, plain, sentence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.domain.actor import Actor
    from bot.domain.deployment import Deployment
    from bot.domain.errors import Blocked, DeploymentArchitectError, RequestRefused
    from bot.domain.grammar.help import HelpEntry
    from bot.domain.history import Placement
    from bot.domain.ids import EnvironmentName, LockScope, ServiceName
    from bot.domain.policy.lock import StickyLock
    from bot.domain.schedule import Schedule
    from bot.domain.view import DeploymentView
    from bot.slack.names import OrderValue

    Block = b.Block

SHOWN = 20
"""Entries that an answer lists; of the rest it tells how many there are."""
_DETAIL = 2_900
_ENDING = frozenset({"lock", "window"})
"""Gates that one can wait for. After a freeze people choose what goes on."""


def refused(error: RequestRefused) -> Message:
    """What cannot be done, the nearest that can, and what to do next."""
    what = sentence(escape(error.message, 800)) or "This cannot be done."
    title = "Not done"
    if isinstance(error, NotAuthorized | ChecksSayNo):
        title = "Not allowed" if isinstance(error, NotAuthorized) else "A check stands in the way"
    lines = [f"✗ *{title}*: {what}"]
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


def blocked(error: Blocked, order: OrderValue, *, locks: Sequence[StickyLock] = (), viewer: Actor) -> Message:
    """Who stops it, why, since when and until when; and what its asker can do about it. Nothing was stored."""
    stops = stopping(error.gates)
    details = [gate_line(result) for result in stops if not (result.name == "lock" and locks)]
    alone = locks[0] if len(locks) == 1 else None
    if alone:
        details.append(lock_line(alone))
    place = f"{escape(order.service, 80)} {escape(order.version, 80)} cannot go to {escape(order.environment, 80)} now."
    # What stops it is told once: below, with all that is known of it.
    told = place if details or locks else sentence(escape(error.message, 800))
    lines = [f"✗ *Not done*: {told}", *details]
    if error.hint:
        lines.append(f"→ {sentence(escape(error.hint, 400))}")
    names = {result.name for result in stops if result.verdict is Verdict.BLOCK}
    about = f"{order.service}:{order.version}"
    row: list[dict[str, Any]] = []
    if names and names <= _ENDING and all(result.verdict is Verdict.BLOCK for result in stops):
        row += controls.wait(order, label="Queue behind it" if "lock" in names else "Run when it opens")
    if alone:
        row += controls.of_lock(alone, viewer, about=about)
    if names & {"freeze", "window"}:
        row += controls.ask_override(order)
    content: list[Block] = [b.section("\n".join(lines))]
    if not alone:
        content += controls.of_locks(locks, viewer, about=about)
        lines += [lock_line(lock) for lock in locks[:3]]
    if row:
        content.append(b.actions(row))
    return compose(" ".join(line.replace("*", "") for line in lines), content)


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
    """What can be said, each with an example; a word that takes a right that its reader lacks is not among it."""
    if not entries:
        nothing = (
            f"That takes a right that you do not have. {COMMAND} may tells who has it; {COMMAND} help what you may."
        )
        return compose(nothing, [b.section(f"– {nothing}")])
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
        content += [b.divider(), *_list([placed(placement, full=True) for placement in placements], "")]
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
    """Who has a lock and who waits for it, in order, and whom a gate holds. ``waiting`` may be the first `SHOWN`."""
    many = len(waiting) if total is None else total
    label = escape(scope, 120)
    content: list[Block] = [b.header(f"Queue of {plain(scope, 120)}")]
    if holder:
        content.append(b.section(f"● *Now* #{holder.number} {_short(holder)} · {holder.phase.words}"))
    else:
        content.append(b.section("○ *Free*: nothing has the lock."))
    lines = []
    for index, view in enumerate(waiting, 1):
        if (hold := view.deployment.hold) and view.deployment.phase is Phase.HELD:
            lines.append(f"‖ #{view.deployment.number} {_short(view.deployment)} · held: {clause(hold.sentence)}")
            continue
        wait = view.queue.expected_wait if view.queue else None
        about = f" · expected wait about {duration(wait)}" if wait is not None else ""
        lines.append(f"{index}. #{view.deployment.number} {_short(view.deployment)}{about}")
    content += _list(lines, "Nobody waits.", total=many)
    held = f"#{holder.number} has the lock" if holder else "the lock is free"
    return compose(f"Queue of {label}: {held}, {many} waiting.", content)


def schedule(rows: Sequence[tuple[Schedule, Deployment]]) -> Message:
    """What waits for its time, the next first, each with the button that cancels it."""
    ordered = sorted(rows, key=lambda row: row[0].at)
    content: list[Block] = [b.header("Scheduled")]
    for entry, deployment in ordered[: limits.WITH_BUTTON]:
        line = (
            f"○ *{instant(entry.at)}* #{deployment.number} {_short(deployment)}\n"
            f"expires {instant(entry.expires)} if it has not begun"
        )
        if deployment.phase is not Phase.SCHEDULED:
            line += f" · {SYMBOLS[deployment.phase]} {phase_words(deployment.phase)} now"
        content.append(b.section(line, abort_one(deployment) if deployment.phase in WAITING else None))
    if hidden := len(ordered) - len(ordered[: limits.WITH_BUTTON]):
        content.append(b.context(f"… and {hidden} more. Name a service or an environment to see fewer."))
    if not ordered:
        content.append(b.section("○ *Nothing* waits for its time."))
    else:
        content.append(b.context(f"{COMMAND} schedule #42 at 18:00 moves one."))
    first = f" The next: {_short(ordered[0][1])}, {instant(ordered[0][0].at)}." if ordered else ""
    return compose(f"{len(ordered)} scheduled.{first}", content)


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
    going = f" · {words}" if deployment.phase in UNDER_WAY and (words := step_words(view)) else ""
    return line + (
        f" · {' · '.join(queue_parts(view.queue))}" if view.queue else f"{going} · since {instant(deployment.since)}"
    )


def _past(deployment: Deployment, *, with_environment: bool, spoken: bool = False) -> str:
    place = f" to {escape(deployment.environment, 60)}" if with_environment else ""
    kind = " (rollback)" if deployment.is_rollback else ""
    took = ""
    if deployment.finished_at:
        took = f" in {duration((deployment.finished_at - deployment.taken_up_at).total_seconds())}"
    what = f"#{deployment.number} {escape(deployment.release.version, 60)}{place}{kind}"
    outcome = f"{deployment.phase.words}{took}"
    if spoken:
        return f"{what}, {outcome}, by {name(deployment.requester)}"
    symbol = SYMBOLS[deployment.phase]
    why = f" · {clause(deployment.reason, 120)}" if deployment.reason else ""
    return (
        f"{symbol} *{clean(what)}* · {outcome} · {name(deployment.requester)} · {instant(deployment.requested_at)}{why}"
    )


def _safe_link(link: str) -> bool:
    return link.startswith(("https://", "http://")) and not set(link) & set("<>|\n ")


__all__ = [
    "SHOWN",
    "accepted",
    "blocked",
    "diff",
    "failure",
    "help_",
    "history",
    "no_queue",
    "notice",
    "queue",
    "refused",
    "schedule",
    "stats",
    "status",
    "statuses",
    "unexpected",
    "where",
]
