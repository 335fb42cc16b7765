"""Versions as tags of a registry that speaks the OCI distribution API. Imports nothing itself."""

from __future__ import annotations
