"""Repositories as files: what an export holds, its forms, and bringing it in."""
