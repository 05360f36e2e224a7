"""What a repository holds, in and out: exports and imports of the keeper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from registry.errors import UsageError
from stage.campaign.layout import absolute_uri
from stage.campaign.questions import split_words

if TYPE_CHECKING:
    from sync.exports.exporting import ExportReport, FilesMode
    from sync.exports.import_files import ImportMode
    from sync.exports.importing import ImportReport, OnExisting

__all__ = ["export_repo", "import_repo"]


def import_repo(
    repo: str,
    *sources: str,
    mode: ImportMode | None = None,
    skip_missing: bool = False,
    on_existing: OnExisting = "compare",
) -> ImportReport:
    """Bring exports into a repository: all that they hold, or on an error nothing.

    Parameters
    ----------
    repo : str
        Root of the repository.
    *sources : str
        Directories that `export_repo` wrote, files ``<element>.jsonl`` of dimension records or directories of them,
        YAML files that the field's butler exported.
    mode : {"copy", "link", "symlink", "move", "direct", "in-place", "none"}, optional
        How files get in; by default they are copied, but for those that lay outside of their datastore.
    skip_missing : bool, optional
        Whether datasets whose file is missing are left out.
    on_existing : {"compare", "skip", "error"}, optional
        Whether what is there already must be equal, stays as it is, or must not be there.

    Returns
    -------
    ImportReport
        What is new, what was skipped, and notes on what was converted.

    Raises
    ------
    StageError
        If something is wrong, missing, or there already with other values; nothing is imported.
    """
    from sync.exports.exchange import import_exports
    from sync.repo import Repo

    if not sources:
        raise UsageError("nothing to import", code="no-source", hint="Name a directory or a file.")
    with Repo.open(repo, writable=True) as opened:
        return import_exports(
            opened,
            [absolute_uri(source) for source in sources],
            mode=mode,
            skip_missing=skip_missing,
            on_existing=on_existing,
        )


def export_repo(
    repo: str,
    directory: str,
    *,
    records: Sequence[str] = (),
    dataset_types: Sequence[str] = (),
    collections: Sequence[str] = (),
    where: str = "",
    bind: Mapping[str, Any] | None = None,
    files: FilesMode = "none",
) -> ExportReport:
    """Write a repository, or a part of it, as JSON lines.

    Parameters
    ----------
    repo : str
        Root of the repository.
    directory : str
        Where to: an empty directory, made if need be.
    records : sequence of str, optional
        Only dimension records of these elements, and nothing else.
    dataset_types, collections : sequence of str, optional
        Only datasets of these, and what they need; names and patterns.
    where : str, optional
        Only datasets whose data IDs fulfil this expression.
    bind : mapping, optional
        Values for names in it.
    files : {"none", "copy", "link"}, optional
        Whether files are taken along.

    Returns
    -------
    ExportReport
        What was written.

    Raises
    ------
    StageError
        If something that was named does not exist, a file is missing, or the directory is not empty.
    """
    from sync.exports.exporting import ExportReport, Selection, export_repository
    from sync.exports.jsonl import export_records
    from sync.repo import Repo

    where_to = absolute_uri(directory)
    elements = split_words(records)
    selection = Selection(split_words(dataset_types), split_words(collections), where, bind or {})
    if elements and not selection.is_everything:
        raise UsageError(
            "--records writes dimension records only: give it alone",
            code="bad-export",
            hint="Datasets bring the records that they need along.",
        )
    with Repo.open(repo) as opened:
        if elements:
            return ExportReport(records=export_records(opened, where_to, elements))
        return export_repository(opened, where_to, selection, files_mode=files)
