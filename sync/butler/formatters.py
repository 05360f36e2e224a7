"""The field's formatters, by the names that ours have for what they read."""

from __future__ import annotations

from functools import cache
from typing import Any

from registry.errors import UsageError

__all__ = ["formatter_name"]

_LONGEST = 64
_SAME_FORM = {
    "JsonFormatter": "json",
    "YamlFormatter": "yaml",
    "ParquetFormatter": "parquet",
    "ButlerLogRecordsFormatter": "json",
    "PexConfigFormatter": "text",
    "MatplotlibFormatter": "file",
    "FileFormatter": "file",
    # A pickle can run anything when it is read, so it is never read: whoever gets it gets its bytes.
    "PickleFormatter": "bytes",
}
_BY_ENDING = {".json": "json", ".yaml": "yaml", ".yml": "yaml", ".pickle": "bytes", ".pkl": "bytes"}


def formatter_name(theirs: Any, path: Any) -> str | None:
    """Return the name of what reads a file.

    Parameters
    ----------
    theirs : str or None
        The formatter's class, as the export names it.
    path : str or None
        The file.

    Returns
    -------
    str or None
        A formatter of ours that reads the same form; else the class's own name, so that whoever reads the dataset is
        told which formatter is missing. None where none is named.

    Raises
    ------
    UsageError
        If it is no name.
    """
    if theirs is None:
        return _BY_ENDING.get(_ending(path)) if _ending(path) in {".pickle", ".pkl"} else None
    if not isinstance(theirs, str) or not theirs:
        raise UsageError(f"{theirs!r:.60} is no formatter", code="bad-export")
    return _known(theirs, _ending(path))


@cache
def _known(theirs: str, ending: str) -> str:
    module, _, name = theirs.rpartition(".")
    if module.startswith("lsst."):
        if name == "PackagesFormatter" and ending in _BY_ENDING:
            return _BY_ENDING[ending]
        if name in _SAME_FORM:
            return _SAME_FORM[name]
    return theirs[-_LONGEST:]


def _ending(path: Any) -> str:
    text = str(path or "").rpartition("/")[2]
    return text[text.rfind(".") :].lower() if "." in text else ""
