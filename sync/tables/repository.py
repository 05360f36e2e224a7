"""A repository from a table: a universe, dimension records and datasets, from a table of any usual form.

`plan_table` reads and checks everything and writes nowhere; `create_from_table` makes what was planned, or nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from registry.errors import NotFoundError, UsageError, nearest
from registry.model.collections import check_collection_name
from registry.model.columns import Columns, as_array
from registry.model.dataset_type import DatasetType
from registry.model.dimensions import DimensionUniverse
from sync import storage
from sync.datastore import TransferMode
from sync.filesystem import files
from sync.tables.facts import Facts
from sync.tables.infer import dimension_name, infer_universe
from sync.tables.read import Table, read_table
from sync.tables.records import records_of, universe_kinds
from sync.tables.values import KINDS, Kind

if TYPE_CHECKING:
    from sync.repo import Repo

__all__ = ["TableDatasets", "TablePlan", "create_from_table", "plan_table"]

_BY_ENDING = {
    ".json": "Json", ".yaml": "Yaml", ".yml": "Yaml", ".txt": "Text", ".npy": "NumpyArray", ".parquet": "ArrowTable",
}  # fmt: skip
_THREADS = 8


@dataclass(frozen=True)
class TableDatasets:
    """The datasets that one column of a table names.

    Parameters
    ----------
    type : DatasetType
        Their type.
    rows : Columns
        Its required dimensions, and ``path``: an absolute path or URI.
    """

    type: DatasetType
    rows: Columns


@dataclass(frozen=True)
class TablePlan:
    """What a repository made from a table will hold.

    Parameters
    ----------
    source : str
        The table.
    universe : DimensionUniverse
        Its dimensions.
    yaml : str
        The universe as text to edit, with a comment on why it came out so.
    records : mapping of str to Columns
        Dimension records by element, in order of reference.
    datasets : sequence of TableDatasets
        One a column of files.
    """

    source: str
    universe: DimensionUniverse
    yaml: str
    records: Mapping[str, Columns]
    datasets: Sequence[TableDatasets]

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON-like values.

        Returns
        -------
        dict
            The universe, counts of records, and the dataset types with their numbers of datasets.
        """
        return {
            "source": self.source,
            "universe": dict(self.universe.source),
            "records": {name: rows.n_rows for name, rows in self.records.items()},
            "dataset_types": [
                {
                    "name": d.type.name, "dimensions": list(d.type.dimensions.required),
                    "storage_class": d.type.storage_class, "datasets": d.rows.n_rows,
                }
                for d in self.datasets
            ],
        }  # fmt: skip


def plan_table(
    source: files.Uri,
    *,
    key: Sequence[str],
    file: Sequence[str] = (),
    dataset_type: str | None = None,
    storage_class: str | None = None,
    universe: DimensionUniverse | None = None,
    types: Mapping[str, str] | None = None,
) -> TablePlan:
    """Read a table and work out the repository that it describes, without writing anywhere.

    Parameters
    ----------
    source : str or path
        The table, as `sync.tables.read.read_table` takes it.
    key : sequence of str
        The columns that say what a row is about, the largest thing first; ``dimension=column`` gives the dimension
        another name.
    file : sequence of str, optional
        Columns with the paths of files, relative to the table: a dataset type each; ``type=column`` gives the dataset
        type another name.
    dataset_type : str, optional
        Name of the dataset type, where there is one column of files.
    storage_class : str, optional
        What the datasets are in memory; by default the endings of the files tell.
    universe : DimensionUniverse, optional
        The universe, edited; inferred by default.
    types : mapping of str to str, optional
        What columns are (``int``, ``float``, ``bool``, ``string``, ``time``), where their values do not tell.

    Returns
    -------
    TablePlan
        Checked: every file is there.

    Raises
    ------
    NotFoundError
        If the table, or a file that it names, is not there; says which line names it.
    UsageError
        If it is no such table: two rows of one key, a row of another length, a column of mixed types, an empty key.
        Names file, line and column.
    """
    table = read_table(source, _declared(types or {}))
    keys = _named(key, table, dimension_name, "key")
    if not keys:
        raise UsageError(
            "no column says what a row is about", code="no-key", hint="Name the key: --key sample,lane."
        )
    columns = _named(file, table, str, "file")
    if dataset_type is not None:
        if len(columns) != 1:
            raise UsageError(
                f"{len(columns)} columns of files, and one dataset type '{dataset_type}'", code="bad-table",
                hint="Name each by its column: --file type=column.",
            )  # fmt: skip
        columns = {dataset_type: next(iter(columns.values()))}
    facts = Facts(table, keys, columns, universe_kinds(universe, table, keys) if universe else {})
    _check_keys(facts)
    if universe is None:
        document, notes = infer_universe(facts, _universe_name(table.place))
        universe = DimensionUniverse.from_document(document)
    else:
        document, notes = dict(universe.source), []
    records = records_of(facts, universe)
    datasets = [_datasets(facts, universe, name, storage_class) for name in columns]
    _check_files(facts, source, columns)
    return TablePlan(str(source), universe, _as_yaml(document, notes, table.place), records, datasets)


