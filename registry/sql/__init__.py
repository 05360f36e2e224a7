"""Everything that speaks SQL: engine, tables, statements."""
