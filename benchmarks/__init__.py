"""What is said of speed and quality, measured: one module a figure, ``python -m benchmarks.NAME``."""
