"""What is asked for at the doors, by noun: each desk turns intents into use cases, and their results into answers."""
