"""What each constraint of a question leaves, one after another: how many data IDs, and of which tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from registry.errors import QueryError
from registry.queries.words import bare_names, bind_names, conditions
from stage.graph.building.question import Question
from stage.graph.building.relate import DataIdRows
from stage.graph.table import Table, code_column

if TYPE_CHECKING:
    from registry.model.columns import Columns
    from registry.model.dimensions import DimensionUniverse
    from stage.graph.building.plan import GraphPlan, TaskGroup, TypePlan
    from stage.graph.building.question import Place, View

__all__ = ["Asked", "Constraint", "Step", "constraints_of", "count_steps", "narrowed", "path_text"]


@dataclass(frozen=True, slots=True)
class Constraint:
    """One of the things that data IDs are held to.

    Parameters
    ----------
    kind : {"records", "value", "expression", "table", "dataset-type"}
        What it is made of.
    text : str
        For a person.
    data_id : mapping
        Its dimension value, if it is one.
    where : str
        Its condition, if it is one.
    table : Columns or None
        Its data IDs, if it is a table.
    dataset_type : TypePlan or None
        The overall input that must exist.
    is_essential : bool
        Whether others mean nothing without it: it says which instrument, sky map and the like.
    """

    kind: str
    text: str
    data_id: Mapping[str, Any] = field(default_factory=dict)
    where: str = ""
    table: Columns | None = None
    dataset_type: TypePlan | None = None
    is_essential: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """What is left after one constraint and all before it.

    Parameters
    ----------
    constraint : Constraint
        The constraint.
    n : int
        Data IDs of all dimensions of the group.
    tasks : mapping of str to int
        Data IDs of each task.
    is_more : bool
        Whether there are more: counting ended.
    """

    constraint: Constraint
    n: int
    tasks: Mapping[str, int]
    is_more: bool = False

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON values.

        Returns
        -------
        dict
            ``kind``, ``constraint``, ``data_ids``, ``tasks``, ``more``.
        """
        return {
            "kind": self.constraint.kind,
            "constraint": self.constraint.text,
            "data_ids": self.n,
            "tasks": dict(self.tasks),
            "more": self.is_more,
        }


def path_text(path: Sequence[Place], shown: int = 5) -> str:
    """Name the collections of a search path.

    Parameters
    ----------
    path : sequence of Place
        The path.
    shown : int, optional
        At most so many.

    Returns
    -------
    str
        For a message.
    """
    names = [p.collection for p in path]
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more or "no collection"


def constraints_of(
    question: Question, universe: DimensionUniverse, inputs: Sequence[TypePlan], path: Sequence[Place]
) -> list[Constraint]:
    """Take apart what data IDs are held to.

    Parameters
    ----------
    question : Question
        What the user asked for.
    universe : DimensionUniverse
        Tells what is essential.
    inputs : sequence of TypePlan
        Overall inputs that must exist.
    path : sequence of Place
        Where they are searched.

    Returns
    -------
    list of Constraint
        The records first, then what is essential, the other values and conditions, the table, the inputs.
    """
    asked = sorted(
        [*_values(question, universe), *_conditions(question, universe)], key=lambda c: not c.is_essential
    )
    found = [Constraint("records", "that the records allow"), *asked]
    if question.table is not None:
        n = question.table.n_rows
        text = f"in the table of {n:,} data ID{'' if n == 1 else 's'}"
        found.append(Constraint("table", text, table=question.table))
    place = path_text(path)
    found += [Constraint("dataset-type", f"with a '{k.name}' in {place}", dataset_type=k) for k in inputs]
    return found


def _values(question: Question, universe: DimensionUniverse) -> Iterator[Constraint]:
    for name, value in (question.data_id or {}).items():
        yield Constraint(
            "value", f"with {name}={value}", {name: value}, is_essential=name in universe.governors
        )


def _conditions(question: Question, universe: DimensionUniverse) -> Iterator[Constraint]:
    for text in conditions(question.where) if question.where.strip() else ():
        names = bare_names(text) - set(question.bind or {})
        is_essential = bool(names) and names <= universe.governors
        yield Constraint("expression", f"that satisfy {text}", where=text, is_essential=is_essential)


def narrowed(constraints: Sequence[Constraint], bind: Mapping[str, Any] | None) -> Question:
    """Put constraints together to a question for data IDs; those about datasets are left out.

    Parameters
    ----------
    constraints : sequence of Constraint
        Which.
    bind : mapping or None
        Values for identifiers; only those that are named are handed on.

    Returns
    -------
    Question
        All of them together.
    """
    wheres = [c.where for c in constraints if c.where]
    where = " AND ".join(f"({w})" for w in wheres) if len(wheres) > 1 else "".join(wheres)
    names = {n for w in wheres for n in bind_names(w) | bare_names(w)}
    data_id = {k: v for c in constraints for k, v in c.data_id.items()}
    tables = [c.table for c in constraints if c.table is not None]
    values = {n: v for n, v in (bind or {}).items() if n in names}
    return Question(where, values or None, data_id or None, tables[0] if tables else None)


@dataclass(frozen=True)
class Asked:
    """What is asked for connected tasks, and of whom.

    Parameters
    ----------
    plan : GraphPlan
        What the pipeline means.
    view : View
        Whom to ask.
    question : Question
        What the user asked for.
    path : sequence of Place
        The search path.
    group : TaskGroup
        The tasks.
    """

    plan: GraphPlan
    view: View
    question: Question
    path: Sequence[Place]
    group: TaskGroup

    @property
    def inputs(self) -> list[TypePlan]:
        """Overall inputs without which data IDs of the group are of no use."""
        names = {c.dataset_type for n in self.group.nodes for c in n.connections if c.role == "input"}
        return [k for k in self.plan.of_part("overall") if k.name in names and k.constrains]


def count_steps(asked: Asked, most: int) -> list[Step]:
    """Count the data IDs of connected tasks after each constraint in turn.

    Parameters
    ----------
    asked : Asked
        The tasks, and what their data IDs are held to.
    most : int
        Where counting ends.

    Returns
    -------
    list of Step
        None for tasks without dimensions, which have one data ID whatever is asked.

    Notes
    -----
    One question a constraint, up to the first that leaves nothing; each answers with at most `most` + 1 rows.
    """
    if not asked.group.dimensions:
        return []
    constraints = constraints_of(asked.question, asked.plan.universe, asked.inputs, asked.path)
    steps: list[Step] = []
    for i, constraint in enumerate(constraints):
        if steps and not steps[-1].n:
            steps.append(Step(constraint, 0, dict.fromkeys(steps[-1].tasks, 0)))
            continue
        try:
            table = _ask(asked, constraints[: i + 1], most)
        except QueryError:
            continue  # what it names gets its meaning from a condition that comes later
        steps.append(_step(asked, constraint, table, most))
    return steps


def _ask(asked: Asked, constraints: Sequence[Constraint], most: int) -> Table:
    types = [c.dataset_type.type for c in constraints if c.dataset_type is not None]
    question = narrowed(constraints, asked.question.bind)
    columns = asked.view.data_ids(asked.group.dimensions, question, types, asked.path, limit=most + 1)
    return Table({n: code_column(columns[n]) for n in columns.names}, columns.n_rows)


def _step(asked: Asked, constraint: Constraint, table: Table, most: int) -> Step:
    rows = DataIdRows(table)
    tasks = {n.label: rows.places(asked.plan.task_dimensions(n)).table.n_rows for n in asked.group.nodes}
    return Step(constraint, min(table.n_rows, most), tasks, table.n_rows > most)
