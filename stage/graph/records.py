"""`RecordSource`: the dimension records that a graph carries, by data ID."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from registry.errors import NotFoundError

if TYPE_CHECKING:
    from registry.model.dimensions import DimensionUniverse

__all__ = ["RecordSource"]


class RecordSource(ABC):
    """Records of dimensions, one at a time."""

    @property
    @abstractmethod
    def universe(self) -> DimensionUniverse:
        """The dimension universe that the graph carries."""

    @abstractmethod
    def _record_row(self, element: str, key: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """Return the record with that key; None if it is not held."""

    def record(self, element: str, data_id: Mapping[str, Any]) -> dict[str, Any]:
        """Return one dimension record.

        Parameters
        ----------
        element : str
            Name of a dimension or a relation.
        data_id : mapping
            Values of dimensions that fix it, directly or through what they imply.

        Returns
        -------
        dict
            Column to value.

        Raises
        ------
        NotFoundError
            If the graph does not hold it.
        """
        definition = self.universe.element(element)
        known = dict(data_id)
        if any(n not in known for n in definition.required):
            known = self._implied(known)
        if all(n in known for n in definition.required):
            row = self._record_row(element, tuple(known[n] for n in definition.required))
            if row is not None:
                return dict(zip(definition.record_columns, row, strict=True))
        shown = ", ".join(f"{k}={v}" for k, v in data_id.items())
        raise NotFoundError(f"the graph holds no record of {element} for {shown}", code="unknown-record")

    def records_of(self, data_id: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Return the records of all elements that a data ID fixes.

        Parameters
        ----------
        data_id : mapping
            Values of dimensions.

        Returns
        -------
        dict
            Element name to record; elements of which nothing is held are absent.
        """
        known = self._implied(dict(data_id))
        out: dict[str, dict[str, Any]] = {}
        for element in self.universe.group(data_id).elements:
            if all(n in known for n in element.required):
                row = self._record_row(element.name, tuple(known[n] for n in element.required))
                if row is not None:
                    out[element.name] = dict(zip(element.record_columns, row, strict=True))
        return out

    def _implied(self, known: dict[str, Any]) -> dict[str, Any]:
        """Return `known` with the values of all dimensions that follow from it."""
        todo = list(known)
        while todo:
            element = self.universe.elements.get(todo.pop())
            if element is None or not element.implied or any(n not in known for n in element.required):
                continue
            row = self._record_row(element.name, tuple(known[n] for n in element.required))
            if row is not None:
                columns = dict(zip(element.record_columns, row, strict=True))
                new = [n for n in element.implied if n not in known]
                known.update({n: columns[n] for n in new})
                todo += new
        return known
