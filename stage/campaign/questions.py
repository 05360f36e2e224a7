"""Questions to a repository in the words of a command line: what is asked for, and what it is held to."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from registry.errors import UsageError, nearest
from registry.model.collections import CollectionType
from registry.model.times import Instant, parse_time

if TYPE_CHECKING:
    import numpy as np

    from registry.model.columns import Columns
    from registry.queries.results import Result
    from registry.registry import Snapshot
    from sync.repo import Repo

__all__ = ["QUESTIONS", "ask", "question", "split_words"]

QUESTIONS = ("data-ids", "records", "datasets", "collections", "dataset-types")
_INTEGER = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_TIME = re.compile(r"[Tt]'(.*)'")

StrPath = str | os.PathLike[str]


def question(
    repo: Repo,
    what: str,
    *names: str,
    where: str = "",
    bind: Sequence[str] | Mapping[str, Any] = (),
    collections: Sequence[str] = (),
    find_first: bool | None = None,
    artifacts: bool = False,
    order_by: Sequence[str] = (),
    limit: int | None = None,
    data_id_table: StrPath | Columns | None = None,
    joins: Sequence[str] = (),
) -> Result[Any]:
    """Put a question for rows together; it is asked when its result is read.

    Parameters
    ----------
    repo : Repo
        Open, also while the result is read.
    what : {"data-ids", "records", "datasets"}
        What is asked for.
    *names : str
        Dimensions; an element; dataset types or globs of them.
    where : str, optional
        Expression that chooses data IDs.
    bind : mapping or sequence of str, optional
        Values for names in `where`, also as ``name=value`` words: a number is one, ``T'2024-01-31'`` is a time, and
        ``'007'`` is text.
    collections : sequence of str, optional
        Where datasets are searched, in order; every RUN by default.
    find_first : bool, optional
        Whether of datasets with equal data IDs only the one found first counts; by default where there are
        `collections`, and no patterns among them.
    artifacts : bool, optional
        Whether to tell where datasets are stored.
    order_by : sequence of str, optional
        Names to sort by, ``-name`` for falling.
    limit : int, optional
        At most so many rows.
    data_id_table : str, path or Columns, optional
        Data IDs to keep to, or a file of them.
    joins : sequence of str, optional
        Dataset types of which `collections` must hold one.

    Returns
    -------
    Result
        Not asked for yet.

    Raises
    ------
    UsageError
        If there is no such question, or the expression cannot be read.
    NotFoundError
        If there is no such file.
    DataIdError
        If a name is no dimension.
    """
    values = dict(bind) if isinstance(bind, Mapping) else _values(bind)
    asked = repo.query().where(where, bind=values)
    if data_id_table is not None:
        asked = asked.table(data_id_table)
    path = split_words(collections) or None
    for dataset_type in split_words(joins):
        asked = asked.join_dataset(dataset_type, path)
    result: Result[Any]
    if what == "data-ids":
        result = asked.data_ids(split_words(names))
    elif what == "records":
        result = asked.records(_one(names, "an element"))
    elif what == "datasets":
        types = split_words(names) or ["*"]
        result = asked.datasets(
            types[0] if len(types) == 1 else types, path, find_first=find_first, artifacts=artifacts
        )
    else:
        raise UsageError(f"no question '{what}'", hint=nearest(what, QUESTIONS))
    return result.order_by(*order_by).limit(limit)


def ask(repo: Repo, what: str, *names: str, **options: Any) -> Columns:
    """Put one question to a repository, and read the answer.

    Parameters
    ----------
    repo : Repo
        Open.
    what : {"data-ids", "records", "datasets", "collections", "dataset-types"}
        What is asked for.
    *names : str
        As for `question`; globs of collections; globs of dataset types.
    **options
        As for `question`.

    Returns
    -------
    Columns
        The answer.

    Raises
    ------
    UsageError
        If there is no such question, or names are missing.
    NotFoundError
        If something that was named does not exist.
    """
    if what in {"collections", "dataset-types"}:
        with repo.registry.read() as snapshot:
            list_them = _collections if what == "collections" else _dataset_types
            return list_them(snapshot, names or ("*",))
    return question(repo, what, *names, **options).to_columns()


def split_words(names: Sequence[str]) -> list[str]:
    """Return names given one by one or with commas between.

    Parameters
    ----------
    names : sequence of str
        Words.

    Returns
    -------
    list of str
        The names.
    """
    return [part.strip() for name in names for part in name.split(",") if part.strip()]


def _one(names: Sequence[str], what: str) -> str:
    if len(names) != 1:
        raise UsageError(f"expected {what}, got {len(names)} names")
    return names[0]


def _values(texts: Collection[str]) -> dict[str, Any]:
    """Read ``name=value`` words: a value is a number where it looks like one, a time, or text between quotes."""
    out: dict[str, Any] = {}
    for word in texts:
        name, equals, text = (part.strip() for part in word.partition("="))
        if not equals or not name:
            raise UsageError(f"--bind '{word}' is not of the form NAME=VALUE", code="bind-form")
        out[name] = _value(text)
    return out


def _value(text: str) -> Any:
    if _INTEGER.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text):
        return float(text)
    time = _TIME.fullmatch(text)
    if time:
        return Instant(parse_time(time.group(1)))
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == "'" else text


def _collections(snapshot: Snapshot, globs: Sequence[str]) -> Columns:
    from registry.model.columns import Columns

    found = snapshot.collections(list(globs))
    return Columns(
        {
            "name": [c.name for c in found],
            "type": [CollectionType(c.type).name for c in found],
            "children": _lists(c.children for c in found),
            "doc": [c.doc for c in found],
        }
    )


def _dataset_types(snapshot: Snapshot, globs: Sequence[str]) -> Columns:
    from registry.model.columns import Columns

    found = [t for glob in globs for t in snapshot.dataset_types(glob)]
    return Columns(
        {
            "name": [t.name for t in found],
            "dimensions": _lists(t.dimensions.required for t in found),
            "storage_class": [t.storage_class for t in found],
            "is_calibration": [t.is_calibration for t in found],
        }
    )


def _lists(values: Iterable[tuple[str, ...]]) -> np.ndarray[Any, Any]:
    import numpy as np

    return np.fromiter(values, dtype=object)
