"""What the process must know before it reads anything: tokens, database, addresses. From the environment only."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from bot.domain.errors import ConfigurationError
from bot.domain.gate import DEFAULT_URL, Door

_SHORTEST_TOKEN = 16


class Settings(BaseSettings):
    """Process settings. Every field is the environment variable of its name in capitals."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    slack_bot_token: SecretStr
    """``xoxb-…``, from *OAuth & Permissions* of the Slack app."""
    slack_app_token: SecretStr | None = None
    """``xapp-…`` with ``connections:write``: Socket Mode."""
    slack_signing_secret: SecretStr | None = None
    """Signs what Slack sends: HTTP mode, when there is no app token."""
    slack_api_url: str = "https://slack.com/api/"
    """Where the Web API is; another address only for a sandbox or a proxy."""
    deploy_config: Path = Path(".deploy/config.yaml")
    """The catalog."""
    data_dir: Path = Path(".data")
    """Where SQLite lives when no database is named."""
    database_url: str | None = None
    """``postgresql://user:password@host/name`` or ``sqlite:///path``; default: SQLite in the data folder."""
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    executor_id: str = Field(default_factory=socket.gethostname, min_length=1, max_length=100)
    """Names this replica; must differ between replicas and stay the same over a restart."""
    metrics_token: SecretStr | None = None
    """What one must show as a bearer token to read ``/metrics``; None: everybody who comes as far as there may."""
    alertmanager_token: SecretStr | None = None
    """What an Alertmanager must show as a bearer token to tell of alerts; None: it cannot."""
    datadog_webhook_secret: SecretStr | None = None
    """What Datadog must show in the header ``X-Webhook-Secret`` to tell of alerts; None: it cannot."""
    incident_token: SecretStr | None = None
    """What a system must show as a bearer token to tell of incidents, each of which locks a place; None: none can."""
    incident_account: str = Field(default="incident", pattern=r"^[a-z][a-z0-9-]{0,62}$")
    """The service account as which it locks; roles name it with ``sa:`` before."""
    flagger_secret: SecretStr | None = None
    """Makes the addresses at which Flagger asks unguessable; the same for every replica. None: Flagger cannot ask."""
    flagger_url: str = DEFAULT_URL
    """Where Flagger reaches the bot from within its cluster; for what `flagger` prints."""
    tracing: Literal["off", "otlp", "datadog"] = "off"
    """Where spans of deployments go: to an OpenTelemetry collector, to Datadog's agent, or nowhere."""
    log_level: str = "INFO"

    @field_validator("slack_bot_token")
    @classmethod
    def _is_bot_token(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value().startswith("xoxb-"):
            raise ValueError("a bot token begins with xoxb-; it stands in the Slack app under OAuth & Permissions")
        return value

    @field_validator("slack_app_token")
    @classmethod
    def _is_app_token(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith("xapp-"):
            raise ValueError("an app-level token begins with xapp-; it stands in the Slack app under Basic Information")
        return value

    @field_validator("metrics_token")
    @classmethod
    def _is_hard_to_guess(cls, value: SecretStr | None) -> SecretStr | None:
        # An empty one, as from a secret that is not there, must not mean that nobody needs any.
        if value is not None and not (value.get_secret_value().isascii() and len(value) >= _SHORTEST_TOKEN):
            raise ValueError(
                f"must be {_SHORTEST_TOKEN} ASCII characters or more; leave the variable out and no token is asked for"
            )
        return value

    @field_validator("alertmanager_token", "datadog_webhook_secret")
    @classmethod
    def _lets_nobody_else_in(cls, value: SecretStr | None) -> SecretStr | None:
        return _hard_to_guess(value, "nobody can tell of alerts")

    @field_validator("incident_token")
    @classmethod
    def _lets_nobody_else_lock(cls, value: SecretStr | None) -> SecretStr | None:
        return _hard_to_guess(value, "nobody can tell of incidents")

    @field_validator("flagger_secret")
    @classmethod
    def _makes_good_tokens(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value) < _SHORTEST_TOKEN:
            raise ValueError(
                f"must be {_SHORTEST_TOKEN} characters or more; leave the variable out and Flagger cannot ask"
            )
        return value

    @field_validator("slack_api_url")
    @classmethod
    def _ends_with_slash(cls, value: str) -> str:
        if not value.startswith(("https://", "http://")):
            raise ValueError("must begin with https://")
        return value.rstrip("/") + "/"

    @field_validator("log_level")
    @classmethod
    def _is_level(cls, value: str) -> str:
        if value.upper() not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
            raise ValueError("must be DEBUG, INFO, WARNING or ERROR")
        return value.upper()

    @model_validator(mode="after")
    def _can_hear_slack(self) -> Settings:
        if self.slack_app_token is None and self.slack_signing_secret is None:
            raise ValueError("set SLACK_APP_TOKEN for Socket Mode, or SLACK_SIGNING_SECRET for HTTP mode")
        return self

    @property
    def http_mode(self) -> bool:
        """Whether Slack sends to us over HTTP instead of a socket that we open."""
        return self.slack_app_token is None

    @property
    def metrics_secret(self) -> str | None:
        """What one must show to read the metrics."""
        return self.metrics_token.get_secret_value() if self.metrics_token else None

    @property
    def alert_secrets(self) -> dict[str, str | None]:
        """What one must show to tell of alerts, by what `bot.api.webhooks` calls it."""
        alertmanager, datadog = self.alertmanager_token, self.datadog_webhook_secret
        return {
            "alertmanager_token": alertmanager.get_secret_value() if alertmanager else None,
            "datadog_secret": datadog.get_secret_value() if datadog else None,
        }

    @property
    def incident_secret(self) -> str | None:
        """What one must show to tell of incidents."""
        return self.incident_token.get_secret_value() if self.incident_token else None

    @property
    def door(self) -> Door:
        """Where platforms ask before they go on."""
        return Door(url=self.flagger_url, secret=self.flagger_secret.get_secret_value() if self.flagger_secret else "")

    @property
    def database(self) -> str:
        """Address of the product's own tables."""
        return database_address(self.database_url, self.data_dir)


def _hard_to_guess(value: SecretStr | None, without: str) -> SecretStr | None:
    """The secret, if it lets nobody in by chance; ``without`` says what it means that there is none."""
    if value is None:
        return None
    secret = value.get_secret_value()
    if len(secret) < _SHORTEST_TOKEN or not all("!" <= character <= "~" for character in secret):
        raise ValueError(
            f"must be {_SHORTEST_TOKEN} ASCII characters or more without a space; leave the variable out and {without}"
        )
    return value


def database_address(database_url: str | None, data_dir: Path) -> str:
    """The database that is meant: the one named, or SQLite in the data folder."""
    return database_url or f"sqlite:///{data_dir.absolute() / 'deployments.sqlite'}"


def read_settings() -> Settings:
    """The settings of this process; raises `ConfigurationError` that names every variable that is wrong."""
    try:
        return Settings()  # the environment fills it
    except ValidationError as error:
        raise ConfigurationError("\n".join(_sentence(problem) for problem in error.errors())) from None


def _sentence(problem: object) -> str:
    """One line for one problem; never the value, which may be a secret."""
    assert isinstance(problem, dict)
    name = ".".join(str(part).upper() for part in problem["loc"])
    message = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "missing":
        where = " It begins with xoxb- and stands in the Slack app under OAuth & Permissions."
        return f"{name} is not set.{where if name == 'SLACK_BOT_TOKEN' else ''}"
    return f"{name}: {message}." if name else f"{message[0].upper()}{message[1:]}."
