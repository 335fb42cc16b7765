"""Everything that speaks Slack. Nothing outside of this package imports slack_bolt or slack_sdk."""
