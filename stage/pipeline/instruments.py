"""Settings for one instrument or another: ``instruments`` of a pipeline file, of which ``instrument`` chooses one.

They go over the defaults of a task's code, and below all settings that pipelines and ``-c`` give: what a pipeline says
of a task, it says for every instrument.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from registry.errors import PipelineError, nearest
from stage.pipeline.definition import Override, PipelineDefinition, TaskDefinition
from stage.pipeline.keys import only_keys, typed

__all__ = ["common_instrument", "with_instruments"]

_KEYS = ("config", "file", "python")
Reader = Callable[[Mapping[str, Any], str], Iterable[Override]]


def with_instruments(
    definition: PipelineDefinition, document: Mapping[str, Any], where: str, read: Reader
) -> PipelineDefinition:
    """Take in what a pipeline file says of instruments, and choose the one that it is meant for.

    Parameters
    ----------
    definition : PipelineDefinition
        What else the file says, its imports taken in.
    document : mapping
        The keys of the file.
    where : str
        The file, for errors.
    read : callable
        Takes a mapping of ``config``, ``file``, ``python`` and what it is called; gives the changes of settings.

    Returns
    -------
    PipelineDefinition
        A changed copy.

    Raises
    ------
    PipelineError
        If there is no such task, or no such instrument; offers the nearest.
    """
    tasks = dict(definition.tasks)
    given = typed(document, "instruments", dict, where)
    for name in given:
        if not isinstance(name, str) or not name:
            raise PipelineError(f"{where}: an instrument cannot be called {name!r}", code="bad-key")
        for label, overrides in _by_label(name, given, definition, where, read):
            tasks[label] = tasks[label].for_instrument(name, overrides)
    names = tuple(dict.fromkeys([*definition.instruments, *given]))
    return _chosen(replace(definition, tasks=tasks, instruments=names))


def _by_label(
    name: str, given: Mapping[str, Any], definition: PipelineDefinition, where: str, read: Reader
) -> Iterator[tuple[str, tuple[Override, ...]]]:
    """Yield the changes that an instrument makes of each task."""
    who = f"{where}, instrument '{name}'"
    bodies = typed(given, name, dict, f"{where}, instruments")
    for label in bodies:
        if label not in definition.tasks:
            raise PipelineError(
                f"{who}: no task '{label}'",
                code="unknown-label",
                hint=nearest(str(label), definition.tasks),
            )
        body, place = typed(bodies, label, dict, who), f"{who}, task '{label}'"
        only_keys(body, _KEYS, place)
        # A file alone would not tell that its settings are an instrument's.
        yield (
            label,
            tuple(
                o if o.where == place else replace(o, where=f"{o.where} (instrument '{name}')")
                for o in read(body, place)
            ),
        )


def _chosen(definition: PipelineDefinition) -> PipelineDefinition:
    """Have all tasks take the settings of the pipeline's instrument."""
    name, known = definition.instrument or "", definition.instruments
    if not known:
        return definition  # without settings for any, the name only says what it is meant for
    if name and name not in known:
        raise PipelineError(
            f"{definition.where} has settings for {', '.join(known)}, and none for instrument '{name}'",
            code="unknown-instrument",
            hint=nearest(name, known),
        )
    scopes = tuple(replace(s, tasks=_choosing(s.tasks, name)) for s in definition.scopes)
    return replace(definition, tasks=_choosing(definition.tasks, name), scopes=scopes)


def _choosing(tasks: Mapping[str, TaskDefinition], name: str) -> dict[str, TaskDefinition]:
    return {label: replace(task, instrument=name) for label, task in tasks.items()}


def common_instrument(
    ours: PipelineDefinition, theirs: PipelineDefinition, *, is_decided: bool
) -> str | None:
    """Return the instrument that two imported pipelines are meant for.

    Parameters
    ----------
    ours, theirs : PipelineDefinition
        What was imported before, what is now.
    is_decided : bool
        Whether the importing file names one itself.

    Returns
    -------
    str or None
        Its name, if one of them has one.

    Raises
    ------
    PipelineError
        If each names another and nobody decides.
    """
    if ours.instrument and theirs.instrument and ours.instrument != theirs.instrument and not is_decided:
        raise PipelineError(
            f"{ours.where} imports pipelines for two instruments: '{theirs.instrument}' ({theirs.where}), "
            f"and before it '{ours.instrument}'",
            code="two-instruments",
            hint="Write in the importing file which it is, as 'instrument: "
            f"{ours.instrument}' (on a command line, --instrument {ours.instrument}).",
        )
    return theirs.instrument or ours.instrument
