"""Connections: what a task reads and writes, declared beside its code."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from registry.errors import PipelineError, nearest
from stage.pipeline.dataset_names import full_name, template_keys
from stage.pipeline.node import ConnectionDef, Role
from stage.pipeline.value_types import check_type, type_name

__all__ = [
    "Connection", "Connections", "DimensionRecords", "InitInput", "InitOutput", "Input", "Output",
    "PrerequisiteInput", "dimension_names",
]  # fmt: skip


def dimension_names(given: Iterable[str] | str) -> tuple[str, ...]:
    """Return names of dimensions as a tuple; a single name may be given bare.

    Parameters
    ----------
    given : str or iterable of str
        The names.

    Returns
    -------
    tuple of str
        In the order given.
    """
    return (given,) if isinstance(given, str) else tuple(given)


@dataclass(frozen=True)
class Connection:
    """What all connections have in common; use one of its subclasses.

    Parameters
    ----------
    dataset_type : str
        Name of the dataset type; may hold templates, as ``"{prefix}warp"``. A config can replace it.
    storage_class : str
        What it is in memory.
    dimensions : iterable of str, optional
        Its dimensions; those of the task if left out.
    doc : str
        What it is.
    columns : iterable of str, optional
        Names of columns, of a table: those that an input must have, those that an output does have. A pipeline is
        refused if a reader needs one that the maker does not have.
    type : str or type, optional
        Of plain values (``Json``, ``Yaml``): ``int``, ``float``, ``str``, ``bool``, ``list`` or ``dict``; compared when
        one is written.
    """

    dataset_type: str
    storage_class: str
    dimensions: Iterable[str] | None = None
    doc: str = ""
    columns: Iterable[str] = ()
    type: str | builtins.type = field(default="", kw_only=True)
    role: ClassVar[Role]

    def settle(self, name: str, dataset_type: str, task_dimensions: tuple[str, ...]) -> ConnectionDef:
        """Return the connection with its dataset type's name and dimensions settled.

        Parameters
        ----------
        name : str
            What the task calls it.
        dataset_type : str
            Full name.
        task_dimensions : tuple of str
            The dimensions it has unless it says otherwise.

        Returns
        -------
        ConnectionDef
            Plain values.
        """
        dims = task_dimensions if self.dimensions is None else dimension_names(self.dimensions)
        more = {
            k: getattr(self, k)
            for k in ("multiple", "minimum", "deferred", "is_calibration", "schema", "lookup", "records")
            if hasattr(self, k)
        }
        more |= {"columns": dimension_names(self.columns), "type": type_name(self.type)}
        return ConnectionDef(name, self.role, dataset_type, self.storage_class, dims, doc=self.doc, **more)


@dataclass(frozen=True)
class Input(Connection):
    """Something each quantum reads; a quantum is made only where it is or will be there.

    Parameters
    ----------
    dataset_type, storage_class, dimensions, doc, columns
        As for `Connection`. The storage class may be another than the one the dataset type is stored in, as
        ``DataFrame`` for an ``ArrowTable``, if it can be read so.
    multiple : bool
        Whether one quantum reads several; `run` then gets a list.
    minimum : int
        Fewest with which there is work. 0 makes it optional: `run` gets None, or an empty list.
    deferred : bool
        Whether `run` gets handles, with ``get()`` and ``data_id``, instead of the objects.
    is_calibration : bool
        Whether its datasets are looked up by validity.
    type : str or type, optional
        As for `Connection`.
    """

    multiple: bool = False
    minimum: int = 1
    deferred: bool = False
    is_calibration: bool = False
    role: ClassVar[Role] = "input"


@dataclass(frozen=True)
class PrerequisiteInput(Input):
    """Something that must exist before the graph is built, and that does not choose which quanta there are.

    Parameters
    ----------
    dataset_type, storage_class, dimensions, doc, columns, multiple, minimum, deferred, is_calibration
        As for `Input`.
    lookup : str
        Name of a function in the task's module, or of a static method of the task, that finds the datasets of all
        quanta at once: ``lookup(connection, quanta, ask)``, see `stage.graph.hooks.ask`. Without one, they are found
        by their data IDs: by dimensions, on the sky, and in time where they are calibrations.
    type : str or type, optional
        As for `Connection`.
    """

    lookup: str = ""
    role: ClassVar[Role] = "prerequisite"


@dataclass(frozen=True)
class Output(Connection):
    """Something each quantum writes.

    Parameters
    ----------
    dataset_type, storage_class, dimensions, doc, columns
        As for `Connection`.
    multiple : bool
        Whether one quantum writes several; `run` then returns a list in the order of the planned datasets.
    minimum : int
        0 if a quantum may do without.
    is_calibration : bool
        Whether its datasets may be certified for a span of time.
    schema : str
        Name of an init output of the task that says what columns it has: a schema of pyarrow, an empty table, a
        mapping by name, or a list of names.
    type : str or type, optional
        As for `Connection`.
    """

    multiple: bool = False
    minimum: int = 1
    is_calibration: bool = False
    schema: str = ""
    role: ClassVar[Role] = "output"


@dataclass(frozen=True)
class DimensionRecords(Output):
    """Dimension records that each quantum finds out: chunks, groups, whatever later steps are to work on.

    `run` returns a list of dicts, one a record, with the columns of the dimension's records; values that the quantum's
    data ID has may be left out. When the quantum is recorded they become records of the campaign, and graphs that are
    built afterwards, as those of later steps, have quanta for them.

    Parameters
    ----------
    dataset_type, storage_class, dimensions, doc, columns, multiple, minimum, is_calibration, schema
        As for `Output`: the list is a dataset, too, so that it stays known which quantum found what.
    records : str
        The dimension, or relation of dimensions.
    type : str or type, optional
        As for `Connection`.
    """

    storage_class: str = "DimensionRecords"
    records: str = ""


@dataclass(frozen=True)
class InitInput(Connection):
    """Something the constructor gets: as the schema of a table that an earlier task makes.

    Parameters
    ----------
    dataset_type, storage_class, dimensions, doc, columns, type
        As for `Connection`; dimensions are none unless given.
    """

    dimensions: Iterable[str] | None = ()
    role: ClassVar[Role] = "init_input"


@dataclass(frozen=True)
class InitOutput(Connection):
    """Something known as soon as the task is constructed; written once a run.

    Parameters
    ----------
    dataset_type, storage_class, dimensions, doc, columns, type
        As for `Connection`; dimensions are none unless given.
    """

    dimensions: Iterable[str] | None = ()
    role: ClassVar[Role] = "init_output"


class Connections:
    """The declared inputs and outputs of a task.

    A subclass declares them as class attributes. An instance holds the same names with dataset type names settled
    (as `ConnectionDef`), and may `drop` some in `configure`.

    Parameters
    ----------
    names : mapping of str to str, optional
        Other dataset type names, by connection; other values, by template.
    config : Config, optional
        The task's config, for `configure`.
    owner : str
        The task's label, for errors.

    Examples
    --------
    >>> class WarpConnections(Connections, dimensions=("visit", "patch"), default_templates={"prefix": ""}):
    ...     image = Input("calexp", "FitsImage", dimensions=("visit",))
    ...     warp = Output("{prefix}warp", "FitsImage")
    >>> WarpConnections({"prefix": "deep_"}).warp.dataset_type
    'deep_warp'
    """

    dimensions: ClassVar[tuple[str, ...]] = ()
    declared: ClassVar[Mapping[str, Connection]] = {}
    default_templates: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(
        cls,
        *,
        dimensions: Iterable[str] | str | None = None,
        default_templates: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init_subclass__(**kwargs)
        if dimensions is not None:
            cls.dimensions = dimension_names(dimensions)
        cls.default_templates = {**cls.default_templates, **(default_templates or {})}
        declared: dict[str, Connection] = {}
        for base in reversed(cls.__mro__):
            for name, value in vars(base).items():
                if isinstance(value, Connection):
                    declared[name] = value
                else:  # a subclass may shadow one with None to be without it
                    declared.pop(name, None)
        cls.declared = declared
        cls._check()

    @classmethod
    def _check(cls) -> None:
        """Refuse names that could not be used, and templates without a default."""
        for name, connection in cls.declared.items():
            if name.startswith("_") or name in _RESERVED:
                raise PipelineError(
                    f"{cls.__name__}: '{name}' is not a usable connection name", code="bad-connection"
                )
            if name in cls.default_templates:
                raise PipelineError(
                    f"{cls.__name__}: '{name}' is both a connection and a template", code="bad-connection"
                )
            cls._check_options(name, connection)
            for key in template_keys(connection.dataset_type):
                if key not in cls.default_templates:
                    raise PipelineError(
                        f"{cls.__name__}.{name}: template '{{{key}}}' has no default",
                        code="unknown-template",
                        hint=f"Say class {cls.__name__}(Connections, default_templates={{'{key}': ''}}).",
                    )

    @classmethod
    def _check_options(cls, name: str, connection: Connection) -> None:
        """Refuse options that contradict each other."""
        where, minimum = f"{cls.__name__}.{name}", getattr(connection, "minimum", 1)
        if isinstance(minimum, bool) or not isinstance(minimum, int) or minimum < 0:
            raise PipelineError(
                f"{where}: minimum should be a whole number, not {minimum!r}", code="bad-connection"
            )
        if minimum > 1 and not getattr(connection, "multiple", False):
            raise PipelineError(
                f"{where}: minimum={minimum}, and it is one dataset",
                code="bad-connection",
                hint="Declare it with multiple=True.",
            )
        if connection.type:
            check_type(type_name(connection.type), connection.storage_class, where)
        is_records = connection.storage_class == "DimensionRecords"
        if connection.role == "output" and is_records != bool(getattr(connection, "records", "")):
            raise PipelineError(
                f"{where}: dimension records are of a dimension, and of storage class DimensionRecords",
                code="bad-connection",
                hint="Declare it as DimensionRecords('name', records='dimension').",
            )
        schema = getattr(connection, "schema", "")
        if schema and not isinstance(cls.declared.get(schema), InitOutput):
            raise PipelineError(
                f"{where}: its schema '{schema}' is no init output",
                code="bad-connection",
                hint=nearest(schema, [n for n, c in cls.declared.items() if isinstance(c, InitOutput)]),
            )

    def __init__(
        self, names: Mapping[str, str] | None = None, *, config: Any = None, owner: str = "this task"
    ) -> None:
        names = dict(names or {})
        known = [*self.declared, *self.default_templates]
        for name in names:
            if name not in known:
                raise PipelineError(
                    f"{owner} has no connection or template '{name}'",
                    code="unknown-connection",
                    hint=nearest(name, known),
                )
        templates = {k: names.get(k, v) for k, v in self.default_templates.items()}
        self._defs = {
            name: connection.settle(
                name,
                full_name(names.get(name, connection.dataset_type), templates, name, owner),
                self.dimensions,
            )
            for name, connection in self.declared.items()
        }
        self.__dict__.update(self._defs)
        self.configure(config)

    def configure(self, config: Any) -> None:
        """Adapt the connections to a config: override this to `drop` some.

        Parameters
        ----------
        config : Config or None
            The task's config, frozen.
        """

    def drop(self, name: str) -> None:
        """Be without a connection.

        Parameters
        ----------
        name : str
            One that is declared.

        Raises
        ------
        PipelineError
            If it is not there.
        """
        if name not in self._defs:
            raise PipelineError(
                f"no connection '{name}' to drop", code="unknown-connection", hint=nearest(name, self._defs)
            )
        del self._defs[name]
        # Not deleted: reading the attribute must not find the declaration on the class.
        self.__dict__[name] = None

    @property
    def defs(self) -> tuple[ConnectionDef, ...]:
        """All connections, in declared order."""
        return tuple(self._defs.values())

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
        return tuple(c for c in self._defs.values() if c.role in roles)


_RESERVED = frozenset(n for n in dir(Connections) if not n.startswith("_")) | {"data_id", "self"}
