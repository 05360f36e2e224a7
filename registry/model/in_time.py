"""Which of many members is found first at a time: pure work on columns, for lookups of calibrations in bulk."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from registry.model.columns import Array, group_codes, unique_values

__all__ = ["Members", "Times", "first_in_time", "row_in"]

_NOWHERE = 2**62


class Times(NamedTuple):
    """What is asked: things, each at a time.

    Parameters
    ----------
    code : numpy.ndarray of int64
        Which thing: equal for equal ones, and equal to the codes of its members.
    begin, end : numpy.ndarray of int64
        Half-open; where they hold no time, only what is valid always can be found.
    """

    code: Array
    begin: Array
    end: Array


class Members(NamedTuple):
    """What collections hold.

    Parameters
    ----------
    code : numpy.ndarray of int64
        Of which thing.
    position : numpy.ndarray of int64
        The place of the collection in the search path.
    dated : numpy.ndarray of bool
        Whether a member is valid for a time only. Those of one thing at one position do not overlap; of members
        that are valid always a thing has one at a position.
    begin, end : numpy.ndarray of int64
        Half-open; of no meaning where a member is valid always.
    ids : numpy.ndarray
        Which dataset each is: one may be valid in several spans.
    """

    code: Array
    position: Array
    dated: Array
    begin: Array
    end: Array
    ids: Array


def row_in(keys: list[Array], of: list[Array]) -> Array:
    """Return for each row of keys the row of others that is equal.

    Parameters
    ----------
    keys : list of numpy.ndarray
        Columns of n rows; at least one.
    of : list of numpy.ndarray
        As many columns, of distinct rows.

    Returns
    -------
    numpy.ndarray of int64
        n row numbers, -1 where there is none.
    """
    n = len(keys[0])
    codes = group_codes([np.concatenate([a, b]) for a, b in zip(keys, of, strict=True)])
    mine, theirs = codes[:n], codes[n:]
    if not len(theirs):
        return np.full(n, -1)
    order = np.argsort(theirs)
    place = np.minimum(np.searchsorted(theirs[order], mine), len(theirs) - 1)
    rows: Array = order[place]
    return np.where(theirs[rows] == mine, rows, -1)


def first_in_time(asked: Times, held: Members) -> tuple[Array, Array]:
    """Find for each thing the member that is valid at its time and stands first in the search path.

    Parameters
    ----------
    asked : Times
        n things.
    held : Members
        m members.

    Returns
    -------
    (numpy.ndarray, numpy.ndarray) of int64
        For each thing the row of its member, -1 where there is none; and the row of another dataset that is valid for
        a part of the time at the same position, -1 where there is none.

    Notes
    -----
    O((n + m) log m) for each position that has dated members.
    """
    n = len(asked.code)
    found, other = _always(asked, held), np.full(n, -1)
    place = np.where(found >= 0, held.position[found], _NOWHERE) if len(held.code) else np.full(n, _NOWHERE)
    for position in unique_values(held.position[held.dated]).tolist():
        rows = np.flatnonzero(held.dated & (held.position == position))
        rows = rows[np.lexsort((held.begin[rows], held.code[rows]))]
        still = np.flatnonzero((place > position) & (asked.begin < asked.end))
        first, count = _valid(Times(*(column[still] for column in asked)), held, rows)
        hit, twice = count > 0, np.flatnonzero(count > 1)
        place[still[hit]] = position
        found[still[hit]] = rows[first[hit]]
        if len(twice):
            begin = first[twice]
            change = _next_other(held.ids[rows], begin)
            differs = change < begin + count[twice]
            other[still[twice[differs]]] = rows[change[differs]]
    return found, other


def _next_other(ids: Array, begin: Array) -> Array:
    """Return for each of some places the next one where another dataset stands; the end where there is none."""
    changes = np.cumsum(np.concatenate([[False], ids[1:] != ids[:-1]]))
    place: Array = np.searchsorted(changes, changes[begin], side="right")
    return place


def _always(asked: Times, held: Members) -> Array:
    """Find the first of the members that are valid always."""
    rows = np.flatnonzero(~held.dated)
    rows = rows[np.lexsort((held.position[rows], held.code[rows]))]
    things, first = np.unique(held.code[rows], return_index=True)
    at = row_in([asked.code], [things])
    return np.where(at >= 0, rows[first][at], -1) if len(things) else np.full(len(asked.code), -1)


def _valid(asked: Times, held: Members, rows: Array) -> tuple[Array, Array]:
    """Say which of some members is the first that is valid at each time, and how many are, one after the other.

    `rows` are members of one position, in order of thing and time. Those of a thing do not overlap, so their ends are
    in order too: what begins before the end of the time, less what ends before its begin, is valid in it.
    """
    begins, ends = unique_values(held.begin[rows]), unique_values(held.end[rows])
    things, code = np.unique(held.code[rows], return_inverse=True)
    thing = row_in([asked.code], [things])
    width = max(len(begins), len(ends)) + 1
    begun = code * width + np.searchsorted(begins, held.begin[rows])
    over = code * width + np.searchsorted(ends, held.end[rows])
    stop = np.searchsorted(begun, thing * width + np.searchsorted(begins, asked.end))
    start = np.searchsorted(over, thing * width + np.searchsorted(ends, asked.begin, side="right"))
    return start, np.where(thing >= 0, stop - start, 0)
