"""Fields of a JSON object, checked one by one, so that the error names the one that is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from registry.errors import IntegrityError, SchemaVersionError, UsageError, nearest

__all__ = ["Fields"]

_REQUIRED = object()


class Fields:
    """One object of a JSON file, its fields taken one by one.

    Parameters
    ----------
    value : object
        What the file holds there.
    where : str
        The file's name, for errors.
    prefix : str
        What goes before the names of its fields, as ``collections.``.

    Raises
    ------
    IntegrityError
        If it is no object.
    """

    def __init__(self, value: Any, where: str, prefix: str) -> None:
        self.where, self.prefix = where, prefix
        if not isinstance(value, Mapping):
            raise self._error(prefix.rstrip(".") or "the whole file", "expected an object")
        self.left = dict(value)
        self.known: list[str] = []

    def _error(self, name: str, problem: str, hint: str = "") -> IntegrityError:
        return IntegrityError(
            f"{self.where}: {name}: {problem}",
            code="bad-state",
            hint=hint or "Correct that field, or restore the file; 'stage edit' changes it safely.",
        )

    def take(self, name: str, check: Callable[[Any], Any], default: Any = _REQUIRED) -> Any:
        """Return the checked value of a field.

        Parameters
        ----------
        name : str
            The field.
        check : callable
            Returns the value that counts, or raises `ValueError` or `registry.errors.UsageError`.
        default : object, optional
            What an absent field means; without it the field must be there.

        Returns
        -------
        object
            What `check` returned.

        Raises
        ------
        IntegrityError
            If it is missing or wrong; names it.
        """
        self.known.append(name)
        value = self.left.pop(name, _REQUIRED)
        if value is _REQUIRED:
            if default is _REQUIRED:
                raise self._error(self.prefix + name, "is missing")
            return default
        try:
            return check(value)
        except SchemaVersionError:
            raise
        except UsageError as exc:
            raise self._error(self.prefix + name, exc.message, exc.hint) from exc
        except ValueError as exc:
            raise self._error(self.prefix + name, str(exc)) from exc

    def refuse_unknown(self) -> None:
        """Refuse a field that nothing took.

        Raises
        ------
        IntegrityError
            If there is one; offers the nearest name.
        """
        for name in self.left:
            raise self._error(self.prefix + name, "no such field", nearest(name, self.known))
