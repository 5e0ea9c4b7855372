"""Ways in for readings, one a module behind the one Protocol of `port`."""
