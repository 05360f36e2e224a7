"""What a fetch puts into TAGGED and CALIBRATION collections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from registry.model.columns import Columns

if TYPE_CHECKING:
    from registry.change import Change

__all__ = ["Members", "Stale"]


@dataclass(frozen=True, eq=False)
class Stale:
    """A range of validity that staging has and upstream no longer.

    Parameters
    ----------
    collection : str
        The CALIBRATION collection.
    dataset_type : str
        Of what.
    data_id : Columns
        One row.
    begin, end : int
        TAI nanoseconds, as they are stored.
    """

    collection: str
    dataset_type: str
    data_id: Columns
    begin: int
    end: int


@dataclass(frozen=True, eq=False)
class Members:
    """Which datasets collections are to hold, beside what they hold already.

    Parameters
    ----------
    tagged : mapping of str to list of bytes
        TAGGED collection to ids; they take the place of others with their data IDs.
    certified : mapping of str to Columns
        CALIBRATION collection to ``id``, ``valid_begin``, ``valid_end``.
    stale : tuple of Stale
        What goes before that.
    """

    tagged: Mapping[str, list[bytes]] = field(default_factory=dict)
    certified: Mapping[str, Columns] = field(default_factory=dict)
    stale: tuple[Stale, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (self.tagged or self.certified or self.stale)

    def write(self, tx: Change) -> None:
        """Write it; the collections and the datasets are there.

        Parameters
        ----------
        tx : Change
            Staging's transaction.
        """
        for gone in self.stale:
            tx.decertify(gone.collection, gone.dataset_type, gone.begin, gone.end, table=gone.data_id)
        for name, ids in self.tagged.items():
            tx.associate(name, ids, replace=True)
        for name, rows in self.certified.items():
            tx.certify_rows(name, rows, on_existing="skip")
