"""Numbers from asking a service itself over HTTP. Imports nothing itself."""

from __future__ import annotations
