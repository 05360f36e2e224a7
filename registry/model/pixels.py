"""Sky pixels of many regions at once: small convex polygons in NumPy, all else through `lsst.sphgeom`.

The pixels are those that the library's own search gives. A polygon meets a trixel unless a great circle through an
edge of one of them keeps them apart (both lie within half a sphere, so that this is the planar theorem of separating
axes in the gnomonic projection). Where rounding could matter, the library decides.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from registry.model import regions
from registry.model.columns import Array, unique_values

__all__ = ["circles", "pixel_rows"]

_POLYGON = b"p"
_BYTES_A_VERTEX = 24
_FEW = 48
"""Below so many regions of one shape the library is quicker."""
_MOST_CORNERS = 8

_ROUNDING = 1e-11
"""Sine of an angle that is beyond doubt: computed ones are off by some 1e-12, for edges no shorter than this."""
_SHORTEST_EDGE = 1e-4
_WIDEST = 0.17
"""Radius up to which a polygon and an octant that it may meet lie within half a sphere (sine)."""
_MOST_ACROSS = 3.0
"""Radius in trixels up to which looking at each one is quicker than the library's ranges."""
_FINEST = 12
_BATCH = 20_000

_HTM = re.compile(r"htm(\d+)\Z")
_AXES = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0], [0, 0, -1]], dtype=np.float64)
_ROOTS = ((1, 5, 2), (2, 5, 3), (3, 5, 4), (4, 5, 1), (1, 0, 4), (4, 0, 3), (3, 0, 2), (2, 0, 1))
"""Corners of the trixels 8 to 15, counter-clockwise."""
_QUARTERS = ((2, 1, 1), (0, 2, 2), (1, 0, 0))
"""Of the quarter at each corner: the middles of edges that are its next corners, and which inner edge cuts it off."""


def pixel_rows(encoded: Sequence[bytes], skypix: str) -> tuple[Array, Array]:
    """Return which pixels each of many regions may touch.

    Parameters
    ----------
    encoded : sequence of bytes
        Encoded regions.
    skypix : str
        Pixelisation and level: ``htm7``, ``healpix9``.

    Returns
    -------
    (numpy.ndarray, numpy.ndarray)
        Row by row the number of the region and the pixel, in order of both.
    """
    match = _HTM.match(skypix)
    done = np.zeros(len(encoded), dtype=np.bool_)
    parts: list[tuple[Array, Array]] = []
    if match is not None and len(encoded) >= _FEW and int(match[1]) <= _FINEST:
        for index, vertices in _polygons(encoded, _FEW, _MOST_CORNERS):
            for begin in range(0, len(index), _BATCH):
                batch = slice(begin, begin + _BATCH)
                known, number, pixel = _trixels(vertices[:, :, batch], int(match[1]))
                done[index[batch][known]] = True
                parts.append((index[batch][number], pixel))
    rest = np.flatnonzero(~done)
    touched = [regions.pixels(encoded[i], skypix) for i in rest.tolist()]
    lengths = np.fromiter(map(len, touched), np.int64, len(touched))
    parts.append(
        (np.repeat(rest, lengths), np.fromiter((p for t in touched for p in t), np.int64, lengths.sum()))
    )
    region, pixel = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    order = np.lexsort((pixel, region))
    return region[order], pixel[order]


def circles(encoded: Sequence[bytes]) -> tuple[Array, Array]:
    """Return circles that hold polygons.

    Parameters
    ----------
    encoded : sequence of bytes
        Encoded regions.

    Returns
    -------
    (numpy.ndarray, numpy.ndarray)
        Unit vectors to the middles, shape (3, n), and radii in radians; infinite for what is no polygon.
    """
    centre, radius = np.zeros((3, len(encoded))), np.full(len(encoded), np.inf)
    with np.errstate(all="ignore"):
        for index, corners in _polygons(encoded):
            middle, _, chord = _circles(corners)
            # Of a polygon wider than half a sphere the middle says nothing.
            small = np.flatnonzero(chord < 1.0)
            centre[:, index[small]] = middle[:, small]
            radius[index[small]] = 2 * np.arcsin(chord[small] / 2)
    return centre, radius


