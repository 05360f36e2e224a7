"""Statements that add datasets, their tags and their artifact records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import sqlalchemy as sa

from registry.errors import ConflictError, DataIdError, UsageError
from registry.model.columns import Columns
from registry.model.records import ARTIFACT
from registry.model.refs import id_text
from registry.sql.collections import Entry, run_entry
from registry.sql.dataset_types import TypeEntry, find_type
from registry.sql.datasets import ARTIFACT_COLUMNS
from registry.sql.diagnose import first_duplicate, first_existing, first_unreferenced
from registry.sql.dimensions import missing_record
from registry.sql.failures import ConstraintViolation
from registry.sql.keys import check_columns, check_ids, check_values, key_text, with_checked_keys
from registry.sql.loading import insert_from
from registry.sql.plain import insert_rows
from registry.sql.session import ORDINAL, Session

__all__ = ["insert_artifacts", "insert_datasets"]

_FEW = 4
"""Most rows that are inserted one by one: to hand rows over in a table of their own costs as much as some ten."""


def insert_datasets(
    session: Session, name: str, run: str, rows: Columns, on_existing: Literal["error", "skip"]
) -> int:
    """Insert datasets of one type into one run: all of them, or on an error none.

    Parameters
    ----------
    session : Session
        In a write transaction.
    name : str
        The dataset type.
    run : str
        The RUN collection.
    rows : Columns
        The required dimensions and ``id``; with ``uri``, ``size``, ``checksum`` and ``formatter`` also artifact
        records, for the rows whose uri is not null.
    on_existing : {"error", "skip"}
        What a dataset that is there with the same id, type, data ID and run does.

    Returns
    -------
    int
        Datasets that were new.

    Raises
    ------
    NotFoundError
        If the dataset type or the run does not exist.
    DataIdError
        If a dimension record is missing, or a value is of another type; names the first.
    ConflictError
        If the run has the data ID under another id, or the id belongs to another dataset; names the first.
    """
    found, into = find_type(session, name), run_entry(session, run)
    required = found.type.dimensions.required
    artifacts = "uri" in rows
    needed = [*required, "id", *(ARTIFACT_COLUMNS if artifacts else ())]
    check_columns(rows, needed, needed, f"'{name}' datasets")
    check_ids(rows)
    rows = with_checked_keys(session.schema.universe, rows, required)
    if not rows.n_rows:
        return 0
    tags, artifact = session.schema.tags(found.type.dimensions), session.schema["artifact"]
    types = {n: tags.c[n].type for n in required} | {"id": session.schema["dataset"].c.id.type}
    if artifacts:
        types |= {n: artifact.c[n].type for n in ARTIFACT_COLUMNS}
    if on_existing == "error" and rows.n_rows <= _FEW and _insert_few(session, found, into, rows, types):
        return rows.n_rows
    with session.stash(rows, types, numbered=True) as stash:
        try:
            with session.savepoint():
                return _insert(session, found, into, stash, n_rows=rows.n_rows, on_existing=on_existing)
        except ConstraintViolation as exc:
            raise _explain(session, found, into, stash, exc) from exc


def _insert_few(
    session: Session, found: TypeEntry, into: Entry, rows: Columns, types: Mapping[str, Any]
) -> bool:
    """Insert few rows by statements of their own; tell whether they were all taken."""
    check_values(rows, types)
    tags, required = session.schema.tags(found.type.dimensions), found.type.dimensions.required
    kind, run = found.id, into.id
    try:
        with session.savepoint():
            for values in zip(*(rows[n].tolist() for n in types), strict=True):
                row = dict(zip(types, values, strict=True))
                new = {"id": row["id"], "dataset_type_id": kind, "run_id": run}
                session.insert_row(session.schema["dataset"], new)
                key = {n: row[n] for n in required}
                new = {"collection_id": run, "dataset_type_id": kind, **key, "dataset_id": row["id"]}
                session.insert_row(tags, new)
                if row.get("uri") is not None:
                    session.insert_row(session.schema["artifact"], {n: row[n] for n in ARTIFACT})
    except ConstraintViolation:
        return False
    return True


def _insert(
    session: Session,
    found: TypeEntry,
    into: Entry,
    stash: sa.FromClause,
    *,
    n_rows: int,
    on_existing: Literal["error", "skip"],
) -> int:
    group = found.type.dimensions
    tags, dataset = session.schema.tags(group), session.schema["dataset"]
    kind, run = (sa.bindparam(name, type_=sa.Integer) for name in ("kind", "run"))
    numbers = {"kind": found.id, "run": into.id}
    chosen = sa.select(stash.c.id, kind, run).where(sa.true())
    names = ["id", "dataset_type_id", "run_id"]
    n_new = insert_from(session, dataset, names, chosen, on_existing, form=("datasets", stash), **numbers)
    names = ["collection_id", "dataset_type_id", *group.required, "dataset_id"]
    chosen = sa.select(run, kind, *(stash.c[n] for n in group.required), stash.c.id).where(sa.true())
    n_tags = insert_from(session, tags, names, chosen, on_existing, form=("datasets", stash), **numbers)
    if min(n_new, n_tags) < n_rows:
        error = _difference(session, found, into, stash)
        if error is not None:
            raise error
    if "uri" in stash.c:
        artifact = session.schema["artifact"]
        chosen = sa.select(*(stash.c[n] for n in ARTIFACT)).where(stash.c.uri.is_not(None))
        insert_from(session, artifact, list(ARTIFACT), chosen, on_existing, form=("datasets", stash))
    return n_new


def _difference(
    session: Session, found: TypeEntry, into: Entry, stash: sa.FromClause
) -> ConflictError | None:
    """Say what was skipped although it is not the same."""
    error = _taken_data_id(session, found, into, stash)
    if error is not None:
        return error
    group = found.type.dimensions
    d, tags = session.schema["dataset"], session.schema.tags(group)
    other = sa.or_(d.c.dataset_type_id != found.id, d.c.run_id != into.id)
    row = first_existing(session, stash, d, ["id"], (), other)
    if row is None and group.required:
        session.index(stash, ["id"])
        elsewhere = sa.or_(*(stash.c[n] != tags.c[n] for n in group.required))
        statement = (
            sa.select(stash.c[ORDINAL], stash.c.id)
            .select_from(
                stash.join(tags, sa.and_(tags.c.dataset_id == stash.c.id, tags.c.collection_id == into.id))
            )
            .where(elsewhere)
            .order_by(stash.c[ORDINAL])
            .limit(1)
        )
        row = next(iter(session.fetch(statement).rows()), None)
    if row is None:
        return None
    return ConflictError(
        f"dataset {id_text(row[1])} is registered in {session.place} as something else than "
        f"{found.type.name} of this data ID in run '{into.name}'",
        code="dataset-differs",
        hint="Ids are never used twice: register it under a new one.",
        context={"id": row[1]},
    )


def _taken_data_id(
    session: Session, found: TypeEntry, into: Entry, stash: sa.FromClause
) -> ConflictError | None:
    """Name the first data ID that the run has under another id."""
    required = found.type.dimensions.required
    tags = session.schema.tags(found.type.dimensions)
    here = [
        tags.c.collection_id == into.id,
        tags.c.dataset_type_id == found.id,
        tags.c.dataset_id != stash.c.id,
    ]
    row = first_existing(session, stash, tags, required, (stash.c.id, tags.c.dataset_id), *here)
    if row is None:
        return None
    (_, *values, ours, theirs) = row
    return ConflictError(
        f"run '{into.name}' of {session.place} has another {found.type.name} {key_text(required, values)}: "
        f"given {id_text(ours)}, there {id_text(theirs)}",
        code="dataset-exists",
        hint="Put it into another run.",
        context={"data_id": dict(zip(required, values, strict=True)), "ours": ours, "theirs": theirs},
    )


def _explain(
    session: Session, found: TypeEntry, into: Entry, stash: sa.FromClause, exc: ConstraintViolation
) -> Exception:
    required = found.type.dimensions.required
    if exc.kind == "reference":
        missing = first_unreferenced(session, stash, session.schema.tags(found.type.dimensions))
        if missing is not None:
            return missing_record(missing, f"a '{found.type.name}' dataset")
    if exc.kind == "null":
        return UsageError(f"rows of '{found.type.name}' datasets: {exc.detail}", code="bad-row")
    error = _taken_data_id(session, found, into, stash)
    if error is not None:
        return error
    taken = first_existing(session, stash, session.schema["dataset"], ["id"])
    if taken is not None:
        return ConflictError(
            f"dataset {id_text(taken[1])} is registered in {session.place} already",
            code="dataset-id-exists", hint="Leave it out, or ask for it to be skipped.", context={"id": taken[1]},
        )  # fmt: skip
    for key in (["id"], required):
        twice = first_duplicate(session, stash, key)
        if twice is not None:
            shown = id_text(twice[2]) if key == ["id"] else key_text(required, twice[2:])
            return ConflictError(
                f"{found.type.name} {shown} is given twice (rows {twice[0]} and {twice[1]})",
                code="dataset-twice", context={"rows": twice[:2]},
            )  # fmt: skip
    return DataIdError(f"'{found.type.name}' datasets were refused: {exc.detail}", code="bad-dataset")


def insert_artifacts(session: Session, rows: Columns) -> None:
    """Record where the bytes of datasets are, in place of what was recorded.

    Parameters
    ----------
    session : Session
        In a write transaction.
    rows : Columns
        `registry.model.records.ARTIFACT`.

    Raises
    ------
    NotFoundError
        If an id is no dataset.
    """
    check_columns(rows, ARTIFACT, ARTIFACT, "artifacts")
    check_ids(rows)
    insert_rows(session, session.schema["artifact"], rows, "replace")
