"""Use cases and the durable workflows. Knows providers, database and chat only through `bot.ports`."""
