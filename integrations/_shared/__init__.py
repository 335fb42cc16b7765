"""What several integrations need: no vendor SDK, no state."""

from __future__ import annotations
