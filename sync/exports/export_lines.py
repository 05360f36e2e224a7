"""Rows of a registry as lines of JSON, each kind in the form that `sync.exports.json_repository` reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from registry.model.collections import Collection, CollectionType
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.refs import id_text
from sync.exports.json_lines import encode

__all__ = ["collection_object", "dataset_objects", "plain_objects", "type_object"]


def dataset_objects(required: Sequence[str], rows: Columns, paths: Sequence[str | None]) -> Iterator[str]:
    """Word datasets.

    Parameters
    ----------
    required : sequence of str
        Their dimensions.
    rows : Columns
        Those, ``id``, ``run`` and the columns of artifact records.
    paths : sequence of str or None
        Where their files are in the export.

    Yields
    ------
    str
        One object of JSON a dataset.
    """
    names = ("id", "run", "uri", "size", "checksum", "formatter")
    data_ids = rows.rows(required)
    for (i, run, uri, *more), values, path in zip(rows.rows(names), data_ids, paths, strict=True):
        artifact = None
        if uri is not None:
            artifact = {"uri": uri, **dict(zip(names[3:], more, strict=True))}
            if path is not None:
                artifact["path"] = path
        data_id = dict(zip(required, values, strict=True))
        yield encode({"id": id_text(i), "run": run, "data_id": data_id, "artifact": artifact})


def type_object(kind: DatasetType) -> str:
    """Word a dataset type.

    Parameters
    ----------
    kind : DatasetType
        It.

    Returns
    -------
    str
        One object of JSON.
    """
    return encode(
        {
            "name": kind.name,
            "dimensions": list(kind.dimensions.required),
            "storage_class": kind.storage_class,
            "is_calibration": kind.is_calibration,
        }
    )


def collection_object(found: Collection) -> str:
    """Word a collection.

    Parameters
    ----------
    found : Collection
        It.

    Returns
    -------
    str
        One object of JSON.
    """
    line: dict[str, Any] = {"name": found.name, "type": found.type.name, "doc": found.doc}
    if found.type is CollectionType.CHAINED:
        line["children"] = list(found.children)
    return encode(line)


def plain_objects(rows: Columns) -> Iterator[str]:
    """Word rows as they are, ids as text.

    Parameters
    ----------
    rows : Columns
        Ids, numbers, texts and truth values.

    Yields
    ------
    str
        One object of JSON a row.
    """
    for values in rows.rows():
        texts = (id_text(v) if isinstance(v, bytes) else v for v in values)
        yield encode(dict(zip(rows.names, texts, strict=True)))
