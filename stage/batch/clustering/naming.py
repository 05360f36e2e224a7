"""Names from templates, for very many rows at once: each distinct value is formatted once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from string import Formatter
from typing import Any

import numpy as np

from registry.errors import UsageError
from registry.model.columns import Array
from stage.graph.table import Coded, Column

__all__ = ["fields_of", "format_rows"]

_RUNS = re.compile("__+")


def fields_of(template: str) -> list[str]:
    """Return the names that a template puts in.

    Parameters
    ----------
    template : str
        As ``{label}_{visit:06d}``.

    Returns
    -------
    list of str
        In order, each once.

    Raises
    ------
    UsageError
        If it is no template (``bad-template``).
    """
    return list(dict.fromkeys(field for _, field, _, _ in _parse(template) if field))


def format_rows(template: str, columns: Mapping[str, Column | str], n_rows: int) -> list[str]:
    """Fill a template for each row; runs of underscores, as missing values leave them, become one.

    Parameters
    ----------
    template : str
        As ``{label}_{visit:06d}``. A name that is not known stands for nothing.
    columns : mapping of str to Column or str
        Values by name: a column, or one text for all rows.
    n_rows : int
        How many rows.

    Returns
    -------
    list of str
        One a row.

    Raises
    ------
    UsageError
        If it is no template, or a value cannot be written as it says (``bad-template``).
    """
    if not n_rows:
        return []
    parts: list[str | Array] = []
    for literal, field, spec, conversion in _parse(template):
        parts.append(literal)
        if field is not None:
            parts.append(_written(template, columns.get(field, ""), spec or "", conversion))
    return _joined(_merged(parts), n_rows)


def _parse(template: str) -> list[tuple[str, str | None, str | None, str | None]]:
    try:
        return list(Formatter().parse(template))
    except ValueError as error:
        raise _bad(template, str(error)) from error


def _bad(template: str, why: str) -> UsageError:
    return UsageError(
        f"the template '{template}' cannot be used: {why}",
        code="bad-template",
        hint="Names stand in braces, as in '{label}_{visit}_{detector}'.",
    )


def _written(template: str, values: Column | str, spec: str, conversion: str | None) -> str | Array:
    """Return a column's values as text: one text where all are the same."""
    if isinstance(values, str):
        return _one(template, values, spec, conversion)
    if isinstance(values, Coded):
        distinct, codes = values.values.tolist(), values.codes.astype(np.int64)
    elif values.dtype == object:
        listed = values.tolist()
        distinct = list(dict.fromkeys(listed))
        place = {v: i for i, v in enumerate(distinct)}
        codes = np.fromiter(map(place.__getitem__, listed), np.int64, len(listed))
    else:
        found, inverse = np.unique(values, return_inverse=True)
        distinct, codes = found.tolist(), inverse.astype(np.int64)
    texts = np.empty(len(distinct), dtype=object)
    texts[:] = [_one(template, v, spec, conversion) for v in distinct]
    return str(texts[0]) if len(texts) == 1 else texts[codes]


def _one(template: str, value: Any, spec: str, conversion: str | None) -> str:
    try:
        return format(Formatter().convert_field(value, conversion) if conversion else value, spec)
    except (ValueError, TypeError) as error:
        raise _bad(template, f"{error} (the value is {value!r})") from error


def _merged(parts: list[str | Array]) -> list[str | Array]:
    """Put constant parts together."""
    merged: list[str | Array] = []
    for part in parts:
        if isinstance(part, str) and merged and isinstance(merged[-1], str):
            merged[-1] += part
        elif not isinstance(part, str) or part:
            merged.append(part)
    return [_RUNS.sub("_", p) if isinstance(p, str) else p for p in merged]


def _joined(parts: list[str | Array], n_rows: int) -> list[str]:
    if not parts:
        return [""] * n_rows
    if len(parts) == 1 and isinstance(parts[0], str):
        return [parts[0]] * n_rows
    # Formatting by one format of %s is what Python does fastest with many rows.
    pattern = "".join(p.replace("%", "%%") if isinstance(p, str) else "%s" for p in parts)
    columns = [p.tolist() for p in parts if not isinstance(p, str)]
    names = list(map(pattern.__mod__, zip(*columns, strict=True)))
    return [_RUNS.sub("_", n) if "__" in n else n for n in names]
