"""The error tree: classes by what the caller does next, codes by what happened.

::

    StageError                  code, message, hint, context; picklable
    ├─ UsageError (ValueError)      fix the call
    │  ├─ DataIdError
    │  ├─ QueryError                .expression, .position
    │  └─ PipelineError
    ├─ NotFoundError (LookupError)  name something that exists
    ├─ AlreadyExistsError
    ├─ ConflictError                both sides changed: .conflicts
    ├─ BusyError                    wait and retry: .holder, .waited_s
    ├─ StorageError                 the environment: .transient
    │  └─ TransferError             .result
    ├─ IntegrityError               stored bytes or rows are not what was recorded
    ├─ SchemaVersionError           .found, .supported
    ├─ ExecutionError               what failed while running
    │  ├─ QuantumFailed
    │  └─ UpstreamFailed            .root names the first cause
    └─ InternalError                our bug

`sync.errors` and `stage.errors` hold their families' members.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = [
    "AlreadyExistsError",
    "BusyError",
    "ConflictError",
    "DataIdError",
    "IntegrityError",
    "InternalError",
    "NotFoundError",
    "PipelineError",
    "QueryError",
    "SchemaVersionError",
    "StageError",
    "StorageError",
    "UsageError",
    "nearest",
]


_LONGEST_MESSAGE = 300
_AROUND = 200


class StageError(Exception):
    """Anything that this project tells a person has gone wrong.

    Parameters
    ----------
    message : str
        What happened, to which thing.
    code : str, optional
        Stable kebab-case name of the fact, for programs; append-only.
    hint : str, optional
        One next step.
    context : mapping, optional
        Values a program may want; must be picklable.
    """

    default_code = "error"

    def __init__(
        self,
        message: str = "",
        *,
        code: str | None = None,
        hint: str = "",
        context: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.hint = hint
        self.context = dict(context or {})

    def __str__(self) -> str:
        return self.message


class UsageError(StageError, ValueError):
    """The call has to be changed."""

    default_code = "usage"


class DataIdError(UsageError):
    """A data ID lacks a key, has an unknown one, or a value of the wrong type."""

    default_code = "data-id"


class QueryError(UsageError):
    """An expression cannot be understood.

    Parameters
    ----------
    message : str
        What is wrong with it.
    expression : str, optional
        The whole text.
    position : int, optional
        Offset of the offending character in `expression`.
    **kwargs
        As for `StageError`.
    """

    default_code = "query"

    def __init__(
        self, message: str = "", *, expression: str = "", position: int | None = None, **kwargs: Any
    ) -> None:
        longest = _LONGEST_MESSAGE
        super().__init__(message if len(message) <= longest else f"{message[:longest]}…", **kwargs)
        self.expression = expression
        self.position = position

    def __str__(self) -> str:
        if self.position is None or not self.expression:
            return self.message
        start = self.expression.rfind("\n", 0, self.position) + 1
        line, caret = self.expression[start:].split("\n", 1)[0], self.position - start
        # Of a very long line only the surroundings of the place are shown.
        first, last = max(0, caret - _AROUND), caret + _AROUND
        before, after = "…" * (first > 0), "…" * (last < len(line))
        return (
            f"{self.message}\n  {before}{line[first:last]}{after}\n  {' ' * (len(before) + caret - first)}^"
        )


class PipelineError(UsageError):
    """A pipeline or one of its tasks is not well formed."""

    default_code = "pipeline"


class NotFoundError(StageError, LookupError):
    """Something that was named does not exist."""

    default_code = "not-found"


class AlreadyExistsError(StageError):
    """Something of that name is there already."""

    default_code = "already-exists"


class ConflictError(StageError):
    """Two sides disagree; nothing was written.

    Parameters
    ----------
    message : str
        What disagrees, with both values.
    conflicts : sequence, optional
        All the conflicts found, as `sync.plan.Conflict` values.
    **kwargs
        As for `StageError`.
    """

    default_code = "conflict"

    def __init__(self, message: str = "", *, conflicts: Sequence[Any] = (), **kwargs: Any) -> None:
        super().__init__(message, **kwargs)
        self.conflicts = tuple(conflicts)


class BusyError(StageError):
    """Somebody else holds it; wait and try again.

    Parameters
    ----------
    message : str
        What is held.
    holder : str, optional
        Who holds it, where that is known.
    waited_s : float, optional
        Seconds that were waited.
    **kwargs
        As for `StageError`.
    """

    default_code = "busy"

    def __init__(self, message: str = "", *, holder: str = "", waited_s: float = 0.0, **kwargs: Any) -> None:
        super().__init__(message, **kwargs)
        self.holder = holder
        self.waited_s = waited_s


class StorageError(StageError):
    """The environment failed: a disk, a store, a connection.

    Parameters
    ----------
    message : str
        What failed, where.
    transient : bool, optional
        Whether the same call may succeed later.
    **kwargs
        As for `StageError`.
    """

    default_code = "storage"

    def __init__(self, message: str = "", *, transient: bool = False, **kwargs: Any) -> None:
        super().__init__(message, **kwargs)
        self.transient = transient


class IntegrityError(StageError):
    """Stored bytes or rows are not what was recorded."""

    default_code = "integrity"


class SchemaVersionError(StageError):
    """The thing was written by a version that this code does not read.

    Parameters
    ----------
    message : str
        Which thing.
    found : str, optional
        Its version.
    supported : str, optional
        The versions this code reads.
    **kwargs
        As for `StageError`.
    """

    default_code = "schema-version"

    def __init__(self, message: str = "", *, found: str = "", supported: str = "", **kwargs: Any) -> None:
        super().__init__(message, **kwargs)
        self.found = found
        self.supported = supported


class InternalError(StageError):
    """Our own bug: please report it."""

    default_code = "internal"


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint that offers the known name most like `name`.

    Parameters
    ----------
    name : str
        What was asked for.
    known : iterable of str
        What there is.

    Returns
    -------
    str
        ``"Did you mean 'x'?"``, or the list of what there is when nothing is near.
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"Did you mean '{close[0]}'?"
    if not names:
        return "There are none."
    shown = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
    return f"There are: {shown}."
