"""What a build asks, and of what: search path, question, and the protocol of all that can answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from registry.model.columns import Columns

if TYPE_CHECKING:
    from registry.model.dataset_type import DatasetType
    from registry.model.dimensions import DimensionGroup, DimensionUniverse

__all__ = ["Place", "Question", "View"]


class Place(NamedTuple):
    """One collection of a search path, and the side that it is searched on.

    Parameters
    ----------
    side : str
        ``upstream`` or ``staging``.
    collection : str
        Its name; no chain.
    """

    side: str
    collection: str


class Question(NamedTuple):
    """What a user asked for.

    Parameters
    ----------
    where : str
        Expression over dimensions.
    bind : mapping
        Values for its identifiers.
    data_id : mapping
        Values that hold for all.
    table : Columns or None
        Data IDs, of some dimensions, to which the answer is limited.
    """

    where: str = ""
    bind: Mapping[str, Any] | None = None
    data_id: Mapping[str, Any] | None = None
    table: Columns | None = None


class View(Protocol):
    """What a graph is built on."""

    @property
    def name(self) -> str:
        """What to call it in messages."""

    @property
    def root(self) -> str:
        """Root of the upstream repository, without credentials."""

    @property
    def universe(self) -> DimensionUniverse:
        """The dimensions."""

    def search_path(self, names: Sequence[str]) -> tuple[Place, ...]:
        """Flatten collections to a search path.

        Parameters
        ----------
        names : sequence of str
            Collections and chains, in search order.

        Returns
        -------
        tuple of Place
            No chains, no repeats.

        Raises
        ------
        NotFoundError
            If one of the names is unknown.
        """

    def known_path(self, names: Sequence[str]) -> tuple[Place, ...]:
        """Flatten collections to a search path, leaving out names of which there is no collection.

        Parameters
        ----------
        names : sequence of str
            Collections, chains and patterns, in search order.

        Returns
        -------
        tuple of Place
            No chains, no repeats.
        """

    def dataset_type(self, name: str) -> DatasetType:
        """Return a registered dataset type.

        Parameters
        ----------
        name : str
            Its name.

        Returns
        -------
        DatasetType
            Its definition.

        Raises
        ------
        NotFoundError
            If it is registered on neither side.
        """

    def dataset_types(self, names: Sequence[str]) -> Mapping[str, DatasetType]:
        """Return those of some dataset types that are registered.

        Parameters
        ----------
        names : sequence of str
            Their names.

        Returns
        -------
        mapping of str to DatasetType
            By name; as `dataset_type` has them.
        """

    def data_ids(
        self,
        group: DimensionGroup,
        question: Question,
        constrain: Sequence[DatasetType],
        path: Sequence[Place],
        *,
        limit: int | None = None,
    ) -> Columns:
        """Return the data IDs that a question allows.

        Parameters
        ----------
        group : DimensionGroup
            Their dimensions.
        question : Question
            Expression, data ID and table of data IDs.
        constrain : sequence of DatasetType
            Types of which a dataset must exist on the path.
        path : sequence of Place
            Where; places of both sides may be among it.
        limit : int, optional
            Most rows.

        Returns
        -------
        Columns
            Distinct rows of all the group's dimensions, required and implied.
        """

    def datasets(self, dataset_type: DatasetType, path: Sequence[Place], table: Columns | None) -> Columns:
        """Return the first dataset on a search path for each data ID.

        Parameters
        ----------
        dataset_type : DatasetType
            Their type.
        path : sequence of Place
            Where to look, in order.
        table : Columns or None
            Data IDs to which the answer is limited; None for all.

        Returns
        -------
        Columns
            The type's dimensions and `stage.graph.quantum.FOUND_COLUMNS`.
        """

    def governor_values(self, governor: str, path: Sequence[Place]) -> list[str]:
        """Return the instruments, or the like, that datasets on a search path belong to.

        Parameters
        ----------
        governor : str
            Name of the dimension.
        path : sequence of Place
            Where.

        Returns
        -------
        list of str
            Its values, sorted.
        """

    def is_calibration(self, dataset_type: DatasetType) -> bool:
        """Tell whether datasets of a type are looked up at a time.

        Parameters
        ----------
        dataset_type : DatasetType
            The type as a pipeline has it.

        Returns
        -------
        bool
            As it is registered; as the pipeline has it if it is not.
        """

    def calibrations(self, dataset_type: DatasetType, path: Sequence[Place], table: Columns) -> Columns:
        """Return the first dataset on a search path for each of many data IDs, each at its own time.

        Parameters
        ----------
        dataset_type : DatasetType
            Their type, one for which `is_calibration` is true.
        path : sequence of Place
            Where to look, in order.
        table : Columns
            Data IDs: the dimensions of the type, and those whose records tell the time.

        Returns
        -------
        Columns
            ``ordinal`` (the row's number in `table`), the type's dimensions and
            `stage.graph.quantum.FOUND_COLUMNS`; a row for which there is none is left out.

        Raises
        ------
        DataIdError
            If the collection that decides holds two for a data ID.
        """

    def records(self, element: str, keys: Columns) -> Columns:
        """Return dimension records.

        Parameters
        ----------
        element : str
            A dimension or a relation.
        keys : Columns
            Its required dimensions, one row a record that is wanted.

        Returns
        -------
        Columns
            The element's record columns; rows for keys that exist.
        """

    def contents(self, path: Sequence[Place] | None = None) -> Columns:
        """Count datasets by type and collection.

        Parameters
        ----------
        path : sequence of Place, optional
            Where; every RUN of each side by default.

        Returns
        -------
        Columns
            ``dataset_type``, ``run`` (the collection's name), ``n``.
        """

    def every_dataset(self, dataset_type: DatasetType, path: Sequence[Place]) -> Columns:
        """Return all datasets of a type on a search path, also those that others hide.

        Parameters
        ----------
        dataset_type : DatasetType
            Their type.
        path : sequence of Place
            Where to look, in order.

        Returns
        -------
        Columns
            The type's dimensions, `stage.graph.quantum.FOUND_COLUMNS`, ``valid_begin``, ``valid_end``: a row for each
            span in which a dataset is valid, and one for each of which none is said.
        """

    def load(self, found: Columns, storage_class: str) -> Any:
        """Read a dataset.

        Parameters
        ----------
        found : Columns
            Its row of `stage.graph.quantum.FOUND_COLUMNS`.
        storage_class : str
            What it is to be in memory.

        Returns
        -------
        object
            It.

        Raises
        ------
        NotFoundError
            If its file is gone.
        """
