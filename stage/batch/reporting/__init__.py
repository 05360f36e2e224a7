"""What becomes of submissions: tables for people, states for scripts, and ends that are asked for."""
