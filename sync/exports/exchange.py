"""Import and export of repositories: which form an import is in, and the way from there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from registry.errors import NotFoundError
from sync.exports.content import Content
from sync.exports.import_files import ImportMode
from sync.exports.importing import ImportReport, OnExisting, import_content
from sync.exports.json_lines import SUFFIX
from sync.exports.json_repository import HEADER, is_repository_export, read_records_folder, read_repository
from sync.filesystem import files

if TYPE_CHECKING:
    from registry.model.dimensions import DimensionUniverse
    from sync.repo import Repo

__all__ = ["import_exports", "read_source"]

_YAML = (".yaml", ".yml")
_EXPORT_NAME = "export.yaml"
"""What the field's butler calls its export in a directory."""


def import_exports(
    repo: Repo,
    places: Sequence[files.Uri],
    *,
    mode: ImportMode | None = None,
    skip_missing: bool = False,
    on_existing: OnExisting = "compare",
) -> ImportReport:
    """Bring exports into a repository: all that they hold, or on an error nothing.

    Parameters
    ----------
    repo : Repo
        Open to write.
    places : sequence of str or path
        As for `read_source`; a later one may build on what an earlier one brings.
    mode : str, optional
        As for `sync.exports.importing.import_content`.
    skip_missing : bool, optional
        As there.
    on_existing : str, optional
        As there.

    Returns
    -------
    ImportReport
        What is new.

    Raises
    ------
    StageError
        As `read_source` and `sync.exports.importing.import_content`.
    """
    contents = [read_source(repo.registry.universe, place) for place in places]
    return import_content(repo, contents, mode=mode, skip_missing=skip_missing, on_existing=on_existing)


def read_source(universe: DimensionUniverse, place: files.Uri) -> Content:
    """Read an export.

    Parameters
    ----------
    universe : DimensionUniverse
        That of the repository it goes to.
    place : str or path
        A directory that `sync.exports.exporting` wrote; a file ``<element>.jsonl`` of dimension records, or a directory of such
        files; a YAML file that the field's butler wrote, or a directory with one that is called ``export.yaml``.

    Returns
    -------
    Content
        What it holds.

    Raises
    ------
    NotFoundError
        If there is nothing of the kind.
    UsageError
        If something in it is wrong, or the universe lacks something; names the place.
    """
    where = files.absolute(place)
    if where.endswith(_YAML):
        return _butler(universe, where)
    if where.endswith(SUFFIX):
        folder, _, name = where.rpartition("/")
        return Content(files.redact(where), read_records_folder(universe, folder or "/", [name]))
    names = files.list_files(where)
    if is_repository_export(where, names):
        return read_repository(universe, where, names)
    if _EXPORT_NAME in names:
        return _butler(universe, files.join(where, _EXPORT_NAME))
    records = [name for name in names if name.endswith(SUFFIX) and "/" not in name]
    if not records:
        raise _nothing(where)
    return Content(files.redact(where), read_records_folder(universe, where, records))


def _butler(universe: DimensionUniverse, where: str) -> Content:
    from sync.butler.content import read_butler_export

    return read_butler_export(universe, where)


def _nothing(where: str) -> NotFoundError:
    shown = files.redact(where)
    hint = f"An import reads {HEADER} with its files, {SUFFIX} files of dimension records, or {_EXPORT_NAME}."
    if not files.exists(where):
        return NotFoundError(f"no such file or directory: {shown}", code="no-such-file", hint=hint)
    return NotFoundError(
        f"no {SUFFIX} files and no {_EXPORT_NAME} in {shown}", code="no-such-file", hint=hint
    )
