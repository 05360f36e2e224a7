"""The instrument or sky map that an expression needs and does not name: the only one of the input collections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registry.errors import QueryError
    from stage.graph.building.question import Place, Question, View

__all__ = ["settled"]


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
