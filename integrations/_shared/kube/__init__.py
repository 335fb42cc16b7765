"""A Kubernetes API server as several integrations need it: raw JSON in and out. Imports nothing until asked for."""

from __future__ import annotations
