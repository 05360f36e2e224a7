"""Repositories (registry and datastore together), files and formats, and moving what exists between them."""
