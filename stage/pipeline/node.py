"""`TaskNode`: one labelled task of a pipeline with everything settled; what a graph file carries of it.

Light on purpose: workers read node documents from a graph file before they know whether they will need any
task's code, so nothing here imports pydantic or a user's module until `TaskNode.build`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from registry.errors import PipelineError
from registry.model.digest import digest_json
from stage.pipeline.resources import Resources

if TYPE_CHECKING:
    from stage.pipeline.task import Task

__all__ = [
    "CONFIG", "LOG", "METADATA", "ConnectionDef", "Role", "TaskNode", "automatic_connections",
]  # fmt: skip

Role = Literal[
    "input", "prerequisite", "output", "init_input", "init_output", "metadata", "log", "config",
]  # fmt: skip

METADATA, LOG, CONFIG = "_metadata", "_log", "_config"
"""Names of the connections that every task has without declaring them."""

_INPUTS = frozenset({"input", "prerequisite"})
_OUTPUTS = frozenset({"output", "metadata", "log"})
_INIT_OUTPUTS = frozenset({"init_output", "config"})


@dataclass(frozen=True)
class ConnectionDef:
    """One connection of a task, with its dataset type's name settled.

    Parameters
    ----------
    name : str
        What the task calls it; names of automatic ones start with ``_``.
    role : str
        ``input``, ``prerequisite``, ``output``, ``init_input``, ``init_output``, or one of the automatic
        ``metadata``, ``log`` (outputs of each quantum) and ``config`` (an init output).
    dataset_type : str
        Full name of the dataset type.
    storage_class : str
        What it is in memory.
    dimensions : tuple of str
        As declared; the universe closes them.
    multiple : bool
        Whether one quantum may have several of it.
    minimum : int
        Fewest datasets with which a quantum still has work; 0 makes it optional.
    deferred : bool
        Whether the task gets handles instead of objects.
    is_calibration : bool
        Whether its datasets are looked up by validity.
    doc : str
        What it is.
    columns : tuple of str
        Columns of a table: those that a reader needs, those that a writer gives.
    schema : str
        Of an output: the task's init output that says what columns it has.
    lookup : str
        Of a prerequisite: the function that finds its datasets, in the task's class or module.
    records : str
        Of an output that holds dimension records: the dimension, or relation of dimensions.
    type : str
        Of plain values: what each is, as ``int``.
    """

    name: str
    role: Role
    dataset_type: str
    storage_class: str
    dimensions: tuple[str, ...] = ()
    multiple: bool = False
    minimum: int = 1
    deferred: bool = False
    is_calibration: bool = False
    doc: str = ""
    columns: tuple[str, ...] = ()
    schema: str = ""
    lookup: str = ""
    records: str = ""
    type: str = ""

    @property
    def is_input(self) -> bool:
        """Whether quanta read it."""
        return self.role in _INPUTS

    @property
    def is_output(self) -> bool:
        """Whether quanta write it, automatic outputs included."""
        return self.role in _OUTPUTS

    @property
    def is_init_output(self) -> bool:
        """Whether it is written once a run, before any quantum."""
        return self.role in _INIT_OUTPUTS

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON-like values.

        Returns
        -------
        dict
            One key a field; what few connections have is left out of all others.
        """
        out = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _SELDOM}
        out |= {name: value for name in _SELDOM if (value := getattr(self, name))}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in out.items()}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> ConnectionDef:
        """Make one from its document.

        Parameters
        ----------
        document : mapping
            As `to_document` gives it.

        Returns
        -------
        ConnectionDef
            Equal to the one that was written.
        """
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in document.items()}
        return cls(**values)


_SELDOM = ("columns", "schema", "lookup", "records", "type")


def automatic_connections(label: str, dimensions: Iterable[str]) -> tuple[ConnectionDef, ...]:
    """Return the connections that a task has without declaring them.

    Parameters
    ----------
    label : str
        The task's label.
    dimensions : iterable of str
        The task's dimensions.

    Returns
    -------
    tuple of ConnectionDef
        Metadata and log of each quantum, and the config, once a run.
    """
    dims = tuple(dimensions)
    return (
        ConnectionDef(
            METADATA, "metadata", f"{label}_metadata", "Json", dims, doc="Times, memory, versions."
        ),
        ConnectionDef(LOG, "log", f"{label}_log", "Text", dims, doc="What was logged."),
        ConnectionDef(CONFIG, "config", f"{label}_config", "Json", (), doc="The task's whole config."),
    )


