"""Why a graph is empty: which constraint or which dataset type removed what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from registry.errors import UsageError
from stage.graph.question import Question

if TYPE_CHECKING:
    from stage.graph.plan import GraphPlan, TaskGroup, TypePlan
    from stage.graph.prune import Dropped
    from stage.graph.question import Place, View

__all__ = ["raise_empty"]


def raise_empty(
    plan: GraphPlan,
    view: View,
    question: Question,
    path: Sequence[Place],
    *,
    groups: Sequence[tuple[TaskGroup, int]],
    dropped: Sequence[Dropped],
    skipped: Sequence[Mapping[str, Any]] = (),
) -> NoReturn:
    """Raise the error for a graph without quanta.

    Parameters
    ----------
    plan : GraphPlan
        What the pipeline means.
    view : View
        To ask again, step by step.
    question : Question
        What the user asked for.
    path : sequence of Place
        The search path.
    groups : sequence of (TaskGroup, int)
        Connected tasks, and how many data IDs each group had.
    dropped : sequence of Dropped
        What pruning took away.
    skipped : sequence of mapping, optional
        How many quanta (``skipped``, ``of``) of which ``task`` are not done again.

    Raises
    ------
    UsageError
        With code ``empty-graph``.
    """
    reasons = []
    for group, n_rows in groups:
        if n_rows == 0:
            reasons.append(_no_data_ids(plan, view, question, path, group))
    reasons += [f"{s['task']}: {s['skipped']} of {s['of']} quanta skipped, done already" for s in skipped]
    for d in dropped:
        needs = f"a '{d.dataset_type}'" if d.minimum == 1 else f"{d.minimum} '{d.dataset_type}'"
        reasons.append(
            f"{d.label}: {d.n_dropped} of {d.n_before} quanta dropped, without {needs} for '{d.connection}'"
        )
    if not plan.nodes:
        reasons.append("the pipeline has no tasks")
    counts = ", ".join(f"{n.label} 0" for n in plan.nodes)
    raise UsageError(
        f"the graph is empty ({counts}): " + "; ".join(reasons),
        code="empty-graph",
        hint="Change the expression or the input collections, or look at what there is with 'stage query'.",
        context={"reasons": reasons},
    )


def _no_data_ids(
    plan: GraphPlan, view: View, question: Question, path: Sequence[Place], group: TaskGroup
) -> str:
    """Add one constraint after another until nothing is left, and name that one."""
    names = {c.dataset_type for n in group.nodes for c in n.connections if c.role == "input"}
    inputs = [k for k in plan.of_part("overall") if k.name in names and k.constrains]
    return f"{group.labels}: " + (
        _no_rows(view, inputs, path, group)
        or _no_match(view, question, group)
        or _no_inputs(view, question, inputs, path, group)
    )


def _no_rows(view: View, inputs: Sequence[TypePlan], path: Sequence[Place], group: TaskGroup) -> str:
    """Say what is missing before anything is asked for."""
    if not view.data_ids(group.dimensions, Question(), (), (), limit=1).n_rows:
        return f"there are no records that combine to data IDs of {group.dimensions}"
    for kind in inputs:
        if not view.datasets(kind.type, path, None).n_rows:
            return f"there is no '{kind.name}' in {_path_text(path)}"
    return ""


def _no_match(view: View, question: Question, group: TaskGroup) -> str:
    """Say which part of the question leaves no data ID."""
    given = ", ".join(f"{k}={v}" for k, v in (question.data_id or {}).items())
    n_listed = 0 if question.table is None else question.table.n_rows
    steps = (
        (bool(given), Question(data_id=question.data_id), f"has {given}"),
        (bool(question.where), question._replace(table=None), f"satisfies the expression {question.where!r}"),
        (question.table is not None, question, f"is among the {n_listed} of the table"),
    )
    for is_asked, narrowed, text in steps:
        if is_asked and not view.data_ids(group.dimensions, narrowed, (), (), limit=1).n_rows:
            return f"no data ID of {group.dimensions} {text}"
    return ""


def _no_inputs(
    view: View, question: Question, inputs: Sequence[TypePlan], path: Sequence[Place], group: TaskGroup
) -> str:
    """Say which overall input none of the chosen data IDs has."""
    if view.is_upstream_only(path):
        for i, kind in enumerate(inputs):
            constrain = [k.type for k in inputs[: i + 1]]
            if not view.data_ids(group.dimensions, question, constrain, path, limit=1).n_rows:
                others = f" that also have {', '.join(k.name for k in inputs[:i])}" if i else ""
                return f"no '{kind.name}' in {_path_text(path)} for the data IDs chosen{others}"
    listed = ", ".join(f"'{k.name}'" for k in inputs) or "all that is asked"
    return f"no data ID chosen has {listed} in {_path_text(path)}"


def _path_text(path: Sequence[Place]) -> str:
    return ", ".join(p.collection for p in path) or "no collection"
