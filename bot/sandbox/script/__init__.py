"""Scenario scripts: what people type in the sandbox, played without a browser.

`grammar.parse` turns a text into typed lines, `player.play` plays them and `transcript` prints the conversation.
Nothing here may look inside the bot: a script sees what a person sees, and the deployments' phases.
"""

from __future__ import annotations
