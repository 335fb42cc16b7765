"""Whether a release does well: checks, verdicts, and what is counted down when it does not. Pure."""
