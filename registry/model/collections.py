"""Collections: RUN, TAGGED, CHAINED, CALIBRATION; a chain as a search path."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from registry.errors import ConflictError, UsageError

__all__ = ["Collection", "CollectionType", "check_collection_name", "check_no_cycle", "flatten", "walk"]

_NAME = re.compile(r"[A-Za-z0-9_@.+%:-]+(/[A-Za-z0-9_@.+%:-]+)*\Z")


class CollectionType(IntEnum):
    """What a collection is; the numbers are stored."""

    RUN = 1
    TAGGED = 2
    CHAINED = 3
    CALIBRATION = 4


@dataclass(frozen=True, slots=True)
class Collection:
    """A named set of datasets.

    Parameters
    ----------
    name : str
        Its name.
    type : CollectionType
        What it is.
    doc : str
        What it is for.
    children : tuple of str
        The search path of a CHAINED collection; empty for others.
    """

    name: str
    type: CollectionType
    doc: str = ""
    children: tuple[str, ...] = ()


def check_collection_name(name: str) -> str:
    """Return `name` if it can name a collection.

    Parameters
    ----------
    name : str
        Words of letters, digits and ``_@.+%:-``, joined by ``/``.

    Returns
    -------
    str
        The same.

    Raises
    ------
    UsageError
        If it cannot: it also becomes part of file paths, so ``..`` and the like are refused.
    """
    if not _NAME.match(name) or len(name) > 255 or any(set(part) == {"."} for part in name.split("/")):
        raise UsageError(
            f"'{name}' is not a collection name",
            code="bad-name",
            hint="Use letters, digits and _@.+%:- in words joined by '/', none of them only dots.",
        )
    return name


def walk(names: Iterable[str], children: Mapping[str, Sequence[str]]) -> list[str]:
    """List names and what chains among them lead to, depth-first, each once, at its first place.

    Parameters
    ----------
    names : iterable of str
        Where to start.
    children : mapping
        Chain name to its children; a name that is not there is no chain.

    Returns
    -------
    list of str
        Each chain before what it searches.
    """
    seen: dict[str, None] = {}
    todo = list(names)[::-1]
    while todo:
        name = todo.pop()
        if name not in seen:
            seen[name] = None
            todo += reversed(children.get(name, ()))
    return list(seen)


def flatten(names: Iterable[str], children: Mapping[str, Sequence[str]]) -> list[str]:
    """Expand chains depth-first, each collection once, at its first place.

    Parameters
    ----------
    names : iterable of str
        Where to start.
    children : mapping
        Chain name to its children; a name that is not there is no chain.

    Returns
    -------
    list of str
        Names that are no chains, in search order.
    """
    return [name for name in walk(names, children) if name not in children]


def check_no_cycle(chain: str, new_children: Sequence[str], children: Mapping[str, Sequence[str]]) -> None:
    """Refuse children that would make a chain contain itself.

    Parameters
    ----------
    chain : str
        The chain to be defined.
    new_children : sequence of str
        Its children to be.
    children : mapping
        All other chains as they are.

    Raises
    ------
    ConflictError
        If `chain` can be reached from one of them.
    """
    todo, seen = list(new_children), set[str]()
    while todo:
        name = todo.pop()
        if name == chain:
            raise ConflictError(
                f"chain '{chain}' would contain itself",
                code="chain-cycle",
                hint="Leave out the child that leads back to it.",
            )
        if name not in seen:
            seen.add(name)
            todo += children.get(name, ())
