"""How modalities read each other: the base class, scores, and one module per fusion. Import from the modules."""
