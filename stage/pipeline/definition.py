"""A pipeline as it is written: labelled tasks with their changes of settings, before any code is imported."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from registry.errors import PipelineError, nearest
from stage.pipeline.steps import Step

__all__ = [
    "Contract", "Override", "PipelineDefinition", "Scope", "TaskDefinition", "check_label", "fill_parameters",
]  # fmt: skip

_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}\Z")
_SUBSET = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,99}\Z")
_PARAMETER = re.compile(r"parameters\.([A-Za-z_]\w*)\Z")


def check_label(label: str, where: str, *, subset: bool = False) -> str:
    """Return `label` if it can name a task or a subset.

    Parameters
    ----------
    label : str
        What was written.
    where : str
        Its file, for errors.
    subset : bool
        Whether it names a subset, which may have hyphens.

    Returns
    -------
    str
        The same.

    Raises
    ------
    PipelineError
        If it cannot; names of dataset types are made from labels.
    """
    if not isinstance(label, str) or not (_SUBSET if subset else _LABEL).match(label):
        letters = "letters, digits, _ and -" if subset else "letters, digits and _"
        raise PipelineError(
            f"{where}: '{label}' is not a usable label", code="bad-label", hint=f"Use {letters}."
        )
    return label


@dataclass(frozen=True)
class Override:
    """Changes of a task's settings, and where they are written.

    Parameters
    ----------
    where : str
        File, or ``-c``; for errors.
    changes : mapping
        Nested by name; a value may be ``"parameters.name"``.
    """

    where: str
    changes: Mapping[str, Any]


@dataclass(frozen=True)
class TaskDefinition:
    """One task as it is written.

    Parameters
    ----------
    target : str
        ``module.Class``; empty where it only changes an imported task.
    overrides : tuple of Override
        Changes of settings, in order.
    shell : mapping or None
        The declaration of a shell task: its script, dimensions, inputs, outputs.
    where : str
        Its file, for errors.
    resources : mapping
        What one quantum needs of a machine, where that differs from what the task's code says.
    units : str
        ``module:function`` that finds the data IDs.
    ephemeral : tuple of str or None
        Outputs that go when all that read them have been done; None where nothing is said of it.
    declared : int
        How many of the overrides declare a script's variables: the defaults of its settings.
    instruments : mapping of str to tuple of Override
        Changes of settings for each instrument.
    instrument : str
        The one of them that counts; empty for none.
    """

    target: str = ""
    overrides: tuple[Override, ...] = ()
    shell: Mapping[str, Any] | None = None
    where: str = "the pipeline"
    resources: Mapping[str, Any] = field(default_factory=dict)
    units: str = ""
    ephemeral: tuple[str, ...] | None = None
    declared: int = 0
    instruments: Mapping[str, tuple[Override, ...]] = field(default_factory=dict)
    instrument: str = ""

    @property
    def changes(self) -> tuple[Override, ...]:
        """All changes of settings in order; those of the instrument come right after the task's own defaults."""
        chosen = self.instruments.get(self.instrument, ())
        return (*self.overrides[: self.declared], *chosen, *self.overrides[self.declared :])

    def over(self, imported: TaskDefinition) -> TaskDefinition:
        """Return `imported` as changed by this definition of the same label.

        Parameters
        ----------
        imported : TaskDefinition
            What was there.

        Returns
        -------
        TaskDefinition
            Another task replaces it; the same, or none named, adds to its settings.

        Raises
        ------
        PipelineError
            If it changes a setting that an imported script does not have.
        """
        if self.shell is not None or (self.target and self.target != imported.target):
            return self
        resources = {**imported.resources, **self.resources}
        ephemeral = imported.ephemeral if self.ephemeral is None else self.ephemeral
        out = replace(imported, resources=resources, units=self.units or imported.units, ephemeral=ephemeral)
        for override in self.overrides:
            out = out.changed(override)
        return out

    def changed(self, override: Override) -> TaskDefinition:
        """Return a copy with further changes of settings.

        Parameters
        ----------
        override : Override
            The changes.

        Returns
        -------
        TaskDefinition
            With these applied last.

        Raises
        ------
        PipelineError
            If it changes a setting that a script does not have; of other tasks only their code knows.
        """
        self._check(override)
        return replace(self, overrides=(*self.overrides, override))

    def for_instrument(self, name: str, overrides: Iterable[Override]) -> TaskDefinition:
        """Return a copy with further changes of settings for an instrument.

        Parameters
        ----------
        name : str
            The instrument.
        overrides : iterable of Override
            The changes; they go over those that there are for it.

        Returns
        -------
        TaskDefinition
            The same for other instruments.

        Raises
        ------
        PipelineError
            If one changes a setting that a script does not have.
        """
        added = tuple(overrides)
        for override in added:
            self._check(override)
        return replace(
            self, instruments={**self.instruments, name: (*self.instruments.get(name, ()), *added)}
        )

    def _check(self, override: Override) -> None:
        """Refuse a setting that a script does not have."""
        if self.shell is None:
            return
        known = {key for o in self.overrides for key in o.changes}
        for name in override.changes:
            if name not in known and name != "connections":
                raise PipelineError(
                    f"{override.where}: the script has no setting '{name}'",
                    code="unknown-setting",
                    hint=nearest(name, known),
                )


