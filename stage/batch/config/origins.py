"""Where a setting came from: `Origin`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Origin", "OriginKind", "Path"]

Path = tuple[object, ...]
"""The keys that lead from the top to a value."""


class OriginKind(StrEnum):
    """Who has said a value; what is earlier here goes over what is later."""

    COMMAND_LINE = "command line"
    FILE = "file"
    ENVIRONMENT = "environment"
    DEFAULT = "default"
    """Of the package or of the engine, or made when the file was read: nobody has said it."""
    GIVEN = "given"
    """By the program that asks."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where one value came from.

    Parameters
    ----------
    kind : OriginKind
        Who has said it.
    file : str, optional
        The file, as it was named; of `OriginKind.ENVIRONMENT` the variable; of `OriginKind.DEFAULT` what made it.
    line : int, optional
        Of the file, from 1; 0 if there is none.
    """

    kind: OriginKind
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        if self.kind is OriginKind.FILE:
            return f"{self.file}:{self.line}" if self.line else self.file
        if self.kind is OriginKind.ENVIRONMENT:
            return f"environment, ${self.file}"
        if self.kind is OriginKind.DEFAULT:
            return self.file or "default"
        return str(self.kind)
