"""The parts of a fetch: which collections it brings, and what of their members."""
