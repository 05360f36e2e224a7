"""Why a graph is as it is: counts after each constraint, and causes."""
