"""`Struct`, what `run` returns, and `NoWorkFound`, what it raises when there is nothing to do."""

from __future__ import annotations

from typing import Any

from registry.errors import StageError, nearest

__all__ = ["NoWorkFound", "Struct"]


class NoWorkFound(StageError):  # noqa: N818 - a signal, not a failure; the field's own name for it
    """Raised by a task whose quantum has nothing to do: it ends well, without outputs."""

    default_code = "no-work"


class Struct:
    """Named results.

    Parameters
    ----------
    **fields
        One keyword a result; read them as attributes.

    Examples
    --------
    >>> found = Struct(image=[1, 2], n=2)
    >>> found.n
    2
    >>> found
    Struct(image=[1, 2], n=2)
    """

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)

    def as_dict(self) -> dict[str, Any]:
        """Return the results by name.

        Returns
        -------
        dict
            A new one.
        """
        return dict(self.__dict__)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"no result '{name}'. {nearest(name, self.__dict__)}")

    def __contains__(self, name: object) -> bool:
        return name in self.__dict__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Struct) and self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Struct({', '.join(f'{k}={v!r}' for k, v in self.__dict__.items())})"
