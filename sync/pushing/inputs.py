"""Inputs of pushed quanta that upstream will not have: gone, replaced, or staying here; and what would bring them."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from registry.model.columns import Columns
from registry.model.data_id import format_values
from registry.model.refs import id_text
from sync.lookups import known_collections
from sync.plan_parts import Conflict, Note
from sync.pushing.kinds import HINTS
from sync.pushing.members import members
from sync.pushing.provenance import ids_in

if TYPE_CHECKING:
    from registry.snapshot import Snapshot
    from sync.pushing.asking import Asked
    from sync.pushing.plan import Outgoing

__all__ = ["Missing", "missing_inputs"]

_GONE, _REPLACED, _UNPUSHED = "input-gone", "input-replaced", "input-not-pushed"
_WHY = {
    _GONE: ("{are} no longer upstream", "deleted since they were fetched"),
    _REPLACED: ("{have} been replaced upstream", "others in their place"),
    _UNPUSHED: ("{are} not upstream and not pushed", "none"),
}
_MOST = 5
"""Types that are named in a sentence."""


@dataclass(frozen=True)
class _Group:
    """Missing inputs of one type and RUN; `first` is the id of one, `example` its data ID in words.

    Those of which `stays` is true are left out by a policy: no other choice brings them in.
    """

    dataset_type: str
    run: str
    n: int
    first: bytes
    example: str
    stays: bool = False

    def __str__(self) -> str:
        if not self.dataset_type:
            return f"{self.n:,} of which nothing is known here (first: {id_text(self.first)})"
        return f"{self.n:,} {self.dataset_type} of run '{self.run}' (first: {{{self.example}}})"


@dataclass(frozen=True)
class Missing:
    """Inputs that upstream will not have, for one reason.

    Parameters
    ----------
    code : str
        ``input-gone``, ``input-replaced`` or ``input-not-pushed``.
    groups : tuple
        By dataset type and RUN.
    n_quanta : int
        How many quanta that are pushed read them.
    way_on : str
        The command that would bring them in, or empty.
    """

    code: str
    groups: tuple[_Group, ...]
    n_quanta: int
    way_on: str = ""

    @property
    def n(self) -> int:
        """How many."""
        return sum(group.n for group in self.groups)

    def note(self) -> Note:
        """Return it as a warning.

        Returns
        -------
        Note
            With number, types, examples and a way on.
        """
        hint = f"Bring them in: '{self.way_on}'." if self.way_on else "Provenance keeps their ids."
        verbs = {"are": "is", "have": "has"} if self.n == 1 else {"are": "are", "have": "have"}
        what = f"{self._number()} {_WHY[self.code][0].format_map(verbs)}: {self._parts()}"
        return Note(self.code, what, hint)

    def conflict(self) -> Conflict:
        """Return it as a conflict.

        Returns
        -------
        Conflict
            With the same facts.
        """
        hint = f"Bring them in: '{self.way_on}'. {HINTS[self.code]}" if self.way_on else HINTS[self.code]
        ours = f"read by {self.n_quanta:,} quanta that are pushed"
        groups = [
            {"dataset_type": g.dataset_type, "run": g.run, "n": g.n, "first": id_text(g.first), "data_id": g.example}
            for g in self.groups
        ]  # fmt: skip
        about: dict[str, Any] = {"n": self.n, "n_quanta": self.n_quanta, "groups": groups}
        what = f"{self._number()}, {self._parts()}"
        return Conflict(self.code, "input", what, ours, _WHY[self.code][1], hint, about)

    def _number(self) -> str:
        return f"{self.n:,} input dataset{'' if self.n == 1 else 's'}"

    def _parts(self) -> str:
        more = len(self.groups) - _MOST
        return ", ".join(map(str, self.groups[:_MOST])) + (f" and {more:,} more types" if more > 0 else "")


def missing_inputs(
    outgoing: Outgoing,
    inputs: Columns,
    upstream: Snapshot,
    staging: Snapshot | None,
    *,
    left_out: Set[bytes],
    other: Set[bytes],
    asked: Asked,
) -> list[Missing]:
    """Find the inputs of pushed quanta that upstream will not have.

    Parameters
    ----------
    outgoing : Outgoing
        Our side.
    inputs : Columns
        What the quanta that are pushed read.
    upstream : Snapshot
        Upstream's, or a transaction on it.
    staging : Snapshot or None
        Of the staging registry, which knows what they are.
    left_out, other : set of bytes
        Ids of datasets that stay here by a policy; of these, ids that upstream has with other content.
    asked : Asked
        The push as a command.

    Returns
    -------
    list of Missing
        One a reason.

    Notes
    -----
    One query, and a fixed number a dataset type where some are missing.
    """
    used = ids_in(inputs, "dataset_id")
    for batch in outgoing.batches if used else ():
        used -= set(batch.rows["id"].tolist()) - left_out
    missing = used - upstream.existing_ids(list(used)) if used else used
    missing |= used & other
    if not missing:
        return []
    return _Sorting(outgoing, upstream, left_out, other, asked).sort(missing, inputs, staging)


class _Sorting:
    """Missing inputs, sorted by why they are missing."""

    def __init__(
        self, outgoing: Outgoing, upstream: Snapshot, left_out: Set[bytes], other: Set[bytes], asked: Asked
    ) -> None:
        self.outgoing = outgoing
        self.upstream = upstream
        self.left_out = left_out
        self.other = other
        self.asked = asked
        self.ids: dict[str, set[bytes]] = {code: set() for code in _WHY}
        self.groups: dict[str, list[_Group]] = {code: [] for code in _WHY}

    def sort(self, missing: Set[bytes], inputs: Columns, staging: Snapshot | None) -> list[Missing]:
        known = staging.datasets_by_id(sorted(missing)) if staging is not None else {}
        unknown = set(missing)
        for name, rows in known.items():
            unknown -= set(rows["id"].tolist())
            for run in dict.fromkeys(rows["run"].tolist()):
                of_run = rows.take(rows["run"] == run)
                for code, ids in self._reasons(name, run, of_run).items():
                    self._add(code, name, run, of_run, ids)
        fetched = unknown & self.outgoing.fetched_inputs
        for code, ids in ((_GONE, fetched), (_UNPUSHED, unknown - fetched)):
            self._add(code, "", "", None, ids)
        readers, read = inputs["quantum_id"], inputs["dataset_id"].tolist()
        return [
            Missing(
                code, tuple(groups), len(set(readers[members(read, self.ids[code])].tolist())),
                self._way_on(groups) if code == _UNPUSHED else "",
            )
            for code, groups in self.groups.items()
            if groups
        ]  # fmt: skip

    def _reasons(self, name: str, run: str, rows: Columns) -> dict[str, set[bytes]]:
        ids = set(rows["id"].tolist())
        replaced = ids & self.other
        gone = (ids - replaced) & self.outgoing.fetched_inputs
        if gone and known_collections(self.upstream, [run]) and self.upstream.known_types([name]):
            dims = self.upstream.dataset_type(name).dimensions.required
            theirs = self.upstream.datasets(name, [run], find_first=False, table=rows.select(dims))
            taken = set(theirs.rows(dims))
            replaced |= {i for *values, i in rows.rows((*dims, "id")) if i in gone and tuple(values) in taken}
        return {_REPLACED: replaced, _GONE: gone - replaced, _UNPUSHED: ids - replaced - gone}

    def _add(self, code: str, name: str, run: str, rows: Columns | None, ids: Set[bytes]) -> None:
        if not ids:
            return
        first, example = min(ids), ""
        if rows is not None:
            dims = [n for n in rows.names if n not in {"id", "run"}]
            values = rows.rows(dims)[rows["id"].tolist().index(first)]
            example = format_values(tuple(dims), values)
        self.ids[code] |= ids
        self.groups[code].append(_Group(name, run, len(ids), first, example, ids <= self.left_out))

    def _way_on(self, groups: Iterable[_Group]) -> str:
        """Return the command that pushes them too; empty where there is none, as for what a policy leaves out."""
        out = self.outgoing
        known = [group for group in groups if group.dataset_type and not group.stays]
        runs = [g.run for g in known if g.run not in out.runs]
        types = [
            g.dataset_type for g in known if out.globs and not any(fnmatchcase(g.dataset_type, x) for x in out.globs)
        ]  # fmt: skip
        without = ["--where"] if out.where and known else []
        if not (runs or types or without):
            return ""
        named = [*(self.asked.runs or out.runs), *dict.fromkeys(runs)] if runs else None
        more = [word for name in dict.fromkeys(types) for word in ("--dataset-type", name)]
        return self.asked.text(*more, runs=named, without=without)