def _polygons(
    encoded: Sequence[bytes], fewest: int = 1, most_corners: int = 1000
) -> list[tuple[Array, Array]]:
    """Return the polygons among regions by number of corners: their numbers, and (corner, axis, polygon)."""
    lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
    out = []
    for length in unique_values(lengths).tolist():
        n, odd = divmod(length - 1, _BYTES_A_VERTEX)
        index = np.flatnonzero(lengths == length)
        if odd or not 3 <= n <= most_corners or len(index) < fewest:
            continue
        raw = np.frombuffer(b"".join([encoded[i] for i in index.tolist()]), np.uint8).reshape(-1, length)
        shaped = raw[:, 0] == ord(_POLYGON)
        index, raw = index[shaped], np.ascontiguousarray(raw[shaped, 1:])
        if len(index):
            out.append((index, raw.view("<f8").reshape(-1, n, 3).transpose(1, 2, 0).copy()))
    return out


def _dot(a: Array, b: Array) -> Array:
    """Return the scalar products of vectors that have their axes last but one."""
    product: Array = a[..., 0, :] * b[..., 0, :] + a[..., 1, :] * b[..., 1, :] + a[..., 2, :] * b[..., 2, :]
    return product


def _cross(a: Array, b: Array) -> Array:
    x, y, z = (a[..., i, :] for i in range(3))
    u, v, w = (b[..., i, :] for i in range(3))
    return np.stack((y * w - z * v, z * u - x * w, x * v - y * u), axis=-2)


def _unit(a: Array) -> Array:
    return a / np.sqrt(_dot(a, a))[..., None, :]


def _trixels(corners: Array, level: int) -> tuple[Array, Array, Array]:
    """Return whose pixels are certain, and for those the numbers of polygons and pixels."""
    with np.errstate(all="ignore"):
        centre, edges, radius = _circles(corners)
        size = np.pi / 2 / 2**level
        small = radius < min(_WIDEST, _MOST_ACROSS * size)  # not so where anything is not a number
        chosen = np.flatnonzero(small & _are_convex(corners, edges))
        corners, edges = corners[:, :, chosen], edges[:, :, chosen]
        found = _descend(centre[:, chosen], radius[chosen] + _ROUNDING, level)
        number, pixel, meets, certain = _refine(found, corners, edges)
    doubtful = np.zeros(len(chosen), dtype=np.bool_)
    doubtful[number[~certain]] = True
    kept = meets & ~doubtful[number]
    return chosen[~doubtful], chosen[number[kept]], pixel[kept]


def _circles(corners: Array) -> tuple[Array, Array, Array]:
    """Return the middle of each polygon, the normals of its edges, and the chord to its farthest corner."""
    lengths = np.sqrt(_dot(corners, corners))
    normals = _cross(corners, np.roll(corners, -1, axis=0))
    sines = np.sqrt(_dot(normals, normals))
    centre = _unit(corners.sum(axis=0))
    away = corners - centre
    radius = np.sqrt(_dot(away, away)).max(axis=0)
    sound = (np.abs(lengths - 1).max(axis=0) < 1e-12) & (sines.min(axis=0) > _SHORTEST_EDGE)
    return centre, normals / sines[:, None, :], np.where(sound, radius, np.nan)


def _are_convex(corners: Array, edges: Array) -> Array:
    """Say which polygons have each corner beyond doubt on the inner side of each edge that does not end there."""
    n = len(corners)
    inside = np.ones(corners.shape[-1], dtype=np.bool_)
    for e in range(n):
        for v in range(n - 2):
            inside &= _dot(edges[e], corners[(e + 2 + v) % n]) > _ROUNDING
    return inside