@dataclass(frozen=True)
class Contract:
    """Something that must hold between the configs of a pipeline's tasks.

    Parameters
    ----------
    expression : str
        As ``a.config.x == b.config.y``.
    message : str
        What to say if it does not.
    where : str
        Its file.
    """

    expression: str
    message: str = ""
    where: str = "the pipeline"


@dataclass(frozen=True)
class Scope:
    """What was imported under a prefix: names of dataset types that are made within are its own.

    Parameters
    ----------
    prefix : str
        The prefix.
    full : str
        The same after the prefixes of the imports around it.
    tasks : mapping of str to TaskDefinition
        All that was imported so, as it was then, by its label now.
    """

    prefix: str
    full: str
    tasks: Mapping[str, TaskDefinition]


@dataclass(frozen=True)
class PipelineDefinition:
    """A pipeline as it is written, its imports taken in.

    Parameters
    ----------
    description : str
        What it is for.
    instrument : str or None
        The instrument that it is meant for.
    instruments : tuple of str
        Those that it has settings for.
    parameters : mapping
        Values that settings may refer to.
    tasks : mapping of str to TaskDefinition
        By label, in written order.
    subsets : mapping of str to (tuple of str, str)
        Labels and description, by name.
    contracts : tuple of Contract
        What must hold.
    steps : tuple of Step
        Parts that are run one after another; none, or one, where one graph holds all.
    search_path : tuple of str
        Directories of user modules.
    scopes : tuple of Scope
        What was imported under a prefix, the innermost first.
    where : str
        The file it was read from.
    """

    description: str = ""
    instrument: str | None = None
    instruments: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    tasks: Mapping[str, TaskDefinition] = field(default_factory=dict)
    subsets: Mapping[str, tuple[tuple[str, ...], str]] = field(default_factory=dict)
    contracts: tuple[Contract, ...] = ()
    steps: tuple[Step, ...] = ()
    search_path: tuple[str, ...] = ()
    scopes: tuple[Scope, ...] = ()
    where: str = "the pipeline"

    def expand(self, names: Iterable[str]) -> set[str]:
        """Return the labels that some labels and names of subsets and steps stand for.

        Parameters
        ----------
        names : iterable of str
            Labels, subsets and steps.

        Returns
        -------
        set of str
            Labels.

        Raises
        ------
        PipelineError
            If a name is none of these; offers the nearest.
        """
        chosen: set[str] = set()
        steps = {step.label: step.tasks for step in self.steps}
        for name in names:
            if name in self.tasks:
                chosen.add(name)
            elif name in self.subsets:
                chosen.update(self.subsets[name][0])
            elif name in steps:
                chosen.update(steps[name])
            else:
                raise PipelineError(
                    f"{self.where} has no task or subset '{name}'",
                    code="unknown-label",
                    hint=nearest(name, [*self.tasks, *self.subsets, *steps]),
                )
        return chosen

    def only(self, labels: Iterable[str]) -> PipelineDefinition:
        """Return the part with only these tasks.

        Parameters
        ----------
        labels : iterable of str
            Labels to keep.

        Returns
        -------
        PipelineDefinition
            Subsets and steps without the others; those left empty are gone.
        """
        keep = set(labels)
        subsets = {
            n: (tuple(x for x in inside if x in keep), doc) for n, (inside, doc) in self.subsets.items()
        }
        subsets = {n: s for n, s in subsets.items() if s[0]}
        steps = (replace(s, tasks=tuple(x for x in s.tasks if x in keep)) for s in self.steps)
        return replace(
            self,
            tasks={n: t for n, t in self.tasks.items() if n in keep},
            subsets=subsets,
            steps=tuple(s for s in steps if s.tasks),
        )


def fill_parameters(value: Any, parameters: Mapping[str, Any], where: str) -> Any:
    """Return `value` with each text ``parameters.name`` replaced by that parameter.

    Parameters
    ----------
    value : object
        A setting, or a mapping or list of them.
    parameters : mapping
        The pipeline's parameters.
    where : str
        Who asks, for errors.

    Returns
    -------
    object
        The same form.

    Raises
    ------
    PipelineError
        If there is no such parameter.
    """
    if isinstance(value, Mapping):
        return {k: fill_parameters(v, parameters, where) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [fill_parameters(v, parameters, where) for v in value]
    match = _PARAMETER.match(value) if isinstance(value, str) else None
    if match is None:
        return value
    if match[1] not in parameters:
        raise PipelineError(
            f"{where}: no parameter '{match[1]}'",
            code="unknown-parameter",
            hint=nearest(match[1], parameters),
        )
    return parameters[match[1]]
