"""A small spoken world, the same for the same seed: what is said, by whom, and where."""
