"""Dimension records as JSON lines: one file an element, one record a line.

``visit.jsonl`` holds the records of the element ``visit``. The columns are those of its table, with one
difference: a dimension's own key goes by the name that users write after the dot (``visit.id``, ``instrument.name``).
What the values of regions, timespans and hashes look like is said in `sync.json_forms`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np

from registry.errors import AlreadyExistsError, DataIdError, NotFoundError, UsageError, nearest
from registry.model.columns import Columns, as_array, group_codes
from registry.model.data_id import format_values
from registry.model.dimensions import DimensionUniverse
from registry.model.elements import DimensionElement
from sync import files
from sync.json_forms import BadValue, from_json, span_from_json, span_to_json, to_json

if TYPE_CHECKING:
    from sync.repo import Repo

__all__ = ["export_records", "import_records", "read_records"]

_SUFFIX = ".jsonl"
_SPAN = ("timespan_begin", "timespan_end")


def import_records(repo: Repo, place: files.Uri) -> dict[str, int]:
    """Bring dimension records into a repository: all of them, or on an error none.

    Records that are there already and are the same are passed over, so a second import changes nothing.

    Parameters
    ----------
    repo : Repo
        Open to write.
    place : str or path
        A directory of ``<element>.jsonl`` files, or one such file.

    Returns
    -------
    dict of str to int
        New records by element, in order of reference; elements that had a file only.

    Raises
    ------
    NotFoundError
        If there is no such file.
    UsageError
        If a file or a line in it is not of this form; names file, line and, for a wrong name, the nearest one.
    DataIdError
        If a record refers to one that does not exist.
    ConflictError
        If the repository has other values for a record. In all these cases nothing has changed.
    """
    universe = repo.registry.universe
    records = {name: read_records(universe, uri) for name, uri in _sources(universe, files.absolute(place))}
    with repo.registry.write() as change:
        return {
            name: change.insert_records(name, rows, on_existing="compare") for name, rows in records.items()
        }


def export_records(repo: Repo, directory: files.Uri, elements: Sequence[str] | None = None) -> dict[str, int]:
    """Write the dimension records of a repository.

    Parameters
    ----------
    repo : Repo
        Open.
    directory : str or path
        Where to; made if need be. It must hold no such files yet.
    elements : sequence of str, optional
        Whose records; all by default.

    Returns
    -------
    dict of str to int
        Records by element; an element without records gets no file.

    Raises
    ------
    AlreadyExistsError
        If the directory holds such files.
    DataIdError
        If there is no such element.
    StorageError
        If a file cannot be written.
    """
    universe = repo.registry.universe
    names = [e.name for e in universe.elements.values() if e.has_table]
    for name in elements or ():
        if universe.element(name).name not in names:
            raise DataIdError(
                f"'{name}' has no records of its own", code="no-records", hint=nearest(name, names)
            )
    there = [name for name in files.list_files(directory) if name.endswith(_SUFFIX)]
    if there:
        raise AlreadyExistsError(
            f"{files.redact(directory)} holds {_SUFFIX} files already ({there[0]}{', …' if there[1:] else ''})",
            code="file-exists",
            hint="Choose an empty directory.",
        )
    counts: dict[str, int] = {}
    with repo.registry.read() as snapshot:
        for name in names:
            rows = snapshot.records(name) if elements is None or name in elements else Columns({})
            if rows.n_rows:
                text = "".join(_lines(universe, universe.element(name), rows))
                files.write_bytes(files.join(directory, name + _SUFFIX), text.encode())
                counts[name] = rows.n_rows
    return counts


def read_records(universe: DimensionUniverse, uri: files.Uri) -> Columns:
    """Read one file.

    Parameters
    ----------
    universe : DimensionUniverse
        Says which columns there are.
    uri : str or path
        ``<element>.jsonl``.

    Returns
    -------
    Columns
        Columns of the element's table, as far as the file has them.

    Raises
    ------
    NotFoundError
        If there is no such file.
    UsageError
        If a line is not a record; names file and line.
    """
    element = universe.element(_element_name(uri))
    source = _Source.read(uri)
    fields = _fields(universe, element)
    _check_names(source, element, fields)
    columns: dict[str, Any] = {}
    for f in fields:
        if not f.nullable or any(name in source.names for name in f.names):
            try:
                columns |= f.read(source)
            except BadValue as exc:
                source.fail(exc.row, f"'{f.names[0]}': {exc.why}")
    rows = Columns({name: as_array(columns[name]) for name in element.record_columns if name in columns})
    _check_distinct(source, element, rows)
    return rows


class _Source(NamedTuple):
    """The lines of one file that hold something."""

    uri: str
    rows: list[dict[str, Any]]
    numbers: list[int]
    names: frozenset[str]

    @classmethod
    def read(cls, uri: files.Uri) -> _Source:
        text = _decoded(files.read_bytes(uri), files.redact(uri))
        found = [(i, line) for i, line in enumerate(text.split("\n"), 1) if line.strip()]
        rows: list[dict[str, Any]] = []
        source = cls(files.redact(uri), rows, [i for i, _ in found], frozenset())
        for row, (_, line) in enumerate(found):
            try:
                value = _decoder.decode(line.strip())
            except ValueError as exc:
                source.fail(row, f"not JSON: {exc}", cause=exc)
            if type(value) is not dict:
                source.fail(row, f"expected one record in braces, found {line.strip()!r:.60}")
            rows.append(value)
        return source._replace(names=frozenset().union(*rows))

    def fail(self, row: int, why: str, hint: str = "", cause: Exception | None = None) -> NoReturn:
        raise UsageError(
            f"{self.uri}, line {self.numbers[row]}: {why}",
            code="bad-record",
            hint=hint or "Nothing was imported; correct that line.",
            context={"file": self.uri, "line": self.numbers[row]},
        ) from cause


class _Field(NamedTuple):
    """One thing that a record says: a column, or the two of a timespan."""

    names: tuple[str, ...]
    """What it is called in the file, first the usual name."""
    column: str
    kind: str
    nullable: bool

    def read(self, source: _Source) -> dict[str, list[Any]]:
        name = next((n for n in self.names if n in source.names), self.names[0])
        values = [row.get(name) for row in source.rows]
        if self.kind == "timespan":
            return dict(zip(_SPAN, span_from_json(values), strict=True))
        return {self.column: from_json(self.kind, values, self.nullable)}

    def write(self, rows: Columns) -> list[Any]:
        if self.kind == "timespan":
            return span_to_json(rows[_SPAN[0]], rows[_SPAN[1]])
        return to_json(self.kind, rows[self.column])


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a value of a record; write null")


_decoder = json.JSONDecoder(parse_constant=_refuse_constant)
_encoder = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _sources(universe: DimensionUniverse, place: str) -> list[tuple[str, str]]:
    """Return the elements that there are files for, in order of reference."""
    if place.endswith(_SUFFIX):
        uris = [place]
    else:
        names = [name for name in files.list_files(place) if name.endswith(_SUFFIX) and "/" not in name]
        uris = [files.join(place, name) for name in names]
        if not uris:
            raise NotFoundError(
                f"no {_SUFFIX} files in {files.redact(place)}",
                code="no-such-file",
                hint="Dimension records are read from files like visit.jsonl.",
            )
    order = [e.name for e in universe.elements.values() if e.has_table]
    for uri in uris:
        if _element_name(uri) not in order:
            raise UsageError(
                f"{files.redact(uri)}: universe {universe.name} keeps no records of '{_element_name(uri)}'",
                code="unknown-dimension",
                hint=nearest(_element_name(uri), order),
            )
    return sorted(((_element_name(uri), uri) for uri in uris), key=lambda pair: order.index(pair[0]))


def _element_name(uri: files.Uri) -> str:
    return str(uri).rpartition("/")[2].removesuffix(_SUFFIX)


def _decoded(data: bytes, where: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise UsageError(f"{where}, line {line}: not text in UTF-8", code="bad-record") from exc


def _fields(universe: DimensionUniverse, element: DimensionElement) -> list[_Field]:
    """Return what a record of an element says, in table order."""
    more = (*element.unique, *element.metadata)
    out: list[_Field] = []
    for name in (*element.required, *element.implied):
        key = universe.element(name).key
        names: tuple[str, ...] = (name,)
        if name == element.name and key is not None and key.name not in {c.name for c in more}:
            names = (key.name, name)
        out.append(_Field(names, name, key.type if key else "string", name in element.implied))
    out += [_Field((c.name,), c.name, c.type, c.nullable) for c in more]
    if element.region:
        out.append(_Field(("region",), "region", "region", True))
    if element.timespan:
        out.append(_Field(("timespan",), "timespan", "timespan", True))
    return out


def _check_names(source: _Source, element: DimensionElement, fields: Sequence[_Field]) -> None:
    known = {name for f in fields for name in f.names}
    unknown = source.names - known
    if unknown:
        row, name = next((i, n) for i, r in enumerate(source.rows) for n in r if n in unknown)
        source.fail(row, f"{element.name} has no column '{name}'", nearest(name, known))


def _check_distinct(source: _Source, element: DimensionElement, rows: Columns) -> None:
    if rows.n_rows < 2:
        return
    codes = group_codes([rows[name] for name in element.required])
    order = np.argsort(codes, kind="stable")
    again = np.flatnonzero(codes[order][1:] == codes[order][:-1])
    if len(again):
        first, second = int(order[again[0]]), int(order[again[0] + 1])
        key = rows.select(element.required).take(np.array([second])).rows()[0]
        source.fail(
            second,
            f"{element.name} {format_values(element.required, key)} is on line {source.numbers[first]} already",
        )


def _lines(universe: DimensionUniverse, element: DimensionElement, rows: Columns) -> list[str]:
    fields = _fields(universe, element)
    names = [f.names[0] for f in fields]
    values = zip(*(f.write(rows) for f in fields), strict=True)
    return [_encoder.encode(dict(zip(names, row, strict=True))) + "\n" for row in values]
