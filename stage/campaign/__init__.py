"""The campaign directory: its state, its lock, its commands."""
