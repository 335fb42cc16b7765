"""What platforms ask of the bot before they go on."""
