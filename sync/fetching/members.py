"""What a fetch or a pull puts into TAGGED and CALIBRATION collections, and takes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from registry.model.columns import Columns

if TYPE_CHECKING:
    from registry.change import Change

__all__ = ["Members"]


@dataclass(frozen=True, eq=False)
class Members:
    """Which datasets collections are to hold, beside what they hold already.

    Parameters
    ----------
    tagged : mapping of str to list of bytes
        TAGGED collection to ids; they take the place of others with their data IDs.
    certified : mapping of str to Columns
        CALIBRATION collection to ``id``, ``valid_begin``, ``valid_end``.
    untagged : mapping of str to list of bytes
        TAGGED collection to ids that it holds no more.
    removed : mapping of (str, str) to Columns
        CALIBRATION collection and dataset type to ranges that go: ``id``, ``valid_begin``, ``valid_end``.
    """

    tagged: Mapping[str, list[bytes]] = field(default_factory=dict)
    certified: Mapping[str, Columns] = field(default_factory=dict)
    untagged: Mapping[str, list[bytes]] = field(default_factory=dict)
    removed: Mapping[tuple[str, str], Columns] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (self.tagged or self.certified or self.untagged or self.removed)

    def write(self, tx: Change) -> None:
        """Write it; the collections and the datasets are there.

        Parameters
        ----------
        tx : Change
            Staging's transaction.

        Notes
        -----
        What goes is taken out first: what comes may be in its place.
        """
        for (collection, dataset_type), rows in self.removed.items():
            tx.remove_ranges(collection, dataset_type, rows)
        for name, ids in self.untagged.items():
            tx.disassociate(name, ids)
        for name, ids in self.tagged.items():
            tx.associate(name, ids, replace=True)
        for name, rows in self.certified.items():
            tx.certify_rows(name, rows, on_existing="skip")
