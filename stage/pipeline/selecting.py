"""A selection of tasks: labels, subsets, steps, and what comes before or after them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING

from registry.errors import PipelineError

if TYPE_CHECKING:
    from stage.pipeline.definition import PipelineDefinition

__all__ = ["chosen_labels", "selected"]

_WORD = re.compile(r"(~?)\s*(>=|<=|>|<|)\s*([A-Za-z_][A-Za-z0-9_-]*)\Z")


def selected(definition: PipelineDefinition, text: str) -> PipelineDefinition:
    """Take a part of a pipeline.

    Parameters
    ----------
    definition : PipelineDefinition
        The pipeline.
    text : str
        Labels, subsets and steps, joined by commas. ``>=label`` is the task and all that depends on it, ``>label`` only
        the latter; ``<=label`` and ``<label`` are the task and all that it depends on. ``&`` keeps what two such words
        have in common, ``~`` what is not in one.

    Returns
    -------
    PipelineDefinition
        With only those tasks. Code is imported only for words with ``<`` or ``>``.

    Raises
    ------
    PipelineError
        If a name is unknown (offers the nearest), the text is no selection, or it leaves nothing.
    """
    chosen = chosen_labels(
        text, definition.tasks, definition.expand,
        lambda labels, forward: _related(definition, labels, forward=forward),
    )  # fmt: skip
    if text.strip() and not chosen:
        raise PipelineError(
            f"'{text}' selects no task of {definition.where}",
            code="empty-selection",
            hint=f"It has the tasks {', '.join(definition.tasks)}.",
        )
    return definition.only(chosen)


def chosen_labels(
    text: str,
    labels: Collection[str],
    expand: Callable[[Iterable[str]], set[str]],
    related: Callable[[set[str], bool], set[str]],
) -> set[str]:
    """Return the labels that a selection stands for.

    Parameters
    ----------
    text : str
        As for `selected`.
    labels : collection of str
        All tasks.
    expand : callable
        Returns the labels that names stand for, and refuses names of nothing.
    related : callable
        Returns all tasks that depend on some (if its second argument is true), or on which these depend.

    Returns
    -------
    set of str
        Labels.
    """
    chosen: set[str] = set()
    for part in (p.strip() for p in text.split(",")):
        words = [word.strip() for word in part.split("&")] if part else []
        if words:
            chosen |= set.intersection(*(_word(word, labels, expand, related) for word in words))
    return chosen


def _word(
    word: str,
    labels: Collection[str],
    expand: Callable[[Iterable[str]], set[str]],
    related: Callable[[set[str], bool], set[str]],
) -> set[str]:
    """Return the labels that one word stands for."""
    match = _WORD.match(word)
    if match is None:
        return expand([word])  # names it in its error
    without, relation, name = match.groups()
    found = expand([name])
    if relation:
        around = related(found, relation.startswith(">"))
        found = around | found if relation.endswith("=") else around - found
    return set(labels) - found if without else found


def _related(definition: PipelineDefinition, labels: set[str], *, forward: bool) -> set[str]:
    """Return the tasks that depend on some, or on which they depend."""
    from stage.pipeline.order import producers
    from stage.pipeline.settle import settle_nodes

    nodes = settle_nodes(definition)
    made = {name: use[0].label for name, use in producers(nodes).items()}
    edges: dict[str, set[str]] = {}
    for node in nodes:
        for c in node.connections:
            maker = made.get(c.dataset_type) if c.is_input or c.role == "init_input" else None
            if maker is not None:
                ends = (maker, node.label) if forward else (node.label, maker)
                edges.setdefault(ends[0], set()).add(ends[1])
    found: set[str] = set()
    ahead = set(labels)
    while ahead:
        ahead = set().union(*(edges.get(label, set()) for label in ahead)) - found
        found |= ahead
    return found
