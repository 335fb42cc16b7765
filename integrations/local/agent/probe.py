"""One look at an instance's health over HTTP. Judges one answer, remembers nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp

from integrations.local.agent.ports import HOST

if TYPE_CHECKING:
    from integrations.local.agent.instance import Instance


async def look(session: aiohttp.ClientSession, instance: Instance, *, path: str, timeout: float) -> str:
    """Empty when ``path`` answers 2xx or 3xx within ``timeout`` seconds, else what is wrong in plain words."""
    try:
        async with session.get(
            f"http://{HOST}:{instance.port}{path}",
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=timeout),
        ) as answer:
            status = answer.status
    except TimeoutError:
        return f"GET {path} did not answer within {timeout:g} s"
    except aiohttp.ClientConnectorError:
        return f"nothing listens on its port {instance.port}"
    except (aiohttp.ClientError, OSError, ValueError):
        return f"GET {path} broke off without a whole answer"
    return "" if 200 <= status < 400 else f"GET {path} answered {status}"
