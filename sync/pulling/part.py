"""What is decided about one kind of thing: gathered first, made one plan at the end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sync.fetching.sides import Digests
from sync.plan_parts import Conflict, Note
from sync.pulling.plan import Difference

__all__ = ["CLASSES", "Part", "some_of"]

CLASSES = ("same", "new", "taken", "removed", "kept", "kept as used", "gone upstream", "conflict")
_SHOWN = 1000
"""How many differences of one kind and action a plan names."""


@dataclass
class Part:
    """What has been decided about one kind of thing.

    Parameters
    ----------
    kind : str
        ``record``, ``dataset``, ….
    counts : dict
        Class to number.
    differences, notes, conflicts : list
        What a plan tells.
    baselines : dict
        Kind to key to digest: what is known of upstream now.
    forgotten : dict
        Kind to keys of which nothing is known any more.
    """

    kind: str
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CLASSES, 0))
    differences: list[Difference] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    conflicts: list[Conflict] = field(default_factory=list)
    baselines: dict[str, dict[bytes, bytes]] = field(default_factory=dict)
    forgotten: dict[str, list[bytes]] = field(default_factory=dict)

    def count(self, **numbers: int) -> None:
        """Add to the numbers.

        Parameters
        ----------
        **numbers : int
            Class to how many more; ``_`` stands for a blank.
        """
        for name, n in numbers.items():
            self.counts[name.replace("_", " ")] += n

    def tell(self, action: str, found: Iterable[Conflict]) -> None:
        """Name what differs and is decided.

        Parameters
        ----------
        action : str
            What becomes of it.
        found : iterable of Conflict
            What differs, in words.
        """
        self.differences += [Difference(action, self.kind, c.what, c.ours, c.upstream) for c in found]

    def note_standing(self, code: str, n: int) -> None:
        """Say that to take upstream's of conflicts takes nothing of what has none any more.

        Parameters
        ----------
        code : str
            Code of the conflicts of which upstream's are taken.
        n : int
            How many things were kept or changed here earlier, and are upstream as they were then.
        """
        if n:
            text = (
                f"{n:,} {self.kind}{'s' if n != 1 else ''} kept or changed here earlier {'stay' if n != 1 else 'stays'}: "
                f"upstream has not changed since, so that '{code}=take' finds no conflict"
            )
            self.notes.append(
                Note("kept-earlier", text, "To take upstream's: make a campaign anew with 'stage clone'.")
            )

    def settle(self, kind: str, base: Digests, theirs: Digests, keys: Iterable[bytes]) -> None:
        """Note that what is upstream now is known of some keys, or that there is nothing any more.

        Parameters
        ----------
        kind : str
            Kind of the baselines.
        base, theirs : mapping of bytes to bytes
            What was known, and what is upstream.
        keys : iterable of bytes
            Which.
        """
        settled = set(keys)
        there = settled & theirs.keys()
        fresh = {key: theirs[key] for key in there if base.get(key) != theirs[key]}
        self.baselines.setdefault(kind, {}).update(fresh)
        self.forgotten.setdefault(kind, []).extend(sorted((settled - there) & base.keys()))


def some_of(keys: Iterable[bytes]) -> frozenset[bytes]:
    """Return as many keys as a plan names things of one kind and action.

    Parameters
    ----------
    keys : iterable of bytes
        Any number.

    Returns
    -------
    frozenset of bytes
        The first ones.
    """
    return frozenset(sorted(keys)[:_SHOWN])
