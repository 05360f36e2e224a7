"""What exists: dimensions, collections, datasets, artifact and provenance rows, and questions about them.

This package knows rows and no files. It is imported by name from the layers above; it re-exports nothing,
so that a worker which needs only ``registry.model`` never loads a database library.
"""
