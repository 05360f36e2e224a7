"""Writing a repository, or a part of it, as JSON lines; `sync.exports.json_repository` says which files there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from registry.errors import AlreadyExistsError, IntegrityError, NotFoundError, UsageError, nearest
from registry.model.collections import Collection, CollectionType
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.refs import id_text
from sync.administration.intake import SHOWN, Intake, listed, sizes
from sync.closure import close_records, keys_of_datasets, merge_keys
from sync.exports import json_repository as layout
from sync.exports.export_lines import collection_object, dataset_objects, plain_objects, type_object
from sync.exports.json_forms import span_to_json
from sync.exports.json_lines import encode, write_objects
from sync.exports.record_fields import objects_of
from sync.filesystem import files
from sync.fsspec_store import FsspecDatastore, extensions
from sync.paths import artifact_stem

if TYPE_CHECKING:
    from registry.registry import Snapshot
    from sync.repo import Repo

__all__ = ["ExportReport", "FilesMode", "Selection", "export_repository"]

FilesMode = Literal["none", "copy", "link"]
_FILES_MODES = ("none", "copy", "link")


@dataclass(frozen=True)
class Selection:
    """Which datasets are exported.

    Parameters
    ----------
    dataset_types : sequence of str
        Names and patterns; all by default.
    collections : sequence of str
        Names and patterns; all by default.
    where : str
        An expression that their data IDs fulfil.
    bind : mapping
        Values for names in it.
    """

    dataset_types: Sequence[str] = ()
    collections: Sequence[str] = ()
    where: str = ""
    bind: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_everything(self) -> bool:
        """Whether nothing is left out."""
        return not (self.dataset_types or self.collections or self.where)


@dataclass
class ExportReport:
    """What an export wrote.

    Parameters
    ----------
    records, datasets : dict of str to int
        Dimension records by element, and datasets by type.
    dataset_types, collections, tags, validity_ranges, files : int
        How many.
    """

    records: dict[str, int] = field(default_factory=dict)
    datasets: dict[str, int] = field(default_factory=dict)
    dataset_types: int = 0
    collections: int = 0
    tags: int = 0
    validity_ranges: int = 0
    files: int = 0

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON-like values.

        Returns
        -------
        dict
            One key a field.
        """
        return asdict(self)


def export_repository(
    repo: Repo,
    directory: files.Uri,
    selection: Selection | None = None,
    *,
    files_mode: FilesMode = "none",
) -> ExportReport:
    """Write a repository: one state of it, whatever is written to it meanwhile.

    Parameters
    ----------
    repo : Repo
        Open.
    directory : str or path
        Where to; made if need be, and empty.
    selection : Selection, optional
        Which datasets, with the records, types and collections that they need; everything by default.
    files_mode : {"none", "copy", "link"}, optional
        Whether files are taken along; without them an import takes them from where they are.

    Returns
    -------
    ExportReport
        What was written.

    Raises
    ------
    AlreadyExistsError
        If the directory is not empty.
    NotFoundError
        If a type or collection that was named does not exist, or a file that is to be taken along.
    IntegrityError
        If a file is not what is recorded.
    StorageError
        If something cannot be written. What was written stays, but no import takes it for whole.
    """
    if files_mode not in _FILES_MODES:
        raise UsageError(
            f"no way '{files_mode}' to export files", code="bad-mode", hint=nearest(files_mode, _FILES_MODES)
        )
    place = files.absolute(directory)
    _check_empty(place)
    with repo.registry.read() as snapshot:
        export = _Export(snapshot, place, selection or Selection(), take_files=files_mode != "none")
        export.write()
    taken = export.taken
    if files_mode != "none":
        _take_files(repo, place, taken, files_mode)
    _write_header(repo, place, export.report, files_mode)
    return export.report


def _check_empty(place: str) -> None:
    there = files.list_files(place)
    if there:
        raise AlreadyExistsError(
            f"{files.redact(place)} is not empty: it holds {there[0]}{', …' if there[1:] else ''}",
            code="file-exists",
            hint="Choose an empty directory.",
        )


