"""The bot's own HTTP address: health, metrics, and Slack's deliveries in HTTP mode."""
