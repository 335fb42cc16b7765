"""Deployment Architect: a Slack bot that deploys."""
