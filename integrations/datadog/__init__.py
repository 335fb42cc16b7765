"""Numbers and monitors from Datadog, and deployments among its graphs. Imports nothing itself."""

from __future__ import annotations
