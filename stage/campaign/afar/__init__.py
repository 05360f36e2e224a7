"""Campaigns whose directory is at a URI: worked on in a copy on this machine, and saved back in generations."""
