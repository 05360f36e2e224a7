"""Questions to the dataset and tag tables: one dataset, datasets by id, counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from registry.errors import NotFoundError
from registry.model.collections import CollectionType
from registry.model.columns import Columns
from registry.model.data_id import DataId
from registry.model.records import Artifact
from registry.model.refs import DatasetRef, id_text
from registry.sql.collections import Entry, names_of, search
from registry.sql.dataset_types import TypeEntry, all_types, type_by_number
from registry.sql.fixed_tables import IdType
from registry.sql.members import ARTIFACT_COLUMNS, exists_query, member_query, path_of
from registry.sql.provenance import with_run_names
from registry.sql.session import Session

__all__ = [
    "ARTIFACT_COLUMNS", "artifact", "count_datasets", "dataset", "datasets_by_id", "existing_ids", "exists_query",
    "find", "member_query", "recorded_uris", "with_run_names",
]  # fmt: skip

_FIND_AT_ONCE = 200


def find(session: Session, found: TypeEntry, data_id: DataId, entries: Sequence[Entry]) -> DatasetRef | None:
    """Return the first dataset of a data ID in a search path.

    Parameters
    ----------
    session : Session
        Where.
    found : TypeEntry
        The dataset type.
    data_id : DataId
        Its data ID.
    entries : sequence of Entry
        The path; CALIBRATION collections in it hold nothing here.

    Returns
    -------
    DatasetRef or None
        None if there is none.
    """
    path = [e for e in entries if e.type is not CollectionType.CALIBRATION]
    t = session.schema.tags(found.type.dimensions)
    values = {f"value_{n}": data_id[n] for n in found.type.dimensions.required}
    for start in range(0, len(path), _FIND_AT_ONCE):
        part = path[start : start + _FIND_AT_ONCE]

        def make(n: int = len(part)) -> sa.Select[Any]:
            return sa.select(t.c.collection_id, t.c.dataset_id).where(
                t.c.collection_id.in_([sa.bindparam(f"collection_{i}", type_=sa.Integer) for i in range(n)]),
                t.c.dataset_type_id == sa.bindparam("type"),
                *(t.c[n] == sa.bindparam(f"value_{n}") for n in found.type.dimensions.required),
            )

        collections = {f"collection_{i}": e.id for i, e in enumerate(part)}
        rows = dict(session.lookup(("find", t.name, len(part)), make, type=found.id, **collections, **values))
        for entry in part:
            if entry.id in rows:
                run = entry.name if entry.type is CollectionType.RUN else _run_of(session, rows[entry.id])
                return DatasetRef(rows[entry.id], found.type, data_id, run)
    return None


def _row_of(session: Session, dataset_id: bytes) -> tuple[int, int] | None:
    d = session.schema["dataset"]
    rows = session.lookup(
        "dataset", lambda: sa.select(d.c.dataset_type_id, d.c.run_id).where(d.c.id == sa.bindparam("id", type_=IdType)),
        id=dataset_id,
    )  # fmt: skip
    return (rows[0][0], rows[0][1]) if rows else None


def _run_of(session: Session, dataset_id: bytes) -> str:
    row = _row_of(session, dataset_id)
    return "" if row is None else names_of(session, [row[1]])[row[1]]


def dataset(session: Session, dataset_id: bytes) -> DatasetRef:
    """Return the dataset of an id.

    Parameters
    ----------
    session : Session
        Where.
    dataset_id : bytes
        16 bytes.

    Returns
    -------
    DatasetRef
        It.

    Raises
    ------
    NotFoundError
        If there is none.
    """
    row = _row_of(session, dataset_id)
    if row is None:
        raise NotFoundError(f"no dataset {id_text(dataset_id)} in {session.place}", code="no-such-dataset")
    found, run_id = type_by_number(session, row[0]), row[1]
    group = found.type.dimensions
    t = session.schema.tags(group)
    values: tuple[Any, ...] = ()
    if group.required:
        values = session.lookup(
            ("dataset", t.name),
            lambda: sa.select(*(t.c[n] for n in group.required)).where(
                t.c.dataset_id == sa.bindparam("id", type_=IdType), t.c.collection_id == sa.bindparam("run_id")
            ),
            id=dataset_id, run_id=run_id,
        )[0]  # fmt: skip
    return DatasetRef(dataset_id, found.type, DataId(group, values), names_of(session, [run_id])[run_id])


def artifact(session: Session, dataset_id: bytes) -> Artifact | None:
    """Return the artifact record of a dataset.

    Parameters
    ----------
    session : Session
        Where.
    dataset_id : bytes
        16 bytes.

    Returns
    -------
    Artifact or None
        None if there is none.
    """
    a = session.schema["artifact"]
    rows = session.lookup(
        "artifact",
        lambda: sa.select(*(a.c[n] for n in ARTIFACT_COLUMNS)).where(
            a.c.id == sa.bindparam("id", type_=IdType)
        ),
        id=dataset_id,
    )
    return Artifact(*rows[0]) if rows else None


def existing_ids(session: Session, ids: Sequence[bytes]) -> set[bytes]:
    """Return those ids that are datasets.

    Parameters
    ----------
    session : Session
        Where.
    ids : sequence of bytes
        16 bytes each.

    Returns
    -------
    set of bytes
        A part of `ids`.
    """
    d = session.schema["dataset"]
    wanted = sorted(set(ids))

    def any_between() -> sa.Select[Any]:
        low, high = (sa.bindparam(name, type_=IdType()) for name in ("low", "high"))
        return sa.select(sa.literal_column("1")).where(
            sa.exists(sa.select(d.c.id).where(d.c.id.between(low, high)))
        )

    # Ids begin with the time at which they were made: of what is new none is there, and few are from between its first
    # and its last. A new registry, which is filled by asking first what of very much it has, has none at all.
    if not wanted or not session.lookup("any-dataset-between", any_between, low=wanted[0], high=wanted[-1]):
        return set()
    with session.stash(Columns({"id": wanted}), {"id": IdType()}, key=["id"]) as stash:
        here = stash.join(d, d.c.id == stash.c.id)
        # Mostly all are there: to be told so costs a fraction of being told which.
        count = session.answer(
            "count-existing", lambda: sa.select(sa.func.count().label("n")).select_from(here), [stash]
        )
        if count["n"].tolist() == [len(wanted)]:
            return set(wanted)
        found = session.answer("existing", lambda: sa.select(stash.c.id).select_from(here), [stash])
        return set(found["id"].tolist())


def recorded_uris(session: Session, uris: Sequence[str]) -> set[str]:
    """Return those URIs that artifact records name.

    Parameters
    ----------
    session : Session
        Where.
    uris : sequence of str
        As they are recorded.

    Returns
    -------
    set of str
        A part of `uris`.
    """
    a = session.schema["artifact"]
    rows = Columns({"uri": list(dict.fromkeys(uris))})
    with session.stash(rows, {"uri": a.c.uri.type}, key=["uri"]) as stash:
        named = sa.select(a.c.uri).where(a.c.uri.in_(sa.select(stash.c.uri)))
        return set(session.fetch(named)["uri"].tolist())


def datasets_by_id(session: Session, ids: Sequence[bytes], *, artifacts: bool) -> dict[str, Columns]:
    """Return datasets by their ids.

    Parameters
    ----------
    session : Session
        Where.
    ids : sequence of bytes
        16 bytes each; unknown ones are left out, repeated ones count once.
    artifacts : bool
        Whether to return artifact columns too.

    Returns
    -------
    dict of str to Columns
        By dataset type name; ordered by id. Two statements, and one a dataset type.
    """
    d, wanted = session.schema["dataset"], Columns({"id": sorted(set(ids))})
    if not wanted.n_rows:
        return {}
    out = {}
    with session.stash(wanted, {"id": IdType()}, key=["id"]) as stash:
        here, kind = stash.join(d, d.c.id == stash.c.id), d.c.dataset_type_id

        def count() -> sa.Select[Any]:
            return sa.select(kind, sa.func.count().label("n")).select_from(here).group_by(kind)

        numbers = dict(session.answer("types-of-ids", count, [stash]).rows())
        types = {found.id: found for found in all_types(session) if found.id in numbers}
        if not types:
            return {}
        # What most of them are is read by the ids as they are here: to hand these over again costs as much as to read.
        most = max(types, key=numbers.__getitem__)
        out[types[most].type.name] = _of_type(session, types[most], stash, artifacts=artifacts)
        if len(types) > 1:
            others = session.answer(
                "ids-of-other-types",
                lambda: sa.select(stash.c.id, kind).select_from(here).where(kind != sa.bindparam("most")),
                [stash],
                most=most,
            )
    for number, found in types.items():
        if number != most:
            chosen = others.take(others["dataset_type_id"] == number).select(["id"])
            with session.stash(chosen, {"id": IdType()}, key=["id"]) as stash:
                out[found.type.name] = _of_type(session, found, stash, artifacts=artifacts)
    return {found.type.name: out[found.type.name] for found in types.values()}


def _of_type(session: Session, found: TypeEntry, stash: sa.FromClause, *, artifacts: bool) -> Columns:
    """Return the datasets of one type among those whose ids were handed over."""
    group = found.type.dimensions
    d, t, a = session.schema["dataset"], session.schema.tags(group), session.schema["artifact"]
    names = [*group.required, "id", "run", *(ARTIFACT_COLUMNS if artifacts else ())]

    def make() -> sa.Select[Any]:
        kind = sa.bindparam("kind", type_=sa.Integer)
        source = stash.join(d, sa.and_(d.c.id == stash.c.id, d.c.dataset_type_id == kind))
        same = (t.c.dataset_id == stash.c.id, t.c.collection_id == d.c.run_id, t.c.dataset_type_id == kind)
        source = source.join(t, sa.and_(*same))
        columns = [*(t.c[n] for n in group.required), stash.c.id, d.c.run_id]
        if artifacts:
            source = source.outerjoin(a, a.c.id == stash.c.id)
            columns += [a.c[n] for n in ARTIFACT_COLUMNS]
        return sa.select(*columns).select_from(source).order_by(stash.c.id)

    rows = session.answer(("by-id", t.name, artifacts), make, [stash], kind=found.id)
    return with_run_names(session, rows, names)


def count_datasets(session: Session, collections: Sequence[str] | None) -> Columns:
    """Count the datasets of each type in each collection.

    Parameters
    ----------
    session : Session
        Where.
    collections : sequence of str or None
        Chains are searched; None for every RUN.

    Returns
    -------
    Columns
        ``dataset_type``, ``run`` (the collection's name), ``n``; ordered by both names.
    """
    entries = search(session, ["*"] if collections is None else collections)
    if collections is None:
        entries = [e for e in entries if e.type is CollectionType.RUN]
    types = {e.id: e.type for e in all_types(session)}
    names = {e.id: e.name for e in entries}
    rows: list[tuple[str, str, int]] = []
    with path_of(session, entries) as path:
        for group in dict.fromkeys(t.dimensions for t in types.values()):
            t = session.schema.tags(group)
            found = session.fetch(
                sa.select(t.c.dataset_type_id, t.c.collection_id, sa.func.count().label("n"))
                .where(t.c.collection_id.in_(sa.select(path.c.collection_id)))
                .group_by(t.c.collection_id, t.c.dataset_type_id)
            )
            rows += [(types[k].name, names[c], n) for k, c, n in found.rows()]
    return Columns.from_rows(("dataset_type", "run", "n"), sorted(rows))
