"""Other ways to find units of work: a function of the user's in place of the default query."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from registry.errors import NotFoundError, PipelineError
from stage.graph.building.found import shown_data_ids
from stage.graph.building.relate import DataIdRows
from stage.graph.hooks.ask import Ask, with_implied
from stage.graph.hooks.call import as_columns, called, wrong_answer
from stage.graph.table import Coded, Table
from stage.pipeline.importing import load_object

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stage.graph.building.plan import TaskGroup
    from stage.graph.building.question import Place, Question, View

__all__ = ["find_units"]


def find_units(group: TaskGroup, view: View, question: Question, path: Sequence[Place]) -> Table:
    """Return a group's data IDs as a function of the user's finds them.

    Parameters
    ----------
    group : TaskGroup
        Connected tasks; at least one of them names the function: ``finder(dimensions, ask)``.
    view : View
        For the function to ask.
    question : Question
        What the user asked for; to heed it is up to the function.
    path : sequence of Place
        The search path.

    Returns
    -------
    Table
        Distinct data IDs with all dimensions of the group.

    Raises
    ------
    PipelineError
        If tasks of the group name several, or the function fails, or returns what are no data IDs of these dimensions.
    """
    named = {n.units: n.label for n in group.nodes if n.units}
    if len(named) > 1:
        (one, first), (other, second) = list(named.items())[:2]
        raise PipelineError(
            f"tasks '{first}' and '{second}' are connected, and name two finders of units: '{one}' and '{other}'",
            code="two-unit-finders",
            hint="Let both name the same, or only one of them any.",
        )
    ((target, label),) = named.items()
    what = f"finder of units '{target}'"
    finder = load_object(target, f"task '{label}', units")
    answer = called(label, what, finder, group.dimensions, Ask(view, path, question))
    names = group.dimensions.required
    table = Table.of(as_columns(label, what, answer, names, "data IDs"))
    for name in names:
        key, column = view.universe.element(name).key, table.columns[name]
        is_text = key is not None and key.type == "string"
        if table.n_rows and is_text != isinstance(column, Coded):
            value, wanted = table.select([name]).row(0)[0], "text" if is_text else "a whole number"
            raise wrong_answer(label, what, f"gave data IDs with {name}={value!r}, which should be {wanted}")
    table = DataIdRows(table).places(names).table
    try:
        return with_implied(view, group.dimensions, table)
    except NotFoundError as exc:
        row = shown_data_ids(table, np.zeros(min(table.n_rows, 1), dtype=np.int64), names)
        raise wrong_answer(
            label, what, f"gave data IDs (as {row}) that are not known: {exc.message}"
        ) from exc
