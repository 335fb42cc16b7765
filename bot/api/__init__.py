"""The bot's own HTTP address: health, and Slack's deliveries in HTTP mode."""