def create_from_table(
    root: files.Uri,
    plan: TablePlan,
    *,
    run: str = "raw",
    mode: TransferMode = "copy",
    registry_url: str | None = None,
    datastore_root: files.Uri | None = None,
    shared: str | None = None,
) -> Repo:
    """Make the repository that a table describes: all of it, or nothing.

    Parameters
    ----------
    root : str or path
        Where, as for `sync.repo.Repo.create`.
    plan : TablePlan
        From `plan_table`.
    run : str, optional
        The RUN collection that holds the datasets.
    mode : {"copy", "link", "symlink", "move", "direct"}, optional
        How the files get in, as for `sync.administration.ingest.ingest`.
    registry_url : str, optional
        The database; SQLite in `root` by default.
    datastore_root : str or path, optional
        Where the files go.
    shared : str, optional
        A group that shares it, as for `sync.repo.Repo.create`.

    Returns
    -------
    Repo
        Open to write.

    Raises
    ------
    AlreadyExistsError
        If there is a repository; it is left as it is.
    StorageError
        If something cannot be written. What had been made is removed.
    """
    from sync.administration.ingest import ingest
    from sync.administration.undo_create import removed_on_failure

    check_collection_name(run)
    paths = [path for found in plan.datasets for path in found.rows["path"].tolist()]
    if mode == "move" and len(set(paths)) < len(paths):
        twice = next(p for p in paths if paths.count(p) > 1)
        raise UsageError(
            f"{twice} is named by several datasets and cannot be moved to each", code="file-twice",
            hint="Choose another --mode.",
        )  # fmt: skip
    with removed_on_failure(root, plan.universe, registry_url, datastore_root, shared) as repo:
        with repo.registry.write() as change:
            for element, rows in plan.records.items():
                change.insert_records(element, rows)
            for found in plan.datasets:
                change.register_dataset_type(found.type)
        for found in plan.datasets:
            # What is moved is copied first: until everything is in, a failure leaves the sources where they were.
            ingest(repo, found.type.name, run, found.rows, mode="copy" if mode == "move" else mode)
    if mode == "move":
        for path in paths:
            files.remove(path, missing_ok=True)
    return repo


def _declared(types: Mapping[str, str]) -> dict[str, Kind]:
    out: dict[str, Kind] = {}
    for column, kind in types.items():
        chosen = next((k for k in KINDS if k == kind), None)
        if chosen is None:
            raise UsageError(f"column {column}: no type '{kind}'", code="bad-type", hint=nearest(kind, KINDS))
        out[column] = chosen
    return out


def _named(words: Sequence[str], table: Table, default: Any, what: str) -> dict[str, str]:
    """Read ``column`` or ``name=column`` words, which may be joined by commas."""
    out: dict[str, str] = {}
    for word in (part.strip() for w in words for part in ([w] if w in table.columns else w.split(","))):
        if not word:
            continue
        name, equals, column = ("", "", word) if word in table.columns else word.partition("=")
        found = table.check_column(column if equals else word)
        chosen = name or default(found)
        if chosen in out or found in out.values():
            raise UsageError(f"{what} {word} is named twice", code="bad-table", hint="Name each column once.")
        out[chosen] = found
    return out


def _universe_name(place: str) -> str:
    name = place.replace("\\", "/").rpartition("/")[2].partition(".")[0]
    return name or "table"


