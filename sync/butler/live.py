"""A butler repository of the field, open: what it holds of some dataset types and collections, in our words.

Only its public interface is asked, but for where files are: that is told by the datastore's own records, which it
exports for its quantum graphs too. Each answer is an object a row there, so reading costs what that interface costs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from registry.errors import NotFoundError, StageError, StorageError
from registry.model.collections import CollectionType
from registry.model.columns import Columns
from registry.model.dimensions import DimensionUniverse
from registry.model.times import UNBOUNDED_BEGIN, UNBOUNDED_END, Timespan
from sync.butler.content import content_of
from sync.butler.formatters import formatter_name
from sync.butler.opening import datastore_roots, plain_path
from sync.butler.scope import Scope
from sync.butler.storage_classes import our_storage_class
from sync.butler.universes import convert_dimensions
from sync.butler.yaml_export import NAMESPACE, Export
from sync.exports.content import CERTIFIED, Batch, Content
from sync.filesystem import files

__all__ = ["Live"]


class Live:
    """A butler repository, read in two parts: all that is defined there, then the datasets of a scope.

    Parameters
    ----------
    butler : lsst.daf.butler.Butler
        Open.
    where : str
        What it is called in messages.
    universe : DimensionUniverse
        Our dimensions.
    scope : Scope
        Whose datasets.

    Raises
    ------
    StorageError
        If it cannot be read.
    """

    def __init__(self, butler: Any, where: str, universe: DimensionUniverse, scope: Scope) -> None:
        self.butler = butler
        self.where = where
        self.universe = universe
        self.scope = scope
        self.notes: list[str] = []
        self.refs: dict[str, dict[bytes, Any]] = {}
        self.tags: dict[str, list[bytes]] = {}
        self.certified: dict[str, list[tuple[bytes, int, int]]] = {}
        with self._reading():
            self.collections = self._collections()
            self.entries = [*self._records(), *self._types()]

    def stamp(self) -> str:
        """Return what changes when the repository does, as far as the scope sees it.

        Returns
        -------
        str
            A digest of all records, definitions and memberships, and of each dataset type's number of datasets and
            newest one. Not seen is a dataset that was deleted while an older one came in its place.
        """
        with self._reading():
            told = [self._stamp_of(name) for name in self.scope.dataset_types if name in self._known_types()]
            shown = self._shown(set())
        text = repr((self.entries, shown, sorted(self.scope.searches), told))
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def content(self) -> Content:
        """Read the datasets, and say all in our words.

        Returns
        -------
        Content
            All dimension records; the scope's dataset types and collections, with the datasets of the former in the
            latter, and what TAGGED and CALIBRATION collections among these hold. `uri` of a dataset is where its file
            is.
        """
        with self._reading():
            for name in self.scope.dataset_types:
                if name in self._known_types():
                    self._datasets(name)
            roots = datastore_roots(self.butler)
            batches = [b for name, refs in self.refs.items() for b in self._batches(name, refs, roots)]
        shown = self._shown({batch.run for batch in batches})
        found = content_of(self.universe, self._export([*self.entries, *shown]))
        certified = {name: Columns.from_rows(CERTIFIED, rows) for name, rows in self.certified.items()}
        notes = (*found.notes, *self.notes)
        return replace(found, batches=batches, tags=self.tags, certified=certified, notes=notes)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except StageError:
            raise
        except Exception as exc:  # a foreign system: which errors it may raise is not told
            raise StorageError(
                f"the butler repository {self.where} cannot be read: {exc}", code="butler-unreadable"
            ) from exc

    def _known_types(self) -> set[str]:
        return {entry["name"] for entry in self.entries if entry["type"] == "dataset_type"}

    def _searched(self, dataset_type: str) -> dict[str, list[str]]:
        """Return the collections that are looked into for datasets of a type, by their type; chains are followed."""
        by_type: dict[str, list[str]] = {}
        for name in _reached(self.scope.collections(dataset_type), self.collections):
            by_type.setdefault(self.collections[name]["collection_type"], []).append(name)
        return by_type

    def _shown(self, runs: set[str]) -> list[dict[str, Any]]:
        """Return the entries of the collections of the scope, and of RUNs that hold datasets of them."""
        reached = {*_reached(self.scope.collections(), self.collections), *runs}
        return [entry for name, entry in self.collections.items() if name in reached]

    def _stamp_of(self, name: str) -> tuple[Any, ...]:
        searched = self._searched(name)
        held = [
            (collection, sorted((h.ref.id.hex, repr(_span(h.timespan))) for h in self._associations(name, collection)))
            for kind in (CollectionType.TAGGED, CollectionType.CALIBRATION)
            for collection in searched.get(kind.name, ())
        ]  # fmt: skip
        runs = searched.get(CollectionType.RUN.name)
        if not runs:
            return name, held
        with self.butler.query() as query:
            found = query.datasets(name, runs, find_first=False)
            newest = [ref.id.hex for ref in found.order_by("-ingest_date").limit(1)]
            return name, held, found.count(), newest

    def _export(self, entries: list[dict[str, Any]]) -> Export:
        return Export(self.where, self.where, NAMESPACE, self.butler.dimensions.version, entries)

    def _collections(self) -> dict[str, dict[str, Any]]:
        """Return all collections, as entries of an export; a chain's children are made before it is filled."""
        return {
            info.name: {
                "type": "collection", "name": info.name, "collection_type": info.type.name, "doc": info.doc,
                "children": list(info.children),
            }
            for info in self.butler.collections.query_info("*", include_doc=True)
        }  # fmt: skip

    def _types(self) -> Iterator[dict[str, Any]]:
        known = {e.name for e in self.universe.elements.values()}
        wanted = set(self.scope.dataset_types)
        for kind in self.butler.registry.queryDatasetTypes():
            if kind.name not in wanted:
                continue
            names = convert_dimensions(self._export([]), kind.dimensions.required)
            strange = [n for n in names if n not in known and n not in kind.dimensions.skypix]
            if strange:
                self.notes.append(f"dataset type '{kind.name}' is left out: no dimension {strange[0]}")
                continue
            ours = self.scope.storage_classes.get(kind.name, "")
            yield {
                "type": "dataset_type", "name": kind.name, "dimensions": names,
                "storage_class": our_storage_class(kind.storageClass_name, ours),
                "is_calibration": kind.isCalibration(),
            }  # fmt: skip

    def _records(self) -> Iterator[dict[str, Any]]:
        for element in self.butler.dimensions.elements:
            ours = self.universe.elements.get(element.name)
            if not element.has_own_table or ours is None:
                continue
            found = self.butler.query_dimension_records(element.name, limit=None, explain=False)
            yield {
                "type": "dimension",
                "element": element.name,
                "records": [_plain(record) for record in found],
            }

    def _datasets(self, name: str) -> None:
        """Find the datasets of one type: of RUNs, and those that other collections hold of RUNs that are not searched."""
        by_type = self._searched(name)
        refs = self.refs.setdefault(name, {})
        runs = by_type.get(CollectionType.RUN.name)
        if runs:
            found = self.butler.query_datasets(name, runs, find_first=False, limit=None, explain=False)
            refs |= {ref.id.bytes: ref for ref in found}
        for collection in by_type.get(CollectionType.TAGGED.name, ()):
            for held in self._associations(name, collection):
                refs.setdefault(held.ref.id.bytes, held.ref)
                self.tags.setdefault(collection, []).append(held.ref.id.bytes)
        for collection in by_type.get(CollectionType.CALIBRATION.name, ()):
            for held in self._associations(name, collection):
                refs.setdefault(held.ref.id.bytes, held.ref)
                span = _span(held.timespan)
                if span is not None:
                    self.certified.setdefault(collection, []).append(
                        (held.ref.id.bytes, span.begin, span.end)
                    )

    def _associations(self, name: str, collection: str) -> Iterable[Any]:
        found: Iterable[Any] = self.butler.registry.queryDatasetAssociations(name, collections=[collection])
        return found

    def _batches(self, name: str, refs: Mapping[bytes, Any], roots: Mapping[str, str]) -> Iterator[Batch]:
        files_of = self._files(list(refs.values()), roots)
        by_run: dict[str, list[Any]] = {}
        for ref in refs.values():
            by_run.setdefault(ref.run, []).append(ref)
        for run, held in by_run.items():
            dims = tuple(held[0].datasetType.dimensions.required)
            values = zip(*(ref.dataId.required_values for ref in held), strict=True) if dims else ()
            columns: dict[str, Sequence[Any]] = dict(
                zip(dims, [list(column) for column in values], strict=True)
            )
            ids = [ref.id.bytes for ref in held]
            columns["id"] = ids
            artifacts = [files_of.get(i, _NO_FILE) for i in ids]
            columns |= {
                key: [row[n] for row in artifacts] for n, key in enumerate(("uri", "size", "formatter"))
            }
            columns["source"] = columns["uri"]
            columns["checksum"] = [""] * len(ids)
            yield Batch(name, run, Columns(columns))

    def _files(
        self, refs: list[Any], roots: Mapping[str, str]
    ) -> dict[bytes, tuple[str | None, int | None, str | None]]:
        """Return URI, size and formatter of each dataset that is one file."""
        out: dict[bytes, tuple[str | None, int | None, str | None]] = {}
        split = 0
        for store, data in self.butler._datastore.export_records(refs).items():  # noqa: SLF001 - as above
            for key, tables in data.records.items():
                rows = [row for found in tables.values() for row in found]
                if len(rows) != 1 or getattr(rows[0], "component", None) is not None:
                    split += 1
                    continue
                place = _place(roots.get(store, ""), rows[0].path)
                size = rows[0].file_size if rows[0].file_size >= 0 else _size(place)
                out[key.bytes] = (place, size, formatter_name(rows[0].formatter, rows[0].path))
        if split:
            self.notes.append(f"{split} datasets are in several files each; they are registered without")
        return out


