"""What was made before: quanta that are not done again, and outputs that stand in the way."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from registry.errors import AlreadyExistsError
from registry.model.records import QuantumStatus
from stage.graph.building.bare import Wire, bare_rows, without_needed
from stage.graph.building.found import FoundTable, find_datasets, shown_data_ids
from stage.graph.building.prune import Mask, members
from stage.graph.building.relate import match_rows
from stage.graph.table import Coded, Csr, Ints, Table, code_column

if TYPE_CHECKING:
    from stage.graph.building.plan import GraphPlan, TypePlan
    from stage.graph.building.prune import DraftTask
    from stage.graph.building.question import Place, View

__all__ = ["Earlier", "Skipped", "is_complete"]

_FAILED_ATTEMPT = re.compile(rf"_(?:{QuantumStatus.FAILED}|{QuantumStatus.BLOCKED})-\d+(?:\.[^/]*)?$")
"""How a URI ends that `stage.execution.trial.attempt_suffix` has marked."""

_PLANNED = {"id": None, "uri": None, "size": 0}
"""What `stage.graph.quantum.FOUND_COLUMNS` hold of a dataset that is planned; the others are empty texts."""


@dataclass(slots=True, eq=False)
class Skipped:
    """Quanta that are not done again, and what of their outputs is there to be read.

    Parameters
    ----------
    quanta : dict of str to mask
        By task, which quanta; tasks of which none is skipped are absent.
    found : dict of str to FoundTable
        By dataset type, what exists of the outputs of skipped quanta.
    matches : dict of str to numpy.ndarray
        By dataset type, which row of `found` each of its datasets is; -1 where it is not there.
    """

    quanta: dict[str, Mask] = field(default_factory=dict)
    found: dict[str, FoundTable] = field(default_factory=dict)
    matches: dict[str, Ints] = field(default_factory=dict)

    @property
    def existing(self) -> dict[str, Mask]:
        """By dataset type, which of its datasets need not be made."""
        return {name: match >= 0 for name, match in self.matches.items()}

    def among_planned(self, dataset_type: str, kept: Mask) -> Table | None:
        """Return those datasets of a type that exist, laid out among those that are planned.

        Parameters
        ----------
        dataset_type : str
            Its name.
        kept : mask
            Which of its datasets the graph keeps.

        Returns
        -------
        Table or None
            `stage.graph.quantum.FOUND_COLUMNS` of what is kept, without id where it is planned; None if all of it is.
        """
        if dataset_type not in self.found:
            return None
        match = self.matches[dataset_type][kept]
        there = match >= 0
        if not there.any():
            return None
        columns = {}
        for name, column in self.found[dataset_type].found.columns.items():
            values = column.decode() if isinstance(column, Coded) else column
            out = np.full(len(match), _PLANNED.get(name, ""), dtype=values.dtype)
            out[there] = values[match[there]]
            columns[name] = code_column(out) if isinstance(column, Coded) else out
        return Table(columns, len(match))

    def facts(self) -> list[dict[str, Any]]:
        """Return how many quanta of which task are skipped.

        Returns
        -------
        list of dict
            JSON values: ``task``, ``skipped``, ``of``.
        """
        return [
            {"task": label, "skipped": int(np.count_nonzero(mask)), "of": len(mask)}
            for label, mask in self.quanta.items()
        ]


@dataclass(frozen=True, slots=True)
class Earlier:
    """Looks for what was made before of all that a graph could make.

    Parameters
    ----------
    view : View
        Where to look.
    plan : GraphPlan
        What the pipeline means.
    drafts : sequence of DraftTask
        The tasks before pruning, in the plan's order.
    places : callable
        Returns all data IDs that a dataset type could have.
    """

    view: View
    plan: GraphPlan
    drafts: Sequence[DraftTask]
    places: Callable[[TypePlan], Table]

    def skipped(self, collections: Sequence[str]) -> Skipped:
        """Find the quanta whose metadata exist, and those of their outputs that a task reads.

        Parameters
        ----------
        collections : sequence of str
            Where to look, in search order; a name of which there is no collection holds nothing.

        Returns
        -------
        Skipped
            What is not done again. A quantum is not skipped if what it made is known without a file, and one that is
            to be done reads it.

        Notes
        -----
        One question a task, and one for each dataset type that a task with skipped quanta makes and another reads.
        """
        path = self.view.known_path(collections) if collections else ()
        done: dict[str, Mask] = {}
        looked: dict[str, tuple[FoundTable, Ints]] = {}
        bare: dict[str, Mask] = {}
        for node, draft in zip(self.plan.nodes, self.drafts, strict=True):
            marks = [c.dataset_type for c in node.connections if c.role == "metadata"]
            if not marks or not path:
                continue
            found, match = self._find(self.plan.types[marks[0]], path)
            there = (match >= 0) & np.append(is_complete(found), np.False_)[match]
            if not there.any():
                continue
            done[node.label] = there
            # Where not even the metadata have a file, files are none of the registry's business.
            filed = there & ~bare_rows(found, match)
            for edges, kind in self._outputs(draft):
                if kind.read:
                    looked[kind.name] = self._find(kind, path)
                    rows = bare_rows(*looked[kind.name])
                    bare[kind.name] = rows & _mask(len(rows), members(edges, filed))
        wires = [
            Wire(d.label, c.dataset_type, c.is_input, c.edges) for d in self.drafts for c in d.connections
        ]
        out = Skipped(without_needed(wires, done, bare))
        for draft in self.drafts:
            for edges, kind in self._outputs(draft) if draft.label in out.quanta else ():
                if kind.name in looked:
                    found, match = looked[kind.name]
                    ours = _mask(len(match), members(edges, out.quanta[draft.label]))
                    out.found[kind.name], out.matches[kind.name] = found, np.where(ours, match, -1)
        return out

    def _outputs(self, draft: DraftTask) -> Iterator[tuple[Csr, TypePlan]]:
        return ((c.edges, self.plan.types[c.dataset_type]) for c in draft.connections if not c.is_input)

    def _find(self, kind: TypePlan, path: Sequence[Place]) -> tuple[FoundTable, Ints]:
        """Return what exists of a dataset type, and which of that each of its data IDs is."""
        table = self.places(kind)
        found = find_datasets(self.view, kind, path, table)
        return found, match_rows(table, found.data_ids, kind.dimensions)

    def refuse_outputs(self, run: str, skipped: Mapping[str, Mask]) -> None:
        """Refuse outputs that are in the output RUN already, unless their quanta are skipped.

        Parameters
        ----------
        run : str
            The output RUN, which need not exist.
        skipped : mapping of str to mask
            By task, the quanta that are skipped. Of all others every output counts, also of those that turn out to
            lack an input: what lies there would be taken for made by this graph.

        Raises
        ------
        AlreadyExistsError
            If there are some (``output-exists``): says which is the first, and how many.

        Notes
        -----
        One question for each dataset type that is made, if the RUN exists.
        """
        path, first, n_there = self.view.known_path([run]), "", 0
        if not path:
            return
        for draft in self.drafts:
            due = ~skipped[draft.label] if draft.label in skipped else np.ones(draft.n_quanta, dtype=np.bool_)
            for edges, kind in self._outputs(draft) if due.any() else ():
                there = self._find(kind, path)[1] >= 0
                rows = np.flatnonzero(there & _mask(len(there), members(edges, due)))
                n_there += len(rows)
                if len(rows) and not first:
                    first = f"'{kind.name}' {shown_data_ids(self.places(kind), rows[:1], kind.dimensions)}"
        if n_there:
            raise AlreadyExistsError(
                f"{first} {f'and {n_there - 1} more outputs are' if n_there > 1 else 'is'} in the output RUN "
                f"'{run}' already",
                code="output-exists",
                hint="Write to another RUN, skip what is done there (skip_existing_in), or replace it (clobber).",
                context={"run": run, "n_outputs": n_there},
            )


def is_complete(metadata: FoundTable) -> Mask:
    """Say which metadata are not those of an attempt that failed: their files' names say so.

    Parameters
    ----------
    metadata : FoundTable
        Metadata of quanta.

    Returns
    -------
    mask
        One value a row.
    """
    uris = metadata.found.select(("uri",)).decode()["uri"].tolist()
    return np.array([u is None or not _FAILED_ATTEMPT.search(u) for u in uris], dtype=np.bool_)


def _mask(n: int, rows: Any) -> Mask:
    mask = np.zeros(n, dtype=np.bool_)
    mask[rows] = True
    return mask
