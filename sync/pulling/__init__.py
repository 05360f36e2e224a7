"""Deciding what a pull does, kind by kind."""
