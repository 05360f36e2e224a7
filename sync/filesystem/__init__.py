"""Files at any URI: local ones by system calls, all others through fsspec."""
