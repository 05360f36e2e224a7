"""Changing a graph: refreshed, trimmed, extended, adopted from elsewhere."""
