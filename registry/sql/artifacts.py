"""Statements about where artifacts are: those of some RUNs, and those that lie elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import sqlalchemy as sa

from registry.model.columns import Columns
from registry.model.records import ARTIFACT
from registry.sql.collections import names_of, run_entry
from registry.sql.dataset_types import all_types
from registry.sql.fixed_tables import IdType
from registry.sql.session import Session

__all__ = ["artifacts_elsewhere", "artifacts_of_runs"]


def artifacts_elsewhere(session: Session, ids: Sequence[bytes] | None) -> Columns:
    """Return the artifact records whose URIs are absolute.

    Parameters
    ----------
    session : Session
        Where.
    ids : sequence of bytes or None
        Of these datasets only; None for all.

    Returns
    -------
    Columns
        `registry.model.records.ARTIFACT`, ordered by id; one statement.
    """
    a = session.schema["artifact"]
    statement = (
        sa.select(*(a.c[n] for n in ARTIFACT))
        .where(sa.or_(a.c.uri.like("/%"), a.c.uri.like("%://%")))
        .order_by(a.c.id)
    )
    if ids is None:
        return session.fetch(statement)
    with session.stash(Columns({"id": list(ids)}), {"id": IdType()}, key=("id",)) as given:
        return session.fetch(statement.where(a.c.id.in_(sa.select(given.c.id))))


def artifacts_of_runs(session: Session, runs: Sequence[str], *, others: bool) -> Columns:
    """Return the artifact records of the datasets of some RUNs.

    Parameters
    ----------
    session : Session
        Where.
    runs : sequence of str
        The RUNs; few.
    others : bool
        Those of all other RUNs instead.

    Returns
    -------
    Columns
        `registry.model.records.ARTIFACT`, ``dataset_type`` and ``run``, ordered by id.
    """
    a, d = session.schema["artifact"], session.schema["dataset"]
    numbers = [run_entry(session, name).id for name in runs]
    chosen = d.c.run_id.not_in(numbers) if others else d.c.run_id.in_(numbers)
    rows = session.fetch(
        sa.select(*(a.c[n] for n in ARTIFACT), d.c.dataset_type_id, d.c.run_id)
        .select_from(a.join(d, d.c.id == a.c.id))
        .where(chosen)
        .order_by(a.c.id)
    )
    types = {e.id: e.type.name for e in all_types(session)}
    names = names_of(session, set(rows["run_id"].tolist()))
    told = {"dataset_type": ("dataset_type_id", types), "run": ("run_id", names)}
    columns = {n: rows[n] for n in ARTIFACT}
    for name, (source, known) in told.items():
        columns[name] = np.array([known[number] for number in rows[source].tolist()], dtype=object)
    return Columns(columns)
