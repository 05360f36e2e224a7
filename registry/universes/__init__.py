"""Dimension universes that are shipped as data."""
