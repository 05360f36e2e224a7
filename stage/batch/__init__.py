"""Batch: a graph as a workflow of jobs, on an engine that runs them without any database."""