def _check_keys(facts: Facts) -> None:
    """Refuse rows without a key, and two rows of one key."""
    keys = list(facts.keys.values())
    for name in keys:
        values = facts.values[name].values
        if None in values:
            facts.table.refuse(values.index(None), name, "a key has no value")
    codes = facts.codes(keys)
    order = np.argsort(codes, kind="stable")
    again = np.flatnonzero(codes[order][1:] == codes[order][:-1])
    if not len(again):
        return
    place = int(again[np.argmin(order[again + 1])])
    first, second = int(order[place]), int(order[place + 1])
    shown = ", ".join(f"{d}={facts.values[c].values[second]}" for d, c in facts.keys.items())
    count = f"; {len(again)} such lines" if len(again) > 1 else ""
    facts.table.refuse(
        second, ", ".join(keys), f"the key {{{shown}}} is that of {facts.table.lines(first)} already{count}",
        code="duplicate-key", hint="Name more key columns (--key), or correct the table.",
    )  # fmt: skip


def _datasets(
    facts: Facts, universe: DimensionUniverse, name: str, storage_class: str | None
) -> TableDatasets:
    """Gather the files of one column: a dataset for each value of the smallest key that tells them apart."""
    column = facts.files[name]
    paths = facts.array(column)
    present = np.array([p is not None for p in paths.tolist()], np.bool_)
    group = universe.group(facts.keys)
    n_paths = len(set(paths[present].tolist()))
    if 0 < n_paths < int(present.sum()):
        # A file that several rows name is a dataset of what those rows have in common, if that tells it.
        smaller = [universe.group(()), *(universe.group([d]) for d in facts.keys), universe.group(facts.keys)]
        smaller.sort(key=lambda g: len(g.required))
        group = next(
            (
                g
                for g in smaller
                if facts.determines([facts.keys[n] for n in g.required if n in facts.keys], column)
            ),
            group,
        )
    columns = {n: as_array(facts.values[facts.keys[n]].values)[present] for n in group.required}
    rows = Columns({**columns, "path": paths[present]})
    if columns:
        rows = rows.unique()
    elif n_paths:
        rows = rows.take(np.zeros(1, np.intp))
    chosen = storage_class or _class_of(rows["path"].tolist())
    storage.storage_class(chosen)
    located = [_located(facts.table.place, path) for path in rows["path"].tolist()]
    return TableDatasets(DatasetType(name, group, chosen), rows.with_column("path", as_array(located)))


def _located(place: str, path: str) -> str:
    if files.is_absolute(path):
        return path
    folder = files.absolute(place).rpartition("/")[0]
    return files.absolute(f"{folder}/{path}")


def _class_of(paths: Sequence[str]) -> str:
    """Return the storage class that files' endings tell, where all of them tell the same."""
    endings = {PurePosixPath(path.removesuffix(".zst")).suffix.lower() for path in paths}
    return _BY_ENDING.get(endings.pop(), "File") if len(endings) == 1 else "File"


def _check_files(facts: Facts, source: files.Uri, columns: Mapping[str, str]) -> None:
    """Refuse a table that names files which are not there, before anything is made."""
    for column in columns.values():
        paths = facts.array(column).tolist()
        distinct = {path: _located(str(source), path) for path in dict.fromkeys(paths) if path is not None}
        with ThreadPoolExecutor(_THREADS) as pool:
            there = dict(zip(distinct, pool.map(_is_file, distinct.values()), strict=True))
        missing = [path for path, found in there.items() if not found]
        if missing:
            more = f" (and {len(missing) - 1:,} more of {len(distinct):,})" if len(missing) > 1 else ""
            raise NotFoundError(
                f"{facts.table.where(paths.index(missing[0]))}, column {column}: "
                f"no such file: {files.redact(distinct[missing[0]])}{more}",
                code="missing-files",
                hint="Paths are relative to the table. Nothing was made.",
                context={"paths": [distinct[path] for path in missing]},
            )


def _is_file(path: str) -> bool:
    local = files.local_path(path)
    return local.is_file() if local is not None else files.exists(path)


def _as_yaml(document: Mapping[str, Any], notes: Sequence[str], place: str) -> str:
    import yaml

    text = yaml.safe_dump(
        dict(document), sort_keys=False, allow_unicode=True, default_flow_style=None, width=110
    )
    lines = [
        f"Inferred from {place.rpartition('/')[2]}. Edit it, and give it by --universe beside --from-table."
    ]
    lines += notes
    return "".join(f"# {line}\n" for line in lines if notes) + str(text)
