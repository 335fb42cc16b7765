"""Webhooks: alerts that Alertmanager and Datadog send."""