@dataclass(frozen=True)
class TaskNode:
    """One labelled task with its config and connections settled.

    Parameters
    ----------
    label : str
        Unique in its pipeline.
    kind : {"class", "function", "shell"}
        The form it was written in.
    target : str
        ``module:qualname`` of the class or function; the class that runs scripts, for a shell task.
    config : mapping
        The whole config, defaults included, as JSON-like values.
    dimensions : tuple of str
        What identifies one quantum, as declared.
    connections : tuple of ConnectionDef
        All of them, the automatic ones last.
    version : str
        Version of the code: of its distribution, or the module's ``__version__``, or empty.
    hooks : tuple of str
        Hooks that the class overrides, of ``adjust_quantum``, ``define_quanta``, ``resources``; only where one is
        named is the task's code called when a graph is built.
    resources : Resources
        What one quantum needs, unless the hook says otherwise.
    units : str
        ``module:function`` that finds the data IDs for the task and those it is connected with.
    ephemeral : tuple of str
        Names of outputs whose files go when all that read them have been done; no part of the fingerprint.
    late : mapping of str to str
        Resources that are reckoned when a quantum is about to run: expressions by name, or `HOOK` for a method.
    """

    label: str
    kind: Literal["class", "function", "shell"]
    target: str
    config: Mapping[str, Any]
    dimensions: tuple[str, ...]
    connections: tuple[ConnectionDef, ...]
    version: str = ""
    hooks: tuple[str, ...] = ()
    resources: Resources = field(default_factory=Resources)
    units: str = ""
    ephemeral: tuple[str, ...] = ()
    late: Mapping[str, str] = field(default_factory=dict)

    def __hash__(self) -> int:
        return hash((self.label, self.target))

    def typed_name(self, setting: str) -> str:
        """Return the name by which a setting is changed: of a script, that of the variable.

        Parameters
        ----------
        setting : str
            Its dotted name in the config.

        Returns
        -------
        str
            What stands in ``-c label:name=value``.
        """
        return setting.removeprefix("variables.") if self.kind == "shell" else setting

    def by_role(self, *roles: Role) -> tuple[ConnectionDef, ...]:
        """Return the connections of some roles.

        Parameters
        ----------
        *roles : str
            The roles.

        Returns
        -------
        tuple of ConnectionDef
            In declared order.
        """
        return tuple(c for c in self.connections if c.role in roles)

    @property
    def inputs(self) -> tuple[ConnectionDef, ...]:
        """What quanta read: inputs and prerequisites."""
        return tuple(c for c in self.connections if c.is_input)

    @property
    def outputs(self) -> tuple[ConnectionDef, ...]:
        """What quanta write: outputs, metadata, log."""
        return tuple(c for c in self.connections if c.is_output)

    @property
    def init_inputs(self) -> tuple[ConnectionDef, ...]:
        """What its constructor reads."""
        return self.by_role("init_input")

    @property
    def init_outputs(self) -> tuple[ConnectionDef, ...]:
        """What is written once a run: declared init outputs and the config."""
        return tuple(c for c in self.connections if c.is_init_output)

    def connection(self, name: str) -> ConnectionDef:
        """Return the connection of that name.

        Parameters
        ----------
        name : str
            Its name in the task.

        Returns
        -------
        ConnectionDef
            It.

        Raises
        ------
        PipelineError
            If there is none.
        """
        for found in self.connections:
            if found.name == name:
                return found
        raise PipelineError(f"task '{self.label}' has no connection '{name}'", code="unknown-connection")

    @cached_property
    def fingerprint(self) -> str:
        """Digest of what can change its outputs: target, version, config, dimensions and connections."""
        wires = [{**c.to_document(), "doc": ""} for c in self.connections]
        more = [self.units] if self.units else []
        return digest_json(
            [self.target, self.version, dict(self.config), list(self.dimensions), wires, *more]
        )

    def build(self, init_inputs: Mapping[str, Any] | None = None) -> Task:
        """Import its code and construct the task.

        Parameters
        ----------
        init_inputs : mapping, optional
            Objects of its init inputs, by connection name.

        Returns
        -------
        Task
            Ready to run quanta.

        Raises
        ------
        PipelineError
            If the code cannot be imported, or no longer takes this config.

        Notes
        -----
        Directories of user modules must be on the path: see `stage.pipeline.importing.extend_path`.
        """
        # pydantic and the user's modules come in only here.
        from stage.pipeline.importing import load_task_class

        task_class = load_task_class(self.target, f"task '{self.label}'")
        config = task_class.ConfigClass.from_document(self.config)
        return task_class(config, init_inputs=init_inputs, name=self.label)

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON-like values.

        Returns
        -------
        dict
            For a graph file.
        """
        seldom = {"units": self.units, "ephemeral": list(self.ephemeral), "late": dict(self.late)}
        return {
            "label": self.label,
            "kind": self.kind,
            "target": self.target,
            "version": self.version,
            "config": dict(self.config),
            "dimensions": list(self.dimensions),
            "connections": [c.to_document() for c in self.connections],
            "hooks": list(self.hooks),
            "resources": self.resources.to_document(),
        } | {name: value for name, value in seldom.items() if value}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> TaskNode:
        """Make one from its document.

        Parameters
        ----------
        document : mapping
            As `to_document` gives it.

        Returns
        -------
        TaskNode
            Equal to the one that was written.
        """
        return cls(
            label=document["label"],
            kind=document["kind"],
            target=document["target"],
            config=document["config"],
            dimensions=tuple(document["dimensions"]),
            connections=tuple(ConnectionDef.from_document(c) for c in document["connections"]),
            version=document["version"],
            hooks=tuple(document["hooks"]),
            resources=Resources(**document["resources"]),
            units=document.get("units", ""),
            ephemeral=tuple(document.get("ephemeral", ())),
            late=dict(document.get("late", {})),
        )
