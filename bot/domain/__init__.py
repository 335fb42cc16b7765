"""What a deployment is and what may happen to it. Pure: no input or output, no vendor, no Slack."""
