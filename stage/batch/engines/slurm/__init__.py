"""The engine of a Slurm cluster: jobs go to the scheduler itself, as arrays, and are asked for by one query."""
