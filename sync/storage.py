"""Storage classes and formatters by name: what a dataset is in memory, and how its file is written and read.

Both are found by name: those that are shipped, then the entry points ``stage.storage_classes`` (each gives a
`StorageClass`) and ``stage.formatters`` (each gives a `Formatter`, or a class of one that takes no arguments).
The name of any formatter followed by ``.zst`` is that formatter, compressed. Modules are loaded when first needed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple

from registry.errors import IntegrityError, NotFoundError, StageError, UsageError, nearest
from sync.formatters.base import DirectoryFormatter, Formatter

__all__ = [
    "DirectoryFormatter",
    "Formatter",
    "StorageClass",
    "decode",
    "directory_formatter",
    "formatter",
    "is_readable_as",
    "storage_class",
    "storage_classes",
]


class StorageClass(NamedTuple):
    """What datasets of a type are in memory.

    Parameters
    ----------
    name : str
        Its name in dataset types.
    doc : str
        What it is.
    formatter : str
        Name of the formatter that writes it.
    adapter : str
        ``module:function`` that turns whatever a formatter read into this class's type; empty where none is needed.
    reads : tuple of str
        Other storage classes whose datasets can be read as this one: a task may declare this class for them.
    """

    name: str
    doc: str
    formatter: str
    adapter: str = ""
    reads: tuple[str, ...] = ()


_PLAIN, _TABLES = ("Json", "JsonZst", "Yaml"), ("ArrowTable", "DataFrame", "Columns")
_BYTES, _TEXTS, _ARRAYS = ("Bytes", "BytesZst", "File"), ("Text", "TextZst"), ("NumpyArray", "NumpyArrayZst")

_CLASSES = {
    c.name: c
    for c in (
        StorageClass("Json", "dict, list or plain value", "json", reads=_PLAIN),
        StorageClass("JsonZst", "dict, list or plain value, compressed", "json.zst", reads=_PLAIN),
        StorageClass("Yaml", "dict, list or plain value, easy to read", "yaml", reads=_PLAIN),
        StorageClass("Text", "text", "text", reads=_TEXTS),
        StorageClass("TextZst", "text, compressed", "text.zst", reads=_TEXTS),
        StorageClass("Bytes", "bytes", "bytes", reads=_BYTES),
        StorageClass("BytesZst", "bytes, compressed", "bytes.zst", reads=_BYTES),
        StorageClass("NumpyArray", "numpy.ndarray", "npy", reads=_ARRAYS),
        StorageClass("NumpyArrayZst", "numpy.ndarray, compressed", "npy.zst", reads=_ARRAYS),
        StorageClass("ArrowTable", "pyarrow.Table", "parquet", "sync.formatters.parquet:as_table", _TABLES),
        StorageClass("DataFrame", "pandas.DataFrame", "parquet", "sync.formatters.parquet:as_frame", _TABLES),
        StorageClass(
            "Columns", "NumPy arrays by name", "parquet", "sync.formatters.parquet:as_columns", _TABLES
        ),
        StorageClass("FitsImage", "sync.formatters.fits.Image", "fits"),
        StorageClass("FitsTable", "astropy.table.Table", "fits-table"),
        StorageClass("DimensionRecords", "list of dicts: records of a dimension", "jsonl"),
        StorageClass("FileSet", "sync.formatters.file_set.FileSet: several files, in an archive", "fileset"),
        StorageClass("File", "a file of any form, as bytes", "file", reads=_BYTES),
    )
}

_FORMATTERS = {
    "json": "sync.formatters.plain:JsonFormatter",
    "yaml": "sync.formatters.plain:YamlFormatter",
    "text": "sync.formatters.plain:TextFormatter",
    "bytes": "sync.formatters.plain:BytesFormatter",
    "file": "sync.formatters.plain:FileFormatter",
    "fileset": "sync.formatters.file_set:FileSetFormatter",
    "jsonl": "sync.formatters.lines:JsonLinesFormatter",
    "npy": "sync.formatters.numpy_array:NumpyFormatter",
    "parquet": "sync.formatters.parquet:ParquetFormatter",
    "fits": "sync.formatters.fits:ImageFormatter",
    "fits-table": "sync.formatters.fits:TableFormatter",
}


def _entry_points(group: str) -> dict[str, Any]:
    from importlib.metadata import entry_points

    return {entry.name: entry for entry in entry_points(group=group)}


def _load_entry(entry: Any) -> Any:
    try:
        return entry.load()
    except (ImportError, AttributeError) as exc:
        raise UsageError(
            f"entry point '{entry.name}' of group {entry.group} cannot be loaded: {exc}", code="bad-plugin"
        ) from exc


def _load(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)


@cache
def storage_class(name: str) -> StorageClass:
    """Return the storage class of that name.

    Parameters
    ----------
    name : str
        Its name.

    Returns
    -------
    StorageClass
        It.

    Raises
    ------
    NotFoundError
        If there is none; offers the nearest name.
    """
    found = _CLASSES.get(name)
    if found is not None:
        return found
    plugins = _entry_points("stage.storage_classes")
    if name not in plugins:
        raise NotFoundError(
            f"no storage class '{name}'", code="no-storage-class", hint=nearest(name, [*_CLASSES, *plugins])
        )
    loaded = _load_entry(plugins[name])
    if not isinstance(loaded, StorageClass):
        raise UsageError(
            f"entry point '{name}' of group stage.storage_classes is a {type(loaded).__name__}, not a StorageClass",
            code="bad-plugin",
        )
    return loaded


def storage_classes() -> list[StorageClass]:
    """Return all storage classes there are.

    Returns
    -------
    list of StorageClass
        Those shipped and those of entry points, by name.
    """
    return [storage_class(name) for name in sorted({*_CLASSES, *_entry_points("stage.storage_classes")})]


def is_readable_as(stored: str, wanted: str) -> bool:
    """Tell whether datasets of one storage class can be read as another one.

    Parameters
    ----------
    stored : str
        The storage class of their dataset type.
    wanted : str
        What they are to be in memory.

    Returns
    -------
    bool
        Whether it is the same class, or declares that it reads the other.

    Raises
    ------
    NotFoundError
        If there is no storage class `wanted`.
    """
    return stored == wanted or stored in storage_class(wanted).reads


@cache
def formatter(name: str) -> Formatter:
    """Return the formatter of that name.

    Parameters
    ----------
    name : str
        Its name, as artifact records have it.

    Returns
    -------
    Formatter
        It.

    Raises
    ------
    NotFoundError
        If there is none; offers the nearest name.
    UsageError
        If it needs a library that is not installed.
    """
    if name.endswith(".zst"):
        from sync.formatters.compressed import CompressedFormatter

        return CompressedFormatter(formatter(name.removesuffix(".zst")))
    target = _FORMATTERS.get(name)
    if target is not None:
        return _load(target)()  # type: ignore[no-any-return]
    plugins = _entry_points("stage.formatters")
    if name not in plugins:
        raise NotFoundError(
            f"no formatter '{name}'",
            code="no-formatter",
            hint=nearest(name, [*_FORMATTERS, *plugins, *(f"{n}.zst" for n in _FORMATTERS)]),
        )
    loaded = _load_entry(plugins[name])
    return loaded() if isinstance(loaded, type) else loaded  # type: ignore[no-any-return]


def directory_formatter(storage_class_name: str) -> DirectoryFormatter | None:
    """Return the formatter of a storage class whose datasets scripts see as directories.

    Parameters
    ----------
    storage_class_name : str
        The storage class.

    Returns
    -------
    DirectoryFormatter or None
        None if scripts see a file.
    """
    found = formatter(storage_class(storage_class_name).formatter)
    return found if isinstance(found, DirectoryFormatter) else None


@cache
def _adapter(target: str) -> Callable[[object], object] | None:
    return _load(target) if target else None


def decode(data: bytes, formatter_name: str, storage_class_name: str, where: str) -> object:
    """Turn the bytes of an artifact into the object that a dataset type promises.

    Parameters
    ----------
    data : bytes
        The whole file.
    formatter_name : str
        Who wrote it, by its record.
    storage_class_name : str
        What it has to be in memory.
    where : str
        The file's name in errors.

    Returns
    -------
    object
        It.

    Raises
    ------
    IntegrityError
        If the bytes are not what that formatter wrote.
    UsageError
        If what they hold cannot be turned into that class's type.
    """
    reader = formatter(formatter_name)
    adapt = _adapter(storage_class(storage_class_name).adapter)
    try:
        obj = reader.decode(data)
    except IntegrityError as exc:
        raise IntegrityError(f"{where} is {exc.message}", code=exc.code, hint=exc.hint or _DAMAGED) from exc
    except (StageError, MemoryError):
        raise
    except Exception as exc:  # a user's formatter may raise whatever it likes
        raise IntegrityError(
            f"{where} is not readable as '{formatter_name}': {exc}", code="damaged-file", hint=_DAMAGED
        ) from exc
    return obj if adapt is None else adapt(obj)


def convert(obj: object, storage_class_name: str) -> object:
    """Turn an object in memory into what a storage class promises.

    Parameters
    ----------
    obj : object
        Of that class, or of one that can be read as it: see `is_readable_as`.
    storage_class_name : str
        What it has to be.

    Returns
    -------
    object
        As if it had been written and read.

    Raises
    ------
    UsageError
        If it cannot be turned into that class's type.
    """
    adapt = _adapter(storage_class(storage_class_name).adapter)
    return obj if adapt is None else adapt(obj)


_DAMAGED = "Compare it with its recorded checksum; make or fetch it again."
