"""The instrument or sky map that nobody names: the only one of the input collections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from registry.queries.words import spoken_of

if TYPE_CHECKING:
    from registry.errors import QueryError
    from registry.model.dimensions import DimensionGroup
    from stage.graph.building.question import Place, Question, View

__all__ = ["implied", "settled"]


def implied(question: Question, group: DimensionGroup, view: View, path: Sequence[Place]) -> Question:
    """Return a question with the governors that its tasks need and nobody names.

    Parameters
    ----------
    question : Question
        What the user asked for.
    group : DimensionGroup
        The dimensions that are asked for.
    view : View
        Where to look.
    path : sequence of Place
        The search path.

    Returns
    -------
    Question
        With each governor of the group that neither the expression nor the data ID nor the table speaks of, and of
        which all datasets on the path have one value. A task whose inputs do not tell the instrument would else be
        planned for each instrument that the registry knows.

    Raises
    ------
    QueryError
        If the expression cannot be read.
    """
    named = {*(question.data_id or ()), *spoken_of(question.where)}
    named.update(question.table.names if question.table is not None else ())
    found = {}
    for name in group.required:
        if name in view.universe.governors and name not in named:
            values = view.governor_values(name, path)
            if len(values) == 1:
                found[name] = values[0]
    return question._replace(data_id={**(question.data_id or {}), **found}) if found else question


def settled(question: Question, exc: QueryError, view: View, path: Sequence[Place]) -> Question:
    """Return a question with the governor that its expression was refused for.

    Parameters
    ----------
    question : Question
        What the user asked for.
    exc : QueryError
        Why it was refused.
    view : View
        Where to look.
    path : sequence of Place
        The search path.

    Returns
    -------
    Question
        With the value that all datasets on the path have.

    Raises
    ------
    QueryError
        `exc` if it is about something else, or datasets on the path have no value or several.
    """
    governor = exc.context.get("governor", "") if exc.code == "query-missing-governor" else ""
    values = view.governor_values(governor, path) if governor else []
    if len(values) != 1:
        if values:
            exc.hint = f"{exc.hint} The input collections hold {', '.join(values[:3])}."
        raise exc
    return question._replace(data_id={**(question.data_id or {}), governor: values[0]})
