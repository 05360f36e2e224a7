"""`DatasetType`: a name, dimensions and a storage class."""

from __future__ import annotations

import re
from dataclasses import dataclass

from registry.errors import UsageError
from registry.model.dimensions import DimensionGroup

__all__ = ["DatasetType"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}\Z")


@dataclass(frozen=True, slots=True)
class DatasetType:
    """A kind of dataset.

    Parameters
    ----------
    name : str
        Letters, digits and ``_``.
    dimensions : DimensionGroup
        What identifies one of its datasets within a RUN.
    storage_class : str
        What it is in memory, and by that how it is stored.
    is_calibration : bool
        Whether its datasets may be certified for a span of time.
    """

    name: str
    dimensions: DimensionGroup
    storage_class: str
    is_calibration: bool = False

    def __post_init__(self) -> None:
        if not _NAME.match(self.name):
            raise UsageError(
                f"'{self.name}' is not a dataset type name",
                code="bad-name",
                hint="Use letters, digits and _.",
            )

    def differences(self, other: DatasetType) -> list[str]:
        """Say how another definition of the same name differs.

        Parameters
        ----------
        other : DatasetType
            The other definition.

        Returns
        -------
        list of str
            One text a difference, ``field: ours … theirs …``; empty if they agree.
        """
        pairs = (
            ("dimensions", str(self.dimensions), str(other.dimensions)),
            ("storage class", self.storage_class, other.storage_class),
            ("calibration", self.is_calibration, other.is_calibration),
        )
        return [f"{what}: {a} against {b}" for what, a, b in pairs if a != b]

    def __str__(self) -> str:
        return f"{self.name}({', '.join(self.dimensions.required)})"
