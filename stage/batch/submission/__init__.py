"""Making a submission, a stage at a time: graph, clusters, jobs, the engine's files, and handing it over."""
