"""Cases of ``query_vectors.json`` and ``fuzz_query_vectors.json``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from registry.registry import Registry
from tests.vectors.values import from_tagged

if TYPE_CHECKING:
    from registry.queries.results import Result

__all__ = ["answer_query"]


def answer_query(registry: Registry, case: dict[str, Any]) -> list[list[Any]]:
    """Return the rows that a case asks for, in the expected columns, asked as a user would."""
    bind = {k: from_tagged(v) for k, v in case.get("bind", {}).items()}
    with registry.read() as snapshot:
        query = snapshot.query().where(case["where"], bind=bind).where(case.get("data_id") or {})
        query = query.default_data_id(**case.get("default_data_id") or {})
        dimensions = case["dimensions"]
        result: Result[Any] = (
            query.records(dimensions[0]) if case["kind"] == "records" else query.data_ids(dimensions)
        )
        found = result.order_by(*case.get("order_by", ())).limit(case.get("limit")).to_columns()
    columns = case["expected"].get("columns", found.names)
    return [list(row) for row in found.rows(columns)]
