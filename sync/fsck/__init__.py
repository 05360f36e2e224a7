"""Checking a repository: what is wrong as values, and the repair of what can be repaired without loss."""
