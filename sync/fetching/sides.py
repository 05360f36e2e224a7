"""How the keys of one kind of thing relate on three sides, as far as fetching and pulling act on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sync.compare import compare

__all__ = ["Digests", "Sides"]

Digests = Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Sides:
    """Keys that staging or upstream has, in exactly one class.

    Parameters
    ----------
    new : frozenset of bytes
        Only upstream has them, and they were never fetched.
    away : frozenset of bytes
        They were fetched and upstream has them, but staging no longer.
    same : frozenset of bytes
        Both have them, and agree.
    changed : frozenset of bytes
        Both have them; only upstream's is another than when it was fetched.
    gone : frozenset of bytes
        Staging has them as they were fetched, upstream no longer.
    kept : frozenset of bytes
        Made or changed here, and upstream as it was.
    conflicting : frozenset of bytes
        Staging has them, both sides have changed them, and not alike.
    """

    new: frozenset[bytes]
    away: frozenset[bytes]
    same: frozenset[bytes]
    changed: frozenset[bytes]
    gone: frozenset[bytes]
    kept: frozenset[bytes]
    conflicting: frozenset[bytes]

    @classmethod
    def of(cls, base: Digests, ours: Digests, theirs: Digests) -> Sides:
        """Sort the keys that ours or theirs have.

        Parameters
        ----------
        base, ours, theirs : mapping of bytes to bytes
            Key to digest; of the base only what the other two have counts.

        Returns
        -------
        Sides
            Seven disjoint sets.
        """
        if not base and not ours:  # the first time there is nothing to compare with
            nothing = frozenset[bytes]()
            return cls(frozenset(theirs), *[nothing] * 6)
        here, there = ours.keys(), theirs.keys()
        if base.keys() - here - there:
            base = {key: base[key] for key in base.keys() & (here | there)}
        found = compare(base, ours, theirs)
        only_there = there - here
        return cls(
            new=frozenset(only_there - base.keys()),
            away=frozenset(only_there & base.keys()),
            same=found.same & here,
            changed=found.behind & here & there,
            gone=(found.behind & here) - there,
            kept=found.ahead & here,
            conflicting=found.conflicting & here,
        )

    def counts(self) -> dict[str, int]:
        """Count what a fetch reports.

        Returns
        -------
        dict of str to int
            ``new``, ``same``, ``changed-upstream`` and ``conflict``.
        """
        return {
            "new": len(self.new) + len(self.away), "same": len(self.same), "changed-upstream": len(self.changed),
            "conflict": len(self.conflicting),
        }  # fmt: skip
