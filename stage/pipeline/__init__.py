"""Tasks, their configuration and connections, and pipelines of them."""
