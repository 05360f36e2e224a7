"""Dimension records as JSON lines: one file an element, one record a line.

``visit.jsonl`` holds the records of the element ``visit``. The columns are those of its table, with one
difference: a dimension's own key goes by the name that users write after the dot (``visit.id``, ``instrument.name``).
What the values of regions, timespans and hashes look like is said in `sync.exports.json_forms`. A whole repository has more
files than these: see `sync.exports.json_repository`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from registry.errors import AlreadyExistsError, DataIdError, nearest
from registry.model.columns import Columns
from registry.model.dimensions import DimensionUniverse
from sync.exports.exchange import import_exports
from sync.exports.json_lines import SUFFIX, read_batches, write_objects
from sync.exports.record_fields import columns_of, objects_of
from sync.filesystem import files

if TYPE_CHECKING:
    from sync.repo import Repo

__all__ = ["export_records", "import_records", "read_records"]


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
    return import_exports(repo, [place]).records


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
    there = [name for name in files.list_files(directory) if name.endswith(SUFFIX)]
    if there:
        raise AlreadyExistsError(
            f"{files.redact(directory)} holds {SUFFIX} files already ({there[0]}{', …' if there[1:] else ''})",
            code="file-exists",
            hint="Choose an empty directory.",
        )
    counts: dict[str, int] = {}
    with repo.registry.read() as snapshot:
        for name in names:
            rows = snapshot.records(name) if elements is None or name in elements else Columns({})
            if rows.n_rows:
                lines = objects_of(universe, universe.element(name), rows)
                write_objects(files.join(directory, name + SUFFIX), lines)
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
    name = str(uri).rpartition("/")[2].removesuffix(SUFFIX)
    return columns_of(universe, universe.element(name), read_batches(uri))
