"""The graph file: columns packed into blocks, an index, checksums, and how they are read and written."""
