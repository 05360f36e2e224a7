"""The files of an import: where they are, which are missing, what they will be called, and putting them in place."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, cast

import numpy as np

from registry.errors import IntegrityError, NotFoundError
from registry.model.columns import Array, Columns, as_array
from registry.model.dataset_type import DatasetType
from registry.model.refs import id_text
from sync import storage
from sync.administration.intake import SHOWN, Intake, listed, sizes
from sync.datastore import Datastore, TransferMode
from sync.exports.content import ARTIFACT_COLUMNS
from sync.filesystem import files
from sync.fsspec_store import extensions
from sync.paths import artifact_stem

__all__ = ["FilePlan", "ImportMode", "Ready"]

ImportMode = Literal["copy", "link", "symlink", "move", "direct", "in-place", "none"]


@dataclass(frozen=True)
class Ready:
    """Datasets of one type in one RUN, their columns checked.

    Parameters
    ----------
    kind : DatasetType
        The type.
    run : str
        The RUN collection.
    rows : Columns
        Required dimensions, ``id`` and `sync.exports.content.ARTIFACT_COLUMNS`.
    """

    kind: DatasetType
    run: str
    rows: Columns


class FilePlan:
    """What becomes of the files of many datasets.

    Parameters
    ----------
    datastore : Datastore
        Where they go.
    ready : sequence of Ready
        The datasets.
    held : collection of bytes
        Ids of those whose files are there already.
    mode : str or None
        How files are taken in; by default what lies outside of the datastore it came from stays where it is, and all
        else is copied.
    """

    def __init__(
        self, datastore: Datastore, ready: Sequence[Ready], held: Collection[bytes], mode: ImportMode | None
    ) -> None:
        self.datastore = datastore
        self.ready = ready
        self.mode = mode
        self.missing: list[str] = []
        parts = [one.rows.select(("id", *ARTIFACT_COLUMNS)) for one in ready]
        table = Columns.concat(parts) if parts else _NOTHING
        self._ids: list[bytes] = table["id"].tolist()
        self._sources: list[str] = table["source"].tolist()
        self._uris: list[str | None] = table["uri"].tolist()
        self._sizes: list[int] = table["size"].tolist()
        self._checksums: list[str] = table["checksum"].tolist()
        self._formatters: list[str | None] = table["formatter"].tolist()
        self._modes: list[ImportMode] = []
        has_file = [source is not None and mode != "none" for source in self._sources]
        self._taken = [has and i not in held for has, i in zip(has_file, self._ids, strict=True)]
        self._kept = np.ones(table.n_rows, dtype=np.bool_)

    def look(self, *, skip_missing: bool) -> None:
        """See that all files are there and of the size that was recorded.

        Parameters
        ----------
        skip_missing : bool
            Whether datasets whose file is missing are left out.

        Raises
        ------
        NotFoundError
            If files are missing and may not be; names them.
        IntegrityError
            If a file has another size.
        """
        rows = [row for row, taken in enumerate(self._taken) if taken]
        sources = [self._source(row) for row in rows]
        there = sizes(sources)
        absent = [row for row, size in zip(rows, there, strict=True) if size is None]
        self.missing = list(dict.fromkeys(self._source(row) for row in absent))
        if absent and not skip_missing:
            shown = [files.redact(source) for source in self.missing]
            raise NotFoundError(
                f"{len(shown)} {'files are' if len(shown) > 1 else 'file is'} missing: {listed(shown[:SHOWN], len(shown))}",
                code="missing-files",
                hint="Nothing was imported. Bring them, or leave their datasets out: --skip-missing.",
                context={"paths": shown},
            )
        self._kept[absent] = False
        for row, size in zip(rows, there, strict=True):
            if size is None:
                self._taken[row] = False
                continue
            if self._sizes[row] not in {None, size}:
                raise IntegrityError(
                    f"{files.redact(self._source(row))} has {size} bytes, {self._sizes[row]} are recorded",
                    code="size-differs",
                    hint="Nothing was imported. Bring the file that was exported.",
                )
            self._sizes[row] = size
        self._name()

    @property
    def ids_left_out(self) -> set[bytes]:
        """Ids of the datasets whose files are missing."""
        return {self._ids[row] for row in np.flatnonzero(~self._kept).tolist()}

    @property
    def is_costly(self) -> bool:
        """Whether it pays to ask the registry whether it will have the rows, before files are put in place."""
        rows = [
            r for mode, rows in self._by_mode().items() if mode not in {"direct", "in-place"} for r in rows
        ]
        return len(rows) > _MANY_FILES or sum(self._sizes[row] for row in rows) > _MANY_BYTES

    def carry_out(self, intake: Intake) -> None:
        """Put the files in place.

        Parameters
        ----------
        intake : Intake
            What puts them, and can undo it.

        Raises
        ------
        IntegrityError
            If the bytes of a file are not those that were recorded.
        StorageError
            If one cannot be put in place.
        """
        for mode, rows in self._by_mode().items():
            if mode != "in-place":
                self._put(intake, cast("TransferMode", mode), rows)

    def _put(self, intake: Intake, mode: TransferMode, rows: Sequence[int]) -> None:
        # Bytes that are not copied are only read where nobody has told their checksum.
        known = mode in {"copy", "move"} or all(self._checksums[row] for row in rows)
        found, checksums = intake.put(
            mode,
            [self._source(row) for row in rows],
            [self._uris[row] or "" for row in rows],
            [self._sizes[row] for row in rows],
            checksum=not known and mode != "direct",
        )
        for row, size, checksum in zip(rows, found, checksums, strict=True):
            recorded = self._checksums[row]
            if checksum and recorded and checksum != recorded:
                raise IntegrityError(
                    f"{files.redact(self._source(row))} has the checksum {checksum}, recorded is {recorded}",
                    code="checksum-differs",
                    hint="Nothing was imported. Bring the file that was exported.",
                )
            self._sizes[row], self._checksums[row] = size, checksum or recorded

    def tables(self) -> Iterator[tuple[Ready, Columns]]:
        """Return what is to be written.

        Yields
        ------
        ready : Ready
            Type and run.
        rows : Columns
            Required dimensions, ``id`` and artifact columns, without what is left out; the uri is null where there is
            no file, or it is recorded already.
        """
        columns = {
            "uri": _array([u if t else None for u, t in zip(self._uris, self._taken, strict=True)]),
            "size": _array(self._sizes),
            "checksum": _array(self._checksums),
            "formatter": _array(self._formatters),
        }
        for start, one in self._starts():
            part = slice(start, start + one.rows.n_rows)
            rows = one.rows.select((*one.kind.dimensions.required, "id"))
            for name, values in columns.items():
                rows = rows.with_column(name, values[part])
            kept = self._kept[part]
            yield one, rows if kept.all() else rows.take(kept)

    def _starts(self) -> Iterator[tuple[int, Ready]]:
        start = 0
        for one in self.ready:
            yield start, one
            start += one.rows.n_rows

    def _source(self, row: int) -> str:
        uri = self._uris[row]
        return (
            self.datastore.locate(uri) if self.mode == "in-place" and uri is not None else self._sources[row]
        )

    def _mode_of(self, row: int) -> ImportMode:
        if self.mode is not None:
            return self.mode
        uri = self._uris[row]
        return "direct" if uri is not None and files.is_absolute(uri) else "copy"

    def _by_mode(self) -> dict[ImportMode, list[int]]:
        out: dict[ImportMode, list[int]] = {}
        for row, taken in enumerate(self._taken):
            if taken:
                out.setdefault(self._modes[row], []).append(row)
        return out

    def _name(self) -> None:
        """Decide what each file will be called here, and who reads it."""
        self._modes = [self._mode_of(row) for row in range(len(self._ids))]
        for start, one in self._starts():
            required = one.kind.dimensions.required
            for row, values in enumerate(one.rows.rows(required), start):
                if self._taken[row]:
                    self._uris[row] = self._uri(one, required, values, row)
                    if self._formatters[row] is None:
                        self._formatters[row] = _default_formatter(
                            one.kind.storage_class, extensions(self._source(row))
                        )

    def _uri(self, one: Ready, required: tuple[str, ...], values: tuple[object, ...], row: int) -> str:
        mode, source, uri = self._modes[row], self._source(row), self._uris[row]
        if mode == "direct":
            return source
        if mode == "in-place" and uri is not None:
            return uri
        # A path that holds the dataset's own id can be nobody else's; any other could be taken.
        if uri is not None and not files.is_absolute(uri) and id_text(self._ids[row]) in uri:
            return uri
        return artifact_stem(one.run, one.kind.name, required, values, self._ids[row]) + extensions(source)


_MANY_FILES = 100
_MANY_BYTES = 1 << 26
_NOTHING = Columns({name: [] for name in ("id", *ARTIFACT_COLUMNS)})


def _array(values: Sequence[object]) -> Array:
    return as_array(values) if values else np.empty(0, dtype=object)


@cache
def _default_formatter(storage_class: str, ending: str) -> str:
    """Name the formatter of a file of which none is recorded."""
    try:
        name = storage.storage_class(storage_class).formatter
    except NotFoundError:
        return "file"
    return f"{name}.zst" if ending.endswith(".zst") and not name.endswith(".zst") else name
