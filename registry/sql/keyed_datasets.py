"""Datasets of one collection, by their data IDs or all: what a build and a push ask most, without the query language."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa

from registry.model.collections import CollectionType
from registry.sql.keys import with_checked_keys
from registry.sql.members import ARTIFACT_COLUMNS, holding
from registry.sql.provenance import with_run_names

if TYPE_CHECKING:
    from registry.model.columns import Columns
    from registry.sql.collections import Entry
    from registry.sql.dataset_types import TypeEntry
    from registry.sql.session import Session

__all__ = ["keyed_datasets", "only_holder", "run_datasets"]


def only_holder(
    session: Session, found: TypeEntry, path: Sequence[Entry], keys: Columns | None
) -> Entry | None:
    """Return the collection that alone decides which datasets are found first.

    Parameters
    ----------
    session : Session
        Where.
    found : TypeEntry
        The dataset type.
    path : sequence of Entry
        The search path.
    keys : Columns or None
        Values of dimensions that are looked for.

    Returns
    -------
    Entry or None
        None where several collections hold datasets of the type, or none does, or where times or other values than the
        type's data IDs have a say: this is for the query language.
    """
    if keys is None or not keys.names or set(keys.names) != set(found.type.dimensions.required):
        return None
    holders = path if len(path) == 1 else holding(session, found, path)
    if len(holders) != 1 or holders[0].type is CollectionType.CALIBRATION:
        return None
    return holders[0]


def keyed_datasets(
    session: Session, found: TypeEntry, holder: Entry, keys: Columns, *, artifacts: bool
) -> Columns:
    """Return the datasets of some data IDs.

    Parameters
    ----------
    session : Session
        Where.
    found : TypeEntry
        The dataset type.
    holder : Entry
        The collection, as `only_holder` returned it.
    keys : Columns
        Data IDs; repeated ones count once.
    artifacts : bool
        Whether to return artifact columns too.

    Returns
    -------
    Columns
        As `registry.snapshot.Snapshot.datasets`.

    Raises
    ------
    DataIdError
        If a value is of another type than the key.
    """
    required = found.type.dimensions.required
    # A RUN owns what it holds; of other collections the dataset itself has to tell its run.
    owned = holder.type is CollectionType.RUN
    wanted = with_checked_keys(session.schema.universe, keys.select(required), required).unique()
    names = (*required, "id", "run", *(ARTIFACT_COLUMNS if artifacts else ()))
    with session.stash(wanted, session.schema.dimension_types(required), key=required) as stash:

        def make() -> sa.Select[Any]:
            return _members_of(session, found, stash, owned=owned, artifacts=artifacts)

        key = ("keyed-datasets", session.schema.tags(found.type.dimensions).name, owned, artifacts)
        rows = session.answer(key, make, [stash], collection=holder.id, type=found.id)
    if not owned:
        return with_run_names(session, rows, names)
    return rows.with_column("run", np.full(rows.n_rows, holder.name, dtype=object)).select(names)


def run_datasets(session: Session, found: TypeEntry, run: Entry, *, artifacts: bool) -> Columns:
    """Return the datasets of a type that a RUN holds: all of them.

    Parameters
    ----------
    session : Session
        Where.
    found : TypeEntry
        The dataset type.
    run : Entry
        The RUN.
    artifacts : bool
        Whether to return artifact columns too.

    Returns
    -------
    Columns
        As `registry.snapshot.Snapshot.datasets`.
    """
    names = (*found.type.dimensions.required, "id", "run", *(ARTIFACT_COLUMNS if artifacts else ()))

    def make() -> sa.Select[Any]:
        return _members_of(session, found, None, owned=True, artifacts=artifacts)

    key = ("run-datasets", session.schema.tags(found.type.dimensions).name, artifacts)
    rows = session.answer(key, make, collection=run.id, type=found.id)
    return rows.with_column("run", np.full(rows.n_rows, run.name, dtype=object)).select(names)


def _members_of(
    session: Session, found: TypeEntry, stash: sa.FromClause | None, *, owned: bool, artifacts: bool
) -> sa.Select[Any]:
    """Select what a collection holds of a dataset type, for the data IDs that were handed over if some were."""
    group, schema = found.type.dimensions, session.schema
    t, d, a = schema.tags(group), schema["dataset"], schema["artifact"]
    here: sa.FromClause = t
    if stash is not None:
        here = stash.join(t, sa.and_(*(t.c[n] == stash.c[n] for n in group.required)))
    columns: list[sa.ColumnElement[Any]] = [*(t.c[n] for n in group.required), t.c.dataset_id.label("id")]
    if not owned:
        here = here.join(d, d.c.id == t.c.dataset_id)
        columns.append(d.c.run_id)
    if artifacts:
        here = here.outerjoin(a, a.c.id == t.c.dataset_id)
        columns += [a.c[n] for n in ARTIFACT_COLUMNS]
    return (
        sa.select(*columns)
        .select_from(here)
        .where(
            t.c.collection_id == sa.bindparam("collection", type_=sa.BigInteger()),
            t.c.dataset_type_id == sa.bindparam("type", type_=sa.BigInteger()),
        )
    )
