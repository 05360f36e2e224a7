"""From jobs to arrays: which go together, and what of their dependencies Slurm itself can watch over.

An element of an array waits for the elements of the same index in other arrays (``aftercorr``), all elements of an array
wait for the same few (``afterok``), or both. What fits neither is kept here until its parents have ended.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from stage.batch.engines.base import JobRequest

__all__ = ["Group", "Place", "cut", "group", "in_levels"]

_LONGEST = 100
"""Elements that a dependency may name one by one."""
_MOST_SINGLE = 50
"""Arrays of one element that are submitted at once, only since their dependencies fit no others."""

Place = tuple[str, int]
"""Array and index of a job."""


@dataclass(frozen=True, slots=True)
class Group:
    """Jobs that are submitted as one array.

    Parameters
    ----------
    elements : mapping of int to JobRequest
        By index.
    corresponding : tuple of str, optional
        Arrays whose elements of the same index must have ended well.
    common : tuple of (str, int), optional
        Elements that must have ended well before any of these.
    """

    elements: Mapping[int, JobRequest]
    corresponding: tuple[str, ...] = ()
    common: tuple[Place, ...] = ()


def in_levels(requests: Sequence[JobRequest]) -> list[list[JobRequest]]:
    """Put jobs after those of their parents that are handed over with them.

    Parameters
    ----------
    requests : sequence of JobRequest
        The jobs.

    Returns
    -------
    list of list of JobRequest
        In each no job waits for another.
    """
    level: dict[int, int] = {}
    # A job that waits has a higher number than what it waits for.
    for request in sorted(requests, key=lambda r: r.number):
        level[request.number] = 1 + max((level.get(p, -1) for p in request.after), default=-1)
    found: list[list[JobRequest]] = [[] for _ in range(1 + max(level.values(), default=-1))]
    for request in requests:
        found[level[request.number]].append(request)
    return found


def group(
    requests: Iterable[JobRequest],
    *,
    kind_of: Callable[[JobRequest], Hashable],
    waits_for: Mapping[int, Sequence[Place]],
    size_limit: int,
) -> tuple[list[Group], list[JobRequest]]:
    """Put jobs together.

    Parameters
    ----------
    requests : iterable of JobRequest
        The jobs.
    kind_of : callable
        Says which may be in one array.
    waits_for : mapping of int to sequence of (str, int)
        Where the parents are that jobs still wait for; none of those that are not in it.
    size_limit : int
        The most jobs of one array.

    Returns
    -------
    groups : list of Group
        In the order of their first jobs.
    kept : list of JobRequest
        Jobs whose dependencies Slurm cannot be told shortly.
    """
    by_shape: dict[tuple[Hashable, tuple[str, ...]], list[JobRequest]] = defaultdict(list)
    for request in requests:
        arrays = tuple(sorted({array for array, _ in waits_for.get(request.number, ())}))
        by_shape[kind_of(request), arrays].append(request)
    groups: list[Group] = []
    kept: list[JobRequest] = []
    for (_, arrays), found in by_shape.items():
        made = _grouped(found, arrays, waits_for)
        kept += [r for g in made if len(g.common) > _LONGEST for r in g.elements.values()]
        groups += (part for g in made if len(g.common) <= _LONGEST for part in cut(g, size_limit))
    single = [g for g in groups if len(g.elements) == 1 and (g.common or g.corresponding)]
    if len(single) > _MOST_SINGLE:
        kept += [r for g in single for r in g.elements.values()]
        groups = [g for g in groups if len(g.elements) > 1 or not (g.common or g.corresponding)]
    return groups, kept


def _grouped(
    requests: Sequence[JobRequest], arrays: Sequence[str], waits_for: Mapping[int, Sequence[Place]]
) -> list[Group]:
    """Group jobs of one kind that wait for jobs in the same arrays."""
    if not arrays:
        return [Group(dict(enumerate(requests)))]
    parents = {r.number: _by_array(waits_for[r.number]) for r in requests}
    first = parents[requests[0].number]
    shared = [a for a in arrays if all(p[a] == first[a] for p in parents.values())]
    own = [a for a in arrays if a not in shared]
    common = tuple((a, i) for a in shared for i in first[a])
    if not own:
        return [Group(dict(enumerate(requests)), common=common)]
    index_of = {n: {i for a in own for i in p[a]} for n, p in parents.items()}
    if all(len(found) == 1 for found in index_of.values()):
        return _in_layers(requests, {n: next(iter(found)) for n, found in index_of.items()}, own, common)
    return _by_parents(requests, waits_for)


def _in_layers(
    requests: Sequence[JobRequest], index_of: Mapping[int, int], own: Sequence[str], common: tuple[Place, ...]
) -> list[Group]:
    """Give each job the index of its parents; those with the same go to different arrays, or wait for that parent."""
    often = Counter(index_of[r.number] for r in requests)
    if max(often.values()) > len(often):
        found: dict[int, list[JobRequest]] = defaultdict(list)
        for request in requests:
            found[index_of[request.number]].append(request)
        return [
            Group(dict(enumerate(rs)), common=(*common, *((a, i) for a in own))) for i, rs in found.items()
        ]
    layers: dict[int, dict[int, JobRequest]] = defaultdict(dict)
    turn: dict[int, count[int]] = defaultdict(count)
    for request in requests:
        index = index_of[request.number]
        layers[next(turn[index])][index] = request
    return [Group(elements, tuple(own), common) for elements in layers.values()]


def _by_parents(requests: Sequence[JobRequest], waits_for: Mapping[int, Sequence[Place]]) -> list[Group]:
    found: dict[tuple[Place, ...], list[JobRequest]] = defaultdict(list)
    for request in requests:
        found[tuple(sorted(waits_for[request.number]))].append(request)
    return [Group(dict(enumerate(rs)), common=places) for places, rs in found.items()]


def _by_array(places: Iterable[Place]) -> dict[str, tuple[int, ...]]:
    found: dict[str, list[int]] = defaultdict(list)
    for array, index in sorted(places):
        found[array].append(index)
    return {array: tuple(indices) for array, indices in found.items()}


def cut(whole: Group, limit: int) -> list[Group]:
    """Cut a group to a size.

    Parameters
    ----------
    whole : Group
        Any.
    limit : int
        The most jobs of one array.

    Returns
    -------
    list of Group
        Indices that mean something, since they are those of parents, are kept.
    """
    items = sorted(whole.elements.items())
    parts = [items[i : i + limit] for i in range(0, len(items), limit)]
    if not whole.corresponding:
        parts = [list(enumerate(r for _, r in part)) for part in parts]
    return [Group(dict(part), whole.corresponding, whole.common) for part in parts]
