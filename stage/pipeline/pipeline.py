"""`Pipeline`: labelled tasks with their settings, in dependency order, checked and fingerprinted."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.errors import PipelineError, nearest
from registry.model.digest import digest_json
from stage.pipeline.construct import build_tasks, diff_nodes
from stage.pipeline.contracts import check_contracts
from stage.pipeline.definition import PipelineDefinition
from stage.pipeline.edit import add_task, change_task, set_text, set_value
from stage.pipeline.importing import extend_path
from stage.pipeline.load import load_definition
from stage.pipeline.node import TaskNode
from stage.pipeline.order import (
    check_agreement,
    check_dimensions,
    check_storage_classes,
    dataset_types,
    sorted_nodes,
)
from stage.pipeline.overrides import read_overrides
from stage.pipeline.resolve import load_class, node_of
from stage.pipeline.task import Task
from stage.pipeline.write import definition_yaml

if TYPE_CHECKING:
    from registry.model.dataset_type import DatasetType
    from registry.model.dimensions import DimensionUniverse
    from stage.pipeline.config import Config

__all__ = ["Pipeline"]


class Pipeline:
    """Labelled tasks with their settings. Immutable: methods that change something return another pipeline.

    Parameters
    ----------
    definition : PipelineDefinition
        The pipeline as it is written. Task code is imported only when `nodes` are asked for.
    """

    def __init__(self, definition: PipelineDefinition) -> None:
        self.definition = definition

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

    @property
    def description(self) -> str:
        """What it is for."""
        return self.definition.description

    @property
    def instrument(self) -> str | None:
        """The instrument that it is meant for."""
        return self.definition.instrument

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of its tasks, as written."""
        return tuple(self.definition.tasks)

    @property
    def subsets(self) -> dict[str, tuple[str, ...]]:
        """Labels in each named subset."""
        return {name: labels for name, (labels, _) in self.definition.subsets.items()}

    @property
    def steps(self) -> tuple[str, ...]:
        """Names of subsets, in the order they are to be run."""
        return self.definition.steps

    @property
    def search_path(self) -> tuple[str, ...]:
        """Directories of user modules; they come after all installed packages."""
        return self.definition.search_path

    @cached_property
    def nodes(self) -> tuple[TaskNode, ...]:
        """Its tasks with everything settled, in dependency order.

        Raises
        ------
        PipelineError
            If code cannot be imported, a setting is not right, tasks do not fit together, or a contract is broken.
        """
        extend_path(self.search_path)
        if len(self.steps) > 1:
            raise PipelineError(
                f"{self.definition.where} has {len(self.steps)} steps ({', '.join(self.steps)}); "
                "one graph holds one step, and going through several by itself is not supported by this version",
                code="several-steps",
                hint=f"Choose one: {Path(self.definition.where).name}#{self.steps[0]}",
            )
        found = sorted_nodes([node_of(label, self.definition) for label in self.definition.tasks])
        check_agreement(found)
        if self.definition.contracts:
            configs = {
                n.label: load_class(self.definition.tasks[n.label]).ConfigClass.from_document(n.config)
                for n in found
            }
            check_contracts(self.definition.contracts, configs, self.definition.parameters)
        return found

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
            type, dimensions or storage classes that disagree (both tasks are named), and broken contracts.
        """
        check_storage_classes(self.nodes)
        if universe is not None:
            check_dimensions(self.nodes, universe)

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
        """Digest of what can change its outputs: code versions, configs and connections of all tasks."""
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
        return definition_yaml(self.definition, base)
