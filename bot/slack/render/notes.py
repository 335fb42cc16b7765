"""The replies in a deployment's thread: only what a person must notice, each once.

A pure function of the deployment. A note's key is the same for ever, so a note that was posted is never posted again.
What comes before the change (approval, holds, times) is said in `waiting`, what comes of the change here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.domain.actor import ActorKind
from bot.domain.lifecycle import Phase
from bot.domain.rollout import NOTHING_RAN
from bot.slack.names import COMMAND
from bot.slack.render import blocks as b
from bot.slack.render.alerting import alert_notes
from bot.slack.render.deployment import SYMBOLS, metadata, phase_words, release_words, what
from bot.slack.render.message import compose
from bot.slack.render.note import Note, NoteFile
from bot.slack.render.text import clean, count, duration, escape, name, person, plain, sentence
from bot.slack.render.verdicts import countdown_notes, outcome_picture, rollout_notes
from bot.slack.render.waiting import waiting_notes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.domain.view import DeploymentView

LONG = 2_900
"""Characters of a reason or a log beyond which it goes into a file."""
_EXCERPT = 1_000
_FILE = 1_000_000


def notes(view: DeploymentView) -> Sequence[Note]:
    """The replies that must be there by now, oldest first."""
    deployment = view.deployment
    found = [*waiting_notes(view), *rollout_notes(view)]
    counted = list(countdown_notes(view))
    if deployment.reached(Phase.SUCCEEDED) is None:
        found += counted
    if deployment.phase is Phase.NEEDS_ATTENTION:
        times = sum(moment.phase is Phase.NEEDS_ATTENTION for moment in deployment.timeline)
        found.append(_note(view, f"needs_attention.{times}", _attention(view), reason=deployment.note, broadcast=True))
    match deployment.phase:
        case Phase.SUCCEEDED | Phase.ROLLING_BACK | Phase.ROLLED_BACK:
            found += [_note(view, "succeeded", _succeeded(view), broadcast=view.protected), *counted]
        case Phase.FAILED | Phase.ERRORED:
            key = deployment.phase.value
            note = _note(view, key, _ended(view), reason=deployment.note, broadcast=view.protected)
            found.append(replace(note, picture=outcome_picture(view)))
        case Phase.ABORTED | Phase.REJECTED | Phase.EXPIRED | Phase.SUPERSEDED:
            found.append(_note(view, deployment.phase.value, _ended(view), reason=deployment.note))
    if deployment.phase is Phase.ROLLED_BACK:
        note = _note(view, "rolled_back", _rolled_back(view), broadcast=view.protected)
        found.append(replace(note, picture=outcome_picture(view)))
    return (*found, *alert_notes(view))


def _note(view: DeploymentView, key: str, line: str, *, reason: str = "", broadcast: bool = False) -> Note:
    deployment = view.deployment
    whole = clean(reason, one_line=False)
    content = [b.section(line)]
    file = None
    if len(whole) > LONG:
        file = NoteFile(f"{plain(deployment.service, 60)}-{deployment.number}-{key}.log", _tail(whole, _FILE))
        content.append(b.literal(_tail(whole, _EXCERPT)))
        content.append(b.context(f"The last of {count(len(whole), 'character')}; the rest is in the file below."))
    elif "\n" in whole or len(whole) > 600:
        content.append(b.literal(whole))
    elif whole:
        content.append(b.section(escape(whole, 1_200)))
    spoken = line.replace("*", "") + (f" {sentence(escape(_first_line(whole), 300))}" if whole else "")
    return Note(key, compose(spoken, content, metadata(view, key)), broadcast, file)


def _tail(text: str, limit: int) -> str:
    return text if len(text) <= limit else "…" + text[-limit:].lstrip()


def _first_line(text: str) -> str:
    return text.partition("\n")[0]


def _took(view: DeploymentView) -> str:
    deployment = view.deployment
    ended = deployment.finished_at or deployment.since
    return duration(max(0.0, (ended - deployment.taken_up_at).total_seconds()))


def _attention(view: DeploymentView) -> str:
    deployment = view.deployment
    facts = []
    if deployment.previous:
        before = deployment.previous
        facts.append(
            f"before it ran {escape(before.release.version, 80)} ({before.healthy} of {before.instances} healthy)"
        )
    if deployment.progress and deployment.progress.total > 0:
        facts.append(f"it came to {deployment.progress.done} of {deployment.progress.total}")
    if deployment.attempt > 1:
        facts.append(f"attempt {deployment.attempt}")
    facts.append(f"the lock {escape(deployment.scope, 120)} is held until somebody decides")
    return (
        f"{SYMBOLS[deployment.phase]} *Needs attention*: {what(view)}. {person(deployment.requester)}, please decide "
        f"with the buttons above. Facts: {'; '.join(facts)}."
    )


def _succeeded(view: DeploymentView) -> str:
    deployment = view.deployment
    warning = f"\n! {NOTHING_RAN}" if deployment.ran_nothing else ""
    return (
        f"{SYMBOLS[Phase.SUCCEEDED]} *Succeeded* in {_took(view)}: {escape(deployment.service, 80)} in "
        f"{escape(deployment.environment, 80)} {'is set to' if warning else 'serves'} "
        f"{escape(deployment.release.version, 80)} ({escape(deployment.release.short_digest, 20)}).{warning}"
    )


def _ended(view: DeploymentView) -> str:
    deployment = view.deployment
    by = deployment.timeline[-1].actor
    whom = f" by {name(by)}" if by.kind is ActorKind.PERSON else ""
    mention = "" if by.same_as(deployment.requester) else f" {person(deployment.requester)}, for your notice."
    return (
        f"{SYMBOLS[deployment.phase]} *{phase_words(deployment.phase)}*{whom} after {_took(view)}: {what(view)}."
        f"{mention}"
    )


def _rolled_back(view: DeploymentView) -> str:
    rollback = view.taken_back_by
    environment = escape(view.deployment.environment, 80)
    line = f"{SYMBOLS[Phase.ROLLED_BACK]} *Rolled back*: {what(view)}."
    if rollback is None:
        return line
    service = escape(view.deployment.service, 80)
    locked = (
        f"\nNothing goes forward there until somebody has looked: `{COMMAND} unlock {service} {environment}` ends the "
        "lock that this has left."
    )
    return (
        f"{line} {environment} serves {escape(rollback.release.version, 80)} again, "
        f"brought back by {name(rollback.requester)} with #{rollback.number} ({release_words(rollback)}).{locked}"
    )


__all__ = ["LONG", "Note", "NoteFile", "notes"]
