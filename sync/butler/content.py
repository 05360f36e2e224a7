"""What an export of the field's butler holds, in our words."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from registry.errors import StageError, UsageError, nearest
from registry.model.collections import Collection, CollectionType, check_collection_name
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.dimensions import DimensionUniverse
from registry.model.elements import DimensionElement
from registry.model.times import UNBOUNDED_BEGIN, UNBOUNDED_END, Timespan
from sync.butler.formatters import formatter_name
from sync.butler.universes import Records, convert_dimensions, convert_records
from sync.butler.yaml_export import Export, read_export, span_of
from sync.exports.content import ARTIFACT_COLUMNS, CERTIFIED, Batch, Content
from sync.exports.json_lines import Lines
from sync.exports.record_fields import columns_of
from sync.filesystem import files

__all__ = ["content_of", "read_butler_export"]

_NUMBERED = uuid.UUID("4d4851f4-2890-4d41-8779-5f38a3f5062b")
"""Source: the namespace in which the field gives ids to datasets that older exports numbered."""
_PLAIN = {"hash": "hex", "region": "sphgeom_hex"}


def read_butler_export(universe: DimensionUniverse, uri: files.Uri) -> Content:
    """Read an export of the field's butler.

    Parameters
    ----------
    universe : DimensionUniverse
        That of the repository it goes to.
    uri : str or path
        The YAML file.

    Returns
    -------
    Content
        With notes on what was converted.

    Raises
    ------
    NotFoundError
        If there is no such file.
    UsageError
        If it is not such an export, or has something that the universe or a repository of ours cannot hold; names it.
    SchemaVersionError
        If its form is of a version that is not read.
    """
    return content_of(universe, read_export(uri))


def content_of(universe: DimensionUniverse, export: Export) -> Content:
    """Say in our words what an export holds.

    Parameters
    ----------
    universe : DimensionUniverse
        That of the repository it goes to.
    export : Export
        Read already.

    Returns
    -------
    Content
        As for `read_butler_export`.

    Raises
    ------
    UsageError
        As for `read_butler_export`.
    """
    return _Reader(universe, export).content()


class _Reader:
    def __init__(self, universe: DimensionUniverse, export: Export) -> None:
        self.universe = universe
        self.export = export
        self.notes: list[str] = []
        self.records: Records = {}
        self.types: dict[str, DatasetType] = {}
        self.collections: dict[str, Collection] = {}
        self.batches: list[Batch] = []
        self.tags: dict[str, list[bytes]] = {}
        self.certified: dict[str, list[tuple[bytes, int, int]]] = {}

    def content(self) -> Content:
        readers = {
            "dimension": self.read_dimension, "collection": self.read_collection, "run": self.read_run,
            "dataset_type": self.read_type, "dataset": self.read_datasets, "associations": self.read_associations,
        }  # fmt: skip
        for number, entry in enumerate(self.export.entries, 1):
            kind = entry["type"]
            if kind not in readers:
                raise self.refusal(f"entry {number} is of an unknown type '{kind}'", nearest(kind, readers))
            try:
                readers[kind](entry)
            except KeyError as exc:
                raise self.refusal(f"entry {number} ({kind}) lacks {exc}") from exc
            except (TypeError, AttributeError, ValueError, OverflowError) as exc:
                if isinstance(exc, StageError):
                    raise
                raise self.refusal(f"entry {number} ({kind}) cannot be understood: {exc}") from exc
        try:
            self.notes += convert_records(self.universe, self.export, self.records)
        except (TypeError, AttributeError, ValueError, OverflowError) as exc:
            raise self.refusal(f"its records cannot be converted: {exc}") from exc
        return Content(
            self.export.where, self.record_columns(), list(self.types.values()), list(self.collections.values()),
            self.batches, self.tags,
            {name: Columns.from_rows(CERTIFIED, rows) for name, rows in self.certified.items()},
            notes=[f"{self.export.where}: {note}" for note in self.notes],
        )  # fmt: skip

    def refusal(self, why: str, hint: str = "") -> UsageError:
        return UsageError(
            f"{self.export.where}: {why}", code="bad-export", hint=hint or "Nothing was imported.",
            context={"file": self.export.where},
        )  # fmt: skip

    def read_dimension(self, entry: Mapping[str, Any]) -> None:
        found = entry["records"]
        if not isinstance(found, list) or not all(isinstance(record, dict) for record in found):
            raise TypeError("its records are not a list of mappings")
        self.records.setdefault(str(entry["element"]), []).extend(found)

    def read_run(self, entry: Mapping[str, Any]) -> None:
        self.add_collection(Collection(str(entry["name"]), CollectionType.RUN))

    def read_collection(self, entry: Mapping[str, Any]) -> None:
        kind = self.collection_type(entry["collection_type"])
        children: list[str] = []
        if kind is CollectionType.CHAINED:
            for child in entry["children"]:
                # Long ago a child could be a pair: its name, and the dataset types to look for in it.
                children.append(str(child if isinstance(child, str) else child[0]))
                if not isinstance(child, str):
                    self.notes.append(
                        f"chain '{entry['name']}': the restrictions on '{children[-1]}' are left out"
                    )
        self.add_collection(
            Collection(str(entry["name"]), kind, str(entry.get("doc") or ""), tuple(children))
        )

    def add_collection(self, collection: Collection) -> None:
        check_collection_name(collection.name)
        self.collections[collection.name] = collection

    def collection_type(self, name: object) -> CollectionType:
        try:
            return CollectionType[str(name)]
        except KeyError:
            raise self.refusal(
                f"no collection type '{name}'", nearest(str(name), [t.name for t in CollectionType])
            ) from None

    def read_type(self, entry: Mapping[str, Any]) -> None:
        name = str(entry["name"])
        try:
            group = self.universe.group(convert_dimensions(self.export, map(str, entry["dimensions"])))
        except StageError as exc:
            raise self.refusal(f"dataset type '{name}': {exc}", exc.hint) from exc
        kind = DatasetType(name, group, str(entry["storage_class"]), bool(entry.get("is_calibration", False)))
        known = self.types.setdefault(name, kind)
        if known != kind:
            raise self.refusal(
                f"dataset type '{name}' is defined twice: {'; '.join(known.differences(kind))}"
            )

    def read_datasets(self, entry: Mapping[str, Any]) -> None:
        ids: list[bytes] = []
        data_ids: list[Mapping[str, Any]] = []
        paths: list[Any] = []
        formatters: list[Any] = []
        for record in entry["records"]:
            mine, theirs = _listed(record["dataset_id"]), _listed(record["data_id"])
            if len(mine) != len(theirs):
                raise ValueError(f"{len(mine)} ids for {len(theirs)} data IDs")
            ids += map(_dataset_id, mine)
            data_ids += theirs
            paths += [record.get("path")] * len(mine)
            formatters += [record.get("formatter")] * len(mine)
        kind, run = str(entry["dataset_type"]), str(entry["run"])
        self.batches.append(Batch(kind, run, self.rows(kind, ids, data_ids, paths, formatters)))

    def rows(
        self,
        kind: str,
        ids: list[bytes],
        data_ids: list[Mapping[str, Any]],
        paths: list[Any],
        formatters: list[Any],
    ) -> Columns:
        n = len(ids)
        names = list(dict.fromkeys(name for data_id in data_ids for name in data_id))
        if not set(names).isdisjoint(("id", *ARTIFACT_COLUMNS)):
            raise ValueError(f"a data ID of {kind} has other keys than dimensions: {', '.join(names)}")
        columns: dict[str, Sequence[Any]] = {name: [d.get(name) for d in data_ids] for name in names}
        columns |= {
            "id": ids,
            "source": [None if p is None else files.join(self.export.folder, str(p)) for p in paths],
            "uri": paths,
            "size": [None] * n,
            "checksum": [""] * n,
            "formatter": [formatter_name(f, p) for f, p in zip(formatters, paths, strict=True)],
        }
        self.note_pickles(kind, formatters)
        return (
            Columns(columns)
            if n
            else Columns({name: [] for name in (*self.required(kind), "id", *ARTIFACT_COLUMNS)})
        )

    def required(self, kind: str) -> tuple[str, ...]:
        return self.types[kind].dimensions.required if kind in self.types else ()

    def note_pickles(self, kind: str, formatters: Iterable[Any]) -> None:
        n = sum(isinstance(name, str) and name.endswith(".PickleFormatter") for name in formatters)
        if n:
            files_ = "its file is a pickle" if n == 1 else f"{n} of its files are pickles"
            self.notes.append(f"dataset type '{kind}': {files_}, registered as bytes and never unpickled")

    def read_associations(self, entry: Mapping[str, Any]) -> None:
        name, kind = (
            check_collection_name(str(entry["collection"])),
            self.collection_type(entry["collection_type"]),
        )
        if kind is CollectionType.TAGGED:
            self.tags.setdefault(name, []).extend(map(_dataset_id, entry["dataset_ids"]))
        elif kind is CollectionType.CALIBRATION:
            for validity in entry["validity_ranges"]:
                self.read_validity(name, validity)
        else:
            raise self.refusal(f"'{name}' is a {kind.name} collection, with which nothing is associated")

    def read_validity(self, name: str, entry: Mapping[str, Any]) -> None:
        span = entry["timespan"] if "timespan" in entry else span_of(entry["begin"], entry["end"])
        ids = list(map(_dataset_id, entry["dataset_ids"]))
        if "timespan" in entry and span is not None and not isinstance(span, Timespan):
            raise TypeError(f"{span!r:.60} is no timespan")
        if span is None:
            self.notes.append(
                f"'{name}': {len(ids)} datasets are valid for an empty span and so never; left out"
            )
            return
        self.certified.setdefault(name, []).extend((i, span.begin, span.end) for i in ids)

    def record_columns(self) -> dict[str, Columns]:
        """Turn records into columns, in order of reference; refuse elements that there are not, all at once."""
        order = [e.name for e in self.universe.elements.values() if e.has_table]
        strange = [
            f"{name} ({len(rows)})" for name, rows in self.records.items() if name not in order and rows
        ]
        if strange:
            raise UsageError(
                f"{self.export.where} has records of elements that universe {self.universe.name} "
                f"{self.universe.version} lacks: {', '.join(strange)}",
                code="unknown-dimension",
                hint="Import it into a repository whose universe has them, or take them out of the file.",
                context={"elements": [name for name in self.records if name not in order]},
            )
        return {
            name: columns_of(self.universe, self.universe.element(name), [self.lines(name)])
            for name in order
            if self.records.get(name)
        }

    def lines(self, name: str) -> Lines:
        """Return records in the words of JSON lines, so that one place says what a record may be."""
        element, records = self.universe.element(name), self.records[name]
        where = f"{self.export.where}, {name} records"
        lines = Lines(where, records, range(1, len(records) + 1), frozenset(), "record")
        for row, record in enumerate(records):
            if element.timespan:
                try:
                    self.set_span(element, record)
                except ValueError as exc:
                    lines.fail(row, f"timespan: {exc}", cause=exc)
            for key, value in record.items():
                if isinstance(value, bytes):
                    record[key] = {_PLAIN["region" if key == "region" else "hash"]: value.hex()}
        return lines._replace(names=frozenset().union(*records))

    def set_span(self, element: DimensionElement, record: dict[str, Any]) -> None:
        begin, end = record.pop("datetime_begin", ...), record.pop("datetime_end", ...)
        span: Any = record.get("timespan")
        if span is None and begin is not ... and end is not ...:
            span = span_of(begin, end)
            if span is None:
                self.notes.append(f"{element.name} {record.get('id')}: an empty timespan is left out")
        if isinstance(span, Timespan):
            first = None if span.begin == UNBOUNDED_BEGIN else span.begin
            last = None if span.end == UNBOUNDED_END else span.end
            span = {"begin_ns": first, "end_ns": last}
        record["timespan"] = span


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _dataset_id(value: Any) -> bytes:
    """Return an id; a number, as exports had before ids were unique, becomes the id that the field gives it."""
    if isinstance(value, bytes) and len(value) == 16:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return uuid.uuid3(_NUMBERED, str(value)).bytes
    if isinstance(value, str):
        return uuid.UUID(value).bytes
    raise TypeError(f"{value!r:.60} is no dataset id")
