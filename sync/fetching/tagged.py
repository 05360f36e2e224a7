"""Three-way comparison of what TAGGED collections hold: by collection, dataset type and data ID."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from registry.model.data_id import format_values
from registry.model.refs import id_text
from sync.fetching.sides import Sides
from sync.fetching.ways import with_ways
from sync.manifest import TAGGED, read_baselines, row_keys
from sync.plan import Conflict, Note

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.model.columns import Columns
    from registry.snapshot import Snapshot

__all__ = ["NOTHING", "Tagging"]

NOTHING = "nothing"
"""What a side has that took something away."""

_What = tuple[str, tuple[str, ...], tuple[object, ...]]
"""Dataset type, dimensions and data ID."""


class Tagging:
    """What has been decided about TAGGED collections.

    Parameters
    ----------
    theirs, ours : Snapshot
        Of upstream and of staging.
    on_conflict : str
        ``fail``, ``keep`` or ``take``.
    stand_ins : mapping of bytes to bytes
        Datasets of upstream that stay out of staging, to the ones that have their places there.
    """

    def __init__(
        self, theirs: Snapshot, ours: Snapshot, on_conflict: str, stand_ins: Mapping[bytes, bytes]
    ) -> None:
        self.theirs, self.ours, self.on_conflict = theirs, ours, on_conflict
        self.stand_ins = stand_ins
        self.tagged: dict[str, list[bytes]] = {}
        self.untagged: dict[str, list[bytes]] = {}
        self.used: set[str] = set()
        self.counts = dict.fromkeys(("new", "same", "changed-upstream", "gone", "kept", "conflict"), 0)
        self.conflicts: tuple[Conflict, ...] = ()
        self.fresh: dict[bytes, bytes] = {}
        self.forgotten: list[bytes] = []
        self._places: dict[bytes, tuple[str, _What]] = {}

    def decide(self, names: Sequence[str], ids: Sequence[bytes], here: Sequence[str]) -> None:
        """Compare what collections hold of the wanted datasets, and of those that staging has in them.

        Parameters
        ----------
        names : sequence of str
            The collections that upstream has.
        ids : sequence of bytes
            The datasets that are wanted.
        here : sequence of str
            Those of `names` that staging has.
        """
        held = self.ours.associations(here).rows(("collection", "id")) if here else []
        asked = [*ids, *(i for _, i in held)]
        found = self.theirs.tagged(names, asked).rows() if asked else []
        upstream = [(name, self.stand_ins.get(i, i)) for name, i in found]
        if not (held or upstream):
            return
        known = _natural(self.ours.datasets_by_id([*(i for _, i in held), *self.stand_ins.values()]))
        known |= _natural(self.theirs.datasets_by_id([i for _, i in upstream if i not in known]))
        ours, theirs = self._keyed(held, known), self._keyed(upstream, known)
        base = read_baselines(self.ours, TAGGED)
        sides = Sides.of(base, ours, theirs)
        self._act(sides, base, ours, theirs)

    def _keyed(self, rows: Iterable[tuple[str, bytes]], known: Mapping[bytes, _What]) -> dict[bytes, bytes]:
        pairs = [(name, i) for name, i in rows if i in known]
        keys = row_keys((name, known[i][0], *known[i][2]) for name, i in pairs)
        self._places |= {key: (name, known[i]) for key, (name, i) in zip(keys, pairs, strict=True)}
        return {key: i for key, (_, i) in zip(keys, pairs, strict=True)}

    def _act(
        self,
        sides: Sides,
        base: Mapping[bytes, bytes],
        ours: Mapping[bytes, bytes],
        theirs: Mapping[bytes, bytes],
    ) -> None:
        # What went with its dataset comes back with it; what was taken out here stays out.
        there = self.ours.existing_ids([theirs[key] for key in sides.away]) if sides.away else set()
        new = sides.new | {key for key in sides.away if theirs[key] not in there}
        changed, gone = sides.changed, sides.gone
        if self.on_conflict == "take":
            changed |= sides.conflicting & theirs.keys()
            gone |= sides.conflicting - theirs.keys()
        elif self.on_conflict == "fail":
            self.conflicts = with_ways(self._conflict(key, ours, theirs) for key in sorted(sides.conflicting))
        for key in sorted(new | changed):
            self.tagged.setdefault(self._places[key][0], []).append(theirs[key])
        for key in sorted(gone):
            self.untagged.setdefault(self._places[key][0], []).append(ours[key])
        self.used |= {self._places[key][0] for key in theirs}
        self.counts |= {
            "new": len(new), "same": len(sides.same), "changed-upstream": len(changed), "gone": len(gone),
            "kept": len(sides.kept) + len(sides.away) - len(new - sides.new), "conflict": len(self.conflicts),
        }  # fmt: skip
        settled = new | changed | sides.same
        if self.on_conflict == "keep":
            settled |= sides.conflicting
        self.fresh = {key: theirs[key] for key in settled & theirs.keys() if base.get(key) != theirs[key]}
        self.forgotten = sorted((gone | (settled - theirs.keys())) & base.keys())

    def _conflict(self, key: bytes, ours: Mapping[bytes, bytes], theirs: Mapping[bytes, bytes]) -> Conflict:
        collection, (kind, dims, values) = self._places[key]
        what = f"what '{collection}' holds of {kind} {{{format_values(dims, values)}}}"
        mine, other = (id_text(side[key]) if key in side else NOTHING for side in (ours, theirs))
        return Conflict("member-differs", "member", what, mine, other)

    def notes(self) -> list[Note]:
        """Say what is not upstream what it was when it was fetched.

        Returns
        -------
        list of Note
            One at most.
        """
        n = self.counts["changed-upstream"] + self.counts["gone"]
        text = (
            f"{n} datasets of TAGGED collections are in them otherwise upstream than when they were fetched"
        )
        return [Note("tags-changed", text)] if n else []


def _natural(found: Mapping[str, Columns]) -> dict[bytes, _What]:
    """Return type and data ID by dataset id."""
    out: dict[bytes, _What] = {}
    for name, rows in found.items():
        dims = rows.names[: rows.names.index("id")]
        values = rows.rows(dims) if dims else [()] * rows.n_rows
        out |= {i: (name, dims, v) for i, v in zip(rows["id"].tolist(), values, strict=True)}
    return out
