"""One line an event on standard error, and nothing from libraries that a person could not act on."""

from __future__ import annotations

import logging
import sys

#: They write down what they send, and with it what it is signed with.
_TALKATIVE = ("boto3", "botocore", "urllib3", "google", "grpc", "azure", "msal", "kubernetes")
_QUIET = ("slack_bolt", "slack_sdk", "dbos", "alembic", "aiohttp", "asyncio", "uvicorn", "httpx", "httpcore")


def configure(level: str) -> None:
    """Log from ``level`` on; libraries only from warnings on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S%z"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in (*_QUIET, *_TALKATIVE):
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(level)))
