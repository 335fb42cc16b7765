"""Fixtures that every test may use. The PostgreSQL server is in `postgres.py`."""

from __future__ import annotations

pytest_plugins = ["postgres"]
