"""Where the quanta of a graph come from: what each constraint, each dataset type and each step of a build left."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from registry.errors import UsageError
from stage.graph.explaining.cause import Cause, Inquiry
from stage.graph.explaining.lacking import lack_cause, lack_document
from stage.graph.explaining.steps import Asked, Step, count_steps
from stage.graph.explaining.text import lines, named

if TYPE_CHECKING:
    from stage.graph.building.plan import GraphPlan, TaskGroup
    from stage.graph.building.prerequisites import Lack, Prerequisites
    from stage.graph.building.prune import Dropped, Refused
    from stage.graph.building.question import Place, Question, View
    from stage.graph.table import Table

__all__ = ["Explanation", "Outcome", "explain", "lines", "raise_empty"]

MOST = 1_000_000
"""Where counting data IDs ends: more than these are not worth the wait."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What a build came to, step by step.

    Parameters
    ----------
    plan : GraphPlan
        What the pipeline means.
    view : View
        To ask again, constraint by constraint.
    question : Question
        What the user asked for.
    path : sequence of Place
        The search path.
    groups : sequence of (TaskGroup, int)
        Connected tasks, and how many data IDs each group had.
    data_ids : callable
        Returns by label the data IDs of a task before anything was dropped.
    quanta : mapping of str to int
        Quanta of each task in the end.
    dropped : sequence of Dropped
        What pruning took away, in the order of the tasks.
    skipped : sequence of mapping
        How many quanta (``skipped``, ``of``) of which ``task`` are not done again.
    refused : sequence of Refused
        Quanta that tasks' own code dropped, and what it said.
    lookup : Prerequisites or None
        Knows what prerequisites quanta that were left turned out to lack.
    """

    plan: GraphPlan
    view: View
    question: Question
    path: Sequence[Place]
    groups: Sequence[tuple[TaskGroup, int]]
    data_ids: Callable[[str], Table]
    quanta: Mapping[str, int]
    dropped: Sequence[Dropped] = ()
    skipped: Sequence[Mapping[str, Any]] = ()
    refused: Sequence[Refused] = ()
    lookup: Prerequisites | None = None

    @property
    def lacking(self) -> Sequence[Lack]:
        """What quanta lack that were left."""
        return self.lookup.lacking if self.lookup is not None else ()


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """Where quanta come from, and of tasks without any, why.

    Parameters
    ----------
    outcome : Outcome
        What the build came to.
    steps : sequence of sequence of Step
        For each group of connected tasks, what each constraint leaves.
    causes : tuple of Cause
        Why there are tasks without quanta, or quanta that lack a prerequisite: what went wrong first, not what followed.
    """

    outcome: Outcome
    steps: Sequence[Sequence[Step]]
    causes: tuple[Cause, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is no quantum at all."""
        return not any(self.outcome.quanta.values())

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON values, as a graph's header keeps it.

        Returns
        -------
        dict
            ``collections`` (the search path), ``groups`` (``tasks``, ``dimensions``, ``steps``), ``tasks`` and
            ``causes``; see `stage.graph.explaining.text.lines`.
        """
        groups = [
            {
                "tasks": {n.label: _own(self.outcome.plan, n) for n in group.nodes},
                "dimensions": list(group.dimensions.required),
                "data_ids": n_rows,
                "steps": [step.to_document() for step in steps],
            }
            for (group, n_rows), steps in zip(self.outcome.groups, self.steps, strict=True)
        ]
        return {
            "collections": [p.collection for p in self.outcome.path],
            "groups": groups,
            "tasks": [self._task(n.label) for n in self.outcome.plan.nodes],
            "causes": [cause.to_document() for cause in self.causes],
        }

    def _task(self, label: str) -> dict[str, Any]:
        outcome = self.outcome
        table = outcome.data_ids(label)
        return {
            "task": label,
            "data_ids": table.n_rows,
            "skipped": next((s["skipped"] for s in outcome.skipped if s["task"] == label), 0),
            "dropped": [_dropped(d, table) for d in outcome.dropped if d.label == label],
            "adjusted": sum(r.n_dropped for r in outcome.refused if r.label == label),
            "refused": [_refused(r, table) for r in outcome.refused if r.label == label],
            "lacking": [
                lack_document(outcome.plan, lack) for lack in outcome.lacking if lack.node.label == label
            ],
            "quanta": outcome.quanta[label],
        }


def _own(plan: GraphPlan, node: Any) -> list[str]:
    """Return the dimensions that tell a task's quanta apart, without what they need anyway."""
    names = plan.task_dimensions(node)
    needed = {n for name in names for n in plan.universe.element(name).required if n != name}
    return [n for n in names if n not in needed]


