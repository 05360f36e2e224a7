"""`Rooms`: limits of how many jobs an engine has at once, by name: of a site, or of what jobs share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from stage.batch.engines.base import DrivenEngine
    from stage.batch.workflow.model import JobSettings

__all__ = ["Rooms"]


class Rooms:
    """How many jobs of each kind the engine should have at once.

    Parameters
    ----------
    kinds : sequence of JobSettings
        What jobs have in common.
    settings_of : numpy.ndarray
        For each job its kind.
    engine : DrivenEngine
        Says the limits.

    Attributes
    ----------
    lane_of : numpy.ndarray of int32
        For each job its lane: jobs under the same limits share one.
    n_lanes : int
        How many there are.
    """

    def __init__(
        self, kinds: Sequence[JobSettings], settings_of: npt.NDArray[np.int32], engine: DrivenEngine
    ) -> None:
        self._engine = engine
        lanes: dict[frozenset[str], int] = {}
        of_kind = [lanes.setdefault(frozenset(engine.limits(s)), len(lanes)) for s in kinds]
        self._names = list(lanes)
        self._examples = [kinds[of_kind.index(lane)] for lane in range(len(lanes))]
        self.n_lanes = max(1, len(lanes))
        self.lane_of = np.array(of_kind or [0], dtype=np.int32)[np.asarray(settings_of, dtype=np.int64)]

    def free(self, given: Collection[int]) -> Callable[[int], bool] | None:
        """Return what takes a place for a job, as long as there is one.

        Parameters
        ----------
        given : collection of int
            The jobs that the engine has.

        Returns
        -------
        callable or None
            Takes a lane, and tells whether one more of it may begin; None if nothing is limited.
        """
        if not any(self._names):
            return None
        left: dict[str, int] = {}
        for example in self._examples:
            left |= {name: most for name, most in self._engine.limits(example).items() if most is not None}
        held = np.fromiter(given, dtype=np.int64, count=len(given))
        for lane, count in enumerate(np.bincount(self.lane_of[held], minlength=self.n_lanes).tolist()):
            for name in self._names[lane] & left.keys():
                left[name] -= count

        def enter(lane: int) -> bool:
            names = self._names[lane] & left.keys()
            if any(left[name] <= 0 for name in names):
                return False
            for name in names:
                left[name] -= 1
            return True

        return enter
