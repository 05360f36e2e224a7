"""Ingest: registering files that exist as datasets, thousands at a time, all or none.

Everything that the registry can refuse is asked before any file moves; then files are checked and put in place by a
few threads; then one transaction writes all rows. If anything fails, what was put in place is removed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from registry.errors import (
    ConflictError,
    DataIdError,
    NotFoundError,
    StageError,
    StorageError,
    UsageError,
    nearest,
)
from registry.model.collections import CollectionType, check_collection_name
from registry.model.columns import Array, Columns, as_array, group_codes
from registry.model.data_id import check_value, format_values
from registry.model.dataset_type import DatasetType
from registry.model.refs import new_ids
from sync import files, storage
from sync.datastore import TransferMode
from sync.durable import flush
from sync.file_errors import worded
from sync.fsspec_store import extensions
from sync.paths import artifact_stem

if TYPE_CHECKING:
    from registry.registry import Snapshot
    from sync.repo import Repo

__all__ = ["ingest"]

_MODES = ("copy", "link", "symlink", "move", "direct")
_SHOWN = 10
_BATCH = 64
_THREADS = min(8, os.cpu_count() or 1)


def ingest(
    repo: Repo,
    dataset_type: str,
    run: str,
    rows: Columns,
    *,
    mode: TransferMode = "copy",
    formatter: str | None = None,
    checksum: bool = True,
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
        Whether checksums are taken; without them ``link``, ``symlink`` and ``direct`` read no file.

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
    if mode not in _MODES:
        raise UsageError(f"no ingest mode '{mode}'", code="bad-mode", hint=nearest(mode, _MODES))
    with repo.registry.read() as snapshot:
        kind = snapshot.dataset_type(dataset_type)
        data_ids, paths = _split(kind, rows)
        _check_distinct(data_ids, paths)
        check_records(snapshot, kind, data_ids)
        _check_new(snapshot, kind, run, data_ids, len(paths))
    job = _Job(repo, mode, checksum)
    ids = new_ids(len(paths))
    uris = job.destinations(_stems(run, kind, data_ids, ids), paths)
    formatters = _formatters(kind, paths, formatter)
    try:
        found = job.carry_out(paths, uris)
        table = data_ids
        for name, values in (("id", ids), ("uri", uris), ("size", found[0]), ("checksum", found[1])):
            table = table.with_column(name, as_array(values))
        with repo.registry.write() as change:
            change.register_run(run)
            change.insert_datasets(kind.name, run, table.with_column("formatter", as_array(formatters)))
    except BaseException:
        with contextlib.suppress(StageError):
            if not (ids and repo.holds(ids[0])):
                job.undo()
        raise
    job.finish(paths)
    return len(paths)


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
            few = wanted.take(missing[:_SHOWN]).rows()
            raise DataIdError(
                f"no {name} record for {_listed([format_values(element.required, row) for row in few], len(missing))}",
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
        values = rows[name].tolist()
        exact = {value: check_value(universe, name, value) for value in dict.fromkeys(values)}
        return as_array([exact[value] for value in values])

    data_ids = Columns({name: checked(name) for name in required})
    return data_ids, [files.absolute(path) for path in rows["path"].tolist()]


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


def _check_new(snapshot: Snapshot, kind: DatasetType, run: str, data_ids: Columns, n: int) -> None:
    if not n:
        return
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


def _stems(run: str, kind: DatasetType, data_ids: Columns, ids: Sequence[bytes]) -> Iterator[str]:
    names = kind.dimensions.required
    rows = data_ids.rows(names) if names else [()] * len(ids)
    for values, dataset_id in zip(rows, ids, strict=True):
        yield artifact_stem(run, kind.name, names, values, dataset_id)


@dataclass
class _Job:
    """Puts files in place, and takes them away again."""

    repo: Repo
    mode: TransferMode
    checksum: bool
    made: list[str] = field(default_factory=list)

    def destinations(self, stems: Iterator[str], paths: Sequence[str]) -> list[str]:
        """Return what the records will name: relative paths, or the files themselves."""
        if self.mode == "direct":
            return list(paths)
        return [stem + extensions(path) for stem, path in zip(stems, paths, strict=True)]

    def carry_out(self, paths: Sequence[str], uris: Sequence[str]) -> tuple[list[int], list[str]]:
        """Put all files in place; return their sizes and checksums."""
        sizes = self._all(_size_or_none, paths)
        missing = [path for path, size in zip(paths, sizes, strict=True) if size is None]
        if missing:
            raise NotFoundError(
                f"no such file: {_listed(missing[:_SHOWN], len(missing))}",
                code="missing-files",
                hint="Nothing was ingested; correct the paths, or leave those files out.",
                context={"paths": missing},
            )
        if self.mode == "direct":
            return self._inspect(paths, sizes)
        targets = [self.repo.datastore.locate(uri) for uri in uris]
        # Noted before they exist, so that an interruption at any moment leaves none behind.
        self.made += uris
        if self.mode in {"copy", "move"}:
            found = self._all(_copy, paths, targets)
            result = [size for size, _ in found], [digest for _, digest in found]
        else:
            result = self._inspect(paths, sizes)
            self._all(files.symlink if self.mode == "symlink" else files.link, paths, targets)
        root = self.repo.datastore.root
        if files.is_local(root) and self.mode != "symlink":
            with worded(root, "flush"):
                flush(uris, root)
        return result

    def _inspect(self, paths: Sequence[str], sizes: list[Any]) -> tuple[list[int], list[str]]:
        if not self.checksum:
            return sizes, [""] * len(sizes)
        found = self._all(files.checksum, paths)
        return [size for size, _ in found], [digest for _, digest in found]

    def _all(self, act: Callable[..., Any], *columns: Sequence[str]) -> list[Any]:
        """Do `act` for each row, in order, by a few threads that each take many rows at a time."""
        n = len(columns[0])
        if n <= _BATCH:
            return list(map(act, *columns))
        starts = range(0, n, _BATCH)
        with ThreadPoolExecutor(_THREADS) as pool:
            done = pool.map(lambda i: list(map(act, *(c[i : i + _BATCH] for c in columns))), starts)
            return [item for part in done for item in part]

    def undo(self) -> None:
        """Remove what was put in place; sources are untouched still."""
        for uri in self.made:
            with contextlib.suppress(StageError):
                self.repo.datastore.remove(uri)
        for uri in {os.path.split(uri)[0] + "/x" for uri in self.made}:
            self.repo.datastore.prune(uri)

    def finish(self, paths: Sequence[str]) -> None:
        """Remove the sources of what was moved, now that rows name the copies."""
        if self.mode != "move":
            return
        left = []
        for path in paths:
            try:
                files.remove(path, missing_ok=True)
            except StorageError as exc:
                left.append(exc.message)
        if left:
            raise StorageError(
                f"all {len(paths)} files were ingested, but {len(left)} of their sources are still there: {left[0]}",
                code="sources-left",
                hint="Remove them by hand.",
            )


def _size_or_none(path: str) -> int | None:
    try:
        return files.size(path)
    except NotFoundError:
        return None


def _copy(src: str, dst: str) -> tuple[int, str]:
    return files.copy(src, dst)


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


def _listed(few: Sequence[str], count: int) -> str:
    rest = f" and {count - len(few)} more" if count > len(few) else ""
    return f"{'; '.join(few)}{rest}"
