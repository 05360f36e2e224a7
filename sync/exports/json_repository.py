"""A whole repository as JSON lines: which files there are, and reading them.

=======================  ==============================================================================
``export.json``          what this is, and where the files were; written last
``universe.yaml``        the dimension universe, as `stage repo create --universe` takes it
``<element>.jsonl``      dimension records, one a line
``dataset_types.jsonl``  ``name``, ``dimensions``, ``storage_class``, ``is_calibration``
``collections.jsonl``    ``name``, ``type``, ``doc``, and a chain's ``children``
``datasets/<type>.jsonl``  ``id``, ``run``, ``data_id``, ``artifact``
``tags.jsonl``           ``collection``, ``id``
``validity_ranges.jsonl``  ``collection``, ``id``, ``timespan``
``quanta.jsonl`` …       provenance, as the registry has it
``files/``               the files, if they were taken along
=======================  ==============================================================================
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from registry.errors import SchemaVersionError, StageError, UsageError, nearest
from registry.model.collections import Collection, CollectionType, check_collection_name
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.dimensions import DimensionUniverse
from registry.model.records import QUANTUM, QUANTUM_INPUT, QUANTUM_OUTPUT
from sync.exports.content import ARTIFACT_COLUMNS, CERTIFIED, Batch, Content
from sync.exports.json_checks import expect, ids_of, objects, only, texts
from sync.exports.json_forms import BadValue, from_json, span_from_json
from sync.exports.json_lines import SUFFIX, Lines, read_batches
from sync.exports.record_fields import columns_of
from sync.filesystem import files

__all__ = [
    "COLLECTIONS", "DATASETS", "DATASET_TYPES", "FILES", "FORMAT", "HEADER", "PROVENANCE", "TAGS", "UNIVERSE",
    "VALIDITY_RANGES", "VERSION", "is_repository_export", "read_records_folder", "read_repository", "record_file",
]  # fmt: skip

FORMAT, VERSION = "stage-export", 1
HEADER = "export.json"
UNIVERSE = "universe.yaml"
DATASET_TYPES = "dataset_types.jsonl"
COLLECTIONS = "collections.jsonl"
TAGS = "tags.jsonl"
VALIDITY_RANGES = "validity_ranges.jsonl"
PROVENANCE = ("quanta.jsonl", "quantum_inputs.jsonl", "quantum_outputs.jsonl")
DATASETS, FILES, RECORDS = "datasets", "files", "records"
_OWN = frozenset({DATASET_TYPES, COLLECTIONS, TAGS, VALIDITY_RANGES, *PROVENANCE})


def record_file(element: str) -> str:
    """Name the file of an element's records.

    Parameters
    ----------
    element : str
        The element.

    Returns
    -------
    str
        Relative to the export; in a folder of its own where the name is taken by another of its files.
    """
    name = element + SUFFIX
    return f"{RECORDS}/{name}" if name in _OWN else name


def is_repository_export(place: str, names: Sequence[str]) -> bool:
    """Tell whether a folder holds more than dimension records.

    Parameters
    ----------
    place : str
        The folder.
    names : sequence of str
        Files in it.

    Returns
    -------
    bool
        Whether it is the export of a repository.

    Raises
    ------
    UsageError
        If it was being written when the export ended before its time.
    """
    if HEADER in names:
        return True
    if DATASET_TYPES in names and COLLECTIONS in names:
        raise UsageError(
            f"{files.redact(place)} has no {HEADER}, which an export writes last: it is not whole",
            code="export-incomplete",
            hint="Export again, into an empty directory.",
        )
    return False


def read_records_folder(
    universe: DimensionUniverse, place: str, names: Sequence[str], written_with: str = ""
) -> dict[str, Columns]:
    """Read the dimension records of a folder.

    Parameters
    ----------
    universe : DimensionUniverse
        That of the repository they go to.
    place : str
        The folder.
    names : sequence of str
        Files of records in it.
    written_with : str, optional
        The universe that they come from.

    Returns
    -------
    dict of str to Columns
        By element, in order of reference.

    Raises
    ------
    UsageError
        If the universe lacks an element, all of which are named, or a line is no record.
    """
    order = [e.name for e in universe.elements.values() if e.has_table]
    by_element = {name.rpartition("/")[2].removesuffix(SUFFIX): name for name in names}
    strange = [name for name in by_element if name not in order]
    if strange:
        quoted = ", ".join(f"'{name}'" for name in strange)
        raise UsageError(
            f"{files.redact(files.join(place, by_element[strange[0]]))}: universe {universe.name} {universe.version} "
            f"keeps no records of {quoted}{f'; they come from {written_with}' if written_with else ''}",
            code="unknown-dimension",
            hint=nearest(strange[0], order),
            context={"elements": strange},
        )
    return {
        name: columns_of(universe, universe.element(name), read_batches(files.join(place, by_element[name])))
        for name in order
        if name in by_element
    }


def read_repository(universe: DimensionUniverse, place: str, names: Sequence[str]) -> Content:
    """Read a whole export.

    Parameters
    ----------
    universe : DimensionUniverse
        That of the repository it goes to.
    place : str
        The folder.
    names : sequence of str
        All files below it.

    Returns
    -------
    Content
        What it holds.

    Raises
    ------
    UsageError
        If a line is not of this form, or the universe lacks something; names file and line.
    SchemaVersionError
        If it was written by a later version.
    """
    return _Reader(universe, place, names).content()


class _Reader:
    def __init__(self, universe: DimensionUniverse, place: str, names: Sequence[str]) -> None:
        self.universe = universe
        self.place = place
        self.names = names
        self.header = self.read_header()

    def read_header(self) -> dict[str, Any]:
        uri = files.join(self.place, HEADER)
        where = files.redact(uri)
        try:
            found = json.loads(files.read_bytes(uri))
        except (ValueError, RecursionError) as exc:
            raise UsageError(f"{where}: not JSON: {exc}", code="bad-export") from exc
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise UsageError(f"{where}: its format is not '{FORMAT}'", code="bad-export")
        if found.get("version") != VERSION:
            raise SchemaVersionError(
                f"{where} is of version {found.get('version')!r:.20}; version {VERSION} is read",
                code="export-version", hint="Upgrade stage, or export it again.",
                found=str(found.get("version")), supported=str(VERSION),
            )  # fmt: skip
        return found

    def content(self) -> Content:
        return Content(
            files.redact(self.place),
            self.records(),
            [kind for lines in self.lines(DATASET_TYPES) for kind in self.each(lines, self.dataset_type)],
            [found for lines in self.lines(COLLECTIONS) for found in self.each(lines, _collection)],
            list(self.batches()),
            self.tags(),
            self.certified(),
            self.plain("quanta.jsonl", QUANTUM),
            self.plain("quantum_inputs.jsonl", QUANTUM_INPUT),
            self.plain("quantum_outputs.jsonl", QUANTUM_OUTPUT),
        )

    def lines(self, name: str) -> Iterator[Lines]:
        if name in self.names:
            yield from read_batches(files.join(self.place, name))

    def each(self, lines: Lines, make: Callable[[Mapping[str, Any]], Any]) -> Iterator[Any]:
        """Make something of each line, and say which line it cannot be made of."""
        for row, line in enumerate(lines.rows):
            try:
                yield make(line)
            except KeyError as exc:
                lines.fail(row, f"it lacks {exc}", cause=exc)
            except StageError as exc:
                lines.fail(row, exc.message, exc.hint, exc)
            except (TypeError, ValueError) as exc:
                lines.fail(row, str(exc), cause=exc)

    def records(self) -> dict[str, Columns]:
        names = [n for n in self.names if n.endswith(SUFFIX) and n not in _OWN and "/" not in n]
        names += [n for n in self.names if n.startswith(f"{RECORDS}/") and n.endswith(SUFFIX)]
        theirs = self.header.get("universe")
        words = f"universe {theirs.get('name')} {theirs.get('version')}" if isinstance(theirs, dict) else ""
        return read_records_folder(self.universe, self.place, names, words)

    def dataset_type(self, line: Mapping[str, Any]) -> DatasetType:
        name, dimensions, storage_class = line["name"], line["dimensions"], line["storage_class"]
        is_calibration = line.get("is_calibration", False)
        expect(name, str, "a name")
        expect(storage_class, str, "a storage class")
        expect(is_calibration, bool, "true or false")
        expect(dimensions, list, "a list of dimensions")
        return DatasetType(name, self.universe.group(map(str, dimensions)), storage_class, is_calibration)

    def batches(self) -> Iterator[Batch]:
        for name in self.names:
            folder, _, file = name.rpartition("/")
            if folder == DATASETS and file.endswith(SUFFIX):
                for lines in self.lines(name):
                    yield from self.datasets(file.removesuffix(SUFFIX), lines)

    def datasets(self, kind: str, lines: Lines) -> Iterator[Batch]:
        only(lines, ("id", "run", "data_id", "artifact"))
        ids = ids_of(lines, "id")
        runs = texts(lines, "run")
        data_ids = objects(lines, "data_id")
        names = list(dict.fromkeys(name for data_id in data_ids for name in data_id))
        reserved = {"id", *ARTIFACT_COLUMNS}.intersection(names)
        if reserved:
            lines.fail(0, f"'{min(reserved)}' is no dimension")
        columns: dict[str, Any] = {name: [d.get(name) for d in data_ids] for name in names}
        for name, values in columns.items():
            if None in values:
                lines.fail(values.index(None), f"'data_id': it lacks '{name}'")
        columns |= {"id": ids, **self.artifacts(lines)}
        try:
            rows = Columns(columns)
        except OverflowError:
            row = next(i for i, line in enumerate(lines.rows) if _is_huge(line))
            lines.fail(row, "a number does not fit in 64 bits")
        distinct = dict.fromkeys(runs)
        if len(distinct) == 1:
            yield Batch(kind, runs[0], rows)
            return
        import numpy as np

        of_run = np.array(runs, dtype=object)
        for run in distinct:
            yield Batch(kind, run, rows.take(of_run == run))

    def artifacts(self, lines: Lines) -> dict[str, Any]:
        """Read what is recorded of files, and say where they are now."""
        found = objects(lines, "artifact", nullable=True)
        names = frozenset().union(*found)
        strange = names - {"path", "uri", "size", "checksum", "formatter"}
        if strange:
            lines.fail(
                0, f"an artifact has no '{min(strange)}'", nearest(min(strange), ("path", *ARTIFACT_COLUMNS))
            )
        columns = {
            name: [a.get(name) for a in found] for name in ("path", "uri", "size", "checksum", "formatter")
        }
        wanted = {"path": str, "uri": str, "size": int, "checksum": str, "formatter": str}
        for name, values in columns.items():
            if not set(map(type, values)) <= {wanted[name], type(None)}:
                row = next(i for i, v in enumerate(values) if v is not None and type(v) is not wanted[name])
                lines.fail(row, f"artifact: '{name}' is {values[row]!r:.60}")
        uris, paths = columns["uri"], columns["path"]
        root = str(self.header.get("datastore") or "")
        sources: list[str | None] = [None] * len(uris)
        for row, (uri, path) in enumerate(zip(uris, paths, strict=True)):
            if path is not None:
                sources[row] = files.join(self.place, path)
                # What was taken along from elsewhere gets a place of its own where it goes.
                uris[row] = None if uri is not None and files.is_absolute(uri) else uri
            elif uri is not None:
                sources[row] = files.join(root, uri) if root else uri
        return {
            "source": sources, "uri": uris, "size": columns["size"],
            "checksum": [c or "" for c in columns["checksum"]], "formatter": columns["formatter"],
        }  # fmt: skip

    def tags(self) -> dict[str, list[bytes]]:
        out: dict[str, list[bytes]] = {}
        for lines in self.lines(TAGS):
            only(lines, ("collection", "id"))
            for name, i in zip(texts(lines, "collection"), ids_of(lines, "id"), strict=True):
                out.setdefault(name, []).append(i)
        return out

    def certified(self) -> dict[str, Columns]:
        out: dict[str, list[tuple[Any, ...]]] = {}
        for lines in self.lines(VALIDITY_RANGES):
            only(lines, ("collection", "id", "timespan"))
            try:
                begins, ends = span_from_json(lines.values("timespan"))
            except BadValue as exc:
                lines.fail(exc.row, f"'timespan': {exc.why}")
            if None in begins:
                lines.fail(begins.index(None), "'timespan': it is missing or null")
            ids = ids_of(lines, "id")
            for name, *row in zip(texts(lines, "collection"), ids, begins, ends, strict=True):
                out.setdefault(name, []).append(tuple(row))
        return {name: Columns.from_rows(CERTIFIED, rows) for name, rows in out.items()}

    def plain(self, name: str, columns: Sequence[str]) -> Columns | None:
        parts = []
        for lines in self.lines(name):
            only(lines, columns)
            parts.append(Columns({column: _plain_values(lines, column) for column in columns}))
        return Columns.concat(parts) if parts else None


def _plain_values(lines: Lines, column: str) -> list[Any]:
    """Return what provenance says of one thing: ids, numbers, truth values or text."""
    if (column.endswith("_id") and column != "data_id") or column == "id":
        return ids_of(lines, column, nullable=column == "graph_id")
    kind = "int" if column.endswith(("_ns", "_bytes")) or column == "attempt" else "string"
    try:
        return from_json("bool" if column == "was_read" else kind, lines.values(column), nullable=True)
    except BadValue as exc:
        lines.fail(exc.row, f"'{column}': {exc.why}")


def _is_huge(line: Mapping[str, Any]) -> bool:
    """Tell whether a line has an integer that no database holds."""
    parts = [part.values() for part in (line["data_id"], line.get("artifact") or {})]
    return any(type(v) is int and not -(2**63) <= v < 2**63 for values in parts for v in values)


def _collection(line: Mapping[str, Any]) -> Collection:
    name, kind, doc, children = line["name"], line["type"], line.get("doc", ""), line.get("children", [])
    expect(name, str, "a name")
    expect(doc, str, "text")
    expect(children, list, "a list of collections")
    known = [t.name for t in CollectionType]
    if kind not in known:
        raise UsageError(f"no collection type '{kind}'", hint=nearest(str(kind), known))
    return Collection(check_collection_name(name), CollectionType[kind], doc, tuple(map(str, children)))