_NO_FILE = (None, None, None)


def _plain(record: Any) -> dict[str, Any]:
    """Return a record in the words of an export."""
    out: dict[str, Any] = record.toDict()
    if "timespan" in out:
        out["timespan"] = _span(out["timespan"])
    if out.get("region") is not None:
        out["region"] = out["region"].encode()
    return out


def _span(theirs: Any) -> Timespan | None:
    """Return a timespan of theirs; None for none, and for an empty one."""
    if theirs is None or theirs.isEmpty():
        return None
    begin, end = theirs.nsec
    return Timespan(
        UNBOUNDED_BEGIN if theirs.begin is None else begin, UNBOUNDED_END if theirs.end is None else end
    )


def _reached(names: Iterable[str], collections: Mapping[str, Mapping[str, Any]]) -> dict[str, None]:
    """Return all collections that a search of some looks into, chains and what they hold, each once."""
    out: dict[str, None] = {}
    pending = list(names)
    while pending:
        name = pending.pop(0)
        if name not in out and name in collections:
            out[name] = None
            if collections[name]["collection_type"] == CollectionType.CHAINED.name:
                pending[:0] = collections[name]["children"]
    return out


def _place(root: str, path: str) -> str:
    """Return where a file is, absolute; paths in records of a datastore are quoted as in a URI."""
    return plain_path(path) if "://" in path else f"{root.rstrip('/')}/{unquote(path)}"


def _size(place: str) -> int | None:
    try:
        return files.size(place)
    except NotFoundError:
        return None
