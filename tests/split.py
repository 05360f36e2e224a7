"""One registry's rows dealt to an upstream and a staging registry at random, as a campaign could have come to hold them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from registry.model.collections import CollectionType
from registry.model.columns import Columns
from registry.model.dimensions import DimensionElement, DimensionUniverse
from registry.registry import Change, Snapshot
from sync.manifest import baseline_rows, record_digests, record_kind

Key = tuple[Any, ...]


def _refers(element: DimensionElement, universe: DimensionUniverse) -> list[DimensionElement]:
    """Return the elements whose records a record of an element refers to."""
    names = [n for n in (*element.required, *element.implied) if n != element.name]
    found = [universe.elements[n] for n in names]
    return [e for e in found if e.has_table and set(e.required) <= {*element.required, *element.implied}]


@dataclass
class Split:
    """Which records are upstream and which only staging has.

    Parameters
    ----------
    records : mapping of str to Columns
        By element, all records there are.
    universe : DimensionUniverse
        The dimensions.
    rng : random.Random
        Decides.
    baselines : bool
        Whether staging notes which of its records are copies.
    local : mapping of str to set of tuple
        By element, keys of the records that only staging has; by default some of all, with what refers to them.
    """

    records: Mapping[str, Columns]
    universe: DimensionUniverse
    rng: random.Random
    baselines: bool = True
    local: dict[str, set[Key]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.local:
            self.local = {e.name: set(self.local.get(e.name, ())) for e in self._elements()}
            return
        for element in self._elements():
            chance = (
                self.rng.choice((0.0, 0.0, 0.15, 0.5)) if element.name not in self.universe.governors else 0.0
            )
            keys = self.records[element.name].rows(element.required)
            chosen = {k for k in keys if self.rng.random() < chance}
            for other in _refers(element, self.universe):
                theirs = self.records[element.name].rows(other.required)
                chosen |= {
                    k for k, r in zip(keys, theirs, strict=True) if r in self.local.get(other.name, ())
                }
            self.local[element.name] = chosen

    def _elements(self) -> list[DimensionElement]:
        return [e for e in self.universe.elements.values() if e.has_table and e.name in self.records]

    def _taken(self, element: DimensionElement, keys: Iterable[Key]) -> Columns:
        wanted, rows = set(keys), self.records[element.name]
        return rows.take(np.array([k in wanted for k in rows.rows(element.required)], dtype=np.bool_))

    def write_upstream(self, change: Change) -> None:
        """Insert what is upstream."""
        for element in self._elements():
            keys = set(self.records[element.name].rows(element.required)) - self.local[element.name]
            change.insert_records(element.name, self._taken(element, keys))

    def write_staging(self, change: Change, wanted: Mapping[str, Iterable[Key]] | None = None) -> None:
        """Insert what only staging has, or what is wanted, with all that it refers to."""
        needed = {name: set(keys) for name, keys in (wanted or self.local).items()}
        for element in reversed(self._elements()):
            rows = self._taken(element, needed.get(element.name, ()))
            for other in _refers(element, self.universe):
                needed.setdefault(other.name, set()).update(rows.rows(other.required))
        for element in self._elements():
            rows = self._taken(element, needed.get(element.name, ()))
            change.insert_records(element.name, rows, on_existing="skip")
            copies = self._taken(element, needed.get(element.name, set()) - self.local[element.name])
            if self.baselines and copies.n_rows:
                kept = baseline_rows({record_kind(element.name): record_digests(element, copies)})
                change.insert_rows("baseline", kept, on_existing="replace")

    def rests_on_local(self, names: tuple[str, ...], rows: Columns) -> bool:
        """Tell whether data IDs have a record that upstream has not."""
        return any(
            self.local.get(n) and not self.local[n].isdisjoint(rows.rows(self.universe.elements[n].required))
            for n in names
        )


@dataclass
class Dealer:
    """Deals the collections of one registry to upstream and staging.

    Parameters
    ----------
    merged : Snapshot
        The one registry.
    upstream, staging : Change
        Where to; records are there as `split` has them.
    split : Split
        Which records are where.
    """

    merged: Snapshot
    upstream: Change
    staging: Change
    split: Split
    sides: dict[str, str] = field(default_factory=dict)

    def deal(self) -> None:
        """Deal all dataset types and collections."""
        self._runs: dict[str, dict[str, Columns]] = {}
        everything = [c for c in self.merged.collections() if c.type is CollectionType.RUN]
        self._types = {t.name: t for t in self.merged.dataset_types()}
        for run in everything:
            found = {name: self.merged.datasets(name, [run.name], artifacts=True) for name in self._types}
            self._runs[run.name] = {name: rows for name, rows in found.items() if rows.n_rows}
            self._put_run(run.name)
        for collection in self.merged.collections():
            if collection.type in (CollectionType.TAGGED, CollectionType.CALIBRATION):
                self._put_members(collection.name, collection.type)
        self._put_chains()
        for dataset_type in self._types.values():  # those without datasets
            (self.upstream if self.split.rng.random() < 0.7 else self.staging).register_dataset_type(
                dataset_type
            )

    def _coin(self) -> str:
        return self.split.rng.choice(("upstream", "staging"))

    def _put_run(self, run: str) -> None:
        held = self._runs[run]
        local = any(
            self.split.rests_on_local(self._types[n].dimensions.required, rows) for n, rows in held.items()
        )
        self.sides[run] = side = "staging" if local else self._coin()
        change = self.upstream if side == "upstream" else self.staging
        change.register_run(run)
        for name in held:
            self._insert(change, name, run)

    def _insert(self, change: Change, name: str, run: str) -> None:
        kind, rows = self._types[name], self._runs[run][name]
        change.register_dataset_type(kind)
        change.register_run(run)
        if change is self.staging:
            universe = self.split.universe
            dims = [universe.elements[n] for n in kind.dimensions.required if universe.elements[n].has_table]
            self.split.write_staging(change, {e.name: rows.rows(e.required) for e in dims})
        has_file = all(u is not None for u in rows["uri"].tolist())
        stored = ("uri", "size", "checksum", "formatter") if has_file else ()
        rows = rows.select([*kind.dimensions.required, "id", *stored])
        change.insert_datasets(name, run, rows, on_existing="skip")

    def _put_members(self, name: str, kind: CollectionType) -> None:
        rows = self.merged.associations([name])
        owners = {i: run for run, held in self._runs.items() for r in held.values() for i in r["id"].tolist()}
        local = any(self.sides[owners[i]] == "staging" for i in rows["id"].tolist())
        self.sides[name] = side = "staging" if local else self._coin()
        change = self.upstream if side == "upstream" else self.staging
        change.register_collection(name, kind)
        for owner, types in self._runs.items():
            for dataset_type, held in types.items():
                if change is self.staging and not set(held["id"].tolist()).isdisjoint(rows["id"].tolist()):
                    self._insert(change, dataset_type, owner)
        if kind is CollectionType.TAGGED:
            change.associate(name, rows["id"].tolist())
        else:
            change.certify_rows(name, rows.select(("id", "valid_begin", "valid_end")))

    def _put_chains(self) -> None:
        left = {c.name: c.children for c in self.merged.collections() if c.type is CollectionType.CHAINED}
        kinds = {c.name: c.type for c in self.merged.collections()}
        while left:
            name = next(n for n, children in left.items() if not set(children) & set(left))
            children = left.pop(name)
            local = any(self.sides[c] == "staging" for c in children)
            self.sides[name] = side = "staging" if local else self._coin()
            change = self.upstream if side == "upstream" else self.staging
            if change is self.staging:
                for child in children:
                    if self.sides[child] == "upstream":
                        self.staging.register_collection(child, kinds[child])
            change.set_chain(name, children)
