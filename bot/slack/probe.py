"""Whether Slack takes our tokens, asked once. Sends nothing that anybody could see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slack_sdk.web.async_client import AsyncWebClient

from bot.domain.finding import Finding
from bot.slack.trouble import TROUBLE, brief, code_of

if TYPE_CHECKING:
    from bot.slack.app import SlackTokens

_TIMEOUT = 8


async def look(tokens: SlackTokens) -> list[Finding]:
    """A finding for each token."""
    client = AsyncWebClient(token=tokens.bot, base_url=tokens.api_url, timeout=_TIMEOUT, retry_handlers=[])
    findings = []
    try:
        answer = await client.auth_test()
        team, user = (str(answer.get(key) or "?") for key in ("team", "user"))
        findings.append(Finding(ok=True, what=f"SLACK_BOT_TOKEN is {user} of the workspace {team}"))
    except TROUBLE as error:
        fix = "copy the bot token again from OAuth & Permissions of the Slack app"
        findings.append(_trouble("SLACK_BOT_TOKEN", error, fix))
    if tokens.app is None:
        return findings
    try:
        await client.apps_connections_open(app_token=tokens.app)
        findings.append(Finding(ok=True, what="SLACK_APP_TOKEN opens connections"))
    except TROUBLE as error:
        fix = "make an app-level token with the scope connections:write under Basic Information of the Slack app"
        findings.append(_trouble("SLACK_APP_TOKEN", error, fix))
    return findings


def _trouble(name: str, error: Exception, fix: str) -> Finding:
    code = code_of(error)
    if code:
        return Finding(ok=False, what=f"Slack refuses {name} ({code})", fix=fix)
    what = f"Slack does not answer for {name}: {brief(error)}"
    return Finding(ok=False, what=what, fix="see whether this machine reaches slack.com, perhaps through a proxy")
