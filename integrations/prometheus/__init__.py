"""Numbers from Prometheus and from what speaks its API (Thanos, Mimir, VictoriaMetrics). Imports nothing itself."""

from __future__ import annotations
