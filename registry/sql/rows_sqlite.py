"""Many rows into a table of SQLite, some of them with each statement."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, islice
from typing import Any

from registry.model.columns import Array

__all__ = ["insert_columns"]

_AT_ONCE = 32
_VARIABLES = 900
"""Most that one statement may have is 999 in older versions."""


def insert_columns(driver: Any, text: str, columns: Sequence[Array]) -> int:
    """Insert rows that come column by column.

    Parameters
    ----------
    driver : sqlite3.Connection
        In a transaction.
    text : str
        The insertion of one row, with a ``?`` for each column.
    columns : sequence of numpy.ndarray
        All of one length; of none there are no rows.

    Returns
    -------
    int
        Rows that were inserted, or changed where the statement says so.

    Notes
    -----
    To begin and end a statement costs half as much as a row of three columns: 32 rows with each take a third off.
    """
    if not columns:
        return 0
    width, n_rows = len(columns), len(columns[0])
    one = f"({', '.join('?' * width)})"
    at_once = max(1, min(_AT_ONCE, _VARIABLES // width))
    rows = zip(*(column.tolist() for column in columns), strict=True)
    done = 0
    if whole := n_rows // at_once:
        values = chain.from_iterable(islice(rows, whole * at_once))
        many = text.replace(one, ", ".join([one] * at_once), 1)
        done += driver.executemany(many, zip(*[values] * (width * at_once), strict=True)).rowcount
    return int(done + max(0, driver.executemany(text, rows).rowcount))
