"""Which text asks for what. Every row is something that somebody could type."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

import pytest

from bot.domain.grammar import (
    AbortIntent,
    DeployIntent,
    HelpIntent,
    HistoryIntent,
    OpenFormIntent,
    QueueIntent,
    RollbackIntent,
    StatusIntent,
    Verb,
    WhereIntent,
    parse,
)
from bot.domain.ids import DeploymentId, EnvironmentName, ServiceName

if TYPE_CHECKING:
    from bot.domain.grammar import Intent, Vocabulary

STAGING, PRODUCTION = EnvironmentName("staging"), EnvironmentName("production")
CHECKOUT, CATALOG, PAYMENTS = ServiceName("checkout"), ServiceName("catalog"), ServiceName("payments")
AN_ID = DeploymentId("d1jkmnpqrstvwxy")
DIGEST = "sha256:" + "4f" * 32


def deploy(version: object = "v1.2", **more: object) -> DeployIntent:
    fields: dict[str, object] = {"services": (CHECKOUT,), "environment": STAGING, "version": version} | more
    return DeployIntent(**fields)  # type: ignore[arg-type]  # the rows name the fields


THE_DEPLOY = [
    "checkout v1.2 staging",
    "checkout staging v1.2",
    "v1.2 checkout staging",
    "staging v1.2 checkout",
    "deploy checkout v1.2 staging",
    "checkout v1.2 deploy staging",
    "/deploy checkout v1.2 staging",
    "/deploy deploy checkout v1.2 staging",
    "DEPLOY Checkout v1.2 STAGING",
    "  checkout   v1.2\tstaging \n",
    "deploy checkout v1.2 to staging",
    "deploy v1.2 of checkout to staging please",
    "deploy checkout v1.2 on staging",
    "checkout v1.2 staging.",
    "checkout, v1.2, staging",
    "checkout,v1.2,staging",
    "checkout checkout v1.2 staging staging",
    "<@U0BOT> deploy checkout v1.2 staging",
    "<@U0BOT|deployer> checkout v1.2 staging",
    "@deployer checkout v1.2 staging",
    "checkout <http://v1.2|v1.2> staging",
    "checkout `v1.2` staging",
    "`checkout v1.2 staging`",
    "*checkout* *v1.2* *staging*",
    '"checkout" "v1.2" "staging"',
    "“checkout” ‘v1.2’ «staging»",
    "checkout\u00a0v1.2\u202fstaging",
    "check\u200bout v1\u00ad.2 sta\u2060ging\ufeff",
    "\u202echeckout\u202c v1.2 \u2066staging\u2069",
    "checkout v1.2 staging\x00\x07\x1b",
    "ｃｈｅｃｋｏｕｔ　ｖ１．２　ｓｔａｇｉｎｇ",
    "service=checkout version=v1.2 environment=staging",
    "service=checkout version=v1.2 env=staging",
    "SERVICE=Checkout ENV=Staging tag=v1.2",
    "action=deploy checkout v1.2 staging",
    "checkout v1.2 staging dry-run=false",
]


@pytest.mark.parametrize("text", THE_DEPLOY)
def test_all_say_the_same_deployment(text: str, vocabulary: Vocabulary) -> None:
    assert parse(text, vocabulary=vocabulary) == deploy()


VERSIONS = [
    ("v1.2–rc1", "v1.2-rc1"),
    ("v1.2—rc1", "v1.2-rc1"),
    ("V1.2", "V1.2"),
    ("1.2.3+build.5", "1.2.3+build.5"),
    ("42", "42"),
    ("4f0c2aa", "4f0c2aa"),
    ("deadbee", "deadbee"),
    ("4F0C2AA", "4F0C2AA"),
    ("latest", "latest"),
    ("Latest", "Latest"),
    ("main", "main"),
    ("HEAD", "HEAD"),
    ("feature/Login-Page", "feature/Login-Page"),
    ("release-7", "release-7"),
    ("hotfix", "hotfix"),
    ("HotFix_a", "HotFix_a"),
    ("2026-11-23", "2026-11-23"),
    (DIGEST, DIGEST),
    ("<https://v1.2.io|v1.2.io>", "v1.2.io"),
    ("version=stagin", "stagin"),
    ("version=status", "status"),
    ("version=undo", "undo"),
    ("version=d1jkmnpqrstvwxy", "d1jkmnpqrstvwxy"),
    ("version=“main”", "main"),
    ("version='main'", "main"),
]


@pytest.mark.parametrize(("typed", "version"), VERSIONS)
def test_versions_are_taken_verbatim(typed: str, version: str, vocabulary: Vocabulary) -> None:
    assert parse(f"checkout {typed} staging", vocabulary=vocabulary) == deploy(version)
    assert parse(f"staging checkout {typed}", vocabulary=vocabulary) == deploy(version)


OPTIONS: list[tuple[str, dict[str, object]]] = [
    ("dry-run", {"dry_run": True}),
    ("--dry-run", {"dry_run": True}),
    ("—dry-run", {"dry_run": True}),
    ("–dry–run", {"dry_run": True}),
    ("dry-run=true", {"dry_run": True}),
    ("DRY_RUN=Yes", {"dry_run": True}),
    ("--dry-run=true", {"dry_run": True}),
    ("dry-run --dry-run dryrun=1", {"dry_run": True}),
    ("force", {"force": True}),
    ("--force", {"force": True}),
    ("--Force dry-run", {"force": True, "dry_run": True}),
    ("strategy=rolling", {"strategy": "rolling"}),
    ("--strategy=Rolling", {"strategy": "rolling"}),
    ("reason=hotfix", {"reason": "hotfix"}),
    ('reason="fixes the login"', {"reason": "fixes the login"}),
    ("reason='fixes the login'", {"reason": "fixes the login"}),
    ("reason=“fixes the login”", {"reason": "fixes the login"}),
    ("reason=‘fixes the login’", {"reason": "fixes the login"}),
    ('reason="fixes the login”', {"reason": "fixes the login"}),
    ("reason='don't wait'", {"reason": "don't wait"}),
    ("reason=‘don’t wait’", {"reason": "don’t wait"}),
    ('reason="don’t wait – it’s “urgent”"', {"reason": "don’t wait – it’s “urgent”"}),
    (r'reason="say \"now\" in C:\\x"', {"reason": 'say "now" in C:\\x'}),
    ('reason="production v1.3 --force abort"', {"reason": "production v1.3 --force abort"}),
    ('reason="a &lt; b &amp;&amp; c"', {"reason": "a < b && c"}),
    ('reason="asked by <@U1|ada> in <#C1|ops>"', {"reason": "asked by @ada in #ops"}),
    ('reason="see <https://x.test/1?a=b|the ticket>"', {"reason": "see the ticket"}),
    ('reason="see <https://x.test/1>"', {"reason": "see https://x.test/1"}),
    ('reason="<!channel> <!subteam^S1|@ops> <!here>"', {"reason": "@channel @ops @here"}),
    ('reason="two\nlines"', {"reason": "two lines"}),
    ('reason="שלום 🚀"', {"reason": "שלום 🚀"}),
    ("reason＝“全角”", {"reason": "全角"}),
]


@pytest.mark.parametrize(("typed", "fields"), OPTIONS)
def test_options(typed: str, fields: dict[str, object], vocabulary: Vocabulary) -> None:
    assert parse(f"checkout v1.2 staging {typed}", vocabulary=vocabulary) == deploy(**fields)
    assert parse(f"{typed} checkout v1.2 staging", vocabulary=vocabulary) == deploy(**fields)


SERVICES = [
    ("checkout,catalog", (CHECKOUT, CATALOG)),
    ("catalog,checkout", (CATALOG, CHECKOUT)),
    ("catalog , checkout", (CATALOG, CHECKOUT)),
    ("catalog, checkout", (CATALOG, CHECKOUT)),
    ("Catalog,checkout,catalog", (CATALOG, CHECKOUT)),
    ("service=catalog,checkout", (CATALOG, CHECKOUT)),
    ("services=catalog,checkout", (CATALOG, CHECKOUT)),
    ("api2", (ServiceName("api2"),)),
    ("checkout,", (CHECKOUT,)),
]


@pytest.mark.parametrize(("typed", "services"), SERVICES)
def test_several_services_are_joined_with_commas(
    typed: str, services: tuple[ServiceName, ...], vocabulary: Vocabulary
) -> None:
    assert parse(f"v1.2 staging {typed}", vocabulary=vocabulary) == deploy(services=services)


OTHERS: list[tuple[str, Intent]] = [
    ("", OpenFormIntent()),
    ("   ", OpenFormIntent()),
    ("\u200b\u202e\x00", OpenFormIntent()),
    ("deploy", OpenFormIntent()),
    ("please", OpenFormIntent()),
    ("<@U0BOT>", OpenFormIntent()),
    ("checkout", OpenFormIntent(services=(CHECKOUT,))),
    ("deploy checkout", OpenFormIntent(services=(CHECKOUT,))),
    ("v1.2", OpenFormIntent(version="v1.2")),
    ("main", OpenFormIntent(version="main")),
    ("production", OpenFormIntent(environment=PRODUCTION)),
    ("checkout v1.2", OpenFormIntent(services=(CHECKOUT,), version="v1.2")),
    ("checkout production", OpenFormIntent(services=(CHECKOUT,), environment=PRODUCTION)),
    ("v1.2 staging", OpenFormIntent(version="v1.2", environment=STAGING)),
    ("checkout,catalog force", OpenFormIntent(services=(CHECKOUT, CATALOG), force=True)),
    ('checkout reason="x y" dry-run', OpenFormIntent(services=(CHECKOUT,), reason="x y", dry_run=True)),
    ("checkout strategy=rolling", OpenFormIntent(services=(CHECKOUT,), strategy="rolling")),
    ("status", StatusIntent()),
    ("Status?", StatusIntent()),
    ("<@U0BOT> status", StatusIntent()),
    ("status checkout", StatusIntent(service=CHECKOUT)),
    ("staging status", StatusIntent(environment=STAGING)),
    ("status of checkout in staging", StatusIntent(service=CHECKOUT, environment=STAGING)),
    ("status 42", StatusIntent(deployment=42)),
    ("status #42", StatusIntent(deployment=42)),
    (f"status {AN_ID}", StatusIntent(deployment=AN_ID)),
    ("history checkout", HistoryIntent(service=CHECKOUT)),
    ("history staging checkout", HistoryIntent(service=CHECKOUT, environment=STAGING)),
    ("history checkout limit=20", HistoryIntent(service=CHECKOUT, limit=20)),
    ("history checkout --limit=1", HistoryIntent(service=CHECKOUT, limit=1)),
    ("rollback", RollbackIntent()),
    ("rollback checkout staging", RollbackIntent(service=CHECKOUT, environment=STAGING)),
    ("checkout rollback in staging", RollbackIntent(service=CHECKOUT, environment=STAGING)),
    ("rollback checkout staging to v1.1", RollbackIntent(service=CHECKOUT, environment=STAGING, to="v1.1")),
    ("rollback checkout staging v1.1", RollbackIntent(service=CHECKOUT, environment=STAGING, to="v1.1")),
    ("rollback checkout staging to=v1.1", RollbackIntent(service=CHECKOUT, environment=STAGING, to="v1.1")),
    ("rollback checkout staging to=42", RollbackIntent(service=CHECKOUT, environment=STAGING, to="42")),
    ("rollback checkout staging hotfix", RollbackIntent(service=CHECKOUT, environment=STAGING, to="hotfix")),
    ("rollback #42", RollbackIntent(deployment=42)),
    ("rollback 1234567", RollbackIntent(deployment=1234567)),
    (f"rollback {AN_ID.upper()} reason=bad", RollbackIntent(deployment=AN_ID, reason="bad")),
    ("abort", AbortIntent()),
    ("abort 42", AbortIntent(deployment=42)),
    ("abort #42 #42", AbortIntent(deployment=42)),
    ("abort deployment=#42", AbortIntent(deployment=42)),
    (f"{AN_ID} abort", AbortIntent(deployment=AN_ID)),
    ("abort checkout staging", AbortIntent(service=CHECKOUT, environment=STAGING)),
    ('abort 42 reason="wrong build"', AbortIntent(deployment=42, reason="wrong build")),
    ("queue", QueueIntent()),
    ("queue staging", QueueIntent(environment=STAGING)),
    ("queue checkout staging", QueueIntent(environment=STAGING, service=CHECKOUT)),
    ("where", WhereIntent()),
    ("where payments", WhereIntent(service=PAYMENTS)),
    ("help", HelpIntent()),
    ("HELP!", HelpIntent()),
    ("?", HelpIntent()),
    ("--help", HelpIntent()),
    ("-h", HelpIntent()),
    ("—help", HelpIntent()),
    ("help rollback", HelpIntent(topic=Verb.ROLLBACK)),
    ("rollback --help", HelpIntent(topic=Verb.ROLLBACK)),
    ("deploy ?", HelpIntent(topic=Verb.DEPLOY)),
    ("help me with staging", HelpIntent()),
    ("help abort rollback", HelpIntent()),
]


@pytest.mark.parametrize(("text", "intent"), OTHERS)
def test_every_action(text: str, intent: Intent, vocabulary: Vocabulary) -> None:
    assert parse(text, vocabulary=vocabulary) == intent


PERMUTED = [
    "deploy checkout v1.2 staging --dry-run",
    'checkout,catalog hotfix production reason="fixes the login" strategy=rolling',
    "rollback checkout staging to=v1.1 reason=bad",
    "abort #42 checkout staging reason=bad",
    "history checkout staging limit=5",
    "queue checkout staging",
    "status checkout qa1",
    "help rollback",
    "checkout staging force",
]


@pytest.mark.parametrize("text", PERMUTED)
def test_words_come_in_any_order(text: str, vocabulary: Vocabulary) -> None:
    expected = parse(text, vocabulary=vocabulary)
    words = text.replace('"fixes the login"', '"fixes_the_login"').split()
    for order in permutations(words):
        shuffled = " ".join(order).replace("fixes_the_login", "fixes the login")
        assert parse(shuffled, vocabulary=vocabulary) == expected, shuffled


EXPLICIT: list[tuple[str, Intent]] = [
    ("action=queue", QueueIntent()),
    ("service=queue v1.2 live", deploy(services=(ServiceName("queue"),), environment=EnvironmentName("live"))),
    ("service=v1 v1.2 live", deploy(services=(ServiceName("v1"),), environment=EnvironmentName("live"))),
    ("service=Prod v1.2 environment=prod", deploy(services=("prod",), environment="prod")),
    ("service=force v1.2 live --force", deploy(services=("force",), environment="live", force=True)),
    ("API v1.2 live2", deploy(services=("API",), environment="Live2")),
    ("api v1.2 LIVE", deploy(services=("api",), environment="live")),
    ("to v1.2 live", deploy(services=("to",), environment="live")),
    ("action=help", HelpIntent()),
    ("--help", HelpIntent()),
]


@pytest.mark.parametrize(("text", "intent"), EXPLICIT)
def test_a_key_says_which_set_a_name_is_from(text: str, intent: Intent, tricky: Vocabulary) -> None:
    assert parse(text, vocabulary=tricky) == intent
