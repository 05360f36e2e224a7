"""A registry in plain dicts and sets: what it should hold after each change, and with which code it should refuse one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from registry.model.collections import CollectionType
from registry.model.dataset_type import DatasetType
from registry.model.dimensions import DimensionUniverse

__all__ = ["UNIVERSE", "Model", "Refused"]

UNIVERSE = DimensionUniverse.from_yaml(
    """
    name: machine
    version: 1
    elements:
      cam: {key: {name: name, type: string}, metadata: {n: int}}
      chip: {requires: [cam], key: {name: id, type: int}, unique: {label: string}, metadata: {n: int}}
      shot: {requires: [cam], key: {name: id, type: int}, timespan: true}
    """
)

RUN, TAGGED, CHAINED, CALIBRATION = CollectionType
Values = tuple[str | int, ...]


class Refused(Exception):  # noqa: N818 - an answer
    """What a registry should say instead of doing it: the code of its error."""


class Held(NamedTuple):
    """One dataset: its type, data ID and run."""

    kind: str
    values: Values
    run: str


class Span(NamedTuple):
    """One range of validity."""

    collection: str
    begin: int
    end: int
    id: bytes


@dataclass
class Model:
    """All that a registry holds."""

    collections: dict[str, CollectionType] = field(default_factory=dict)
    chains: dict[str, list[str]] = field(default_factory=dict)
    types: dict[str, DatasetType] = field(default_factory=dict)
    records: dict[str, dict[Values, tuple[object, ...]]] = field(
        default_factory=lambda: {"cam": {}, "chip": {}, "shot": {}}
    )
    datasets: dict[bytes, Held] = field(default_factory=dict)
    tags: dict[tuple[str, str, Values], bytes] = field(default_factory=dict)
    spans: set[Span] = field(default_factory=set)

    def copy(self) -> Model:
        """Return what a change that fails leads back to."""
        return Model(
            dict(self.collections), {k: list(v) for k, v in self.chains.items()}, dict(self.types),
            {k: dict(v) for k, v in self.records.items()}, dict(self.datasets), dict(self.tags), set(self.spans),
        )  # fmt: skip

    # Collections

    def kind_of(self, name: str, wanted: CollectionType | None = None) -> CollectionType:
        """Return the type of a collection that must be there, and of the type that is wanted."""
        if name not in self.collections:
            raise Refused("no-such-collection")
        if wanted not in (None, self.collections[name]):
            raise Refused("collection-type-differs")
        return self.collections[name]

    def register(self, name: str, kind: CollectionType) -> bool:
        """Make a collection unless it is there; say whether it is new."""
        if name in self.collections:
            self.kind_of(name, kind)
            return False
        self.collections[name] = kind
        if kind is CHAINED:
            self.chains[name] = []
        return True

    def below(self, names: Iterable[str]) -> list[str]:
        """Return all that names lead to, in the order in which it is searched, chains among it."""
        out: dict[str, None] = {}
        for name in names:
            if name not in out:
                out[name] = None
                out |= dict.fromkeys(n for n in self.below_chain(name, set(out)) if n not in out)
        return list(out)

    def below_chain(self, name: str, seen: set[str]) -> list[str]:
        """Return what one chain leads to, but for what was met before."""
        out = []
        for child in self.chains.get(name, ()):
            if child not in seen:
                seen.add(child)
                out += [child, *self.below_chain(child, seen)]
        return out

    def path(self, names: Sequence[str]) -> list[str]:
        """Flatten names into a search path."""
        for name in names:
            self.kind_of(name)
        return [n for n in self.below(names) if self.collections[n] is not CHAINED]

    def change_chain(
        self, how: str, name: str, children: Sequence[str], expected: Sequence[str] | None = None
    ) -> None:
        """Set, prepend to or extend a chain."""
        now = self.chains.get(name, [])
        if self.collections.get(name, CHAINED) is not CHAINED:
            raise Refused("collection-type-differs")
        if expected is not None and list(expected) != now:
            raise Refused("chain-changed")
        new = list(dict.fromkeys(children))
        for child in new:
            if child != name:
                self.kind_of(child)
        if name in self.below(new):
            raise Refused("chain-cycle")
        rest = [] if how == "set" else [c for c in now if c not in new]
        self.register(name, CHAINED)
        self.chains[name] = rest + new if how == "extend" else new + rest

    def remove_from_chain(self, name: str, children: Sequence[str]) -> None:
        """Take some of its own children out of a chain."""
        self.kind_of(name, CHAINED)
        for child in children:
            if child not in self.chains[name]:
                self.kind_of(child)
                raise Refused("not-in-chain")
        self.chains[name] = [c for c in self.chains[name] if c not in children]

    def pop_chain(self, name: str, n: int) -> list[str]:
        """Take the first children out of a chain."""
        self.kind_of(name, CHAINED)
        if not 0 < n <= len(self.chains[name]):
            raise Refused("chain-too-short")
        popped, self.chains[name] = self.chains[name][:n], self.chains[name][n:]
        return popped

    def remove_collection(self, name: str, *, unlink: bool, purge: bool) -> None:
        """Remove a collection, a RUN with its datasets, unless something refers to it."""
        self.kind_of(name)
        own = {i for i, held in self.datasets.items() if held.run == name}
        held_by_others = own & ({*self.tags.values()} | {s.id for s in self.spans})
        if (not unlink and any(name in c for c in self.chains.values())) or (held_by_others and not purge):
            raise Refused("collection-in-use")
        self.delete_datasets(own)
        self.tags = {k: i for k, i in self.tags.items() if k[0] != name}
        self.spans = {s for s in self.spans if s.collection != name}
        self.chains = {k: [c for c in v if c != name] for k, v in self.chains.items() if k != name}
        del self.collections[name]

    # Dataset types and records

    def type_of(self, name: str) -> DatasetType:
        """Return a dataset type that must be there."""
        if name not in self.types:
            raise Refused("no-such-dataset-type")
        return self.types[name]

    def register_type(self, new: DatasetType) -> bool:
        """Define a dataset type unless it is there; say whether it is new."""
        found = self.types.setdefault(new.name, new)
        if found != new:
            raise Refused("dataset-type-differs")
        return found is new

    def remove_type(self, name: str) -> None:
        """Remove a dataset type of which there are no datasets."""
        self.type_of(name)
        if any(held.kind == name for held in self.datasets.values()):
            raise Refused("dataset-type-in-use")
        del self.types[name]

    def insert_records(
        self, element: str, rows: Sequence[tuple[Values, tuple[object, ...]]], mode: str
    ) -> int:
        """Insert records of (key, other columns); the first other column of a chip is unique in its cam."""
        there = self.records[element]
        taken = [key in there for key, _ in rows]
        keys = [key for key, _ in rows]
        if mode == "error" and any(taken):
            raise Refused("record-exists")
        if mode == "error" and len(set(keys)) < len(keys):
            raise Refused("record-twice")
        new = dict(there)
        for key, others in rows:
            new.setdefault(key, others)
        fresh = new.keys() - there.keys()
        if element == "chip":
            labels = [(k[0], v[0]) for k, v in new.items()]
            if len(set(labels)) < len(labels):
                old = {(k[0], v[0]): k for k, v in there.items()}
                clash = any(old.get((k[0], v[0]), k) != k for k, v in rows)
                raise Refused("record-key-taken" if clash else "record-twice")
        if element != "cam" and any(k[:1] not in self.records["cam"] for k in fresh):
            raise Refused("missing-record")
        if mode == "compare" and any(new[k] != v for k, v in rows):
            raise Refused("record-differs")
        self.records[element] = new
        return len(fresh)

    def has_records(self, kind: DatasetType, values: Values) -> bool:
        """Say whether all records are there to which a dataset would refer."""
        key = dict(zip(kind.dimensions.required, values, strict=True))
        return all(
            tuple(key[n] for n in UNIVERSE.element(name).required) in self.records[name] for name in key
        )

    # Datasets

    def insert_datasets(self, name: str, run: str, rows: Sequence[tuple[bytes, Values]], mode: str) -> int:
        """Insert datasets, all or none; count those that are new."""
        kind = self.type_of(name)
        self.kind_of(run, RUN)
        there = {h.values: i for i, h in self.datasets.items() if (h.kind, h.run) == (name, run)}
        ids = [i for i, _ in rows]
        if mode == "error":
            if any(there.get(values, i) != i for i, values in rows):
                raise Refused("dataset-exists")
            if any(i in self.datasets for i in ids):
                raise Refused("dataset-id-exists")
            if len({*ids}) < len(ids) or len({v for _, v in rows}) < len(rows):
                raise Refused("dataset-twice")
        if not all(values in there or self.has_records(kind, values) for _, values in rows):
            raise Refused("missing-record")
        after = dict(reversed([*((v, i) for i, v in rows if v not in there)])) | there
        if any(after[values] != i for i, values in rows):
            raise Refused("dataset-exists")
        new = {i: Held(name, values, run) for i, values in reversed(rows)}
        if any({**new, **self.datasets}[i] != Held(name, values, run) for i, values in rows):
            raise Refused("dataset-differs")
        n = len(new.keys() - self.datasets.keys())
        self.datasets |= new
        return n

    def delete_datasets(self, ids: Iterable[bytes]) -> None:
        """Delete datasets with their tags and ranges of validity; unknown ones are ignored."""
        gone = set(ids)
        self.datasets = {i: h for i, h in self.datasets.items() if i not in gone}
        self.tags = {k: i for k, i in self.tags.items() if i not in gone}
        self.spans = {s for s in self.spans if s.id not in gone}

    def _by_group(self, ids: Iterable[bytes]) -> list[list[bytes]]:
        """Sort ids as they are looked at: by the dimensions of their types, in order of the types' names."""
        unique = dict.fromkeys(ids)
        if any(i not in self.datasets for i in unique):
            raise Refused("no-such-dataset")
        names = sorted({self.datasets[i].kind for i in unique})
        groups = dict.fromkeys(self.types[n].dimensions for n in names)
        return [[i for i in unique if self.types[self.datasets[i].kind].dimensions == g] for g in groups]

    def associate(self, name: str, ids: Sequence[bytes], *, replace: bool) -> None:
        """Put datasets into a TAGGED collection, all or none."""
        self.kind_of(name, TAGGED)
        new = dict(self.tags)
        for part in self._by_group(ids):
            keys = {i: (name, *self.datasets[i][:2]) for i in part}
            if len({*keys.values()}) < len(keys):
                raise Refused("tag-twice")
            if not replace and any(self.tags.get(key, i) != i for i, key in keys.items()):
                raise Refused("tag-taken")
            new |= {key: i for i, key in keys.items()}
        self.tags = new

    def disassociate(self, name: str, ids: Sequence[bytes]) -> int:
        """Take datasets out of a TAGGED collection; count those that it held."""
        self.kind_of(name, TAGGED)
        kept = {k: i for k, i in self.tags.items() if k[0] != name or i not in ids}
        n, self.tags = len(self.tags) - len(kept), kept
        return n

    def certify(self, name: str, rows: Sequence[tuple[bytes, int, int]], mode: str) -> None:
        """Put datasets into a CALIBRATION collection, each for a time, all or none."""
        self.kind_of(name, CALIBRATION)
        if any(begin >= end for _, begin, end in rows):
            raise Refused("empty-validity")
        given = {Span(name, begin, end, i) for i, begin, end in rows}
        parts = self._by_group(i for i, *_ in rows)
        if not all(self.types[self.datasets[i].kind].is_calibration for part in parts for i in part):
            raise Refused("not-a-calibration")
        new = set(self.spans)
        for part in parts:
            ours = {s for s in given if s.id in part}
            if any(self._clash(a, b) for a in ours for b in ours if a != b):
                raise Refused("validity-twice")
            if any(self._clash(a, b) for a in ours for b in self.spans if a != b or mode == "error"):
                raise Refused("validity-overlaps")
            new |= ours
        self.spans = new

    def _clash(self, a: Span, b: Span) -> bool:
        same = a.collection == b.collection and self.datasets[a.id][:2] == self.datasets[b.id][:2]
        return same and a.begin < b.end and b.begin < a.end

    def decertify(self, name: str, kind: str, begin: int, end: int, chosen: Sequence[Values] | None) -> int:
        """Take a time away, splitting what reaches beyond it; count the ranges that have lost something."""
        self.kind_of(name, CALIBRATION)
        if not self.type_of(kind).is_calibration:
            raise Refused("not-a-calibration")
        hit = {
            s for s in self.spans
            if s.collection == name and self.datasets[s.id].kind == kind and s.begin < end and begin < s.end
            and begin < end and (chosen is None or self.datasets[s.id].values in chosen)
        }  # fmt: skip
        rest = {s._replace(end=begin) for s in hit} | {s._replace(begin=end) for s in hit}
        self.spans = self.spans - hit | {s for s in rest if s.begin < s.end}
        return len(hit)

    # Questions

    def held(self, collection: str, kind: str, during: tuple[int, int] | None = None) -> list[bytes]:
        """Return what a collection holds of a type; of ranges of validity those that meet a time, if one is given."""
        if self.collections[collection] is RUN:
            return [i for i, h in self.datasets.items() if (h.kind, h.run) == (kind, collection)]
        tagged = [i for (c, k, _), i in self.tags.items() if (c, k) == (collection, kind)]
        return tagged + [
            s.id for s in self.spans
            if (s.collection, self.datasets[s.id].kind) == (collection, kind)
            and (during is None or (s.begin < during[1] and during[0] < s.end and during[0] < during[1]))
        ]  # fmt: skip

    def time_of(self, kind: DatasetType, values: Values) -> tuple[int, int] | None:
        """Return the time of the shot in a data ID; one without a time meets nothing."""
        key = dict(zip(kind.dimensions.required, values, strict=True))
        if "shot" not in key:
            return None
        begin, end = self.records["shot"][key["cam"], key["shot"]]
        return (0, 0) if begin is None else (int(str(begin)), int(str(end)))

    def meets(
        self, collection: str, kind: str, values: Values, during: tuple[int, int] | None
    ) -> list[bytes]:
        """Return what a collection holds of one data ID, at a time if one is given."""
        return [i for i in self.held(collection, kind, during) if self.datasets[i].values == values]

    def find(
        self, name: str, values: Values, collections: Sequence[str], during: tuple[int, int] | None
    ) -> bytes | None:
        """Return the first dataset of a data ID in a search path."""
        kind, path = self.type_of(name), self.path(collections)
        dated = [c for c in path if self.collections[c] is CALIBRATION]
        if kind.is_calibration and dated and during is None and "shot" in kind.dimensions.required:
            key = dict(zip(kind.dimensions.required, values, strict=True))
            if (key["cam"], key["shot"]) not in self.records["shot"]:
                raise Refused("no-such-record")
            during = self.time_of(kind, values)
        return self._first(name, values, [c for c in path if during or c not in dated], during)

    def _first(
        self, name: str, values: Values, path: Sequence[str], during: tuple[int, int] | None
    ) -> bytes | None:
        for collection in path:
            found = self.meets(collection, name, values, during)
            if len(set(found)) > 1:
                raise Refused("calibration-ambiguous")
            if found:
                return found[0]
        return None

    def query(self, name: str, collections: Sequence[str]) -> set[bytes]:
        """Return all datasets that a search path holds, at the time of their shots."""
        kind, path = self.type_of(name), self.path(collections)
        ids = {i for c in path for i in self.held(c, name)}
        return {i for i in ids if any(i in self._at(c, name, kind, i) for c in path)}

    def _at(self, collection: str, name: str, kind: DatasetType, i: bytes) -> list[bytes]:
        values = self.datasets[i].values
        return self.meets(collection, name, values, self.time_of(kind, values))

    def query_first(self, name: str, collections: Sequence[str]) -> set[bytes]:
        """Return what is found first for each data ID."""
        kind, path = self.type_of(name), self.path(collections)
        every = {h.values for h in self.datasets.values() if h.kind == name}
        found = {self._first(name, values, path, self.time_of(kind, values)) for values in every}
        return {i for i in found if i is not None}
