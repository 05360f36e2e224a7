"""Questions to a repository, a campaign's staging or any other: rows, one dataset, logs."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from registry.errors import NotFoundError, StageError, UsageError, nearest
from registry.model.collections import CollectionType
from registry.model.columns import Columns
from registry.model.data_id import parse_assignments
from registry.model.records import QuantumStatus
from registry.model.refs import parse_id
from stage.campaign.edit import split_names
from stage.campaign.files import write_atomically
from stage.campaign.outcomes import by_data_id
from stage.campaign.reports import DatasetContent, LogEntry

if TYPE_CHECKING:
    from registry.registry import Snapshot
    from sync.repo import Repo

__all__ = ["QUESTIONS", "ask", "get_dataset", "read_logs"]

QUESTIONS = ("data-ids", "records", "datasets", "collections", "dataset-types")
_ID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}\Z")
_INTEGER = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_LOG_CONNECTION = "_log"


def _values(texts: Sequence[str]) -> dict[str, Any]:
    """Read ``name=value`` words: a value is a number where it looks like one, and text between quotes."""
    out: dict[str, Any] = {}
    for word in texts:
        name, equals, text = (part.strip() for part in word.partition("="))
        if not equals or not name:
            raise UsageError(f"--bind '{word}' is not of the form NAME=VALUE", code="bind-form")
        if _INTEGER.fullmatch(text):
            out[name] = int(text)
        elif _NUMBER.fullmatch(text):
            out[name] = float(text)
        else:
            out[name] = text[1:-1] if len(text) > 1 and text[0] == text[-1] == "'" else text
    return out


def ask(
    repo: Repo,
    what: str,
    *names: str,
    where: str = "",
    bind: Sequence[str] | Mapping[str, Any] = (),
    collections: Sequence[str] = (),
    find_first: bool = True,
    artifacts: bool = False,
    order_by: Sequence[str] = (),
    limit: int | None = None,
) -> Columns:
    """Put one question to a repository.

    Parameters
    ----------
    repo : Repo
        Open.
    what : {"data-ids", "records", "datasets", "collections", "dataset-types"}
        What is asked for.
    *names : str
        Dimensions; an element; a dataset type or a glob of them; globs of collections; globs of dataset types.
    where : str, optional
        Expression that chooses data IDs.
    bind : mapping or sequence of str, optional
        Values for names in `where`, also as ``name=value`` words; ``name='007'`` is text.
    collections : sequence of str, optional
        Where datasets are searched, in order; everywhere by default.
    find_first, artifacts : bool, optional
        For datasets: see `registry.registry.Snapshot.datasets`.
    order_by : sequence of str, optional
        Columns to sort by, ``-name`` for falling.
    limit : int, optional
        At most so many rows.

    Returns
    -------
    Columns
        The answer.

    Raises
    ------
    UsageError
        If there is no such question, or names are missing.
    NotFoundError
        If something that was named does not exist.
    """
    values = dict(bind) if isinstance(bind, Mapping) else _values(bind)
    with repo.registry.read() as snapshot:
        if what == "data-ids":
            group = snapshot.universe.group(split_words(names))
            return snapshot.data_ids(group, where=where, bind=values, order_by=order_by, limit=limit)
        if what == "records":
            return _records(snapshot, _one(names, "an element"), where, values, order_by, limit=limit)
        if what == "datasets":
            options = {
                "where": where,
                "bind": values,
                "artifacts": artifacts,
                "order_by": order_by,
                "limit": limit,
            }
            return _datasets(snapshot, names or ("*",), split_names(collections), find_first, options)
        if what == "collections":
            return _collections(snapshot, names or ("*",))
        if what == "dataset-types":
            return _dataset_types(snapshot, names or ("*",))
    raise UsageError(f"no question '{what}'", hint=nearest(what, QUESTIONS))


def split_words(names: Sequence[str]) -> list[str]:
    """Return names given one by one or with commas between.

    Parameters
    ----------
    names : sequence of str
        Words.

    Returns
    -------
    list of str
        The names.
    """
    return [part.strip() for name in names for part in name.split(",") if part.strip()]


def _one(names: Sequence[str], what: str) -> str:
    if len(names) != 1:
        raise UsageError(f"expected {what}, got {len(names)} names")
    return names[0]


def _records(
    snapshot: Snapshot,
    element: str,
    where: str,
    bind: Mapping[str, Any],
    order_by: Sequence[str],
    *,
    limit: int | None,
) -> Columns:
    rows = snapshot.records(element, where=where, bind=bind)
    for name in reversed(order_by):
        falling, column = name.startswith("-"), name.lstrip("-").removeprefix(f"{element}.")
        if column not in rows:
            raise UsageError(f"{element} records have no column '{column}'", hint=nearest(column, rows.names))
        values = rows[column].tolist()
        # Nulls first, as in the database; a stable sort keeps the order of the later names.
        order = sorted(range(len(values)), key=lambda i: (values[i] is not None, values[i]), reverse=falling)
        rows = rows.take(np.array(order, dtype=np.int64))
    return rows if limit is None else rows.take(np.arange(min(limit, rows.n_rows)))


def _datasets(
    snapshot: Snapshot,
    globs: Sequence[str],
    path: Sequence[str],
    find_first: bool,
    options: Mapping[str, Any],
) -> Columns:
    types = [t for glob in globs for t in snapshot.dataset_types(glob)]
    if not types and not any(set("*?[") & set(glob) for glob in globs):
        snapshot.dataset_type(globs[0])  # raises, and offers the nearest name
    if len(types) == 1:
        return snapshot.datasets(
            types[0].name, path or ("*",), find_first=find_first and bool(path), **options
        )
    limit = options["limit"]
    parts: list[Columns] = []
    for dataset_type in types:
        found = snapshot.datasets(
            dataset_type.name, path or ("*",), find_first=find_first and bool(path), **options
        )
        if found.n_rows:
            parts.append(_uniform(dataset_type.name, dataset_type.dimensions.required, found))
    names = (
        "dataset_type",
        "data_id",
        "id",
        "run",
        *(("uri", "size", "checksum", "formatter") if options["artifacts"] else ()),
    )
    rows = Columns.concat(parts) if parts else Columns.from_rows(names, [])
    return rows if limit is None else rows.take(np.arange(min(limit, rows.n_rows)))


def _uniform(dataset_type: str, dimensions: Sequence[str], rows: Columns) -> Columns:
    """Return datasets of any dimensions under the same columns."""
    values = [
        ", ".join(f"{d}={v}" for d, v in zip(dimensions, row, strict=True)) for row in rows.rows(dimensions)
    ]
    rest = {name: rows[name] for name in rows.names if name not in dimensions}
    return Columns(
        {"dataset_type": np.array([dataset_type] * rows.n_rows, dtype=object), "data_id": values, **rest}
    )


def _collections(snapshot: Snapshot, globs: Sequence[str]) -> Columns:
    found = snapshot.collections(list(globs))
    return Columns(
        {
            "name": [c.name for c in found],
            "type": [CollectionType(c.type).name for c in found],
            "children": _lists(c.children for c in found),
            "doc": [c.doc for c in found],
        }
    )


def _dataset_types(snapshot: Snapshot, globs: Sequence[str]) -> Columns:
    found = [t for glob in globs for t in snapshot.dataset_types(glob)]
    return Columns(
        {
            "name": [t.name for t in found],
            "dimensions": _lists(t.dimensions.required for t in found),
            "storage_class": [t.storage_class for t in found],
            "is_calibration": [t.is_calibration for t in found],
        }
    )


def _lists(values: Iterable[tuple[str, ...]]) -> np.ndarray[Any, Any]:
    return np.fromiter(values, dtype=object)


def get_dataset(
    repo: Repo, dataset: str, *data_id: str, collections: Sequence[str] = (), output: str | Path | None = None
) -> DatasetContent:
    """Get one dataset's file or content.

    Parameters
    ----------
    repo : Repo
        Open.
    dataset : str
        A dataset type, or an id.
    *data_id : str
        ``dimension=value`` words.
    collections : sequence of str, optional
        Where to search, in order; by default everywhere, for the newest.
    output : str or path, optional
        A local file that gets the artifact as it is stored.

    Returns
    -------
    DatasetContent
        Text for storage classes whose objects are JSON-like or text, else the artifact's bytes.

    Raises
    ------
    NotFoundError
        If there is no such dataset, or its file is gone.
    StorageError
        If `output` cannot be written.
    """
    from sync.files import read_bytes

    with repo.registry.read() as snapshot:
        if _ID.match(dataset) and not data_id:
            ref = snapshot.dataset(parse_id(dataset))
        else:
            path = split_names(collections) or _newest_run_of(snapshot, dataset, data_id)
            found = snapshot.find(dataset, parse_assignments(list(data_id)), path)
            if found is None:
                where = ", ".join(path[:5]) + (", …" if len(path) > 5 else "")
                raise NotFoundError(
                    f"no {dataset} with {', '.join(data_id) or 'an empty data ID'} in {where or 'any run'}",
                    code="no-such-dataset",
                    hint=f"List them: stage query datasets {dataset}",
                )
            ref = found
        artifact = snapshot.artifact(ref.id)
    if artifact is None:
        raise NotFoundError(f"{ref} has no artifact", code="no-artifact")
    if output is not None:
        write_atomically(Path(output), read_bytes(repo.datastore.locate(artifact.uri)))
        return DatasetContent(ref, b"")
    return DatasetContent(ref, _content(repo, ref.dataset_type.storage_class, artifact))


def _newest_run_of(snapshot: Snapshot, dataset_type: str, data_id: Sequence[str]) -> list[str]:
    """Return the RUN with the newest dataset of a type and data ID: ids grow with time."""
    rows = snapshot.datasets(dataset_type, ("*",), find_first=False, data_id=parse_assignments(list(data_id)))
    return [max(rows.rows(("id", "run")))[1]] if rows.n_rows else []


def _content(repo: Repo, storage_class: str, artifact: Any) -> str | bytes:
    import json

    from sync.files import read_bytes

    if artifact.formatter.startswith(("json", "yaml", "text")):
        value = repo.datastore.get(artifact, storage_class)
        return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
    return read_bytes(repo.datastore.locate(artifact.uri))


def read_logs(
    repo: Repo, run: str, *words: str, failed: bool = False, tail: int | None = None
) -> list[LogEntry]:
    """Read the logs of a run's quanta.

    Parameters
    ----------
    repo : Repo
        Open.
    run : str
        The RUN.
    *words : str
        A task's label, and ``dimension=value`` words; all quanta without any.
    failed : bool, optional
        Only quanta that failed.
    tail : int, optional
        Only the last lines of each, so many.

    Returns
    -------
    list of LogEntry
        By task and data ID.

    Raises
    ------
    NotFoundError
        If there is no such run or task.
    UsageError
        If there is no such dimension.
    """
    labels = [w for w in words if "=" not in w]
    if len(labels) > 1:
        raise UsageError(f"expected one task's label, got {', '.join(labels)}")
    chosen = parse_assignments([w for w in words if "=" in w])
    with repo.registry.read() as snapshot:
        snapshot.collection(run)
        quanta = snapshot.quanta(
            [run], task=labels[0] if labels else None, status=[QuantumStatus.FAILED] if failed else None
        )
        if labels and not quanta.n_rows:
            _check_label(snapshot, run, labels[0])
        _check_dimensions(chosen, snapshot.universe.dimension_names)
        links = snapshot.quantum_outputs([run])
        is_log = links["connection"] == _LOG_CONNECTION
        log_of = dict(
            zip(links["quantum_id"][is_log].tolist(), links["dataset_id"][is_log].tolist(), strict=True)
        )
        entries = []
        for row in sorted(quanta.rows(("task", "data_id", "status", "message", "id")), key=by_data_id):
            task, data_id, status, message, quantum = row
            if _matches(data_id, chosen):
                artifact = snapshot.artifact(log_of[quantum]) if quantum in log_of else None
                entries.append((task, data_id, status, message or "", artifact))
    return [LogEntry(t, d, s, m, _text(repo, a, tail)) for t, d, s, m, a in entries]


def _check_label(snapshot: Snapshot, run: str, label: str) -> None:
    known = set(snapshot.quanta([run])["task"].tolist())
    if label not in known:
        raise NotFoundError(
            f"run '{run}' has no quanta of a task '{label}'", code="no-such-task", hint=nearest(label, known)
        )


def _check_dimensions(chosen: Iterable[str], known: Collection[str]) -> None:
    for name in chosen:
        if name not in known:
            raise UsageError(
                f"there is no dimension '{name}'", code="no-such-dimension", hint=nearest(name, known)
            )


def _matches(data_id: str, chosen: Mapping[str, str]) -> bool:
    import json

    values = json.loads(data_id)
    return all(str(values.get(name)) == value for name, value in chosen.items())


def _text(repo: Repo, artifact: Any, tail: int | None) -> str:
    if artifact is None:
        return ""
    try:
        text = str(repo.datastore.get(artifact, "Text"))
    except StageError as exc:
        return f"(its log cannot be read: {exc})"
    if tail is None:
        return text
    return "\n".join(text.rstrip("\n").split("\n")[-tail:]) if tail else ""