def _write_header(repo: Repo, place: str, report: ExportReport, files_mode: FilesMode) -> None:
    """Say that the export is whole."""
    import json

    universe = repo.registry.universe
    header = {
        "format": layout.FORMAT,
        "version": layout.VERSION,
        "universe": {"name": universe.name, "version": universe.version},
        "repository": id_text(repo.registry.repo_id),
        # Where files are that were not taken along.
        "datastore": files.redact(repo.datastore.root),
        "files": files_mode,
        "counts": report.to_document(),
    }
    files.write_bytes(files.join(place, layout.HEADER), (json.dumps(header, indent=2) + "\n").encode())


@dataclass
class _Taken:
    """Files that are to be taken along: their URIs in the datastore, paths in the export, sizes and checksums."""

    uris: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    checksums: list[str] = field(default_factory=list)


class _Export:
    def __init__(self, snapshot: Snapshot, place: str, selection: Selection, *, take_files: bool) -> None:
        self.snapshot = snapshot
        self.universe = snapshot.universe
        self.place = place
        self.selection = selection
        self.take_files = take_files
        self.report = ExportReport()
        self.taken = _Taken()
        self.ids: set[bytes] = set()
        self.runs: set[str] = set()
        self.keys: list[dict[str, Columns]] = []

    def write(self) -> None:
        self.write_universe()
        types = self.types()
        chosen = self.collections()
        search = [c.name for c in chosen if c.type is not CollectionType.CHAINED]
        for kind in types:
            self.write_datasets(kind, search)
        self.write_types(types)
        self.write_associations(search)
        self.write_collections(chosen)
        self.write_records()
        self.write_provenance()

    def path(self, name: str) -> str:
        return files.join(self.place, name)

    def types(self) -> list[DatasetType]:
        names = self.selection.dataset_types or ("*",)
        found = {}
        for name in names:
            matching = self.snapshot.dataset_types(name)
            # A name that is no pattern has to exist.
            found.update({k.name: k for k in matching or self._named(name)})
        return [found[name] for name in sorted(found)]

    def _named(self, name: str) -> list[DatasetType]:
        return [] if set(name) & set("*?[") else [self.snapshot.dataset_type(name)]

    def collections(self) -> list[Collection]:
        """Return the collections that were asked for, and those that their chains search."""
        every = {c.name: c for c in self.snapshot.collections()}
        if not self.selection.collections:
            return list(every.values())
        todo = [c.name for c in self.snapshot.collections(list(self.selection.collections))]
        found: dict[str, Collection] = {}
        while todo:
            name = todo.pop()
            if name not in found:
                found[name] = every[name]
                todo += every[name].children
        return [found[name] for name in sorted(found)]

    def write_universe(self) -> None:
        import yaml

        text = yaml.safe_dump(dict(self.universe.source), sort_keys=False, allow_unicode=True)
        files.write_bytes(self.path(layout.UNIVERSE), text.encode())

    def write_datasets(self, kind: DatasetType, search: Sequence[str]) -> None:
        required = kind.dimensions.required
        rows = self.snapshot.datasets(
            kind.name, search, find_first=False, where=self.selection.where, bind=self.selection.bind, artifacts=True
        )  # fmt: skip
        rows = _each_once(rows)
        if not rows.n_rows:
            return
        self.report.datasets[kind.name] = rows.n_rows
        self.ids.update(rows["id"].tolist())
        self.runs.update(rows["run"].tolist())
        if not self.selection.is_everything:
            self.keys.append(keys_of_datasets(self.universe, required, rows))
        paths = self.paths(kind, rows) if self.take_files else [None] * rows.n_rows
        write_objects(
            self.path(f"{layout.DATASETS}/{kind.name}.jsonl"), dataset_objects(required, rows, paths)
        )

    def paths(self, kind: DatasetType, rows: Columns) -> list[str | None]:
        """Say where in the export each file will be, and note what has to be brought there."""
        required = kind.dimensions.required
        out: list[str | None] = []
        names = ("uri", "size", "checksum", "run", "id")
        for (uri, size, checksum, run, i), values in zip(rows.rows(names), rows.rows(required), strict=True):
            if uri is None:
                out.append(None)
                continue
            name = uri
            if files.is_absolute(uri):
                name = artifact_stem(run, kind.name, required, values, i) + extensions(uri)
            out.append(f"{layout.FILES}/{name}")
            self.taken.uris.append(uri)
            self.taken.paths.append(name)
            self.taken.sizes.append(size)
            self.taken.checksums.append(checksum)
        self.report.files = len(self.taken.uris)
        return out

    def write_types(self, types: Sequence[DatasetType]) -> None:
        chosen = [k for k in types if self.selection.is_everything or k.name in self.report.datasets]
        self.report.dataset_types = len(chosen)
        write_objects(self.path(layout.DATASET_TYPES), (type_object(kind) for kind in chosen))

    def write_collections(self, chosen: Sequence[Collection]) -> None:
        names = {c.name for c in chosen}
        more = sorted(self.runs - names)
        every = [*chosen, *(self.snapshot.collections(more) if more else ())]
        self.report.collections = len(every)
        write_objects(self.path(layout.COLLECTIONS), map(collection_object, every))

    def write_associations(self, search: Sequence[str]) -> None:
        rows = self.snapshot.associations(search) if search else Columns({})
        if not rows.n_rows:
            return
        if not self.selection.is_everything:
            rows = rows.take(np.array([i in self.ids for i in rows["id"].tolist()], np.bool_))
        is_tag = np.array([begin is None for begin in rows["valid_begin"].tolist()], np.bool_)
        tags, dated = rows.take(is_tag), rows.take(~is_tag)
        self.report.tags, self.report.validity_ranges = tags.n_rows, dated.n_rows
        if tags.n_rows:
            lines = ({"collection": c, "id": id_text(i)} for c, i in tags.rows(("collection", "id")))
            write_objects(self.path(layout.TAGS), map(encode, lines))
        if dated.n_rows:
            spans = span_to_json(dated["valid_begin"], dated["valid_end"])
            named = zip(dated.rows(("collection", "id")), spans, strict=True)
            lines = ({"collection": c, "id": id_text(i), "timespan": span} for (c, i), span in named)
            write_objects(self.path(layout.VALIDITY_RANGES), map(encode, lines))

    def write_records(self) -> None:
        if self.selection.is_everything:
            names = [e.name for e in self.universe.elements.values() if e.has_table]
            found = {name: self.snapshot.records(name) for name in names}
        else:
            found = close_records(self.snapshot, merge_keys(self.universe, self.keys)) if self.keys else {}
        for name, rows in found.items():
            if rows.n_rows:
                self.report.records[name] = rows.n_rows
                lines = objects_of(self.universe, self.universe.element(name), rows)
                write_objects(self.path(layout.record_file(name)), lines)

    def write_provenance(self) -> None:
        """Write which quanta made the runs, if they go along whole."""
        if not self.selection.is_everything or not self.runs:
            return
        runs = sorted(c.name for c in self.snapshot.collections(types={CollectionType.RUN}))
        parts = (
            self.snapshot.quanta(runs, latest=False),
            self.snapshot.quantum_inputs(runs),
            self.snapshot.quantum_outputs(runs),
        )
        for name, rows in zip(layout.PROVENANCE, parts, strict=True):
            if rows.n_rows:
                write_objects(self.path(name), plain_objects(rows))


