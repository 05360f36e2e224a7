"""Settings of a submission: the YAML that people of the field have, and where each value came from."""
