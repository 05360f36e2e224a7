"""The engine of sites that are reached by ssh: files go there and come back, and an agent there runs the jobs."""
