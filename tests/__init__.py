"""Tests, by kind: unit, contract, property, faults, integration, vectors."""
