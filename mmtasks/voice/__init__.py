"""Voice control: what can be commanded, in which words, and what it means."""
