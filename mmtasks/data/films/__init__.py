"""The drawn world, filmed: what happens when, how it looks, what titles ask for, how viewers rate it."""
