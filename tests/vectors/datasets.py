"""Cases of ``dataset_vectors.json``: one registry is set up, and each case is asked of that state."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

from registry.errors import AlreadyExistsError, ConflictError, NotFoundError, StageError, UsageError
from registry.model.collections import CollectionType
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.refs import DatasetRef, new_ids
from registry.model.times import UNBOUNDED_BEGIN, UNBOUNDED_END, Timespan
from registry.registry import Change, Registry, Snapshot
from tests.vectors.compare import differs
from tests.vectors.judging import Hang, lenient, time_limit
from tests.vectors.load import World
from tests.vectors.values import from_tagged, tai

__all__ = ["answer_case", "apply_operation", "ids_of", "run_datasets"]

_REFUSALS = (UsageError, NotFoundError, ConflictError, AlreadyExistsError)
"""What the caller has to change: any of them is the refusal that a case expects."""

Validity = list[str | None]


def _ends(validity: Validity) -> tuple[int | None, int | None]:
    begin, end = (None if text is None else tai(text) for text in validity)
    return begin, end


def _table(operation: dict[str, Any]) -> Columns:
    """Return the data IDs of an operation."""
    columns, rows = operation["columns"], operation["rows"]
    return Columns.from_rows(columns, rows) if columns else Columns({}).take(Columns({"n": rows})["n"] != "")


def ids_of(snapshot: Snapshot, operation: dict[str, Any]) -> list[bytes]:
    """Return the ids of the datasets that an operation names by type, run and data IDs."""
    held = snapshot.datasets(operation["dataset_type"], [operation["run"]], artifacts=False)
    known = dict(zip(held.rows(operation["columns"]), held["id"].tolist(), strict=True))
    return [known[tuple(row)] for row in operation["rows"]]


def _insert(change: Change, operation: dict[str, Any]) -> None:
    n, columns = len(operation["rows"]), operation["columns"]
    given = Columns.from_rows(columns, operation["rows"])
    change.insert_datasets(
        operation["dataset_type"],
        operation["run"],
        Columns({**{k: given[k] for k in columns}, "id": new_ids(n)}),
    )


def _redefine(change: Change, operation: dict[str, Any]) -> None:
    change.collection(operation["name"])
    change.set_chain(operation["name"], operation["children"])


def _register_type(change: Change, operation: dict[str, Any]) -> None:
    group = change.universe.group(operation["dimensions"])
    calibration = operation.get("is_calibration", False)
    change.register_dataset_type(DatasetType(operation["name"], group, "Json", calibration))


def _decertify(change: Change, operation: dict[str, Any]) -> None:
    table = _table(operation) if "rows" in operation else None
    begin, end = _ends(operation["validity"])
    change.decertify(operation["collection"], operation["dataset_type"], begin, end, table=table)


_OPERATIONS: dict[str, Callable[[Change, dict[str, Any]], object]] = {
    "register_run": lambda tx, op: tx.register_run(op["name"]),
    "register_tagged": lambda tx, op: tx.register_collection(op["name"], CollectionType.TAGGED),
    "register_calibration": lambda tx, op: tx.register_collection(op["name"], CollectionType.CALIBRATION),
    "register_chain": lambda tx, op: tx.set_chain(op["name"], op["children"]),
    "redefine_chain": _redefine,
    "register_dataset_type": _register_type,
    "insert": _insert,
    "associate": lambda tx, op: tx.associate(op["collection"], ids_of(tx, op)),
    "disassociate": lambda tx, op: tx.disassociate(op["collection"], ids_of(tx, op)),
    "certify": lambda tx, op: tx.certify(op["collection"], ids_of(tx, op), *_ends(op["validity"])),
    "decertify": _decertify,
    "remove_collection": lambda tx, op: tx.remove_collection(op["name"]),
    "remove_dataset_type": lambda tx, op: tx.remove_dataset_type(op["name"]),
}


def apply_operation(change: Change, operation: dict[str, Any]) -> None:
    """Do what an operation of the vectors says."""
    _OPERATIONS[operation["op"]](change, operation)


def _found(ref: DatasetRef | None) -> dict[str, Any] | None:
    return None if ref is None else {"data_id": dict(ref.data_id), "run": ref.run}


def _find(snapshot: Snapshot, case: dict[str, Any]) -> Any:
    span = None
    if "timespan_tai" in case:
        begin, end = _ends(case["timespan_tai"])
        span = Timespan(UNBOUNDED_BEGIN if begin is None else begin, UNBOUNDED_END if end is None else end)
    return _found(snapshot.find(case["dataset_type"], case["data_id"], case["collections"], timespan=span))


def _find_for_exposure(snapshot: Snapshot, case: dict[str, Any]) -> Any:
    data_id = {**case["data_id"], "exposure": case["exposure"]}
    return _found(snapshot.find(case["dataset_type"], data_id, case["collections"]))


def _query(snapshot: Snapshot, case: dict[str, Any]) -> Any:
    collections = case["collections"]
    rows = snapshot.datasets(
        case["dataset_type"],
        [collections] if isinstance(collections, str) else collections,
        find_first=case["find_first"],
        where=case["where"],
        bind={k: from_tagged(v) for k, v in case.get("bind", {}).items()},
        data_id=case.get("data_id"),
    )
    return [list(row) for row in rows.rows(case["expected"].get("columns", ("run",)))]


def _data_ids_joined(snapshot: Snapshot, case: dict[str, Any]) -> Any:
    group = snapshot.universe.group(case["dimensions"])
    constrain = [(snapshot.dataset_type(name), case["collections"]) for name in case["datasets"]]
    rows = snapshot.data_ids(group, where=case["where"], constrain=constrain)
    return [list(row) for row in rows.rows(case["expected"].get("columns", group.required))]


def _collections(snapshot: Snapshot, case: dict[str, Any]) -> Any:
    types = {CollectionType[name] for name in case["types"]} if "types" in case else None
    flags = {k: case[k] for k in ("flatten_chains", "include_chains") if k in case}
    return snapshot.collection_names(case["expression"], types, **flags)


def _dataset_types(snapshot: Snapshot, case: dict[str, Any]) -> Any:
    return [t.name for t in snapshot.dataset_types(case["expression"])]


_KINDS: dict[str, Callable[[Snapshot, dict[str, Any]], Any]] = {
    "find": _find,
    "find_for_exposure": _find_for_exposure,
    "query": _query,
    "data_ids_joined": _data_ids_joined,
    "collections": _collections,
    "dataset_types": _dataset_types,
}


class _Undo(Exception):  # noqa: N818 - no error: a way back
    """What was done is taken back."""


def answer_case(registry: Registry, case: dict[str, Any]) -> Any:
    """Return what a registry answers to a case; None for an operation that it accepts."""
    if case["kind"] == "operation":
        with contextlib.suppress(_Undo), registry.write() as change:
            apply_operation(change, case["operation"])
            raise _Undo
        return None
    with registry.read() as snapshot:
        return _KINDS[case["kind"]](snapshot, case)


def _wrong(case: dict[str, Any], answer: Any) -> str:
    """Say how an answer differs from the expected one; empty if it does not."""
    expected = case["expected"]
    if "error" in expected:
        return f"answered with {answer}, expected a refusal ({expected.get('peer_exception', expected['error'])})"
    if "found" in expected:
        return "" if answer == expected["found"] else f"found {answer}, expected {expected['found']}"
    if "names" in expected:
        order: Callable[[list[str]], list[str]] = list if expected.get("order_significant") else sorted
        same = order(answer) == order(expected["names"])
        return "" if same else f"names {answer}, expected {expected['names']}"
    return differs(expected, answer) if "count" in expected else ""


def _judge(case: dict[str, Any], registry: Registry) -> str:
    """Say what is wrong with what is answered to a case; empty if nothing is."""
    try:
        with time_limit():
            answer = answer_case(registry, case)
    except Hang as exc:
        return str(exc)
    except _REFUSALS as exc:
        return "" if "error" in case["expected"] or lenient(case) else f"refused: {exc.code}: {exc.message}"
    except StageError as exc:
        return f"{type(exc).__name__}: {exc.message}"
    except Exception as exc:  # noqa: BLE001  (whatever else comes out is what is looked for here)
        return f"traceback: {type(exc).__name__}: {str(exc).splitlines()[0] if str(exc) else ''}"
    return "" if lenient(case) else _wrong(case, answer)


def _text(case: dict[str, Any]) -> str:
    shown = {k: v for k, v in case.items() if k not in {"id", "kind", "expected"}}
    return f"{case['kind']} {json.dumps(shown, ensure_ascii=False)[:300]}"


def run_datasets(path: Path, world: World) -> Iterator[tuple[str, str, str]]:
    """Judge the cases of one file: id, text, what is wrong."""
    document = cast("dict[str, Any]", json.loads(path.read_text(encoding="utf-8")))
    registry = world.fresh(document["dataset"])
    try:
        with registry.write() as change:
            for operation in document["setup"]:
                apply_operation(change, operation)
        for case in document["cases"]:
            yield case["id"], _text(case), _judge(case, registry)
    finally:
        registry.close()
