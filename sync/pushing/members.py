"""Which rows are in a set, as a mask."""

from __future__ import annotations

from collections.abc import Hashable, Sequence, Set
from typing import Any

import numpy as np

from registry.model.columns import Array

__all__ = ["members"]


def members(values: Sequence[Hashable], of: Set[Any]) -> Array:
    """Tell for each value whether it is in a set.

    Parameters
    ----------
    values : sequence
        The values.
    of : set
        The set.

    Returns
    -------
    numpy.ndarray of bool
        A mask.
    """
    return np.fromiter(map(of.__contains__, values), np.bool_, len(values))
