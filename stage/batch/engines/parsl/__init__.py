"""The engine of pilot jobs: workers that live long and take one job after another, through Parsl."""
