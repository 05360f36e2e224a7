"""`Resources`: what one quantum needs of a machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from registry.errors import IntegrityError, PipelineError, nearest

__all__ = ["Resources"]


@dataclass(frozen=True)
class Resources:
    """What one quantum of a task needs of a machine; never part of a fingerprint.

    Parameters
    ----------
    cpus : int
        Processor cores.
    memory_mb : int or None
        Memory, in megabytes.
    walltime_s : int or None
        Longest time, in seconds.
    """

    cpus: int = 1
    memory_mb: int | None = None
    walltime_s: int | None = None

    def __post_init__(self) -> None:
        for name, value in self.to_document().items():
            if value is None and name != "cpus":
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise PipelineError(
                    f"resources: {name} should be a whole number from 1 on, not {value!r}",
                    code="bad-resources",
                )

    def changed(self, hints: Mapping[str, Any], where: str = "") -> Resources:
        """Return these with some of them changed.

        Parameters
        ----------
        hints : mapping
            ``cpus``, ``memory_mb``, ``walltime_s``, or some of them.
        where : str, optional
            Who says so, for errors.

        Returns
        -------
        Resources
            The others are as they were.

        Raises
        ------
        PipelineError
            If a name is another one, or a value is no whole number from 1 on (``bad-resources``).
        """
        known, before = self.to_document(), f"{where}: " if where else ""
        for name in hints:
            if name not in known:
                raise PipelineError(
                    f"{before}resources have no '{name}'",
                    code="bad-resources",
                    hint=nearest(str(name), known),
                )
        try:
            return Resources(**{**known, **{k: _whole(v) for k, v in hints.items()}})
        except PipelineError as exc:
            raise PipelineError(f"{before}{exc.message}", code=exc.code) from exc

    def to_text(self) -> str:
        """Return them as a graph keeps them, quantum by quantum.

        Returns
        -------
        str
            JSON.
        """
        return json.dumps(self.to_document(), separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str) -> Resources:
        """Read what `to_text` wrote.

        Parameters
        ----------
        text : str
            JSON.

        Returns
        -------
        Resources
            Equal to the first.

        Raises
        ------
        IntegrityError
            If it cannot be understood.
        """
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError) as exc:
            raise IntegrityError(f"resources cannot be understood: {text:.80}", code="graph-damaged") from exc

    def to_document(self) -> dict[str, Any]:
        """Return them as JSON-like values.

        Returns
        -------
        dict
            One key a field.
        """
        return {f.name: getattr(self, f.name) for f in fields(self)}


def _whole(value: Any) -> Any:
    """Return a number as Python's own: what a hook calculates may be NumPy's, or a float without a fraction."""
    plain = value.item() if hasattr(value, "item") else value
    return int(plain) if isinstance(plain, float) and plain.is_integer() else plain
