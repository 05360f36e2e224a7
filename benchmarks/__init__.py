"""Measurements: ours beside the floor and the reference."""
