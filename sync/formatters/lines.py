"""Lines of JSON: a list of objects, one a line."""

from __future__ import annotations

import json
from typing import Any

from registry.errors import IntegrityError, UsageError
from sync.formatters.base import wrong_type
from sync.formatters.plain import JsonFormatter

__all__ = ["JsonLinesFormatter"]

_json = JsonFormatter()


class JsonLinesFormatter:
    """A list of dicts, one a line of compact JSON with sorted keys; an array of JSON is read as well."""

    name = "jsonl"
    extension = ".jsonl"

    def encode(self, obj: object) -> bytes:
        """Return lines.

        Parameters
        ----------
        obj : object
            A list or tuple of dicts.

        Returns
        -------
        bytes
            UTF-8.

        Raises
        ------
        UsageError
            If it is something else, or holds what JSON cannot.
        """
        if not isinstance(obj, list | tuple):
            raise wrong_type(self.name, "a list of dicts", obj)
        for number, row in enumerate(obj, 1):
            if not isinstance(row, dict):
                raise UsageError(
                    f"formatter '{self.name}' takes a list of dicts, and item {number} is a {type(row).__name__}",
                    code="wrong-type",
                    hint="Return a list of dicts.",
                )
        return b"".join(_json.encode(row) + b"\n" for row in obj)

    def decode(self, data: bytes) -> object:
        """Read lines, or an array.

        Parameters
        ----------
        data : bytes
            UTF-8.

        Returns
        -------
        object
            A list of dicts.

        Raises
        ------
        IntegrityError
            If it is something else; names the line.
        """
        if data.lstrip()[:1] == b"[":
            rows: Any = _json.decode(data)
            numbered = list(enumerate(rows, 1))
        else:
            lines = ((n, line) for n, line in enumerate(data.split(b"\n"), 1) if line.strip())
            numbered = [(n, self._row(n, line)) for n, line in lines]
        for number, row in numbered:
            if not isinstance(row, dict):
                raise IntegrityError(
                    f"not readable as '{self.name}': {number} is no object in braces", code="damaged-file"
                )
        return [row for _, row in numbered]

    def _row(self, number: int, line: bytes) -> object:
        try:
            return json.loads(line)
        except (ValueError, RecursionError) as exc:
            raise IntegrityError(
                f"not readable as '{self.name}': line {number}: {exc}", code="damaged-file"
            ) from exc
