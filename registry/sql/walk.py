"""Following datasets to what they came from or led to, set by set: each quantum and dataset is met once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa

from registry.model.columns import Array, Columns
from registry.model.records import Walk
from registry.sql.collections import names_of
from registry.sql.dataset_types import all_types
from registry.sql.fixed_tables import IdType
from registry.sql.latest import is_latest
from registry.sql.session import Session

__all__ = ["walk"]

_QUANTUM = ("task", "status", "run_id")
_DATASET = ("dataset_type_id", "run_id")


class _Met:
    """Ids in the order in which they were met, with what is known of each."""

    def __init__(self, n_facts: int) -> None:
        self.number: dict[bytes, int] = {}
        self.facts: list[tuple[Any, ...]] = []
        self._nothing = (None,) * n_facts

    def meet(self, ids: Iterable[bytes], facts: Iterable[tuple[Any, ...]] | None = None) -> list[bytes]:
        """Take ids, and return those that are new."""
        number, new = self.number, []
        for each, fact in zip(ids, facts, strict=True) if facts is not None else ((i, None) for i in ids):
            if each not in number:
                number[each] = len(number)
                new.append(each)
                self.facts.append(fact or self._nothing)
        return new

    def numbers(self, ids: Sequence[bytes]) -> Array:
        """Return the numbers of ids that were met."""
        return np.fromiter(map(self.number.__getitem__, ids), np.int64, len(ids))

    def column(self, place: int) -> list[Any]:
        """Return one of the things that are known of each."""
        return [fact[place] for fact in self.facts]


def walk(session: Session, ids: Sequence[bytes], *, up: bool, depth: int | None) -> Walk:
    """Follow datasets or quanta to what they came from, or to what came of them.

    Parameters
    ----------
    session : Session
        Where.
    ids : sequence of bytes
        Of datasets, or of quanta, which then are among those returned.
    up : bool
        Whether to go to what they came from.
    depth : int or None
        Over so many quanta one after another at most.

    Returns
    -------
    Walk
        What lies on the ways; logs and other datasets that no way leads over are left out where it goes up.

    Notes
    -----
    Two statements for each quantum on the longest way, each about a whole set of ids and by an index.
    """
    read, made = session.schema["quantum_input"], session.schema["quantum_output"]
    towards, back = (made, read) if up else (read, made)
    steps = _Steps(session, towards, back)
    ids = list(dict.fromkeys(ids))
    quanta, datasets, level = steps.themselves(ids), steps.start(ids), 0
    while quanta or datasets:
        datasets += steps.back(quanta)
        if depth is not None and level >= depth:
            break
        quanta, datasets, level = steps.onward(datasets), [], level + 1
    return steps.walk(up=up)


class _Steps:
    """What was met so far, and the links between them."""

    def __init__(self, session: Session, towards: sa.Table, back: sa.Table) -> None:
        self._session, self._towards, self._back = session, towards, back
        self._quanta, self._datasets = _Met(len(_QUANTUM)), _Met(len(_DATASET))
        self._links: dict[str, list[tuple[Array, Array, Array]]] = {towards.name: [], back.name: []}

    def themselves(self, ids: Sequence[bytes]) -> list[bytes]:
        """Begin with quanta."""
        q = self._session.schema["quantum"]
        rows = self._fetch(
            ids, lambda given: (q, q.c.id == given.c.id), q.c.id, *(q.c[n] for n in _QUANTUM), latest=q
        )
        return self._quanta.meet(rows["id"].tolist(), rows.rows(_QUANTUM))

    def start(self, ids: Sequence[bytes]) -> list[bytes]:
        """Begin with datasets; one that is only known from links is none the less."""
        d = self._session.schema["dataset"]
        rows = self._fetch(ids, lambda given: (d, d.c.id == given.c.id), d.c.id, *(d.c[n] for n in _DATASET))
        self._datasets.meet(rows["id"].tolist(), rows.rows(_DATASET))
        others = [i for i in ids if i not in self._quanta.number]
        self._datasets.meet(others)
        return others

    def back(self, quanta: Sequence[bytes]) -> list[bytes]:
        """Go from quanta to their datasets on the other side, and return those that are new."""
        if not quanta:
            return []
        link, d = self._back, self._session.schema["dataset"]
        rows = self._fetch(
            quanta, lambda given: (link.outerjoin(d, d.c.id == link.c.dataset_id), link.c.quantum_id == given.c.id),
            link.c.quantum_id, link.c.dataset_id, *self._was_read(link), *(d.c[n] for n in _DATASET),
        )  # fmt: skip
        new = self._datasets.meet(rows["dataset_id"].tolist(), rows.rows(_DATASET))
        self._note(link, rows)
        return new

    def onward(self, datasets: Sequence[bytes]) -> list[bytes]:
        """Go from datasets to the quanta that they came from, or led to, and return those that are new."""
        if not datasets:
            return []
        link, q = self._towards, self._session.schema["quantum"]
        latest = sa.and_(q.c.id == link.c.quantum_id, is_latest(q))
        rows = self._fetch(
            datasets, lambda given: (link.outerjoin(q, latest), link.c.dataset_id == given.c.id),
            link.c.quantum_id, link.c.dataset_id, *self._was_read(link), *(q.c[n] for n in _QUANTUM),
        )  # fmt: skip
        new = self._quanta.meet(rows["quantum_id"].tolist(), rows.rows(_QUANTUM))
        self._note(link, rows)
        return new

    def _fetch(
        self, ids: Sequence[bytes], join: Any, *columns: sa.ColumnElement[Any], latest: sa.Table | None = None
    ) -> Columns:
        with self._session.stash(Columns({"id": sorted(ids)}), {"id": IdType()}, key=["id"]) as given:
            target, on = join(given)
            statement = sa.select(*columns).select_from(given.join(target, on))
            return self._session.fetch(statement if latest is None else statement.where(is_latest(latest)))

    def _was_read(self, link: sa.Table) -> list[sa.ColumnElement[Any]]:
        return [link.c.was_read] if "was_read" in link.c else []

    def _note(self, link: sa.Table, rows: Columns) -> None:
        was_read = rows["was_read"].astype(np.bool_) if "was_read" in rows else np.ones(rows.n_rows, np.bool_)
        quanta, datasets = rows["quantum_id"].tolist(), rows["dataset_id"].tolist()
        self._links[link.name].append(
            (self._quanta.numbers(quanta), self._datasets.numbers(datasets), was_read)
        )

    def walk(self, *, up: bool) -> Walk:
        """Return all that was met."""
        runs, types = {r for m in (self._quanta, self._datasets) for r in m.column(-1)} - {None}, {}
        if self._datasets.number:
            types = {e.id: e.type.name for e in all_types(self._session)}
        known = names_of(self._session, sorted(runs))
        quanta: dict[str, list[Any]] = {
            "id": list(self._quanta.number),
            "run": [known.get(r) for r in self._quanta.column(2)],
        }
        quanta |= {n: self._quanta.column(place) for place, n in enumerate(_QUANTUM[:2])}
        datasets: dict[str, list[Any]] = {
            "id": list(self._datasets.number),
            "dataset_type": [types.get(k) for k in self._datasets.column(0)],
            "run": [known.get(r) for r in self._datasets.column(1)],
        }
        towards, back = (self._joined(t) for t in (self._towards, self._back))
        read, made = (back, towards) if up else (towards, back)
        return Walk(_objects(quanta), _objects(datasets), read, made)

    def _joined(self, link: sa.Table) -> Columns:
        parts = self._links[link.name]
        kinds = (("quantum", np.int64), ("dataset", np.int64), ("was_read", np.bool_))
        return Columns(
            {
                name: np.concatenate([part[n] for part in parts]) if parts else np.zeros(0, dtype=kind)
                for n, (name, kind) in enumerate(kinds)
            }
        )


def _objects(columns: dict[str, list[Any]]) -> Columns:
    """Return columns of which some values may be null."""
    out = {}
    for name, values in columns.items():
        out[name] = np.empty(len(values), dtype=object)
        out[name][:] = values
    return Columns(out)
