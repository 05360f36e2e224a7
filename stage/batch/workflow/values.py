"""Sequences of a value for each job that take no room for each job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["PerKind"]


class PerKind(Sequence[Any]):
    """A value for each job, the same for all jobs of a kind.

    Parameters
    ----------
    values : sequence
        One a kind.
    kind_of : numpy.ndarray of int
        For each job its kind.
    """

    __slots__ = ("kind_of", "values")

    def __init__(self, values: Sequence[Any], kind_of: npt.NDArray[np.int32]) -> None:
        self.values = tuple(values)
        self.kind_of = kind_of

    def __len__(self) -> int:
        return len(self.kind_of)

    @overload
    def __getitem__(self, index: int) -> Any: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Any]: ...

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return PerKind(self.values, self.kind_of[index])
        return self.values[int(self.kind_of[index])]
