"""What a repository's keeper does: taking files in, removing, upgrading."""
