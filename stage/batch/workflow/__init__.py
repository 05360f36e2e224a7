"""From a graph to jobs: clustering, resources, names, and the file that jobs read their part from."""
