"""Calls Datadog by its own client, and says in our words what went wrong. A client for each call, closed after it.

The client is not trusted with three things: its retries, which repeat what changes something; its environment
variables, which would send our keys to another site; and its errors, whose text quotes whole answers.
"""

from __future__ import annotations

import asyncio
import zlib
from typing import TYPE_CHECKING, Any

from aiosonic.exceptions import AiosonicError, BaseTimeout  # type: ignore[import-untyped]  # it carries no types
from datadog_api_client import AsyncApiClient, Configuration
from datadog_api_client.exceptions import ApiException, OpenApiException

from bot.domain.errors import ProviderError, ProviderTimeout, ProviderUnavailable
from integrations._shared.failures import refusal, told
from integrations._shared.secrets import reveal
from integrations.datadog.query import PROVIDER

if TYPE_CHECKING:
    from integrations.datadog.options import DatadogOptions

NAME = "Datadog"


class Api:
    """The API of one organisation. Holds no connection and no secret."""

    def __init__(self, options: DatadogOptions) -> None:
        self._options = options

    async def call(self, kind: Any, method: str, **arguments: Any) -> Any:
        """What the ``method`` of the client's class ``kind`` answers within ``timeout`` seconds.

        Raises `ProviderError`, and `ConfigurationError` when a key cannot be read.
        """
        limit = self._options.timeout
        client: Any = AsyncApiClient(await self._configuration())
        trouble: ProviderError
        try:
            async with asyncio.timeout(limit):
                return await getattr(kind(client), method)(**arguments)
        except (TimeoutError, BaseTimeout):
            trouble = ProviderTimeout(f"{NAME} did not answer within {limit:g} s.", provider=PROVIDER)
        except ApiException as error:
            trouble = refusal(PROVIDER, NAME, error.status or 0, error.headers or {}, _said(error.body))
        except (OpenApiException, ValueError, TypeError, LookupError, AttributeError, RecursionError):
            # The client believes that whatever answers is JSON of the right shape.
            trouble = unreadable()
        except (AiosonicError, OSError, EOFError, zlib.error) as error:
            trouble = ProviderUnavailable(f"{NAME} cannot be reached ({type(error).__name__}).", provider=PROVIDER)
        finally:
            # The client's own close does nothing, and its context manager closes nothing after an error.
            await client.__aexit__(None, None, None)
        # Outside of the handler, so that no exception that knows the request hangs on ours.
        raise trouble

    async def _configuration(self) -> Configuration:
        keys = {
            "apiKeyAuth": await reveal(self._options.api_key),
            "appKeyAuth": await reveal(self._options.app_key),
        }
        # A host, and not a site: DD_SITE of the environment would win over a site.
        configure: Any = Configuration  # its constructor carries no types
        found: Configuration = configure(
            host=self._options.endpoint,
            api_key=keys,
            enable_retry=False,
            request_timeout=self._options.timeout,
            check_return_type=False,
        )
        return found


def as_dict(model: Any) -> dict[str, Any]:
    """What the client made of an answer as plain data; raises `ProviderError` when it made nothing of it."""
    found = model.to_dict() if hasattr(model, "to_dict") else None
    if not isinstance(found, dict):
        raise unreadable()
    return found


def unreadable() -> ProviderError:
    """What answered does not speak as Datadog does."""
    return ProviderError(f"What answered is not {NAME}, or its answer cannot be read.", provider=PROVIDER)


def _said(body: object) -> str:
    """Datadog's own words in the body of an error."""
    errors = body.get("errors") if isinstance(body, dict) else None
    if isinstance(errors, list):
        return told(
            "; ".join(str(e.get("detail", e.get("title", ""))) if isinstance(e, dict) else str(e) for e in errors)
        )
    return ""
