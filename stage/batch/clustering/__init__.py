"""Which quanta make a job together: one each, by their dimensions, or by following dependencies."""
