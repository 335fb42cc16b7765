"""Numbers from New Relic, and deployments among its graphs. Imports nothing itself."""

from __future__ import annotations
