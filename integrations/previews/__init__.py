"""Previews as namespaces of a cluster, each a copy of a template namespace. Imports nothing itself."""

from __future__ import annotations
