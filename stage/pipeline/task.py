"""`Task`: a configured callable that knows what it reads and writes, and nothing of who runs it."""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from registry.errors import PipelineError, nearest
from stage.pipeline.access import DeferredDataset, QuantumLike, RepoLike
from stage.pipeline.config import Config
from stage.pipeline.connections import Connections
from stage.pipeline.node import ConnectionDef
from stage.pipeline.resources import Resources
from stage.pipeline.results import check_init_outputs, paired_result
from stage.pipeline.struct import NoWorkFound, Struct
from stage.pipeline.subtask import SubtaskChoice, chosen
from stage.pipeline.written_columns import check_written

if TYPE_CHECKING:
    from registry.model.columns import Columns
    from stage.pipeline.quanta import Quanta

__all__ = ["DeferredDataset", "NoWorkFound", "QuantumLike", "RepoLike", "Struct", "Task"]

_AnyTask = TypeVar("_AnyTask", bound="Task")


class Task:
    """A unit of algorithm: constructed once with a frozen config, then run on any number of inputs.

    A subclass sets `ConfigClass` and `ConnectionsClass` and writes `run`, with one parameter an input connection, that
    returns a `Struct` with one field an output connection. `run` touches no repository and changes nothing in the
    task, so it can be called from a notebook: ``WarpTask().run(image=image)``.

    Parameters
    ----------
    config : Config or mapping, optional
        Settings; all defaults if left out.
    init_inputs : mapping, optional
        Objects of the init input connections, by name.
    name : str, optional
        Its label; names its log.
    log : logging.Logger, optional
        Where to log, if not to the logger called `name`.

    Attributes
    ----------
    config : Config
        Frozen.
    connections : Connections
        With dataset type names settled.
    log : logging.Logger
        For messages.
    metadata : dict
        For small facts about what was done: saved with each quantum, then cleared.

    Notes
    -----
    What a quantum needs of a machine is the class attribute ``resources``. Where that depends on the data ID, a method
    ``resources(self, data_id)`` stands in its place, and returns a mapping with ``cpus``, ``memory_mb``,
    ``walltime_s`` or some of them; it is called for each quantum when a graph is built.
    """

    ConfigClass: ClassVar[type[Config]] = Config
    ConnectionsClass: ClassVar[type[Connections]] = Connections
    default_label: ClassVar[str] = "task"
    resources: ClassVar[Any] = Resources()
    units: ClassVar[str] = ""
    kind: ClassVar[str] = "class"
    wants_data_id: ClassVar[bool] = False

    config: Any

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "default_label" not in vars(cls):
            bare = cls.__name__.removesuffix("Task") or "task"
            cls.default_label = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", bare).lower()
        if "run" in vars(cls) and "wants_data_id" not in vars(cls):
            cls.wants_data_id = "data_id" in inspect.signature(cls.run).parameters

    def __init__(
        self,
        config: Config | Mapping[str, Any] | None = None,
        *,
        init_inputs: Mapping[str, Any] | None = None,
        name: str | None = None,
        log: logging.Logger | None = None,
    ) -> None:
        self.name = name or self.default_label
        self.config = self._settle_config(config)
        self.connections = self.connections_for(self.config, owner=f"task '{self.name}'")
        self.init_inputs = self._check_init_inputs(init_inputs or {})
        self.log = log or logging.getLogger(self.name)
        self.metadata: dict[str, Any] = {}
        self._subtasks: dict[str, Task] = {}

    def _settle_config(self, config: Config | Mapping[str, Any] | None) -> Config:
        if config is None:
            return self.ConfigClass()
        if isinstance(config, self.ConfigClass):
            return config
        if isinstance(config, Config):
            raise PipelineError(
                f"task '{self.name}' takes a {self.ConfigClass.__name__}, not a {type(config).__name__}",
                code="bad-config",
            )
        return self.ConfigClass.from_changes(config)

    def _check_init_inputs(self, given: Mapping[str, Any]) -> dict[str, Any]:
        known = {c.name for c in self.connections.by_role("init_input")}
        for name in given:
            if name not in known:
                raise PipelineError(
                    f"task '{self.name}' has no init input '{name}'",
                    code="unknown-connection",
                    hint=nearest(name, known),
                )
        return dict(given)

    @classmethod
    def connections_for(cls, config: Any, *, owner: str = "this task") -> Connections:
        """Return the connections of a task with this config.

        Parameters
        ----------
        config : Config
            Its settings.
        owner : str
            Who it is, for errors.

        Returns
        -------
        Connections
            With names settled.
        """
        return cls.ConnectionsClass(config.connections, config=config, owner=owner)

    # -- what authors write ---------------------------------------------------------------------------------

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Do the work, in memory.

        Parameters
        ----------
        *args, **kwargs
            A subclass names one parameter an input connection, and may have a ``data_id``.

        Returns
        -------
        Struct
            One field an output connection.

        Raises
        ------
        NoWorkFound
            If there is nothing to do; the quantum then ends well, without outputs.
        """
        del args, kwargs
        raise PipelineError(
            f"{type(self).__name__} has no run()",
            code="no-run",
            hint="Write run() with one parameter an input.",
        )

    def adjust_quantum(
        self,
        inputs: dict[str, Sequence[Any]],
        outputs: dict[str, Sequence[Any]],
        data_id: Mapping[str, Any],
    ) -> tuple[dict[str, Sequence[Any]], dict[str, Sequence[Any]]]:
        """Change what a quantum reads or writes; a hook that does nothing unless overridden.

        Parameters
        ----------
        inputs, outputs : dict
            Refs by connection.
        data_id : mapping
            Of the quantum.

        Returns
        -------
        inputs, outputs : dict
            The same or fewer refs.

        Raises
        ------
        NoWorkFound
            If there is nothing to do.

        Notes
        -----
        Called when a graph is built, for each quantum that has what it requires, and again before it runs: the same
        answer both times, from data IDs and settings alone. What is left out at the build is not in the graph.
        """
        del data_id
        return inputs, outputs

    def define_quanta(self, data_ids: Columns, existing: Mapping[str, Columns]) -> Quanta | None:
        """Divide the work by hand; by connections unless overridden.

        Parameters
        ----------
        data_ids : Columns
            The data IDs that the question allows: all dimensions of the task and of those it is connected with.
        existing : mapping of str to Columns
            By regular input: data IDs of the datasets that are there, or will be made by tasks before it.

        Returns
        -------
        Quanta or None
            The quanta and their datasets; None for a division by connections.

        Notes
        -----
        Called once when a graph is built, with all rows at once.
        """
        del data_ids, existing
        return None

    def init_outputs(self) -> dict[str, Any]:
        """Return the objects of the init outputs, all known since construction.

        Returns
        -------
        dict
            One key an `InitOutput` connection: as the schema of an output table.
        """
        return {}

    # -- what tasks use -------------------------------------------------------------------------------------

    def make_subtask(self, name: str, task_class: type[_AnyTask] | None = None, **kwargs: Any) -> _AnyTask:
        """Construct the subtask whose config is the field `name`, and keep it as the attribute `name`.

        Parameters
        ----------
        name : str
            A field of the config: a `Subtask`, or a nested config with `task_class` given.
        task_class : type, optional
            The class, where the config does not choose it.
        **kwargs
            More for its constructor.

        Returns
        -------
        Task
            It.

        Raises
        ------
        PipelineError
            If there is no such field, or its class is not known.
        """
        settings = getattr(self.config, name, None)
        if isinstance(settings, SubtaskChoice):
            found, settings = chosen(settings)
        elif isinstance(settings, Config) and task_class is not None:
            found = task_class
        else:
            raise PipelineError(
                f"task '{self.name}': its config has no subtask '{name}'",
                code="unknown-subtask",
                hint=f"Declare it as a field: {name}: SubtaskChoice = Subtask({{...}}, default=...).",
            )
        subtask = found(settings, name=f"{self.name}.{name}", log=self.log.getChild(name), **kwargs)
        self._subtasks[name] = subtask
        setattr(self, name, subtask)
        return cast("_AnyTask", subtask)

    # -- what frameworks call -------------------------------------------------------------------------------

    def run_quantum(self, quantum: QuantumLike, repo: RepoLike) -> None:
        """Read a quantum's inputs, `run`, write its outputs. Override only where reading is part of the algorithm.

        Parameters
        ----------
        quantum : Quantum
            Refs by connection. Those inputs that an earlier task left out (it had no work) are not among them.
        repo : LimitedRepo
            Where they are.

        Raises
        ------
        NoWorkFound
            If fewer than a connection's minimum are there, or the task says so. Nothing was written.
        PipelineError
            If `run` does not return what the connections declare. Nothing was written.
        """
        inputs, outputs = self.adjust_quantum(dict(quantum.inputs), dict(quantum.outputs), quantum.data_id)
        arguments = self.read_inputs(inputs, repo)
        if self.wants_data_id:
            arguments["data_id"] = dict(quantum.data_id)
        self.write_outputs(self.run(**arguments), outputs, repo)

    def read_inputs(self, inputs: Mapping[str, Sequence[Any]], repo: RepoLike) -> dict[str, Any]:
        """Return the arguments of `run`.

        Parameters
        ----------
        inputs : mapping
            Refs by connection.
        repo : RepoLike
            Where they are.

        Returns
        -------
        dict
            An object, a list of them, or None, by connection.

        Raises
        ------
        NoWorkFound
            If there are fewer than a connection's minimum. Nothing was read.
        """
        self.check_minimum(inputs)
        wanted = self.connections.by_role("input", "prerequisite")
        return {c.name: self._read(c, inputs.get(c.name, ()), repo) for c in wanted}

    def check_minimum(self, inputs: Mapping[str, Sequence[Any]]) -> None:
        """Refuse a quantum with too few inputs.

        Parameters
        ----------
        inputs : mapping
            Refs by connection.

        Raises
        ------
        NoWorkFound
            If there are fewer than a connection's minimum.
        """
        for c in self.connections.by_role("input", "prerequisite"):
            if len(inputs.get(c.name, ())) < c.minimum:
                raise NoWorkFound(
                    f"{len(inputs.get(c.name, ()))} of at least {c.minimum} '{c.name}' are there"
                )

    def _read(self, connection: ConnectionDef, refs: Sequence[Any], repo: RepoLike) -> Any:
        read = (lambda ref: DeferredDataset(repo, ref)) if connection.deferred else repo.get
        if connection.multiple:
            return [read(ref) for ref in refs]
        return read(refs[0]) if refs else None

    def write_outputs(self, result: Any, outputs: Mapping[str, Sequence[Any]], repo: RepoLike) -> None:
        """Store what `run` returned.

        Parameters
        ----------
        result : Struct or mapping
            One field an output connection.
        outputs : mapping
            Refs by connection; a connection that is not there is not wanted.
        repo : RepoLike
            Where they go.

        Raises
        ------
        PipelineError
            If a required output is missing, there are more or other ones, or a table has other columns than were said.
            Nothing was written.
        """
        pairs = paired_result(self.name, self.connections, result, outputs)
        check_written(self, pairs, outputs)
        for value, ref in pairs:
            repo.put(value, ref)

    def checked_init_outputs(self) -> dict[str, Any]:
        """Return `init_outputs`, compared with the connections.

        Returns
        -------
        dict
            One object an init output connection, in declared order.

        Raises
        ------
        PipelineError
            If one is missing, or a name is no init output.
        """
        return check_init_outputs(self.name, self.connections, self.init_outputs())

    def take_metadata(self) -> dict[str, Any]:
        """Return the metadata that was gathered, its subtasks' under their names, and start afresh.

        Returns
        -------
        dict
            Empty if nothing was noted.
        """
        out, self.metadata = self.metadata, {}
        for name, subtask in self._subtasks.items():
            if theirs := subtask.take_metadata():
                out[name] = theirs
        return out
