"""Where boxes and arrows go: in layers, with few crossings, each box near those that it is joined to.

Four steps, as in Sugiyama, Tagawa and Toda (1981): layers by longest paths, points on the way for arrows that pass
layers, orders by barycentres, and places by least squares that keep the orders.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["Placed", "place"]

_SWEEPS = 16
_DUMMY = 10.0
"""Breadth of the point at which an arrow passes a layer."""


class Placed(NamedTuple):
    """Where everything goes. Breadth is measured along layers, depth across them.

    Parameters
    ----------
    centres : dict of str to (float, float)
        Breadth and depth of each box's middle.
    routes : list of list of (float, float)
        For each link the points that it passes, from the end of one box to the beginning of the other.
    breadth, depth : float
        Size of the whole.
    """

    centres: dict[str, tuple[float, float]]
    routes: list[list[tuple[float, float]]]
    breadth: float
    depth: float


@dataclass(slots=True)
class _Net:
    """Boxes and passing points by number, layer by layer."""

    sizes: list[tuple[float, float]]
    layer: list[int]
    above: list[list[int]]
    below: list[list[int]]
    layers: list[list[int]] = field(default_factory=list)


def place(
    sizes: Mapping[str, tuple[float, float]],
    links: Sequence[tuple[str, str]],
    *,
    gap: float = 18.0,
    layer_gap: float = 42.0,
) -> Placed:
    """Lay a picture out.

    Parameters
    ----------
    sizes : mapping of str to (float, float)
        Breadth and depth of each box, boxes in an order in which each comes after those that it depends on.
    links : sequence of (str, str)
        Arrows.
    gap, layer_gap : float, optional
        Least space between boxes of a layer, and between layers.

    Returns
    -------
    Placed
        The middle of each box, and the way of each arrow.
    """
    number = {key: i for i, key in enumerate(sizes)}
    pairs = [(number[a], number[b]) for a, b in links]
    net, chains = _make_net(list(sizes.values()), pairs)
    _order(net)
    breadth = _spread(net, gap)
    depth, starts = _depths(net, layer_gap)
    low = min((b - net.sizes[i][0] / 2 for i, b in enumerate(breadth)), default=0.0)
    centre = [(b - low, starts[net.layer[i]][0]) for i, b in enumerate(breadth)]
    routes = [_route(net, chain, centre, starts) for chain in chains]
    most = max((b + net.sizes[i][0] / 2 - low for i, b in enumerate(breadth)), default=0.0)
    return Placed({key: centre[i] for key, i in number.items()}, routes, most, depth)


def _make_net(sizes: list[tuple[float, float]], pairs: list[tuple[int, int]]) -> tuple[_Net, list[list[int]]]:
    n = len(sizes)
    layer = _layers(n, pairs)
    net = _Net(sizes, layer, [[] for _ in range(n)], [[] for _ in range(n)])
    chains = []
    passing: dict[tuple[int, int], int] = {}  # arrows from one box share their way as long as they can
    for a, b in pairs:
        chain = [a]
        for depth in range(layer[a] + 1, layer[b]):
            if (a, depth) not in passing:
                passing[a, depth] = _add_passing(net, depth)
            chain.append(passing[a, depth])
        chain.append(b)
        chains.append(chain)
    for one, other in dict.fromkeys(pair for chain in chains for pair in itertools.pairwise(chain)):
        net.below[one].append(other)
        net.above[other].append(one)
    net.layers = [[] for _ in range(max(net.layer, default=-1) + 1)]
    for i, depth in enumerate(net.layer):
        net.layers[depth].append(i)
    return net, chains


def _add_passing(net: _Net, depth: int) -> int:
    net.sizes.append((_DUMMY, 0.0))
    net.layer.append(depth)
    net.above.append([])
    net.below.append([])
    return len(net.sizes) - 1


def _layers(n: int, pairs: list[tuple[int, int]]) -> list[int]:
    """Put each box below all that it depends on; what depends on nothing, just above what needs it."""
    before: list[list[int]] = [[] for _ in range(n)]
    after: list[list[int]] = [[] for _ in range(n)]
    for a, b in pairs:
        after[a].append(b)
        before[b].append(a)
    layer = [0] * n
    for i in range(n):
        layer[i] = max((layer[j] + 1 for j in before[i]), default=0)
    for i in range(n):
        if not before[i] and after[i]:
            layer[i] = min(layer[j] for j in after[i]) - 1
    return layer


# -- order within layers --------------------------------------------------------------------------------------


def _order(net: _Net) -> None:
    """Sweep down and up, sorting each layer by the middle of its neighbours; keep the best."""
    best, fewest = [list(row) for row in net.layers], _crossings(net)
    for sweep in range(_SWEEPS):
        if not fewest:
            break
        down = sweep % 2 == 0
        rows = net.layers if down else net.layers[::-1]
        neighbours = net.above if down else net.below
        for fixed, moving in itertools.pairwise(rows):
            place_of = {i: p for p, i in enumerate(fixed)}
            _sort(moving, place_of, neighbours)
        crossings = _crossings(net)
        if crossings < fewest:
            best, fewest = [list(row) for row in net.layers], crossings
    net.layers = best


def _sort(moving: list[int], place_of: Mapping[int, int], neighbours: Sequence[Sequence[int]]) -> None:
    middles = {}
    for p, i in enumerate(moving):
        places = [place_of[j] for j in neighbours[i] if j in place_of]
        middles[i] = sum(places) / len(places) if places else float(p)
    moving.sort(key=middles.__getitem__)


def _crossings(net: _Net) -> int:
    total = 0
    for row, below in zip(net.layers, net.layers[1:], strict=False):
        place_of = {i: p for p, i in enumerate(below)}
        ends: list[int] = []
        for i in row:
            places = sorted(place_of[j] for j in net.below[i])
            total += sum(len(ends) - bisect_right(ends, p) for p in places)
            for p in places:
                insort(ends, p)
    return total


# -- places along layers --------------------------------------------------------------------------------------


def _spread(net: _Net, gap: float) -> list[float]:
    """Give each box a place: as near to the middle of its neighbours as the order and the gaps allow."""
    at = [0.0] * len(net.sizes)
    for row in net.layers:
        edge = 0.0
        for i in row:
            at[i] = edge + net.sizes[i][0] / 2
            edge += net.sizes[i][0] + gap
        middle = (edge - gap) / 2
        for i in row:
            at[i] -= middle
    n_boxes = sum(1 for s in net.sizes if s[1])
    weight = [1.0 if i < n_boxes else 8.0 for i in range(len(net.sizes))]
    for sweep in range(4 * _SWEEPS):
        down = sweep % 2 == 0
        for row in net.layers if down else net.layers[::-1]:
            wanted = [_wanted(net, i, at, weight, down=down, both=sweep >= 2 * _SWEEPS) for i in row]
            for i, x in zip(row, _fit(net, row, wanted, weight, gap), strict=True):
                at[i] = x
    return at


def _wanted(
    net: _Net, i: int, at: Sequence[float], weight: Sequence[float], *, down: bool, both: bool
) -> float:
    neighbours = [*net.above[i], *net.below[i]] if both else (net.above[i] if down else net.below[i])
    if not neighbours:
        return at[i]
    total = sum(weight[j] for j in neighbours)
    return sum(at[j] * weight[j] for j in neighbours) / total


def _fit(
    net: _Net, row: Sequence[int], wanted: Sequence[float], weight: Sequence[float], gap: float
) -> list[float]:
    """Return the places nearest to those wanted (least squares) that keep order and gaps: pool adjacent violators."""
    offsets = [0.0]
    for one, other in itertools.pairwise(row):
        offsets.append(offsets[-1] + (net.sizes[one][0] + net.sizes[other][0]) / 2 + gap)
    blocks: list[tuple[float, float, int]] = []  # mean, weight, how many
    for i, want, offset in zip(row, wanted, offsets, strict=True):
        block = (want - offset, weight[i], 1)
        while blocks and blocks[-1][0] > block[0]:
            mean, heavy, n = blocks.pop()
            both = heavy + block[1]
            block = ((mean * heavy + block[0] * block[1]) / both, both, n + block[2])
        blocks.append(block)
    means = [mean for mean, _, n in blocks for _ in range(n)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=True)]


# -- places across layers -------------------------------------------------------------------------------------


def _depths(net: _Net, layer_gap: float) -> tuple[float, list[tuple[float, float]]]:
    """Return the whole depth, and for each layer its middle and half its depth."""
    starts, edge = [], 0.0
    for row in net.layers:
        half = max((net.sizes[i][1] for i in row), default=0.0) / 2
        starts.append((edge + half, half))
        edge += 2 * half + layer_gap
    return max(edge - layer_gap, 0.0), starts


def _route(
    net: _Net,
    chain: Sequence[int],
    centre: Sequence[tuple[float, float]],
    starts: Sequence[tuple[float, float]],
) -> list[tuple[float, float]]:
    first, last = chain[0], chain[-1]
    points = [(centre[first][0], centre[first][1] + net.sizes[first][1] / 2)]
    for i in chain[1:-1]:
        middle, half = starts[net.layer[i]]
        points += [(centre[i][0], middle - half), (centre[i][0], middle + half)]
    points.append((centre[last][0], centre[last][1] - net.sizes[last][1] / 2))
    return points
