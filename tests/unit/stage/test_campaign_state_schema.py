"""The JSON schema that is shipped says of a state file what the code says."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest

from registry.errors import StageError
from stage.campaign.state import CampaignState

SCHEMA = json.loads((files("stage.campaign") / "state.schema.json").read_text())
FULL = {
    "version": "1.0.0",
    "name": "deep",
    "doc": "for a test",
    "repo": "/data/shared",
    "collections": {
        "inputs": ["HSC/raw"],
        "chain": "deep",
        "current_run": None,
        "next_run": "%c/%t",
        "past_runs": ["deep/1"],
        "counter": 2,
        "created": ["deep", "deep/1"],
    },
    "pipeline": "pipeline.yaml",
    "run_dirs": True,
    "artifacts": "copy",
    "cache_size": "20GB",
    "outputs_in": "s3://bucket/outputs",
    "quantum_graph": {
        "uri": "deep.qg",
        "collections": ["HSC/raw"],
        "pipeline_fingerprint": "0a1b",
        "data_query": "visit = 1",
        "data_id_table": "ids.csv",
        "skip_existing_in": ["u/me/*"],
        "digests": {"HSC/raw": "0c"},
    },
}
KINDS: dict[str, Any] = {"string": str, "array": list, "object": dict, "null": type(None), "boolean": bool}


def _complaints(value: Any, schema: Any, where: str = "") -> Iterator[str]:
    """Say what of a value a schema does not allow: as much of the language as is used there."""
    kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    is_count = isinstance(value, int) and not isinstance(value, bool)
    if not any(is_count if kind == "integer" else isinstance(value, KINDS[kind]) for kind in kinds):
        yield f"{where}: not of type {kinds}"
    elif isinstance(value, str):
        if len(value) < schema.get("minLength", 0) or not re.search(schema.get("pattern", ""), value):
            yield f"{where}: {value!r}"
    elif is_count and value < schema.get("minimum", value):
        yield f"{where}: {value}"
    elif isinstance(value, list):
        for item in value:
            yield from _complaints(item, schema["items"], f"{where}[]")
    elif isinstance(value, dict):
        known, others = schema.get("properties", {}), schema.get("additionalProperties")
        yield from (f"{where}.{name}: missing" for name in schema.get("required", ()) if name not in value)
        for name, inner in value.items():
            if name in known or others:
                yield from _complaints(inner, known.get(name, others), f"{where}.{name}")
            else:
                yield f"{where}.{name}: unknown"


def _is_read(document: Any) -> bool:
    try:
        CampaignState.from_document(document)
    except StageError:
        return False
    return True


def _changed(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """Return the full document with one field set, or removed if the value is `...`."""
    out = copy.deepcopy(FULL)
    inner: Any = out
    for name in path[:-1]:
        inner = inner[name]
    if value is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return out


def _paths(document: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, value in document.items():
        yield (*above, name)
        if isinstance(value, dict) and name != "digests":
            yield from _paths(value, (*above, name))


def _schema_paths(schema: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, inner in schema.get("properties", {}).items():
        yield (*above, name)
        yield from _schema_paths(inner, (*above, name))


PATHS = list(_paths(FULL))


def test_the_schema_has_every_field() -> None:
    """What a full state file has is what the schema has, and both take it."""
    assert sorted(PATHS) == sorted(_schema_paths(SCHEMA))
    assert list(_complaints(FULL, SCHEMA)) == []
    assert _is_read(FULL)
    assert CampaignState.from_document(FULL).to_document() == FULL


@pytest.mark.parametrize("path", PATHS, ids=".".join)
def test_both_refuse_and_take_the_same(path: tuple[str, ...]) -> None:
    """Each field absent, null, empty and of each wrong kind: the schema says yes where the code does."""
    for value in (..., None, "", [], {}, 1, -1, True, ["a"], [""], [1], {"a": "b"}, {"a": ""}, "a"):
        document = _changed(path, value)

        assert (not list(_complaints(document, SCHEMA))) == _is_read(document), (path, value)


def test_both_refuse_what_is_unknown() -> None:
    """A misspelt field is lost nowhere."""
    for path in (("nmae",), ("collections", "chian"), ("quantum_graph", "url")):
        document = _changed(path, "x")

        assert list(_complaints(document, SCHEMA))
        assert not _is_read(document)