def _refused(refused: Refused, table: Table) -> dict[str, Any]:
    first = table.rows(np.asarray(refused.first, dtype=np.int64))
    return {
        "hook": refused.hook,
        "reason": refused.reason,
        "dropped": refused.n_dropped,
        "of": refused.n_before,
        "first": [dict(zip(table.names, row, strict=True)) for row in first],
    }


def _dropped(dropped: Dropped, table: Table) -> dict[str, Any]:
    names = table.names
    first = table.rows(np.asarray(dropped.first, dtype=np.int64))
    return {
        "connection": dropped.connection,
        "dataset_type": dropped.dataset_type,
        "minimum": dropped.minimum,
        "dropped": dropped.n_dropped,
        "of": dropped.n_before,
        "first": [dict(zip(names, row, strict=True)) for row in first],
    }


def explain(outcome: Outcome, *, most: int = MOST) -> Explanation:
    """Tell where the quanta of a graph come from.

    Parameters
    ----------
    outcome : Outcome
        What a build came to.
    most : int, optional
        Where counting data IDs ends.

    Returns
    -------
    Explanation
        With the causes for tasks that have no quanta.

    Notes
    -----
    For each group of connected tasks one question a constraint and one an overall input, and where there is nothing a
    few more: O(tasks + dataset types) questions, each answered with at most `most` + 1 rows.
    """
    o = outcome
    steps = [count_steps(Asked(o.plan, o.view, o.question, o.path, group), most) for group, _ in o.groups]
    return Explanation(o, steps, tuple(_causes(o, steps)))


def _causes(outcome: Outcome, steps: Sequence[Sequence[Step]]) -> Iterator[Cause]:
    if not outcome.plan.nodes:
        yield Cause(
            "no-tasks", ("the pipeline",), "it has no tasks", "Give it some: stage edit -t LABEL:CLASS."
        )
    without = {label for label, n in outcome.quanta.items() if not n}
    lost = {d.label for d in outcome.dropped} & without
    for (group, n_rows), mine in zip(outcome.groups, steps, strict=True):
        labels = {n.label for n in group.nodes}
        if not n_rows:
            inquiry = Inquiry(outcome.plan, outcome.view, outcome.question, outcome.path, group)
            yield inquiry.cause(mine)
        elif labels & without:
            yield from _skipped(outcome, labels & without)
            yield from _adjusted(outcome, labels & without)
            yield from _lacking(outcome, labels & without, lost)
    if outcome.lookup is not None:
        for lack in outcome.lacking:
            yield lack_cause(outcome.lookup, lack)


def _skipped(outcome: Outcome, labels: set[str]) -> Iterator[Cause]:
    for s in outcome.skipped:
        if s["task"] in labels and s["skipped"]:
            yield Cause(
                "done-already",
                (s["task"],),
                f"{s['skipped']} of {s['of']} quanta skipped, done already",
                "To do them again, skip nothing.",
            )


def _adjusted(outcome: Outcome, labels: set[str]) -> Iterator[Cause]:
    for r in outcome.refused:
        if r.label in labels:
            text = f"{r.n_dropped} of {r.n_before} quanta dropped by the task's own {r.hook}(): {r.reason}"
            yield Cause("adjusted-away", (r.label,), text)


def _lacking(outcome: Outcome, labels: set[str], lost: set[str]) -> Iterator[Cause]:
    """Name the inputs that are lacking, but not those that tasks emptied themselves would have made."""
    makers = {c.dataset_type: n.label for n in outcome.plan.nodes for c in n.connections if c.is_output}
    for d in outcome.dropped:
        if d.label in labels and makers.get(d.dataset_type) not in lost:
            needs = f"a '{d.dataset_type}'" if d.minimum == 1 else f"{d.minimum} '{d.dataset_type}'"
            text = f"{d.n_dropped} of {d.n_before} quanta dropped, without {needs} for '{d.connection}'"
            yield Cause("too-few-inputs", (d.label,), text)


def raise_empty(explanation: Explanation) -> NoReturn:
    """Raise the error for a graph without quanta.

    Parameters
    ----------
    explanation : Explanation
        Why there are none.

    Raises
    ------
    UsageError
        With code ``empty-graph``; its context has ``causes`` and the whole ``explanation`` as documents.
    """
    outcome, causes = explanation.outcome, explanation.causes
    counts = named([f"{n.label} 0" for n in outcome.plan.nodes], 8)
    listed = f" ({counts})" if counts else ""
    usual = "Change the expression or the input collections, or look at what there is with 'stage query'."
    raise UsageError(
        f"the graph is empty{listed}: " + "; ".join(map(str, causes)),
        code="empty-graph",
        hint=next((c.hint for c in causes if c.hint), usual),
        context={"reasons": [str(c) for c in causes], "explanation": explanation.to_document()},
    )
