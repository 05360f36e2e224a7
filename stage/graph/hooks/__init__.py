"""Tasks' own code while a graph is built."""
