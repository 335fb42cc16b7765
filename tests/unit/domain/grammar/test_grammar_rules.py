"""What is said about approvals, locks, freezes, the queue, rights and emergencies, and what is refused of it."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

import pytest
from grammar_names import vocabulary_of

from bot.catalog.values import VERBS
from bot.domain.errors import BadCommand
from bot.domain.grammar import (
    ApproveIntent,
    BreakGlassIntent,
    DeployIntent,
    DiffIntent,
    FreezeIntent,
    HelpIntent,
    LockIntent,
    LocksIntent,
    MayIntent,
    RejectIntent,
    RunNextIntent,
    ScheduleIntent,
    StartIntent,
    StatsIntent,
    UnfreezeIntent,
    UnlockIntent,
    Verb,
    parse,
    render,
)
from bot.domain.ids import DeploymentId, EnvironmentName, ServiceName
from bot.domain.policy.access import Action
from bot.domain.policy.lock import ChangeType, LockLevel
from bot.domain.policy.scope import EVERYTHING, Scope

if TYPE_CHECKING:
    from bot.domain.grammar import Intent, Vocabulary

STAGING, PRODUCTION = EnvironmentName("staging"), EnvironmentName("production")
CHECKOUT = ServiceName("checkout")
AN_ID = DeploymentId("d1jkmnpqrstvwxy")
HERE = Scope(service=CHECKOUT, environment=PRODUCTION)


def refusal(text: str, vocabulary: Vocabulary) -> BadCommand:
    with pytest.raises(BadCommand) as caught:
        parse(text, vocabulary=vocabulary)
    return caught.value


SAID: list[tuple[str, Intent]] = [
    ("approve", ApproveIntent()),
    ("approve #42", ApproveIntent(deployment=42)),
    ("42 approve reason=checked", ApproveIntent(deployment=42, reason="checked")),
    ("approve checkout in production", ApproveIntent(service=CHECKOUT, environment=PRODUCTION)),
    ('reject #42 reason="not today"', RejectIntent(deployment=42, reason="not today")),
    (f"reject {AN_ID} reason=no", RejectIntent(deployment=AN_ID, reason="no")),
    ("reject reason=no", RejectIntent(reason="no")),
    ("start #42", StartIntent(deployment=42)),
    ("start", StartIntent()),
    ("schedule", ScheduleIntent()),
    ("schedule checkout production", ScheduleIntent(service=CHECKOUT, environment=PRODUCTION)),
    ("run-next #42 reason=outage", RunNextIntent(deployment=42, reason="outage")),
    (
        "run-next checkout production reason=outage",
        RunNextIntent(service=CHECKOUT, environment=PRODUCTION, reason="outage"),
    ),
    ('lock checkout production reason="incident 42"', LockIntent(scope=HERE, reason="incident 42")),
    ("lock checkout in production reason=x until=2h", LockIntent(scope=HERE, reason="x", until="2h")),
    ("lock production reason=x", LockIntent(scope=Scope(environment=PRODUCTION), reason="x")),
    ("lock checkout reason=x", LockIntent(scope=Scope(service=CHECKOUT), reason="x")),
    ("lock all reason=x", LockIntent(scope=EVERYTHING, reason="x")),
    ("lock everything reason=x", LockIntent(scope=EVERYTHING, reason="x")),
    ("lock scope=all reason=x", LockIntent(scope=EVERYTHING, reason="x")),
    (
        "lock checkout production reason=x level=warn type=migration hard incident=INC-42",
        LockIntent(
            scope=HERE,
            reason="x",
            level=LockLevel.WARN,
            change_type=ChangeType.MIGRATION,
            hard=True,
            incident="INC-42",
        ),
    ),
    ("lock checkout production pause reason=x", LockIntent(scope=HERE, reason="x", pause=True)),
    ("lock checkout production pause=true reason=x", LockIntent(scope=HERE, reason="x", pause=True)),
    ("lock production reason=x level=BLOCK type=Any", LockIntent(scope=Scope(environment=PRODUCTION), reason="x")),
    ("unlock checkout production", UnlockIntent(scope=HERE)),
    ("unlock all reason=over", UnlockIntent(scope=EVERYTHING, reason="over")),
    ("locks", LocksIntent()),
    ("locks checkout production", LocksIntent(service=CHECKOUT, environment=PRODUCTION)),
    ("freeze all reason=outage", FreezeIntent(scope=EVERYTHING, reason="outage")),
    (
        "freeze production reason=x until=18:00",
        FreezeIntent(scope=Scope(environment=PRODUCTION), reason="x", until="18:00"),
    ),
    ("freeze checkout production reason=x", FreezeIntent(scope=HERE, reason="x")),
    ("unfreeze production", UnfreezeIntent(scope=Scope(environment=PRODUCTION))),
    ("unfreeze all.", UnfreezeIntent(scope=EVERYTHING)),
    ("may rollback", MayIntent(action=Action.ROLLBACK)),
    ("may I rollback checkout?", MayIntent(action=Action.ROLLBACK, service=CHECKOUT)),
    (
        "may <@U0GRACE|grace> rollback checkout production",
        MayIntent(action=Action.ROLLBACK, person="U0GRACE", service=CHECKOUT, environment=PRODUCTION),
    ),
    ("may <@U0GRACE> deploy in staging", MayIntent(action=Action.DEPLOY, person="U0GRACE", environment=STAGING)),
    ("rollback may <@U0GRACE|Grace Hopper>?", MayIntent(action=Action.ROLLBACK, person="U0GRACE")),
    ("<@U0BOT> may <@U0GRACE> abort", MayIntent(action=Action.ABORT, person="U0GRACE")),
    ("may @U0GRACE7 lock", MayIntent(action=Action.LOCK, person="U0GRACE7")),
    ("may override-freeze production", MayIntent(action=Action.OVERRIDE_FREEZE, environment=PRODUCTION)),
    ("may override_freeze", MayIntent(action=Action.OVERRIDE_FREEZE)),
    ("may break_glass", MayIntent(action=Action.BREAK_GLASS)),
    ("may break-glass", MayIntent(action=Action.BREAK_GLASS)),
    ("may run-next", MayIntent(action=Action.RUN_NEXT)),
    ("may resolve", MayIntent(action=Action.RESOLVE)),
    ("may freeze", MayIntent(action=Action.CONFIGURE)),
    ("may reject", MayIntent(action=Action.APPROVE)),
    ("may start", MayIntent(action=Action.DEPLOY)),
    ("may right=lock", MayIntent(action=Action.LOCK)),
    ("may lock right=lock", MayIntent(action=Action.LOCK)),
    ("diff staging production", DiffIntent(one=STAGING, other=PRODUCTION)),
    ("diff production staging", DiffIntent(one=PRODUCTION, other=STAGING)),
    ("production diff staging checkout", DiffIntent(one=PRODUCTION, other=STAGING, service=CHECKOUT)),
    ("diff production,staging", DiffIntent(one=PRODUCTION, other=STAGING)),
    ("diff production environment=staging", DiffIntent(one=PRODUCTION, other=STAGING)),
    ("diff checkout from staging to production", DiffIntent(one=STAGING, other=PRODUCTION, service=CHECKOUT)),
    ("stats", StatsIntent()),
    ("stats checkout production days=90", StatsIntent(service=CHECKOUT, environment=PRODUCTION, days=90)),
    ("stats days=365", StatsIntent(days=365)),
    (
        'break-glass checkout v1.3 production reason="payments are down" confirm=checkout force',
        BreakGlassIntent(
            service=CHECKOUT,
            version="v1.3",
            environment=PRODUCTION,
            reason="payments are down",
            confirm="checkout",
            force=True,
        ),
    ),
    (
        # What is missing of these two is asked for in the form.
        "break-glass checkout hotfix production",
        BreakGlassIntent(service=CHECKOUT, version="hotfix", environment=PRODUCTION),
    ),
    ("help lock", HelpIntent(topic=Verb.LOCK)),
    ("may --help", HelpIntent(topic=Verb.MAY)),
]


@pytest.mark.parametrize(("text", "intent"), SAID, ids=[text for text, _ in SAID])
def test_what_is_said_is_meant(text: str, intent: Intent, vocabulary: Vocabulary) -> None:
    assert parse(text, vocabulary=vocabulary) == intent
    assert parse(render(intent), vocabulary=vocabulary) == intent


@pytest.mark.parametrize(
    "text",
    [
        "lock checkout production reason=x until=2h hard",
        "lock checkout production reason=x pause",
        "freeze all reason=x until=18:00",
        "reject #42 reason=x",
        "may <@U0GRACE> rollback checkout production",
        "run-next checkout production reason=x",
        "stats checkout production days=7",
        "break-glass checkout v1.3 production reason=x confirm=checkout",
    ],
)
def test_words_come_in_any_order(text: str, vocabulary: Vocabulary) -> None:
    meant = parse(text, vocabulary=vocabulary)
    for order in permutations(text.split()):
        if not order[0].startswith("<@"):
            assert parse(" ".join(order), vocabulary=vocabulary) == meant, order


# text, what the message says, the word, the first suggestion, what the hint says
REFUSED: list[tuple[str, str, str | None, str | None, str]] = [
    # Nothing named is no scope, and everything is said by its word.
    ("lock reason=x", "Lock what?", None, "lock checkout production", "everything is lock all"),
    ("unlock", "Unlock what?", None, "unlock checkout production", "unlock all"),
    ("freeze reason=x", "Freeze what?", None, "freeze checkout production", "freeze all"),
    ("unfreeze", "Unfreeze what?", None, "unfreeze checkout production", "unfreeze all"),
    ("freeze all production reason=x", "production, or freeze all?", "all", "freeze production", "for that alone"),
    ("lock all checkout reason=x", "lock checkout, or lock all?", "all", "lock checkout", "for that alone"),
    ("lock checkout,catalog reason=x", "two services", "catalog", None, "one service"),
    ("lock staging production reason=x", "two environments", "production", None, "one environment"),
    ("checkout v1.2 all", "no environment “all”", "all", None, "There are staging"),
    # Reasons.
    ("lock checkout production", "needs a reason", "lock", 'lock checkout production reason="…"', 'Add reason="…"'),
    ("freeze all", "needs a reason", "freeze", 'freeze all reason="…"', "freeze all reason="),
    ("reject #42", "needs a reason", "reject", 'reject #42 reason="…"', "reject #42 reason="),
    ("reject", "needs a reason", "reject", 'reject reason="…"', "reason="),
    ("run-next #42", "needs a reason", "run-next", 'run-next #42 reason="…"', "reason="),
    # Parts that do not belong, or are missing.
    ("lock checkout v1.2 reason=x", "lock takes no version", "v1.2", None, "help lock"),
    ("lock #42 reason=x", "lock takes none", "#42", None, "status #42"),
    ("start checkout", "start takes no service", "checkout", None, "help start"),
    ("approve checkout v1.2", "approve takes no version", "v1.2", None, "help approve"),
    ("approve 42 43", "two deployments", "43", None, "one deployment"),
    ("approve hard", "hard does not belong to approve; it belongs to lock", "hard", None, "Leave hard out"),
    ("unlock checkout until=2h", "until does not belong to unlock", "until", None, "Leave until out"),
    ("freeze checkout reason=x level=warn", "level does not belong to freeze", "level", None, "Leave level out"),
    ("lock checkout reason=x level=loud", "can only be block or warn", None, "level=block", "level=block"),
    ("lock checkout reason=x type=code", "can only be any, config or migration", None, "type=any", "type=any"),
    ("schedule #42", "To what time is #42", None, "schedule #42 at 19:00", "status #42"),
    ("schedule at 19:00", "Which deployment", None, "schedule #42 at 19:00", "leave schedule out"),
    ("schedule checkout v1.2 staging at 18:00", "no version", "v1.2", None, "write checkout v1.2 staging at 18:00"),
    ("schedule expires=2h", "there is no time", "expires", "at 18:00", "Add a time"),
    ("locks all", "“all” is not", "all", None, "help"),
    # Two environments.
    ("diff", "none is named", None, "diff staging production", "two different ones"),
    ("diff staging", "only one is named", None, "diff staging production", "two different ones"),
    ("diff staging staging", "only one is named", None, "diff staging production", "two different ones"),
    ("diff staging production qa1", "3 are named", None, "diff staging production", "two different ones"),
    # Figures.
    ("stats days=0", "from 1 to 365", "days=0", None, "days=30"),
    ("stats days=366", "from 1 to 365", "days=366", None, "days=30"),
    ("stats checkout 90", "stats takes no version", "90", None, "days=90"),
    # Rights and people.
    ("may", "May somebody do what?", None, "may rollback checkout staging", "deploy, rollback"),
    ("may checkout production", "May somebody do what?", None, "may rollback checkout staging", "override-freeze"),
    ("may status", "status takes no right of its own", "status", None, "Ask about deploy"),
    ("may lock rollback", "two actions: “lock” and “rollback”", "rollback", None, "one thing"),
    ("may lock resolve", "two rights", "resolve", None, "one right"),
    ("may lock right=deploy", "two rights", "deploy", None, "one right"),
    ("may right=dance", "can only be deploy, rollback", None, "right=deploy", "right=deploy"),
    ("may restart", "not available here", "restart", None, "There are"),
    ("may rollback v1.2", "may takes no version", "v1.2", None, "help may"),
    ("may @grace rollback", "nobody that can be told from it", "@grace", None, "pick the person from the list"),
    ("may <!subteam^S1|@ops> rollback", "nobody that can be told", "@ops", None, "a group cannot be asked about"),
    ("may <!here> rollback", "nobody that can be told", "@here", None, "pick the person"),
    ("may &lt;@U0GRACE&gt; rollback", "is not", "‹@U0GRACE›", None, "help"),
    ("may <@U1|g> <@U2|h> rollback", "two people", "U2", None, "one person"),
    ("may <@U1|g> <@U2|g> rollback", "more than one person", "@g", None, "one person"),
    ("<@U0GRACE|grace> may rollback", "says whom one speaks to", "@grace", None, "after may"),
    ("lock <@U0GRACE|grace> checkout reason=x", "is a person or a group", "@grace", None, "help"),
    # Emergencies.
    ("break-glass", "a service, a version and an environment is missing", None, None, "confirm=checkout"),
    ("break-glass checkout production", "a version is missing", None, None, "confirm=checkout"),
    ("break-glass checkout,catalog v1.3 production", "two services", "catalog", None, "one service"),
    ("break-glass checkout v1.3 production at 18:00", "at does not belong to break-glass", "at", None, "Leave at out"),
    ("break-glass checkout v1.3 production dry-run", "dry-run does not belong", "dry-run", None, "Leave dry-run out"),
    ("checkout v1.3 production confirm=checkout", "confirm does not belong to deploy", "confirm", None, "Leave"),
    # Words of other tools.
    ("deny #42", "not an action", "deny", "reject", "Did you mean reject?"),
    ("break_glass checkout", "not an action", "break_glass", "break-glass", "Did you mean break-glass?"),
    ("retry 42", "not available here", "retry", None, "There are"),
    ("retry 42", "not available here", "retry", None, "There are"),
    ("aprove 42", "“aprove” is not", "aprove", "approve", "approve"),
]


@pytest.mark.parametrize(("text", "says", "token", "suggestion", "hint"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_is_refused_names_the_word_and_the_way_out(
    text: str, says: str, token: str | None, suggestion: str | None, hint: str, vocabulary: Vocabulary
) -> None:
    error = refusal(text, vocabulary)
    assert says in error.message
    assert token is None or error.token == token
    assert suggestion is None or error.suggestions[0] == suggestion
    assert hint in (error.hint or "")
    assert error.message.isprintable()


@pytest.mark.parametrize("text", ["lock checkout production", "freeze all", "reject #42", "run-next checkout staging"])
def test_the_suggested_reason_works(text: str, vocabulary: Vocabulary) -> None:
    (better,) = refusal(text, vocabulary).suggestions
    assert render(parse(better, vocabulary=vocabulary)) == better


def test_everything_is_not_guessed_where_something_is_called_so() -> None:
    names = vocabulary_of({"all": "staging", "checkout": "staging"}, "staging", "everything")
    for word, explicit in (("all", "service=all"), ("ALL", "service=all"), ("everything", "environment=everything")):
        error = refusal(f"freeze {word} reason=x", names)
        assert error.suggestions == ("scope=all", explicit)
    assert parse("freeze service=all reason=x", vocabulary=names) == FreezeIntent(
        scope=Scope(service=ServiceName("all")), reason="x"
    )
    for scope in (Scope(service=ServiceName("all")), Scope(environment=EnvironmentName("everything"))):
        named = UnfreezeIntent(scope=scope)
        assert parse(render(named, vocabulary=names), vocabulary=names) == named
    everything = FreezeIntent(scope=EVERYTHING, reason="x")
    assert parse("freeze scope=all reason=x", vocabulary=names) == everything
    assert render(everything, vocabulary=names) == 'freeze scope=all reason="x"'
    # Elsewhere it is a name like every other.
    assert isinstance(parse("all v1.2 staging", vocabulary=names), DeployIntent)


def test_a_right_that_is_also_a_name_is_said_by_its_key() -> None:
    names = vocabulary_of({"configure": "staging"}, "staging")
    intent = MayIntent(action=Action.CONFIGURE, service=ServiceName("configure"))
    assert render(intent, vocabulary=names) == "may right=configure configure"
    assert parse("may right=configure configure", vocabulary=names) == intent
    assert "May somebody do what?" in refusal("may configure", names).message


def test_every_right_can_be_asked_about(vocabulary: Vocabulary) -> None:
    for action in Action:
        for word in (action.value, action.value.replace("_", "-")):
            assert parse(f"may {word} checkout", vocabulary=vocabulary) == MayIntent(action=action, service=CHECKOUT)


def test_nothing_may_be_called_like_a_word_of_the_command() -> None:
    assert {*map(str, Verb)} <= VERBS
    assert {"promote", "hold", "resume", "skip", "retry", "doctor", "scale", "restart"} <= VERBS
    assert {"force", "hard", "dry-run"} <= VERBS
