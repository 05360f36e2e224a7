"""What was answered against what is expected."""

from __future__ import annotations

import hashlib
import json
from typing import Any

__all__ = ["compact_digest", "differs"]


def _key(row: list[Any]) -> list[tuple[bool, str, Any]]:
    return [(v is not None, type(v).__name__ if not isinstance(v, int | float) else "", v) for v in row]


def compact_digest(rows: list[list[Any]]) -> str:
    """Return the SHA-256 of sorted rows in compact JSON."""
    text = json.dumps(sorted(rows, key=_key), separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def differs(expected: dict[str, Any], rows: list[list[Any]]) -> str:
    """Say how rows differ from the expected ones; empty if they do not."""
    if len(rows) != expected["count"]:
        return f"{len(rows)} rows, expected {expected['count']}"
    if "sha256" in expected:
        return "" if compact_digest(rows) == expected["sha256"] else "other rows than expected"
    wanted = [list(r) for r in expected["rows"]]
    if not expected.get("ordered"):
        rows, wanted = sorted(rows, key=_key), sorted(wanted, key=_key)
    for i, (got, want) in enumerate(zip(rows, wanted, strict=True)):
        if got != want:
            return f"row {i} is {got}, expected {want}"
    return ""
