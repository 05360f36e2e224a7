"""What runs jobs: this machine, pilot jobs, a scheduler."""
