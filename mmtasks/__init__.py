"""Train models that read several modalities: one attention-fusion backbone, pluggable objectives and tasks."""

__version__ = "0.1.0"
