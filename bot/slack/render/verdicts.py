"""The replies about a rollout of several steps: a verdict at each step, the question, the countdown, with pictures.

A pure function of the view, like `notes`. A step is named by how many weights there were before it, so that one that
was come to twice is told twice.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from bot.domain.analysis.countdown import CountdownState
from bot.domain.analysis.judgement import Verdict
from bot.domain.lifecycle import Phase
from bot.slack.render import blocks as b
from bot.slack.render.buttons import abort
from bot.slack.render.checks import check_lines, short
from bot.slack.render.deployment import metadata, phase_words, what
from bot.slack.render.message import compose
from bot.slack.render.note import Note
from bot.slack.render.picture import picture
from bot.slack.render.progress import OTHERWISE, UNDER_WAY, asks, countdown_line, refused, share
from bot.slack.render.promoting import countdown_buttons, step_buttons
from bot.slack.render.text import clause, escape, group, inner, instant, listed, moment, name, person

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bot.charts import Chart
    from bot.domain.progression import Progression, Reached
    from bot.domain.strategy.moves import AskApproval
    from bot.domain.view import DeploymentView


def rollout_notes(view: DeploymentView) -> Iterator[Note]:
    """The replies that must be there by now, oldest first."""
    progression = view.deployment.progression
    if progression is not None and view.steps:
        for index, (one, after) in enumerate(zip_longest(progression.steps, progression.steps[1:])):
            if one.elsewhere and index:
                yield _elsewhere(view, index, progression.steps[index - 1], one)
            yield from _question(view, progression, index, one, after)
            if one.kept:
                yield _kept(view, progression, index, one)
            if _went_on(progression, one, after) and (one.judgements or one.asked):
                yield _passed(view, index, one)


def outcome_picture(view: DeploymentView) -> Chart | None:
    """What goes with the outcome of a rollback that was made automatically; None for any other outcome."""
    countdown = view.deployment.countdown
    fired = countdown is not None and countdown.state is CountdownState.FIRED
    return picture(view) if fired else None


def _went_on(progression: Progression, one: Reached, after: Reached | None) -> bool:
    """Whether a weight was left for a higher one by the bot itself, or for good."""
    if one.left is None:
        return False
    if after is None:
        return progression.position.promoted
    return not after.elsewhere and after.weight > one.weight


def _passed(view: DeploymentView, index: int, one: Reached) -> Note:
    number = f"Step {one.step + 1} of {len(view.steps)}"
    seen = short(view.checks, one.judgements)
    failing = {judged.check for judged in one.judgements if judged.verdict is not Verdict.PASS}
    waived = [waiver for waiver in one.waived if waiver.check in failing or not one.judgements]
    said, at = "Promoted" if one.weight else "Switched", _at(one.weight)
    by = f" {said} by {name(one.by)}." if one.by else ""
    numbers = f": {seen}" if seen else ""
    if waived:
        checks = listed(sorted({escape(waiver.check, 60) for waiver in waived}))
        last = waived[-1]
        line = (
            f"! *{number} left* {at} although {checks} {'does' if len(waived) == 1 else 'do'} not pass"
            f"{numbers}. Forced by {name(last.by)}: {clause(last.reason) or 'no reason given'}."
        )
    elif not one.weight and not one.judgements:
        agreed = f" by {name(one.by)}" if one.by else ""
        line = f"✓ *All traffic is switched* to {escape(view.deployment.release.version, 80)}{agreed}."
    elif one.judgements:
        line = f"✓ *{number} passed* {at}{numbers}.{by}"
    else:
        line = f"✓ *{number} left* {at}.{by}"
    # Where people were asked, the picture is with the question.
    return _note(view, f"step.{index}", [line], drawn=picture(view) if one.judgements and not one.asked else None)


def _elsewhere(view: DeploymentView, index: int, before: Reached, one: Reached) -> Note:
    step = f"step {one.step + 1} of {len(view.steps)}"
    change = f"{what(view)} went from {before.weight} % to {one.weight} %, {step}"
    if one.weight > before.weight:
        line = f"! *Promoted outside the bot*: {change}. It goes on from there."
    else:
        line = f"! *Lowered outside the bot*: {change}. It is held until somebody decides."
    return _note(view, f"elsewhere.{index}", [f"{line} {person(view.deployment.requester)}, for your notice."])


def _question(
    view: DeploymentView, progression: Progression, index: int, one: Reached, after: Reached | None
) -> Iterator[Note]:
    question = progression.question
    key = f"decide.{index}"
    if question is None or after is not None or one.left is not None or view.deployment.phase is not Phase.PAUSED:
        line = (
            f"○ *A decision was asked for*: {what(view)} {_at(one.weight)} – {_answer(view, progression, one, after)}."
        )
        yield _note(view, key, [line], live=True, settled=True)
        return
    requester = person(view.deployment.requester)
    title = f"{what(view)} gets {share(question.weight)}"
    until = f"by {instant(question.until)}; after that {OTHERWISE[question.otherwise]}"
    if question.refused:
        lines = [f"✗ *Waits, and cannot be promoted*: {title}. {refused(view, question)}"]
        lines.append(f"{requester}, please see to it {until}.")
    else:
        lines = [f"○ *Waits for a decision*: {title}. {asks(question)} {requester}, please say {until}."]
    lines += check_lines(view)
    row = [*step_buttons(view), *abort(view)]
    sense = f"{question.asked} {question.until} {'refused' if question.refused else 'open'}"
    yield _note(view, key, lines, live=True, row=row, drawn=picture(view), sense=sense)
    yield from _reminders(view, question, index)


def _reminders(view: DeploymentView, question: AskApproval, index: int) -> Iterator[Note]:
    until = f"until {instant(question.until)}, then {OTHERWISE[question.otherwise]}"
    if view.reminded:
        requester = person(view.deployment.requester)
        line = (
            f"! *Still waits for a decision*: {what(view)} {_at(question.weight)}. {requester}, please decide · {until}"
        )
        yield _note(view, f"decide.{index}.nudge", [line])
    if view.escalated:
        rule = view.approval.rule if view.approval else None
        named = (rule.fallback or rule.group) if rule else None
        who = f" {group(named)}, please have a look." if named else ""
        line = f"! *Nobody has decided yet*: {what(view)} {_at(question.weight)}.{who} It waits {until}"
        yield _note(view, f"decide.{index}.escalated", [line], broadcast=True)


def _kept(view: DeploymentView, progression: Progression, index: int, one: Reached) -> Note:
    """What keeps it from its next step, and that it does no more once that is over."""
    key, deployment = f"kept.{index}", view.deployment
    if not progression.stop or one.left is not None or deployment.phase not in UNDER_WAY or deployment.request:
        line = f"– *Was kept back*: {what(view)} {_at(one.weight)} – {clause(one.kept, 400)}."
        return _note(view, key, [line], live=True, settled=True)
    then = "What is decided meanwhile is done" if progression.question else "It goes on by itself"
    line = (
        f"‖ *Kept back*: {what(view)} stays {_at(one.weight)} – {clause(one.kept, 400)}. {then} as soon as that ends. "
        f"{person(deployment.requester)}, for your notice."
    )
    return _note(view, key, [line], live=True, row=abort(view), sense=f"{one.kept} {then}")


def _answer(view: DeploymentView, progression: Progression, one: Reached, after: Reached | None) -> str:
    """How a question ended, for the middle of a line."""
    deployment, position = view.deployment, progression.position
    by = f" by {name(one.by)}" if one.by else ""
    gone_on = f"promoted{by}" if one.weight else f"all traffic was switched{by}"
    if after is not None:
        return f"it was changed outside the bot to {after.weight} %" if after.elsewhere else gone_on
    if one.left is not None and position.promoted:
        return gone_on
    if deployment.phase not in UNDER_WAY:
        return inner(phase_words(deployment.phase))
    if deployment.request is not None:
        return f"{name(deployment.request.actor)} has asked to stop it"
    countdown = deployment.countdown
    if position.abort is not None or (countdown is not None and countdown.state is CountdownState.FIRED):
        return "it is taken back"
    if countdown is not None and countdown.state is CountdownState.RUNNING:
        return "meanwhile its checks fail"
    if position.held is not None:
        return clause(inner(position.held.why) if position.held.by is None else position.held.why)
    if position.approved > one.weight and position.approved_by is not None:
        who = name(position.approved_by)
        return f"promoted to {position.approved} % by {who}" if one.weight else f"{who} switches all traffic"
    return "it goes on"


def _at(weight: int) -> str:
    return f"at {weight} %" if weight else "before the switch"


def countdown_notes(view: DeploymentView) -> Iterator[Note]:
    """That an automatic rollback is counted down, with what stops it, and what became of it; where there was one."""
    deployment, countdown = view.deployment, view.deployment.countdown
    if countdown is None:
        return
    over = countdown.state.over
    lines = [f"{countdown_line(view)} {person(deployment.requester)}, for your notice."]
    lines[0] = lines[0].replace("* ", f"* of {what(view)} ", 1)
    if not over:
        # Not every number as it comes: this is said once, and the card has the newest.
        lines.append(f"That was so at {moment(countdown.began)}; the card has the newest numbers.")
    yield _note(
        view,
        f"countdown.{countdown.began:%Y%m%d%H%M%S}",
        lines,
        live=True,
        # What came to nothing before it was told needs no telling; that somebody must decide, does.
        settled=over and countdown.state is not CountdownState.PAGED,
        row=countdown_buttons(view),
        drawn=picture(view) if not over or countdown.state is CountdownState.PAGED else None,
        sense=f"{countdown.state} {countdown.deadline} {countdown.by}",
    )


def _note(
    view: DeploymentView,
    key: str,
    lines: Sequence[str],
    *,
    live: bool = False,
    settled: bool = False,
    broadcast: bool = False,
    row: Sequence[dict[str, Any]] = (),
    drawn: Chart | None = None,
    sense: str = "",
) -> Note:
    """A reply. ``sense`` is what it is edited for beside its buttons: numbers are on the card, where they stay true."""
    content = [b.section("\n".join(lines))]
    if row:
        content.append(b.actions(row))
    message = compose(lines[0].replace("*", ""), content, metadata(view, key))
    if sense:
        message = replace(message, sense="\n".join([sense, *(element["text"]["text"] for element in row)]))
    return Note(key, message, broadcast=broadcast, picture=drawn, live=live, settled=settled)
