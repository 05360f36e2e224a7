"""The engine of HTCondor: a DAG and submit descriptions, which DAGMan works through by itself."""