def _each_once(rows: Columns) -> Columns:
    """Leave out what was found in a second collection."""
    ids = rows["id"].tolist()
    if len(set(ids)) == len(ids):
        return rows
    first = {i: row for row, i in reversed(list(enumerate(ids)))}
    return rows.take(np.array(sorted(first.values())))


def _take_files(repo: Repo, place: str, taken: _Taken, mode: Literal["copy", "link"]) -> None:
    """Bring files into the export; what is not as recorded ends it."""
    sources = [repo.datastore.locate(uri) for uri in taken.uris]
    there = sizes(sources)
    missing = [files.redact(s) for s, size in zip(sources, there, strict=True) if size is None]
    if missing:
        raise NotFoundError(
            f"{len(missing)} files are missing: {listed(missing[:SHOWN], len(missing))}",
            code="missing-files",
            hint="Export without files (--files none), or bring them back.",
            context={"paths": missing},
        )
    target = FsspecDatastore(files.join(place, layout.FILES))
    found, checksums = Intake(target).put(
        mode, sources, taken.paths, [size or 0 for size in there], checksum=False
    )
    for row, (size, checksum) in enumerate(zip(found, checksums, strict=True)):
        if size != taken.sizes[row] or (checksum and taken.checksums[row] not in {"", checksum}):
            raise IntegrityError(
                f"{files.redact(sources[row])} is not what is recorded: {size} bytes, {checksum or 'not read'}; "
                f"recorded {taken.sizes[row]} bytes, {taken.checksums[row] or 'no checksum'}",
                code="checksum-differs",
                hint="Export without files (--files none), or repair it.",
            )
