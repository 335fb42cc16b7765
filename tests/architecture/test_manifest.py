"""The Slack app's manifest is what Slack accepts and what the bot listens to."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from bot.slack.names import COMMAND

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "manifest.yml").read_text())


def test_slack_accepts_it(manifest: dict[str, Any]) -> None:
    path = os.environ.get("SLACK_MANIFEST_SCHEMA")
    if not path:
        pytest.skip("SLACK_MANIFEST_SCHEMA names no copy of Slack's manifest schema")
    schema = json.loads(Path(path).read_text())
    jsonschema.validate(manifest, schema)
    broken = {**manifest, "display_information": {"name": "x" * 36}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, schema)


def test_the_command_is_the_one_that_is_listened_to(manifest: dict[str, Any]) -> None:
    [command] = manifest["features"]["slash_commands"]
    assert command["command"] == COMMAND
    assert command["should_escape"] is True


def test_every_event_that_is_listened_to_is_subscribed(manifest: dict[str, Any]) -> None:
    assert set(manifest["settings"]["event_subscriptions"]["bot_events"]) == {
        "app_home_opened",
        "app_mention",
        "message.im",
    }


def test_the_scopes_cover_the_calls_that_the_bot_makes(manifest: dict[str, Any]) -> None:
    """Each Web API method that the source names needs a scope that the manifest asks for."""
    needed = {
        "chat_postMessage": {"chat:write"},
        "chat_update": {"chat:write"},
        "chat_postEphemeral": {"chat:write"},
        "conversations_history": {"channels:history", "groups:history"},
        "conversations_replies": {"channels:history", "groups:history"},
        "conversations_list": {"channels:read", "groups:read"},
        "conversations_open": {"im:write"},
        "users_info": {"users:read"},
        "usergroups_list": {"usergroups:read"},
        "files_getUploadURLExternal": {"files:write"},
        "files_completeUploadExternal": {"files:write"},
        "files_upload_v2": {"files:write"},
        "auth_test": set(),
        "apps_connections_open": set(),  # the app-level token's scope, not the bot's
        "chat_getPermalink": set(),
        "views_open": set(),
        "views_update": set(),
        "views_publish": set(),
    }
    source = "\n".join(path.read_text() for path in (ROOT / "bot" / "slack").rglob("*.py"))
    prefixes = ("chat_", "conversations_", "users_", "usergroups_", "files_", "views_", "auth_", "apps_", "reactions_")
    import re

    used = {name for name in re.findall(r"client\.([a-z]+_[A-Za-z_0-9]+)\(", source) if name.startswith(prefixes)}
    assert used, "the pattern finds no call at all"
    assert used <= needed.keys(), f"say which scopes {used - needed.keys()} need"
    granted = set(manifest["oauth_config"]["scopes"]["bot"])
    assert {scope for name in used for scope in needed[name]} <= granted
