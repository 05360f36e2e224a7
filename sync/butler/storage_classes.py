"""The field's storage classes and ours: which of theirs holds what one of ours does, and how its files are read there."""

from __future__ import annotations

from typing import NamedTuple

from registry.errors import NotFoundError

__all__ = ["Counterpart", "counterpart", "has_counterpart", "our_storage_class"]


class Counterpart(NamedTuple):
    """What one of our storage classes is in a butler repository.

    Parameters
    ----------
    storage_class : str
        Its name there.
    formatter : str
        The class that reads our files there.
    extension : str
        How the names of files end that it reads.
    """

    storage_class: str
    formatter: str
    extension: str


_FORMATTERS = "lsst.daf.butler.formatters"
_COUNTERPARTS = {
    "Json": Counterpart("StructuredDataDict", f"{_FORMATTERS}.json.JsonFormatter", ".json"),
    "Yaml": Counterpart("StructuredDataDict", f"{_FORMATTERS}.yaml.YamlFormatter", ".yaml"),
    "ArrowTable": Counterpart("ArrowTable", f"{_FORMATTERS}.parquet.ParquetFormatter", ".parq"),
    "DataFrame": Counterpart("DataFrame", f"{_FORMATTERS}.parquet.ParquetFormatter", ".parq"),
    "Columns": Counterpart("ArrowNumpyDict", f"{_FORMATTERS}.parquet.ParquetFormatter", ".parq"),
}
_OURS = {"StructuredDataDict": "Yaml", "StructuredDataList": "Yaml", "ArrowNumpyDict": "Columns"}


def has_counterpart(ours: str) -> bool:
    """Tell whether a butler can read the files of a storage class of ours.

    Parameters
    ----------
    ours : str
        Its name.

    Returns
    -------
    bool
        Whether `counterpart` has an answer.
    """
    return ours in _COUNTERPARTS


def counterpart(ours: str) -> Counterpart:
    """Return what a storage class of ours is there.

    Parameters
    ----------
    ours : str
        Its name.

    Returns
    -------
    Counterpart
        What holds the same, and reads our files.

    Raises
    ------
    NotFoundError
        If a butler has nothing that reads its files.
    """
    if ours not in _COUNTERPARTS:
        raise NotFoundError(
            f"a butler has nothing that reads files of the storage class '{ours}'",
            code="storage-class-unknown",
            hint=f"It reads those of {', '.join(_COUNTERPARTS)}.",
        )
    return _COUNTERPARTS[ours]


def our_storage_class(theirs: str, wanted: str = "") -> str:
    """Return what a storage class of theirs is here.

    Parameters
    ----------
    theirs : str
        Its name there.
    wanted : str, optional
        The one that a pipeline of ours has for that dataset type.

    Returns
    -------
    str
        The one that is wanted, if it is that one there; else the first of ours that is; else their own name.
    """
    known = _COUNTERPARTS.get(wanted)
    if known is not None and known.storage_class == theirs:
        return wanted
    return _OURS.get(theirs, theirs)
