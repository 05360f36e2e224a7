"""Pure three-way comparison: same, ahead, behind, conflicting.

`base` is what both sides had when one was made from the other, `ours` and `theirs` what they have now. Each is a
mapping of keys to digests; a key that is not there is as much a state as any digest.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["Comparison", "compare"]

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Comparison(Generic[K]):
    """Every key of the three sides, in exactly one class.

    Parameters
    ----------
    same : frozenset
        Ours and theirs agree (also where both took the key away).
    ahead : frozenset
        Only we changed, made or took away.
    behind : frozenset
        Only they did.
    conflicting : frozenset
        Both did, and differently.
    """

    same: frozenset[K]
    ahead: frozenset[K]
    behind: frozenset[K]
    conflicting: frozenset[K]


def compare(
    base: Mapping[K, Hashable], ours: Mapping[K, Hashable], theirs: Mapping[K, Hashable]
) -> Comparison[K]:
    """Sort the keys of three sides into four classes.

    Parameters
    ----------
    base, ours, theirs : mapping
        Key to digest.

    Returns
    -------
    Comparison
        Its four sets are disjoint and hold each key of the three sides.

    Notes
    -----
    O(n) set operations; no Python code runs a key.
    """
    everything = base.keys() | ours.keys() | theirs.keys()
    same = _agreeing(ours, theirs, everything)
    behind = _agreeing(base, ours, everything) - same
    ahead = _agreeing(base, theirs, everything) - same
    return Comparison(
        frozenset(same), frozenset(ahead), frozenset(behind), frozenset(everything - same - behind - ahead)
    )


def _agreeing(a: Mapping[K, Hashable], b: Mapping[K, Hashable], everything: set[K]) -> set[K]:
    """Return the keys in the same state on two sides: equal digests, or absent from both."""
    return set(dict(a.items() & b.items())) | (everything - a.keys() - b.keys())
