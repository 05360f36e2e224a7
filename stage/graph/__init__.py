"""Quantum graphs: built set-wise, kept in a columnar file."""
