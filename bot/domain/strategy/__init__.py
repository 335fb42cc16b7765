"""How a release takes the place of another, as data, and the one interpreter's next move. Pure."""
