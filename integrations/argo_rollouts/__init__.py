"""Argo Rollouts: the bot paces a Rollout from one of its pauses to the next. Nothing is imported until it is used."""
