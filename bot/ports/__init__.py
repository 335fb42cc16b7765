"""What the engine needs from the world: one small Protocol a module, async and keyword-only."""
