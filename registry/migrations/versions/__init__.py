"""One module a schema version, named after it; none is changed once it was released."""
