"""What is refused, with the word, the suggestions and the next step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.domain.errors import BadCommand, UnknownEnvironment, UnknownService
from bot.domain.grammar import DeployIntent, parse
from bot.domain.grammar.options import OPTIONS

if TYPE_CHECKING:
    from bot.domain.grammar import Vocabulary


def refusal(text: str, vocabulary: Vocabulary) -> BadCommand:
    with pytest.raises(BadCommand) as caught:
        parse(text, vocabulary=vocabulary)
    return caught.value


# text, what the message says, the word, the suggestions, what the hint says
ROWS: list[tuple[str, str, str | None, tuple[str, ...], str]] = [
    # Misspelt names.
    ("checkuot v1.2 staging", "no service “checkuot”", "checkuot", ("checkout",), "Did you mean checkout?"),
    ("checkout v1.2 stagin", "no environment “stagin”", "stagin", ("staging",), "Did you mean staging?"),
    ("checkout v1.2 prod", "no environment “prod”", "prod", ("production",), "production"),
    ("checkout v1.2 moon", "no environment “moon”", "moon", (), "There are staging, production and qa1."),
    ("moon v1.2 staging", "no service “moon”", "moon", (), "There are checkout, catalog, payments and api2."),
    ("rolback checkout staging", "“rolback” is not", "rolback", ("rollback",), "version=rolback"),
    ("checkout staging rolback", "“rolback” is not", "rolback", ("rollback",), "version=rolback"),
    ("checkout staging prod", "“prod” is not", "prod", ("production",), "version=prod"),
    ("checkout v1.2 staging2", "“staging2” is not", "staging2", ("staging",), "version=staging2"),
    ("checkout staging qa2", "“qa2” is not", "qa2", ("qa1",), "version=qa2"),
    ("sttaus", "“sttaus” is not", "sttaus", ("status", "stats"), "Did you mean status or stats?"),
    ("foo", "“foo” is not", "foo", (), "version=foo"),
    ("checkout foo", "“foo” is not", "foo", (), "version=foo"),
    ("checkout v1.2 staging foo", "“foo” is not", "foo", (), "help"),
    ("checkout staging foo bar", "“foo” is not", "foo", (), "help"),
    ("checkout v1.2 staging forec", "“forec” is not", "forec", ("force",), "force"),
    ("service=chekout v1.2 staging", "no service “chekout”", "chekout", ("checkout",), "checkout"),
    ("checkout v1.2 env=stage", "no environment “stage”", "stage", (), "There are staging, production and qa1."),
    ("checkout,moon v1.2 staging", "“moon” is not", "moon", (), "help"),
    ("action=dance", "no action “dance”", "dance", (), "deploy"),
    # Words from elsewhere.
    ("undo checkout staging", "not an action", "undo", ("rollback",), "Did you mean rollback?"),
    ("cancel 42", "not an action", "cancel", ("abort",), "abort"),
    ("restart checkout staging", "not available here", "restart", (), "deploy, status"),
    ("pause 42", "not an action", "pause", ("hold",), "Did you mean hold?"),
    ("checkout staging pause", "not an action", "pause", ("hold",), "Did you mean hold?"),
    ("unlock checkout pause", "pause does not belong to unlock", "pause", (), "Leave pause out"),
    ("doctor", "not available here", "doctor", (), "There are"),
    ("checkout staging canary", "is a strategy", "canary", ("strategy=rolling",), "strategy=rolling"),
    ("rollback checkout staging rolling", "is a strategy", "rolling", ("strategy=rolling",), "Only deploy takes one"),
    # Too many of something.
    ("checkout v1.2 staging production", "two environments: “staging” and “production”", "production", (), "one"),
    ("checkout v1.2 v1.3 staging", "two versions: “v1.2” and “v1.3”", "v1.3", (), "Keep"),
    ("checkout v1.2 main staging", "two versions: “v1.2” and “main”", "main", (), "Keep"),
    ("checkout catalog v1.2 staging", "two services", "catalog", ("checkout,catalog",), "checkout,catalog"),
    ("rollback checkout,catalog staging", "two services", "catalog", (), "one service"),
    ("status rollback checkout", "two actions: “status” and “rollback”", "rollback", (), "one thing"),
    ("abort 42 43", "two deployments: “42” and “43”", "43", (), "one deployment"),
    ("rollback checkout staging v1.1 to=v1.0", "two versions", None, (), "Keep"),
    ("rollback checkout staging to=v1.1 to=v1.0", "given twice", "v1.0", (), "Keep"),
    ("checkout v1.2 staging reason=a reason=b", "given twice", "reason=b", (), "Keep one reason="),
    ("checkout v1.2 staging dry-run dry-run=no", "given twice", None, (), "dry-run"),
    # Parts that an action does not take.
    ("status checkout v1.2", "status takes no version", "v1.2", (), "help status"),
    ("abort v1.2", "abort takes no version", "v1.2", (), "help abort"),
    ("where checkout staging", "where takes no environment", "staging", (), "status checkout staging"),
    ("history checkout 20", "history takes no version", "20", (), "limit=20"),
    ("history", "Which service", None, (), "history checkout"),
    ("deploy #42", "names a deployment", "#42", (), "status #42"),
    ("deploy d1jkmnpqrstvwxy", "names a deployment", "d1jkmnpqrstvwxy", (), "version="),
    ("deploy deployment=42", "deploy takes no deployment", "42", (), "help deploy"),
    ("rollback checkout staging force", "force does not belong to rollback", "force", (), "Leave force out"),
    ("status checkout dry-run", "dry-run does not belong to status", "dry-run", (), "Leave"),
    ("checkout v1.2 staging limit=5", "limit does not belong to deploy; it belongs to history", "limit", (), "Leave"),
    ("checkout staging to=v1.1", "to does not belong to deploy", "to", (), "Leave"),
    # Options.
    ("checkout v1.2 staging resaon=x", "no option “resaon”", "resaon", ("reason",), "Did you mean reason?"),
    ("checkout v1.2 staging colour=red", "no option “colour”", "colour", (), "reason, strategy"),
    ("checkout v1.2 staging --dry-rum", "no option “--dry-rum”", "--dry-rum", ("dry-run",), "dry-run"),
    ("checkout v1.2 staging --reason", "needs a value", "--reason", ('reason="fixes the login"',), "reason="),
    ("checkout v1.2 staging reason=", "needs a value", "reason=", (), "reason="),
    ('checkout v1.2 staging reason= "x"', "needs a value right after", "reason=", (), "reason="),
    ('checkout v1.2 staging reason="  "', "needs a value", "reason=", (), "reason="),
    ("checkout v1.2 staging strategy=canary", "only be rolling, not “canary”", None, ("strategy=rolling",), "rolling"),
    ("checkout v1.2 staging dry-run=maybe", "not “maybe”", "dry-run=maybe", (), "dry-run"),
    ("checkout v1.2 staging weight=20", "not available here; nothing was started", "weight", (), "weight="),
    ("checkout v1.2 staging strategy", "does not stand alone", "strategy", ("strategy=rolling",), "strategy=rolling"),
    ("checkout v1.2 staging expires", "does not stand alone", "expires", ("expires=2h",), "expires=2h"),
    ("checkout v1.2 staging expires=1h", "there is no time", "expires", ("at 18:00",), "Add a time"),
    ("checkout v1.2 staging at 18:00 expires=soon", "no length of time", "soon", (), "30m"),
    ("checkout v1.2 staging until=2h", "until does not belong to deploy", "until", (), "Leave until out"),
    ("checkout v1.2 staging hard", "hard does not belong to deploy; it belongs to lock", "hard", (), "Leave hard out"),
    ("history checkout limit=0", "from 1 to 100, not “0”", "limit=0", (), "limit=20"),
    ("history checkout limit=٣", "from 1 to 100", None, (), "limit=20"),
    ("history checkout limit=lots", "from 1 to 100", None, (), "limit=20"),
    ("abort deployment=soon", "does not name a deployment", "soon", (), "42"),
    ("checkout staging reason=fix login", "does not belong to anything", "login", (), "quotation marks"),
    ('checkout v1.2 staging reason="fix', "never closed", '"fix', (), "Close it"),
    ("checkout v1.2 staging reason=“fix", "never closed", "“fix", (), "Close it"),
    # Versions that are none.
    ("checkout v1.2? staging", "cannot be a version", "v1.2?", ("v1.2",), "Did you mean v1.2?"),
    ("checkout (v1.2) staging", "cannot be a version", "(v1.2)", ("v1.2",), "Did you mean v1.2?"),
    ("checkout v1/../2 staging", "“v1/../2” is not", None, (), "help"),
    ("checkout version=$(x) staging", "cannot be a version", "$(x)", (), "such as v1.2"),
    ('checkout version="a b" staging', "cannot be a version", "a b", (), "one word"),
    ("checkout v1.² staging", "“v1.²” is not", None, (), "help"),
    ("checkout vеrsion1 staging", "is not", None, (), "help"),  # the second letter is Cyrillic
    ("checkout:v1.2 staging", "service and a version in one word", None, ("checkout v1.2",), "blank"),
    ("checkout@v1.2 staging", "service and a version in one word", None, ("checkout v1.2",), "blank"),
    ("checkout staging and", "“and” is not", "and", (), "help"),
    ('"checkout v1.2 staging"', "is not", "checkout v1.2 staging", (), "help"),
    # People and channels.
    ("checkout <@U1|ada> v1.2 staging", "is a person", "@ada", (), "help"),
    ("checkout v1.2 staging <!channel>", "is a person or a group", "@channel", (), "help"),
    ("<#C1|checkout> v1.2 staging", "is a channel", "#checkout", ("checkout",), "write checkout"),
    ("abort <#C1|42>", "is a channel", "#C1/42", (), "help"),
    # Hostile and odd.
    ("🚀", "“🚀” is not", "🚀", (), "help"),
    ("checkout 🚀 staging", "“🚀” is not", "🚀", (), "help"),
    ("פריסה", "is not", "פריסה", (), "help"),
    ("...", "“...” is not", "...", (), "help"),
    ("=", "“=” is not", "=", (), "help"),
    ("---", "“---” is not", "---", (), "help"),
    (",", "“,” is not", ",", (), "help"),
    ('"', "never closed", '"', (), "Close it"),
    ("abort 99999999999999999999", "abort takes no version", None, (), "help abort"),
    ("&lt;@U1&gt; &lt;!channel&gt;", "“‹@U1›” is not", "‹@U1›", (), "help"),
    ("&amp;lt;b&amp;gt;", "“&lt;b&gt;” is not", "&lt;b&gt;", (), "help"),
    ("<script>alert(1)</script>", "“‹script›alert(1)‹/script›” is not", None, (), "help"),
    ("a " * 50, "more than 40 words", None, (), "few words"),
    ("x" * 10_000, "10,000 characters; at most 2,000", None, (), "short"),
]


@pytest.mark.parametrize(("text", "says", "token", "suggestions", "hint"), ROWS, ids=[row[0][:50] for row in ROWS])
def test_refusals_name_the_word_and_the_next_step(
    text: str, says: str, token: str | None, suggestions: tuple[str, ...], hint: str, vocabulary: Vocabulary
) -> None:
    error = refusal(text, vocabulary)
    assert says in error.message
    assert token is None or error.token == token
    assert error.suggestions == suggestions
    assert hint in (error.hint or "")
    assert error.message.isprintable()


def test_which_error(vocabulary: Vocabulary) -> None:
    assert type(refusal("checkout v1.2 moon", vocabulary)) is UnknownEnvironment
    assert type(refusal("env=moon", vocabulary)) is UnknownEnvironment
    assert type(refusal("moon v1.2 staging", vocabulary)) is UnknownService
    assert type(refusal("checkout moon", vocabulary)) is BadCommand


@pytest.mark.parametrize(
    ("text", "readings"),
    [
        ("queue", ("service=queue", "action=queue")),
        ("prod v1.2 live", ("service=prod", "environment=prod")),
        ("PROD v1.2 live", ("service=prod", "environment=prod")),
        ("status", ("environment=status", "action=status")),
        ("force v1.2 live", ("service=force", "--force")),
        ("Api v1.2 live", ("service=API", "service=api")),
        ("v1 v1.2 live", ("service=v1", "version=v1")),
        ("2048 v1.2 live", ("service=2048", "version=2048")),
        ("help", ("service=help", "action=help")),
    ],
)
def test_a_word_of_two_sets_is_refused_with_both_readings(
    text: str, readings: tuple[str, ...], tricky: Vocabulary
) -> None:
    error = refusal(text, tricky)
    assert error.suggestions == readings
    assert all(reading in (error.hint or "") for reading in readings)


@pytest.mark.parametrize("word", ["stagin", "rolback", "pay", "staging2"])
def test_the_way_out_that_a_hint_names_works(word: str, vocabulary: Vocabulary) -> None:
    assert f"version={word}" in (refusal(f"checkout staging {word}", vocabulary).hint or "")
    intent = parse(f"checkout staging version={word}", vocabulary=vocabulary)
    assert isinstance(intent, DeployIntent)
    assert intent.version == word


def test_long_words_are_quoted_shortly(vocabulary: Vocabulary) -> None:
    error = refusal("checkout " + "z" * 1_900, vocabulary)
    assert "z" * 39 + "…" in error.message
    for text in (error.message, error.hint or "", error.token or ""):
        assert "z" * 40 not in text


def test_every_option_says_how_it_is_written(vocabulary: Vocabulary) -> None:
    for option in OPTIONS.values():
        assert option.meaning
        assert option.verbs
        assert option.example.startswith(option.name)
