"""What a datastore of a campaign says of itself to those who have no database: workers, and jobs on other machines.

A small file in its root, written before the first file that needs it. Where there is none, inputs are read where the
graph says.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from registry.errors import IntegrityError, NotFoundError
from sync.filesystem import files

__all__ = ["BINDING", "Binding", "bind", "read_binding"]

BINDING = ".stage-inputs.json"
"""Name of the file in the datastore's root."""


@dataclass(frozen=True)
class Binding:
    """What a datastore says of itself.

    Parameters
    ----------
    upstream : str
        Root of upstream's datastore; empty if nothing was fetched or dropped.
    is_local : bool
        Whether files of upstream's were given names here.
    is_dropped : bool
        Whether files of its own went since upstream has them.
    cache : str
        Size of the cache for remote inputs, as it was asked for; empty for the default.
    """

    upstream: str = ""
    is_local: bool = False
    is_dropped: bool = False
    cache: str = ""


def read_binding(root: str) -> Binding:
    """Read what a datastore says of itself.

    Parameters
    ----------
    root : str
        Its root.

    Returns
    -------
    Binding
        The default where it says nothing.

    Raises
    ------
    IntegrityError
        If nobody can read what it says.
    """
    place = files.join(root, BINDING)
    try:
        document: Any = json.loads(files.read_bytes(place))
        return Binding(**document)
    except NotFoundError:
        return Binding()
    except (ValueError, TypeError) as exc:
        raise IntegrityError(
            f"{files.redact(place)} cannot be understood: {exc}",
            code="bad-binding",
            hint="Remove it and give 'stage fetch' again, which writes it.",
        ) from exc


def bind(root: str, **changes: Any) -> Binding:
    """Change what a datastore says of itself; durable when this returns.

    Parameters
    ----------
    root : str
        Its root; made if need be.
    **changes
        Fields of `Binding`.

    Returns
    -------
    Binding
        What it says now.

    Raises
    ------
    StorageError
        If it cannot be written; then it says what it said.
    """
    before = read_binding(root)
    now = replace(before, **changes)
    if now != before:
        text = json.dumps(asdict(now), sort_keys=True)
        files.write_bytes(files.join(root, BINDING), f"{text}\n".encode(), durable=True)
    return now
