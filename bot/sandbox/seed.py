"""Who and what is in the workspace that a newcomer meets. Only data: `Workspace` takes it over when it is made."""

from __future__ import annotations

from bot.sandbox.model import Channel, Command, Person, UserGroup

TEAM_ID = "T0SANDBOX"
BOT_USER = "U0BOT"
BOT_ID = "B0BOT"
APP_ID = "A0DEPLOY"
SLACKBOT = "USLACKBOT"
BOT_TOKEN = "xoxb-sandbox"  # noqa: S105 - not a secret: the well-known token of a local workspace
APP_TOKEN = "xapp-sandbox"  # noqa: S105 - the same
VERIFICATION_TOKEN = "sandbox-verification-token"  # noqa: S105 - the same
SIGNING_SECRET = "sandbox-signing-secret"  # noqa: S105 - the default, given anew by whoever cares

COMMANDS = (
    Command(
        "/deploy",
        "<service> <version> <environment> [key=value] | status | approve | rollback | abort | lock | freeze "
        "| schedule | queue | where | history | help",
        "Deploy a service, or ask what runs where",
    ),
)
EVENTS = frozenset({"app_home_opened", "app_mention", "message.im"})


def bot_user() -> Person:
    return Person(BOT_USER, "deployment_architect", "Deployment Architect", is_bot=True)


def slackbot() -> Person:
    return Person(SLACKBOT, "slackbot", "Slackbot", is_bot=True)


def people() -> list[Person]:
    return [
        Person("U0ADA", "ada", "Ada Lovelace", "ada@sandbox.example", "Europe/London"),
        Person("U0GRACE", "grace", "Grace Hopper", "grace@sandbox.example", "America/New_York"),
        Person("U0LINUS", "linus", "Linus Reader", "linus@sandbox.example", "Europe/Helsinki"),
    ]


def guest() -> Person:
    """A multi-channel guest, for tests of who may do what."""
    return Person("U0GUEST", "guest", "Gus Guest", "guest@elsewhere.example", is_restricted=True)


def deactivated() -> Person:
    """Somebody who has left, for tests of who may do what."""
    return Person("U0GONE", "gone", "Gone Person", "gone@sandbox.example", deleted=True)


def groups() -> list[UserGroup]:
    return [
        UserGroup("S0DEPLOY", "deployers", "Deployers", ["U0ADA"]),
        UserGroup("S0RELEASE", "release-managers", "Release managers", ["U0GRACE"]),
    ]


def channels() -> list[Channel]:
    everyone = {"U0ADA", "U0GRACE", "U0LINUS"}
    return [
        Channel("C0DEPLOY", "deployments", everyone | {BOT_USER}, topic="What is being deployed, and by whom"),
        Channel("C0ADMIN", "deploy-admin", {"U0GRACE", BOT_USER}, is_private=True, topic="What needs an operator"),
        Channel("C0GENERAL", "general", set(everyone), topic="Everything else; the bot is not in here"),
    ]
