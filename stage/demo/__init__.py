"""A simulated sky survey with known truth, and a pipeline for it."""
