"""Questions to a registry that are put together step by step, and their answers."""
