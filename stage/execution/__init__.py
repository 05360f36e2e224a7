"""Running quanta: one runner for the process pool, one process and batch jobs."""
