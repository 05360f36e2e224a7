"""Ingest: registering files that exist as datasets, thousands at a time, all or none.

Everything that the registry can refuse is asked before any file moves; then files are checked and put in place by a
few threads; then one transaction writes all rows. If anything fails, what was put in place is removed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from registry.errors import (
    ConflictError,
    DataIdError,
    NotFoundError,
    StageError,
    nearest,
)
from registry.model.collections import CollectionType, check_collection_name
from registry.model.columns import Array, Columns, as_array, group_codes
from registry.model.data_id import check_value, format_values
from registry.model.dataset_type import DatasetType
from registry.model.refs import new_ids
from sync import storage
from sync.administration.intake import SHOWN, Intake, check_mode, listed, sizes
from sync.datastore import TransferMode
from sync.filesystem import files
from sync.fsspec_store import extensions
from sync.paths import artifact_stem

if TYPE_CHECKING:
    from registry.registry import Snapshot
    from sync.repo import Repo

__all__ = ["ingest"]


def ingest(
    repo: Repo,
    dataset_type: str,
    run: str,
    rows: Columns,
    *,
    mode: TransferMode = "copy",
    formatter: str | None = None,
    checksum: bool | None = None,
) -> int:
    """Register files as datasets of one type in one RUN collection.

    Parameters
    ----------
    repo : Repo
        Open to write.
    dataset_type : str
        Their kind, which is registered.
    run : str
        The RUN collection, made if need be.
    rows : Columns
        The required dimensions of the dataset type, and ``path``.
    mode : {"copy", "link", "symlink", "move", "direct"}, optional
        How the files get in; ``"direct"`` leaves them where they are and records their absolute URIs.
    formatter : str, optional
        Who reads them; by default the formatter of the dataset type's storage class, or its ``.zst`` form for
        files that are named so.
    checksum : bool, optional
        Whether checksums are taken; without them ``link``, ``symlink`` and ``direct`` read no file. By default they
        are, but for ``direct``: whoever owns the files may change them.

    Returns
    -------
    int
        How many.

    Raises
    ------
    NotFoundError
        If files are missing (all are counted, the first ones named), or the dataset type is.
    DataIdError
        If a column is missing or has a wrong value, or dimension records are missing.
    ConflictError
        If the run has one of the datasets already, or `rows` has one twice.
    StorageError
        If a file cannot be put in place. In all these cases nothing has changed.
    """
    check_collection_name(run)
    check_mode(mode)
    with_checksums = mode != "direct" if checksum is None else checksum
    with repo.registry.read() as snapshot:
        kind = snapshot.dataset_type(dataset_type)
        data_ids, paths = _split(kind, rows)
        _check_distinct(data_ids, paths)
        if mode != "direct":
            # Where no file is touched, the transaction itself is the cheapest way to ask.
            _check(snapshot, kind, run, data_ids)
    found = _existing_sizes(paths)
    ids = new_ids(len(paths))
    uris = _destinations(mode, _stems(run, kind, data_ids, ids), paths)
    formatters = _formatters(kind, paths, formatter)
    intake = Intake(repo.datastore)
    try:
        taken = intake.put(mode, paths, uris, found, checksum=with_checksums)
        table = data_ids
        for name, values in (("id", ids), ("uri", uris), ("size", taken[0]), ("checksum", taken[1])):
            table = table.with_column(name, as_array(values))
        with repo.registry.write() as change:
            change.register_run(run)
            change.insert_datasets(kind.name, run, table.with_column("formatter", as_array(formatters)))
    except BaseException as exc:
        with contextlib.suppress(StageError):
            if not (ids and repo.holds(ids[0])):
                intake.undo()
        if mode == "direct" and isinstance(exc, DataIdError | ConflictError):
            with repo.registry.read() as snapshot:
                _check(snapshot, kind, run, data_ids)
        raise
    intake.finish()
    return len(paths)


def _check(snapshot: Snapshot, kind: DatasetType, run: str, data_ids: Columns) -> None:
    """Ask what the registry can refuse, and tell of all of it."""
    check_records(snapshot, kind, data_ids)
    _check_new(snapshot, kind, run, data_ids)


def check_records(snapshot: Snapshot, kind: DatasetType, data_ids: Columns) -> None:
    """Refuse data IDs that name what the registry does not know.

    Parameters
    ----------
    snapshot : Snapshot
        Where the dimension records are.
    kind : DatasetType
        The dataset type.
    data_ids : Columns
        Its required dimensions.

    Raises
    ------
    DataIdError
        If dimension records are missing; counts them by dimension and names the first ones.
    """
    for name in kind.dimensions.required:
        element = kind.dimensions.universe.element(name)
        if not element.has_table or not data_ids.n_rows:
            continue
        wanted = data_ids.unique(element.required)
        known = snapshot.records(name, keys=wanted).select(element.required)
        missing = np.flatnonzero(~_isin(wanted, known))
        if len(missing):
            few = wanted.take(missing[:SHOWN]).rows()
            raise DataIdError(
                f"no {name} record for {listed([format_values(element.required, row) for row in few], len(missing))}",
                code="missing-records",
                hint="Register the dimension records first: stage repo import.",
                context={"dimension": name, "count": len(missing)},
            )


def _split(kind: DatasetType, rows: Columns) -> tuple[Columns, list[str]]:
    """Check names and types of the columns."""
    required = kind.dimensions.required
    for name in rows:
        if name != "path" and name not in required:
            raise DataIdError(
                f"column '{name}' is neither a dimension of {kind} nor 'path'",
                code="data-id-unknown",
                hint=nearest(name, [*required, "path"]),
            )
    missing = [n for n in (*required, "path") if n not in rows]
    if missing:
        raise DataIdError(f"the table of files lacks {', '.join(missing)} ({kind})", code="data-id-missing")
    universe = kind.dimensions.universe

    def checked(name: str) -> Array:
        key = universe.element(name).key
        if key is not None and key.type == "int" and rows[name].dtype == np.int64:
            return rows[name]
        values = rows[name].tolist()
        exact = {value: check_value(universe, name, value) for value in dict.fromkeys(values)}
        return as_array([exact[value] for value in values])

    data_ids = Columns({name: checked(name) for name in required})
    return data_ids, _absolute(rows["path"].tolist())


def _absolute(paths: list[Any]) -> list[str]:
    """Make paths absolute; most tables hold plain ones, which are seen at one glance."""
    text = "\n".join(map(str, paths))
    plain = not any(odd in text for odd in ("//", "/.", "/\n")) and not text.endswith("/")
    if plain and all(type(path) is str and path.startswith("/") for path in paths):
        return paths
    return [files.absolute(path) for path in paths]


def _check_distinct(data_ids: Columns, paths: Sequence[str]) -> None:
    n = len(paths)
    codes = group_codes([data_ids[name] for name in data_ids]) if data_ids.names else np.zeros(n, np.int64)
    order = np.argsort(codes, kind="stable")
    again = np.flatnonzero(codes[order][1:] == codes[order][:-1])
    if len(again):
        one, other = int(order[again[0]]), int(order[again[0] + 1])
        raise ConflictError(
            f"two files for one dataset ({_at(data_ids, one)}): {paths[one]} and {paths[other]}",
            code="dataset-twice",
            hint="Leave out one of them, or ingest it into another run.",
        )


def _check_new(snapshot: Snapshot, kind: DatasetType, run: str, data_ids: Columns) -> None:
    n = data_ids.n_rows if data_ids.names else 1
    try:
        found = snapshot.collection(run)
    except NotFoundError:
        return
    if found.type is not CollectionType.RUN:
        raise ConflictError(
            f"'{run}' is a {found.type.name} collection, not a RUN",
            code="collection-type-differs",
            hint="Ingest into a run of another name.",
        )
    table = data_ids if data_ids.names else None
    there = snapshot.datasets(kind.name, [run], find_first=False, table=table)
    if not there.n_rows:
        return
    first = format_values(kind.dimensions.required, there.rows(kind.dimensions.required)[0])
    raise ConflictError(
        f"run '{run}' has {there.n_rows} of these {n} datasets already "
        f"({kind.name} {{{first}}}{', …' if there.n_rows > 1 else ''})",
        code="dataset-exists",
        hint="Ingest into another run, or leave those files out.",
    )


def _formatters(kind: DatasetType, paths: Sequence[str], chosen: str | None) -> list[str]:
    """Name the formatter of each file, and refuse one that does not exist before anything is done."""
    plain = chosen or storage.storage_class(kind.storage_class).formatter
    packed = plain if chosen or plain.endswith(".zst") else f"{plain}.zst"
    out = [packed if path.endswith(".zst") else plain for path in paths]
    for name in set(out):
        storage.formatter(name)
    return out


def _existing_sizes(paths: Sequence[str]) -> list[int]:
    found = sizes(paths)
    missing = [path for path, size in zip(paths, found, strict=True) if size is None]
    if missing:
        raise NotFoundError(
            f"no such file: {listed(missing[:SHOWN], len(missing))}",
            code="missing-files",
            hint="Nothing was ingested; correct the paths, or leave those files out.",
            context={"paths": missing},
        )
    return found  # type: ignore[return-value]


def _destinations(mode: TransferMode, stems: Iterator[str], paths: Sequence[str]) -> list[str]:
    """Return what the records will name: relative paths, or the files themselves."""
    if mode == "direct":
        return list(paths)
    return [stem + extensions(path) for stem, path in zip(stems, paths, strict=True)]


def _stems(run: str, kind: DatasetType, data_ids: Columns, ids: Sequence[bytes]) -> Iterator[str]:
    names = kind.dimensions.required
    rows = data_ids.rows(names) if names else [()] * len(ids)
    for values, dataset_id in zip(rows, ids, strict=True):
        yield artifact_stem(run, kind.name, names, values, dataset_id)


def _isin(wanted: Columns, known: Columns) -> Array:
    """Tell which rows of `wanted` are among `known`, both of the same columns."""
    if not known.n_rows:
        return np.zeros(wanted.n_rows, np.bool_)
    both = Columns.concat([wanted, known])
    codes = group_codes([both[name] for name in both])
    return np.isin(codes[: wanted.n_rows], codes[wanted.n_rows :])


def _at(data_ids: Columns, row: int) -> str:
    values = data_ids.take(np.array([row])).rows()[0]
    return format_values(data_ids.names, values) or "no dimensions"
