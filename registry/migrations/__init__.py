"""Alembic migrations of the registry schema; `registry.migrations.run` applies them.

Only the fixed tables are their business: those of a universe's elements and of a dataset type's dimensions follow
from definitions that the database holds.
"""
