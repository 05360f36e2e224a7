"""Statements that put datasets into TAGGED collections and take them out."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator, Sequence

import sqlalchemy as sa

from registry.errors import ConflictError, NotFoundError
from registry.model.collections import CollectionType
from registry.model.columns import Columns
from registry.model.dimensions import DimensionGroup
from registry.model.refs import id_text
from registry.sql.collections import Entry, existing_of
from registry.sql.dataset_types import TypeEntry, all_types
from registry.sql.fixed_tables import IdType
from registry.sql.keys import check_ids, key_text
from registry.sql.loading import insert_from
from registry.sql.session import ORDINAL, Session

__all__ = ["associate", "disassociate", "own_rows", "types_of"]


def types_of(session: Session, stash: sa.FromClause) -> list[TypeEntry]:
    """Return the dataset types of datasets that were handed over.

    Parameters
    ----------
    session : Session
        Where.
    stash : sqlalchemy.FromClause
        With ``id``; numbered.

    Returns
    -------
    list of TypeEntry
        Sorted by name.

    Raises
    ------
    NotFoundError
        If an id is no dataset; names the first.
    """
    d = session.schema["dataset"]
    source = stash.outerjoin(d, d.c.id == stash.c.id)
    lost = session.fetch(
        sa.select(stash.c[ORDINAL], stash.c.id)
        .select_from(source)
        .where(d.c.id.is_(None))
        .order_by(stash.c[ORDINAL])
        .limit(1)
    )
    if lost.n_rows:
        ordinal, dataset_id = lost.rows()[0]
        raise NotFoundError(
            f"no dataset {id_text(dataset_id)} in {session.place} (row {ordinal})", code="no-such-dataset"
        )
    kinds = set(
        session.fetch(sa.select(d.c.dataset_type_id).select_from(source).distinct())["dataset_type_id"]
    )
    return [e for e in all_types(session) if e.id in kinds]


def own_rows(
    session: Session, group: DimensionGroup, stash: sa.FromClause, *extra: str
) -> sa.Select[tuple[object]]:
    """Select the data IDs of datasets that were handed over, as their runs have them.

    Parameters
    ----------
    session : Session
        Where.
    group : DimensionGroup
        The dimensions of their types; datasets of others are left out.
    stash : sqlalchemy.FromClause
        With ``id``; numbered.
    *extra : str
        More columns of it.

    Returns
    -------
    sqlalchemy.Select
        `ORDINAL`, ``dataset_type_id``, the required dimensions, ``dataset_id`` and `extra`.
    """
    d, t = session.schema["dataset"], session.schema.tags(group)
    owner = sa.and_(
        t.c.dataset_id == stash.c.id,
        t.c.collection_id == d.c.run_id,
        t.c.dataset_type_id == d.c.dataset_type_id,
    )
    return sa.select(
        stash.c[ORDINAL], t.c.dataset_type_id, *(t.c[n] for n in group.required), t.c.dataset_id,
        *(stash.c[n] for n in extra),
    ).select_from(stash.join(d, d.c.id == stash.c.id).join(t, owner))  # fmt: skip


@contextlib.contextmanager
def _handed(session: Session, ids: Sequence[bytes]) -> Iterator[sa.FromClause]:
    rows = Columns({"id": list(dict.fromkeys(ids))})
    check_ids(rows)
    with session.stash(rows, {"id": IdType()}, numbered=True) as stash:
        yield stash


def associate(session: Session, name: str, ids: Sequence[bytes], *, replace: bool) -> None:
    """Put datasets into a TAGGED collection: all of them, or on an error none.

    Parameters
    ----------
    session : Session
        In a write transaction.
    name : str
        The collection.
    ids : sequence of bytes
        16 bytes each; those that it holds already stay.
    replace : bool
        Whether one takes the place of another dataset of the same type and data ID.

    Raises
    ------
    NotFoundError
        If there is no such collection or dataset.
    ConflictError
        If the collection is not TAGGED, holds another dataset of the same type and data ID and may not be changed
        (code ``tag-taken``), or two of those given have the same (``tag-twice``).

    Notes
    -----
    Four statements for each set of dimensions that the datasets' types have.
    """
    into = _to_fill(session, name)
    with _handed(session, ids) as stash:
        types = types_of(session, stash)
        # Groups without an order have one nevertheless: the first error has to be the same each time.
        with session.savepoint():
            for group in dict.fromkeys(e.type.dimensions for e in types):
                _refuse_twice(session, types, group, stash, into)
                if not replace:
                    _refuse_taken(session, types, group, stash, into)
                given = own_rows(session, group, stash).subquery("given")
                names = ["dataset_type_id", *group.required, "dataset_id"]
                chosen = sa.select(sa.literal(into.id), *(given.c[n] for n in names)).where(sa.true())
                insert_from(
                    session, session.schema.tags(group), ["collection_id", *names], chosen,
                    "replace" if replace else "skip",
                )  # fmt: skip


def _to_fill(session: Session, name: str) -> Entry:
    """Return the TAGGED collection; where there is none, say how it is made."""
    try:
        return existing_of(session, name, CollectionType.TAGGED)
    except NotFoundError as error:
        way = f"Make it first: 'stage repo register-collection REPO {shlex.quote(name)} --type TAGGED'."
        raise NotFoundError(error.message, code=error.code, hint=f"{error.hint} {way}") from None


def _refuse_twice(
    session: Session, types: Sequence[TypeEntry], group: DimensionGroup, stash: sa.FromClause, into: Entry
) -> None:
    """Name the first data ID that two of the datasets given have, from different runs."""
    given = own_rows(session, group, stash).subquery("given")
    key = ["dataset_type_id", *group.required]
    # Ids are given once each, so what has a key twice has it under two ids.
    ends = [sa.func.min(given.c[ORDINAL]).label("one"), sa.func.max(given.c[ORDINAL]).label("other")]
    found = session.fetch(
        sa.select(*ends, *(given.c[n] for n in key))
        .group_by(*(given.c[n] for n in key))
        .having(sa.func.count() > 1)
        .order_by(ends[0])
        .limit(1)
    )
    if found.n_rows:
        one, other, kind, *values = found.rows()[0]
        first, second = _ids_at(session, stash, (one, other))
        raise ConflictError(
            f"two {_name(types, kind)} {key_text(group.required, values)} cannot both be in '{into.name}': "
            f"{id_text(first)} and {id_text(second)}",
            code="tag-twice", hint="Give one of them.", context={"ids": (first, second)},
        )  # fmt: skip


def _ids_at(session: Session, stash: sa.FromClause, ordinals: tuple[int, int]) -> list[bytes]:
    chosen = sa.select(stash.c.id).where(stash.c[ORDINAL].in_(ordinals)).order_by(stash.c[ORDINAL])
    return session.fetch(chosen)["id"].tolist()  # type: ignore[no-any-return]


def _refuse_taken(
    session: Session, types: Sequence[TypeEntry], group: DimensionGroup, stash: sa.FromClause, into: Entry
) -> None:
    """Name the first data ID that the collection has under another id."""
    given, t = own_rows(session, group, stash).subquery("given"), session.schema.tags(group).alias("there")
    same = [t.c[n] == given.c[n] for n in ("dataset_type_id", *group.required)]
    found = session.fetch(
        sa.select(
            given.c.dataset_type_id, *(given.c[n] for n in group.required),
            given.c.dataset_id.label("ours"), t.c.dataset_id.label("theirs"),
        )
        .select_from(given.join(t, sa.and_(t.c.collection_id == into.id, *same)))
        .where(t.c.dataset_id != given.c.dataset_id)
        .order_by(given.c[ORDINAL])
        .limit(1)
    )  # fmt: skip
    if found.n_rows:
        kind, *values, ours, theirs = found.rows()[0]
        raise ConflictError(
            f"collection '{into.name}' has another {_name(types, kind)} {key_text(group.required, values)}: "
            f"given {id_text(ours)}, there {id_text(theirs)}",
            code="tag-taken", hint="Say that it may be replaced, or take it out first.",
            context={"data_id": dict(zip(group.required, values, strict=True)), "ours": ours, "theirs": theirs},
        )  # fmt: skip


def _name(types: Sequence[TypeEntry], number: int) -> str:
    return next(e.type.name for e in types if e.id == number)


def disassociate(session: Session, name: str, ids: Sequence[bytes]) -> int:
    """Take datasets out of a TAGGED collection.

    Parameters
    ----------
    session : Session
        In a write transaction.
    name : str
        The collection.
    ids : sequence of bytes
        16 bytes each; those that it does not hold are ignored.

    Returns
    -------
    int
        How many it held.

    Raises
    ------
    NotFoundError
        If there is no such collection.
    ConflictError
        If it is not TAGGED.
    """
    out_of = existing_of(session, name, CollectionType.TAGGED)
    n = 0
    with _handed(session, ids) as stash:
        for group in dict.fromkeys(e.type.dimensions for e in all_types(session)):
            t = session.schema.tags(group)
            held = t.c.dataset_id.in_(sa.select(stash.c.id))
            n += session.execute(sa.delete(t).where(t.c.collection_id == out_of.id, held))
    return n
