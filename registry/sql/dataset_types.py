"""Statements of the dataset type table, and the making of tag tables."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import sqlalchemy as sa

from registry.errors import ConflictError, NotFoundError, UsageError, nearest
from registry.model.dataset_type import DatasetType
from registry.sql.failures import damaged
from registry.sql.long_lists import InLongList, list_text
from registry.sql.session import Session
from registry.sql.version import make_tables

__all__ = [
    "TypeEntry",
    "all_types",
    "find_type",
    "register_type",
    "type_by_number",
    "types_matching",
    "types_of",
]


class TypeEntry(NamedTuple):
    """A dataset type as the other tables refer to it.

    Parameters
    ----------
    id : int
        Its local number.
    type : DatasetType
        Its definition.
    """

    id: int
    type: DatasetType


def _columns(session: Session) -> sa.Select[Any]:
    t = session.schema["dataset_type"]
    return sa.select(t.c.id, t.c.name, t.c.dimensions, t.c.storage_class, t.c.is_calibration)


def _entry(session: Session, row: tuple[Any, ...]) -> TypeEntry:
    number, name, dimensions, storage_class, is_calibration = row
    try:
        group = session.schema.universe.group(n for n in dimensions.split(",") if n)
        return TypeEntry(number, DatasetType(name, group, storage_class, bool(is_calibration)))
    except UsageError as exc:
        raise damaged(session.place, f"dataset type '{name}': {exc}") from exc


def all_types(session: Session) -> list[TypeEntry]:
    """Return every dataset type.

    Parameters
    ----------
    session : Session
        Where.

    Returns
    -------
    list of TypeEntry
        Sorted by name.
    """
    t = session.schema["dataset_type"]
    rows = session.lookup("dataset-types", lambda: _columns(session).order_by(t.c.name))
    return [_entry(session, row) for row in rows]


def type_by_number(session: Session, number: int) -> TypeEntry:
    """Return the dataset type of a local number.

    Parameters
    ----------
    session : Session
        Where.
    number : int
        As other tables hold it.

    Returns
    -------
    TypeEntry
        It.
    """
    t = session.schema["dataset_type"]
    rows = session.lookup(
        "dataset-type-by-id", lambda: _columns(session).where(t.c.id == sa.bindparam("number")), number=number
    )
    return _entry(session, rows[0])


def lookup_type(session: Session, name: str) -> TypeEntry | None:
    """Look a dataset type up by name.

    Parameters
    ----------
    session : Session
        Where.
    name : str
        Its name.

    Returns
    -------
    TypeEntry or None
        None if there is none.
    """
    t = session.schema["dataset_type"]
    rows = session.lookup(
        "dataset-type-by-name", lambda: _columns(session).where(t.c.name == sa.bindparam("name")), name=name
    )
    return _entry(session, rows[0]) if rows else None


def find_type(session: Session, name: str) -> TypeEntry:
    """Return a dataset type that must be there.

    Parameters
    ----------
    session : Session
        Where.
    name : str
        Its name.

    Returns
    -------
    TypeEntry
        It.

    Raises
    ------
    NotFoundError
        If there is none; offers the nearest name.
    """
    found = lookup_type(session, name)
    if found is None:
        raise NotFoundError(
            f"no dataset type '{name}' in {session.place}", code="no-such-dataset-type",
            hint=_known_types(session, name),
        )  # fmt: skip
    return found


def _known_types(session: Session, name: str) -> str:
    known = [e.type.name for e in all_types(session)]
    return nearest(name, known) if known else (
        "It has no dataset types yet: 'stage repo register-dataset-type', 'stage repo import' and 'stage repo ingest' "
        "bring some."
    )  # fmt: skip


def types_of(session: Session, names: Sequence[str]) -> dict[str, TypeEntry]:
    """Look dataset types up by name.

    Parameters
    ----------
    session : Session
        Where.
    names : sequence of str
        Their names.

    Returns
    -------
    dict of str to TypeEntry
        Those that there are. One statement.
    """
    t = session.schema["dataset_type"]
    rows = session.lookup(
        "dataset-types-by-name",
        lambda: _columns(session).where(InLongList(t.c.name, sa.bindparam("names", type_=sa.Text()))),
        names=list_text(names),
    )
    return {e.type.name: e for e in (_entry(session, row) for row in rows)}


def types_matching(session: Session, glob: str | Sequence[str]) -> list[TypeEntry]:
    """Return the dataset types whose names match.

    Parameters
    ----------
    session : Session
        Where.
    glob : str or sequence of str
        Patterns with ``*``, ``?``, ``[…]``.

    Returns
    -------
    list of TypeEntry
        Sorted by name, each once.
    """
    globs = [glob] if isinstance(glob, str) else glob
    return [e for e in all_types(session) if any(fnmatchcase(e.type.name, g) for g in globs)]


def register_type(session: Session, new: DatasetType) -> bool:
    """Define a dataset type, and the tables of its dimensions, unless it is there.

    Parameters
    ----------
    session : Session
        In a write transaction.
    new : DatasetType
        The definition.

    Returns
    -------
    bool
        True if it is new.

    Raises
    ------
    ConflictError
        If it is defined otherwise.
    DataIdError
        If this universe lacks one of its dimensions.
    """
    group = session.schema.universe.group(new.dimensions.required)
    found = lookup_type(session, new.name)
    if found is not None:
        differences = new.differences(found.type)
        if differences:
            raise ConflictError(
                f"dataset type '{new.name}' is defined otherwise in {session.place}: {'; '.join(differences)}",
                code="dataset-type-differs", hint="Use the definition that is there, or another name.",
            )  # fmt: skip
        return False
    tables = [session.schema.tags(group)]
    if new.is_calibration:
        tables.append(session.schema.calibs(group))
    make_tables(session.database, tables)
    session.execute(
        sa.insert(session.schema["dataset_type"]),
        name=new.name, dimensions=group.key, storage_class=new.storage_class, is_calibration=new.is_calibration,
    )  # fmt: skip
    return True
