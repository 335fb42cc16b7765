"""Decisions: may this happen? Each module answers with a `Decision`, never with an exception."""
