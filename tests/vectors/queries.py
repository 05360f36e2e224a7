"""Cases of ``query_vectors.json`` and ``fuzz_query_vectors.json``."""

from __future__ import annotations

from typing import Any

from registry.registry import Registry
from tests.vectors.values import from_tagged

__all__ = ["answer_query"]


def answer_query(registry: Registry, case: dict[str, Any]) -> list[list[Any]]:
    """Return the rows that a case asks for, in the expected columns."""
    bind = {k: from_tagged(v) for k, v in case.get("bind", {}).items()}
    common = {"where": case["where"], "bind": bind, "data_id": case.get("data_id")}
    with registry.read() as snapshot:
        if case["kind"] == "records":
            found = snapshot.records(case["dimensions"][0], **common)
        else:
            found = snapshot.data_ids(
                registry.universe.group(case["dimensions"]),
                **common,
                defaults=case.get("default_data_id"),
                order_by=case.get("order_by", ()),
                limit=case.get("limit"),
            )
    columns = case["expected"].get("columns", found.names)
    return [list(row) for row in found.rows(columns)]
