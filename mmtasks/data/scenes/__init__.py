"""A small drawn world, the same for the same seed: scenes, what is said of them, how they look."""
