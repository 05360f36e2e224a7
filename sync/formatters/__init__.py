"""One module per storage format: bytes in a file to an object in memory, and back."""
