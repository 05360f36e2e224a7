"""`Pipeline`: labelled tasks with their settings, in dependency order, checked and fingerprinted."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.errors import PipelineError, nearest
from registry.model.digest import digest_json
from stage.pipeline.columns import check_columns
from stage.pipeline.construct import build_tasks, diff_nodes
from stage.pipeline.definition import PipelineDefinition
from stage.pipeline.discoveries import check_discoveries
from stage.pipeline.edit import add_task, change_task, set_text, set_value
from stage.pipeline.importing import extend_path
from stage.pipeline.load import load_definition
from stage.pipeline.node import TaskNode
from stage.pipeline.order import check_dimensions, check_storage_classes, dataset_types
from stage.pipeline.overrides import read_overrides
from stage.pipeline.prefix import settled
from stage.pipeline.settle import settle_nodes
from stage.pipeline.steps import check_step_dimensions
from stage.pipeline.task import Task
from stage.pipeline.value_types import check_types
from stage.pipeline.write import definition_yaml
from stage.pipeline.written import Written

if TYPE_CHECKING:
    from registry.model.dataset_type import DatasetType
    from registry.model.dimensions import DimensionUniverse
    from stage.pipeline.config import Config

__all__ = ["Pipeline"]


class Pipeline(Written):
    """Labelled tasks with their settings. Immutable: methods that change something return another pipeline.

    Parameters
    ----------
    definition : PipelineDefinition
        The pipeline as it is written. Task code is imported only when `nodes` are asked for.
    whole : Pipeline, optional
        The pipeline that it is a step of.
    """

    def __init__(self, definition: PipelineDefinition, whole: Pipeline | None = None) -> None:
        super().__init__(definition)
        self.whole = whole

    @classmethod
    def load(cls, location: str | Path) -> Pipeline:
        """Read a pipeline file.

        Parameters
        ----------
        location : str or Path
            A path or a URI; ``#label,subset`` at its end takes only a part.

        Returns
        -------
        Pipeline
            With its keys checked; see `check` for the rest.

        Raises
        ------
        NotFoundError
            If a file does not exist.
        PipelineError
            If a file is not a pipeline; names file, line or key, and the nearest known one.
        """
        return cls(load_definition(location))

    @classmethod
    def of(cls, **tasks: type[Task] | str | tuple[type[Task] | str, Mapping[str, Any] | Config]) -> Pipeline:
        """Make a pipeline in code.

        Parameters
        ----------
        **tasks
            By label: a task class, a function with ``@task``, or ``"module.Class"``; with its settings, a pair.

        Returns
        -------
        Pipeline
            In the order given, until it is sorted.
        """
        out = cls(PipelineDefinition())
        for label, given in tasks.items():
            target, settings = given if isinstance(given, tuple) else (given, {})
            out = out.with_task(label, target)
            if settings:
                changes = settings if isinstance(settings, Mapping) else settings.to_document()
                out = out.with_changes(label, changes, "the pipeline")
        return out

    def __repr__(self) -> str:
        return f"Pipeline({', '.join(self.definition.tasks)})"

    @cached_property
    def nodes(self) -> tuple[TaskNode, ...]:
        """Its tasks with everything settled, in dependency order.

        Raises
        ------
        PipelineError
            If code cannot be imported, a setting is not right, tasks do not fit together, or a contract is broken.
        """
        return settle_nodes(self.definition)

    def node(self, label: str) -> TaskNode:
        """Return one of the tasks.

        Parameters
        ----------
        label : str
            Its label.

        Returns
        -------
        TaskNode
            With everything settled.

        Raises
        ------
        PipelineError
            If there is none of that label.
        """
        for node in self.nodes:
            if node.label == label:
                return node
        raise PipelineError(
            f"the pipeline has no task '{label}'", code="unknown-label", hint=nearest(label, self.labels)
        )

    def check(self, universe: DimensionUniverse | None = None) -> None:
        """Refuse a pipeline that could not be run.

        Parameters
        ----------
        universe : DimensionUniverse, optional
            The repository's; without it dimensions are compared only as far as names tell.

        Raises
        ------
        PipelineError
            For tasks that cannot be imported, settings that are not right, circles, two producers of a dataset
            type, dimensions or storage classes that disagree, tables without a column that a reader needs (both
            tasks are named) or with values of another type, and broken contracts.
        """
        check_storage_classes(self.nodes)
        check_columns(self.nodes)
        check_types(self.nodes)
        if universe is not None:
            check_dimensions(self.nodes, universe)
            check_step_dimensions(self.steps, universe, self.definition.where)
            check_discoveries(self.nodes, self.steps, universe, self.definition.where)

    def dataset_types(self, universe: DimensionUniverse) -> dict[str, DatasetType]:
        """Return all dataset types that it reads or makes.

        Parameters
        ----------
        universe : DimensionUniverse
            The repository's.

        Returns
        -------
        dict of str to DatasetType
            By name.

        Raises
        ------
        PipelineError
            If a name or a dimension is not usable.
        """
        return dataset_types(self.nodes, universe)

    @cached_property
    def fingerprint(self) -> str:
        """Digest of what can change its outputs: code versions, configs and connections of all tasks.

        A step of a pipeline has that of the whole.
        """
        if self.whole is not None:
            return self.whole.fingerprint
        return digest_json(sorted([n.label, n.fingerprint] for n in self.nodes))

    def diff(self, other: Pipeline) -> list[str]:
        """Say how another pipeline differs.

        Parameters
        ----------
        other : Pipeline
            The other one.

        Returns
        -------
        list of str
            One text a difference; empty if the fingerprints agree.
        """
        return diff_nodes(self.nodes, other.nodes)

    def build_tasks(
        self, init_inputs: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, Task], dict[str, Any]]:
        """Construct all tasks in order, each with the init outputs of those before it.

        Parameters
        ----------
        init_inputs : mapping, optional
            Objects of the init inputs that no task of the pipeline makes, by dataset type name.

        Returns
        -------
        tasks : dict of str to Task
            By label.
        init_outputs : dict of str to object
            What they give, by dataset type name; configs included.

        Raises
        ------
        PipelineError
            If an init input is not there.
        """
        return build_tasks(self.nodes, init_inputs)

    def with_changes(self, label: str, changes: Mapping[str, Any], where: str = "a change") -> Pipeline:
        """Return a copy with settings changed.

        Parameters
        ----------
        label : str
            The task.
        changes : mapping
            Names to values; names may be dotted.
        where : str
            Where they come from, for errors.

        Returns
        -------
        Pipeline
            The other tasks are as they were.

        Raises
        ------
        PipelineError
            If there is no such task or setting, or a value is not right.
        """
        return Pipeline(change_task(self.definition, label, changes, where))

    def with_config(self, setting: str, *value: Any) -> Pipeline:
        """Return a copy with one setting changed.

        Parameters
        ----------
        setting : str
            ``label:name.sub``; or ``label:name.sub=value`` as on a command line, the value in YAML. A label
            ``parameters`` means the pipeline's own.
        *value : object
            The value, if it is not in `setting`.

        Returns
        -------
        Pipeline
            The other tasks are as they were.

        Raises
        ------
        PipelineError
            If there is no such task or setting, or the value is not right.
        """
        if not value:
            return Pipeline(set_text(self.definition, setting))
        label, _, name = setting.partition(":")
        return Pipeline(set_value(self.definition, label, name, value[0]))

    def with_config_file(self, label: str, path: str | Path) -> Pipeline:
        """Return a copy with the changes of a file of settings.

        Parameters
        ----------
        label : str
            The task.
        path : str or Path
            YAML, or Python assignments ``config.name = value`` where the name ends in ``.py``.

        Returns
        -------
        Pipeline
            The other tasks are as they were.

        Raises
        ------
        NotFoundError
            If there is no such file.
        PipelineError
            If there is no such task or setting, or a value is not right.
        """
        return self.with_changes(label, read_overrides(str(path)), str(path))

    def with_task(self, label: str, target: type[Task] | str) -> Pipeline:
        """Return a copy with one task more.

        Parameters
        ----------
        label : str
            Its label; new.
        target : type or str
            A task class, a function with ``@task``, or ``"module.Class"``.

        Returns
        -------
        Pipeline
            The task is last, as written.

        Raises
        ------
        PipelineError
            If the label is taken or not usable.
        """
        return Pipeline(add_task(self.definition, label, target))

    def subset(self, *names: str) -> Pipeline:
        """Return the part with only some tasks.

        Parameters
        ----------
        *names : str
            Labels and names of subsets.

        Returns
        -------
        Pipeline
            In the same order.

        Raises
        ------
        PipelineError
            If a name is neither; offers the nearest.
        """
        return Pipeline(self.definition.only(self.definition.expand(names)))

    @property
    def first(self) -> Pipeline:
        """What the first graph holds: the first step, or all of a pipeline without steps."""
        return self.step(self.steps[0].label) if len(self.steps) > 1 else self

    def step(self, label: str) -> Pipeline:
        """Return one step as a pipeline of its own.

        Parameters
        ----------
        label : str
            The step's.

        Returns
        -------
        Pipeline
            With the tasks of that step.

        Raises
        ------
        PipelineError
            If there is no such step; offers the nearest.
        """
        for step in self.steps:
            if step.label == label:
                return Pipeline(self.definition.only(step.tasks), whole=self)
        raise PipelineError(
            f"{self.definition.where} has no step '{label}'",
            code="unknown-step",
            hint=nearest(label, [s.label for s in self.steps]),
        )

    def to_yaml(self, base: str | Path | None = None) -> str:
        """Return it as one pipeline file that imports no other.

        Parameters
        ----------
        base : str or Path, optional
            Directory of the file that this is for: directories of user modules are written relative to it. They are
            absolute if it is left out.

        Returns
        -------
        str
            YAML; `load` makes an equal pipeline of it. Changes of settings are merged, with parameters still named.
        """
        extend_path(self.search_path)
        return definition_yaml(settled(self.definition), base)