@dataclass(frozen=True, slots=True)
class _Trixels:
    """Trixels of one level.

    Parameters
    ----------
    pixel : numpy.ndarray, shape (m,)
        Their numbers.
    corners : numpy.ndarray, shape (3, 3, m)
        Corner, axis, trixel.
    edges : numpy.ndarray, shape (3, 3, m)
        Normals of the edges from each corner to the next, pointing inwards.
    """

    pixel: Array
    corners: Array
    edges: Array

    def quarters(self) -> tuple[_Trixels, Array]:
        """Return the trixels of the next level, the k-th quarters of all m from k * m on, and the middle ones' edges."""
        v, e, m = self.corners, self.edges, len(self.pixel)
        w = _unit(v[[1, 0, 0]] + v[[2, 2, 1]])  # the middle of the edge across from each corner
        inner = _unit(_cross(w, w[[1, 2, 0]]))
        corners, edges = np.empty((3, 3, 4, m)), np.empty((3, 3, 4, m))
        for k, (one, other, cut) in enumerate(_QUARTERS):
            corners[:, :, k] = v[k], w[one], w[other]
            edges[:, :, k] = e[k], -inner[cut], e[(k - 1) % 3]
        corners[:, :, 3], edges[:, :, 3] = w, inner
        pixel = (self.pixel * 4 + np.arange(4)[:, None]).ravel()
        return _Trixels(pixel, corners.reshape(3, 3, -1), edges.reshape(3, 3, -1)), inner

    def take(self, index: Array) -> _Trixels:
        """Return some of them."""
        return _Trixels(self.pixel[index], self.corners[:, :, index], self.edges[:, :, index])


@dataclass(frozen=True, slots=True)
class _Met:
    """Pairs of a polygon and a trixel that its circle may touch.

    Parameters
    ----------
    number, place : numpy.ndarray, shape (n,)
        The polygons, and where the trixels are.
    depth : numpy.ndarray, shape (3, n)
        How far inside each edge of the trixel the middle of the polygon is (sine).
    trixels : _Trixels
        The trixels.
    """

    number: Array
    place: Array
    depth: Array
    trixels: _Trixels


def _octants() -> _Trixels:
    corners = _AXES[np.array(_ROOTS).T].transpose(0, 2, 1)
    return _Trixels(np.arange(8, 16), corners, _cross(corners, corners[[1, 2, 0]]))


def _descend(centre: Array, radius: Array, level: int) -> _Met:
    """Find the trixels of a level that the polygons' circles may touch."""
    trixels = _octants()
    depth = np.stack([_dot(trixels.edges[:, :, i : i + 1], centre) for i in range(8)])
    place, number = np.nonzero((depth > -radius).all(axis=1))
    now = _Met(number, place, depth[place, :, number].T, trixels)
    for _ in range(level):
        now = _divided(now, centre, radius)
    return now


def _divided(now: _Met, centre: Array, radius: Array) -> _Met:
    """Divide trixels, and keep the quarters that the polygons' circles may touch."""
    quarters, inner = now.trixels.quarters()
    inside = _dot(inner[:, :, now.place], centre[:, now.number])
    reach = radius[now.number]
    near = [np.flatnonzero(inside[cut] < reach) for _, _, cut in _QUARTERS]
    near.append(np.flatnonzero((inside > -reach).all(axis=0)))
    depth = [
        np.stack((now.depth[k, near[k]], -inside[cut, near[k]], now.depth[(k - 1) % 3, near[k]]))
        for k, (_, _, cut) in enumerate(_QUARTERS)
    ]
    depth.append(inside[:, near[3]])
    place = np.concatenate([now.place[some] + k * len(now.trixels.pixel) for k, some in enumerate(near)])
    # Of what lies close together many meet the same trixels: each is divided once.
    used = np.zeros(len(quarters.pixel), dtype=np.bool_)
    used[place] = True
    number = now.number[np.concatenate(near)]
    kept = np.flatnonzero(used)
    return _Met(number, (np.cumsum(used) - 1)[place], np.concatenate(depth, axis=1), quarters.take(kept))


def _refine(found: _Met, corners: Array, edges: Array) -> tuple[Array, Array, Array, Array]:
    """Say of each pair whether the polygon meets the trixel, and whether that is beyond doubt."""
    gap: Array = found.depth.min(axis=0)  # a polygon holds its middle
    asked = np.flatnonzero(gap <= _ROUNDING)
    number, trixels = found.number[asked], found.trixels.take(found.place[asked])
    gap[asked] = np.minimum(
        _least_reach(trixels.edges, corners[:, :, number]), _least_reach(edges[:, :, number], trixels.corners)
    )
    return found.number, found.trixels.pixel[found.place], gap > 0, np.abs(gap) > _ROUNDING


def _least_reach(edges: Array, corners: Array) -> Array:
    """Return how far some corner reaches beyond the edge that holds all of them back most."""
    reaches = [np.max([_dot(edge, corner) for corner in corners], axis=0) for edge in edges]
    least: Array = np.min(reaches, axis=0)
    return least
