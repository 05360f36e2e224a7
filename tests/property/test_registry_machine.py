"""A registry beside a model of it: any sequence of changes and questions has the same answers and refusals from both."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    rule,
    run_state_machine_as_test,
)

from registry.model.collections import CollectionType
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.times import Timespan
from registry.registry import Registry, Snapshot
from tests.databases import Database
from tests.property.registry_model import UNIVERSE, Values
from tests.property.registry_twins import Twins

LONG = os.environ.get("STAGE_FAULTS") == "long"
EXAMPLES, STEPS = (150, 60) if LONG else (12, 25)

NAMES = ["a", "b", "c", "d", "e", "f"]
KINDS = list(CollectionType)
TYPES = ["bias", "flat", "log", "raw"]
GROUPS = [(), ("cam",), ("cam", "chip"), ("cam", "shot"), ("cam", "chip", "shot")]
CAMS, NUMBERS = ["X", "Y"], [0, 1, 2]
IDS = [bytes([n]) * 16 for n in range(1, 17)]

kinds = st.sampled_from(KINDS)
types = st.sampled_from(TYPES)
ids = st.sampled_from(IDS)
keys = st.fixed_dictionaries(
    {"cam": st.sampled_from(CAMS), "chip": st.sampled_from(NUMBERS), "shot": st.sampled_from(NUMBERS)}
)
ends = st.integers(0, 6)
modes = st.sampled_from(["error", "skip"])
often = st.sampled_from([True, True, True, True, False])
RUN, TAGGED, CHAINED, CALIBRATION = CollectionType


class _Machine(Twins):
    """Rules that draw what to change and what to ask, mostly of what is there."""

    def columns(self, name: str, rows: Sequence[tuple[bytes, Values]]) -> Columns:
        """Return rows of datasets; with the columns of a type that is not there, any do."""
        kind = self.model.types.get(name)
        required = () if kind is None else kind.dimensions.required
        table: dict[str, list[Any]] = {n: [v[k] for _, v in rows] for k, n in enumerate(required)}
        return Columns(table | {"id": [i for i, _ in rows]})

    def values(self, name: str, key: dict[str, Any]) -> Values:
        """Return of a full key what a dataset type needs."""
        kind = self.model.types.get(name)
        return () if kind is None else tuple(key[n] for n in kind.dimensions.required)

    @initialize()
    def some_things(self) -> None:
        """Begin with a few things of each kind: of nothing nothing comes."""
        self.insert_records("cam", [(("X",), (1,))], "error")
        self.insert_records("chip", [(("X", n), (f"l{n}", 1)) for n in NUMBERS[:2]], "error")
        shots = [(1, 3), (None, None), (3, 6)]
        self.insert_records(
            "shot", [(("X", n), span) for n, span in zip(NUMBERS, shots, strict=True)], "error"
        )
        for name, group in zip(TYPES, (GROUPS[2], GROUPS[3], GROUPS[0], GROUPS[4]), strict=True):
            self.register_type(name, group, name in {"bias", "flat"})
        for name, kind in zip(NAMES, (RUN, RUN, TAGGED, CALIBRATION, CHAINED), strict=False):
            self.register(name, kind)
        for run, name in (
            ("a", "bias"),
            ("b", "bias"),
            ("a", "flat"),
            ("b", "flat"),
            ("a", "raw"),
            ("a", "log"),
        ):
            self.insert_fitting(run, name, 2)

    # Collections

    def one(self, data: st.DataObject, *kinds_: CollectionType) -> str:
        """Draw a collection, mostly one of these types."""
        there = sorted(n for n, kind in self.model.collections.items() if kind in (kinds_ or KINDS))
        return data.draw(st.sampled_from(there if there and data.draw(often) else NAMES), label="collection")

    def some(self, data: st.DataObject) -> list[str]:
        """Draw collections, mostly some that are there."""
        there = sorted(self.model.collections) if data.draw(often) else NAMES
        return data.draw(st.lists(st.sampled_from(there or NAMES), max_size=3), label="collections")

    @rule(name=st.sampled_from(NAMES), kind=kinds)
    def register(self, name: str, kind: CollectionType) -> None:
        self.do(lambda tx: tx.register_collection(name, kind), lambda: self.model.register(name, kind))

    @rule(data=st.data(), how=st.sampled_from(["set", "prepend", "extend"]), swap=st.booleans())
    def change_chain(self, data: st.DataObject, how: str, swap: bool) -> None:
        name, children, options = self.one(data, CHAINED), self.some(data), {}
        if how == "set" and swap:
            right = self.model.chains.get(name, [])
            options = {"expected": right if data.draw(often) else self.some(data)}
        self.do(
            lambda tx: getattr(tx, f"{how}_chain")(name, children, **options),
            lambda: self.model.change_chain(how, name, children, **options),
        )

    @rule(data=st.data(), n=st.integers(-1, 2))
    def shorten_chain(self, data: st.DataObject, n: int) -> None:
        """Take collections out of a chain by name, or the first of it."""
        name = self.one(data, CHAINED)
        if n > 0:
            self.do(lambda tx: tx.pop_chain(name, n), lambda: self.model.pop_chain(name, n))
            return
        children = self.some(data) if n else self.model.chains.get(name, [])[1:]
        self.do(
            lambda tx: tx.remove_from_chain(name, children),
            lambda: self.model.remove_from_chain(name, children),
        )

    @rule(data=st.data(), unlink=st.booleans(), purge=st.booleans())
    def remove_collection(self, data: st.DataObject, unlink: bool, purge: bool) -> None:
        name = self.one(data)
        self.do(
            lambda tx: tx.remove_collection(name, unlink=unlink, purge=purge),
            lambda: self.model.remove_collection(name, unlink=unlink, purge=purge),
        )

    # Dataset types and records

    @rule(name=types, group=st.sampled_from(GROUPS), calibration=st.booleans())
    def register_type(self, name: str, group: tuple[str, ...], calibration: bool) -> None:
        new = DatasetType(name, UNIVERSE.group(group), "Json", calibration)
        self.do(lambda tx: tx.register_dataset_type(new), lambda: self.model.register_type(new))

    @rule(name=types)
    def remove_type(self, name: str) -> None:
        self.do(lambda tx: tx.remove_dataset_type(name), lambda: self.model.remove_type(name))

    @rule(
        element=st.sampled_from(["cam", "chip", "shot"]),
        rows=st.lists(st.tuples(keys, st.integers(0, 2), ends, ends), max_size=3),
        mode=st.sampled_from(["error", "skip", "compare"]),
    )
    def some_records(self, element: str, rows: list[tuple[dict[str, Any], int, int, int]], mode: str) -> None:
        required = UNIVERSE.element(element).required
        others = {
            "cam": lambda n, begin, end: (n,),
            "chip": lambda n, begin, end: (f"l{n}", begin),
            "shot": lambda n, begin, end: (begin, end) if begin < end else (None, None),
        }[element]
        self.insert_records(
            element, [(tuple(k[n] for n in required), others(*rest)) for k, *rest in rows], mode
        )

    def insert_records(self, element: str, rows: list[tuple[Values, tuple[Any, ...]]], mode: Any) -> None:
        table = Columns.from_rows(
            UNIVERSE.element(element).record_columns, [(*key, *rest) for key, rest in rows]
        )
        self.do(
            lambda tx: tx.insert_records(element, table, on_existing=mode),
            lambda: self.model.insert_records(element, rows, mode),
        )

    # Datasets

    @rule(name=types, data=st.data(), rows=st.lists(st.tuples(ids, keys), max_size=3), mode=modes)
    def insert_datasets(
        self, name: str, data: st.DataObject, rows: list[tuple[bytes, dict[str, Any]]], mode: Any
    ) -> None:
        run = self.one(data, RUN)
        given = [(i, self.values(name, key)) for i, key in rows]
        again = [(i, h.values) for i, h in self.model.datasets.items() if (h.kind, h.run) == (name, run)]
        if again and data.draw(st.booleans()):
            given.append(data.draw(st.sampled_from(sorted(again))))
        self.insert(name, run, given, mode)

    def insert(self, name: str, run: str, given: list[tuple[bytes, Values]], mode: Any) -> None:
        table = self.columns(name, given)
        self.do(
            lambda tx: tx.insert_datasets(name, run, table, on_existing=mode),
            lambda: self.model.insert_datasets(name, run, given, mode),
        )

    @rule(data=st.data(), name=types, n=st.integers(1, 4))
    def insert_some(self, data: st.DataObject, name: str, n: int) -> None:
        self.insert_fitting(self.one(data, RUN), name, n)

    def insert_fitting(self, run: str, name: str, n: int) -> None:
        """Insert datasets that can be inserted, so that there is something to tag and certify."""
        kind, free = self.model.types.get(name), [i for i in IDS if i not in self.model.datasets]
        every = {self.values(name, {"cam": "X", "chip": c, "shot": s}) for c in NUMBERS for s in NUMBERS}
        there = {h.values for h in self.model.datasets.values() if (h.kind, h.run) == (name, run)}
        fitting = sorted(v for v in every - there if kind is None or self.model.has_records(kind, v))
        self.insert(name, run, list(zip(free, fitting[:n], strict=False)), "error")

    @rule(data=st.data())
    def delete_datasets(self, data: st.DataObject) -> None:
        chosen = self.some_ids(data)[:2]
        self.do(lambda tx: tx.delete_datasets(chosen), lambda: self.model.delete_datasets(chosen))

    def some_ids(self, data: st.DataObject, *, calibrations: bool = False) -> list[bytes]:
        """Draw ids, mostly of datasets that are there."""
        every = {i: self.model.types[h.kind].is_calibration for i, h in self.model.datasets.items()}
        there = sorted(i for i, is_one in every.items() if is_one or not calibrations)
        drawn = st.lists(st.sampled_from(there if there and data.draw(often) else IDS), max_size=4)
        return data.draw(drawn, label="ids")

    @rule(data=st.data(), replace=st.booleans())
    def associate(self, data: st.DataObject, replace: bool) -> None:
        name, chosen = self.one(data, TAGGED), self.some_ids(data)
        self.do(
            lambda tx: tx.associate(name, chosen, replace=replace),
            lambda: self.model.associate(name, chosen, replace=replace),
        )

    @rule(data=st.data())
    def disassociate(self, data: st.DataObject) -> None:
        name, chosen = self.one(data, TAGGED), self.some_ids(data)
        self.do(lambda tx: tx.disassociate(name, chosen), lambda: self.model.disassociate(name, chosen))

    @rule(
        data=st.data(), spans=st.lists(st.tuples(ends, st.integers(1, 3)), min_size=4, max_size=4), mode=modes
    )
    def certify(self, data: st.DataObject, spans: list[tuple[int, int]], mode: Any) -> None:
        name, chosen = self.one(data, CALIBRATION), self.some_ids(data, calibrations=data.draw(often))
        rows = [(i, begin, begin + n) for i, (begin, n) in zip(chosen, spans, strict=False)]
        there = [(s.id, s.begin, s.end) for s in self.model.spans if s.collection == name]
        if there and data.draw(st.booleans()):
            rows.append(data.draw(st.sampled_from(sorted(there))))
        if not data.draw(often):
            rows += [(i, end, begin) for i, begin, end in rows[:1]]
        table = Columns.from_rows(("id", "valid_begin", "valid_end"), rows)
        self.do(
            lambda tx: tx.certify_rows(name, table, on_existing=mode),
            lambda: self.model.certify(name, rows, mode),
        )

    @rule(
        data=st.data(),
        dataset_type=types,
        begin=ends,
        end=ends,
        chosen=st.none() | st.lists(keys, max_size=3),
    )
    def decertify(
        self,
        data: st.DataObject,
        dataset_type: str,
        begin: int,
        end: int,
        chosen: list[dict[str, Any]] | None,
    ) -> None:
        name, kind = self.one(data, CALIBRATION), self.model.types.get(dataset_type)
        some, table = None, None
        if chosen is not None and kind is not None and kind.dimensions.required:
            some = [self.values(dataset_type, key) for key in chosen]
            table = Columns.from_rows(kind.dimensions.required, some)
        self.do(
            lambda tx: tx.decertify(name, dataset_type, begin, end, table=table),
            lambda: self.model.decertify(name, dataset_type, begin, end, some),
        )

    # Questions

    @rule(name=types, key=keys, data=st.data(), span=st.none() | st.tuples(ends, ends))
    def find(self, name: str, key: dict[str, Any], data: st.DataObject, span: tuple[int, int] | None) -> None:
        where, kind = self.some(data), self.model.types.get(name)
        data_id = dict(key) if kind is None else {n: key[n] for n in kind.dimensions.required}
        time = None if span is None else Timespan(*span)

        def found(snap: Snapshot) -> bytes | None:
            ref = snap.find(name, data_id, where, timespan=time)
            return None if ref is None else ref.id

        self.ask(found, lambda: self.model.find(name, self.values(name, key), where, span))

    @rule(name=types, data=st.data())
    def query(self, name: str, data: st.DataObject) -> None:
        """Ask for all datasets in a search path, for the first of each data ID, and for the path itself."""
        where = self.some(data)
        self.ask(lambda snap: snap.search_path(where), lambda: self.model.path(where))
        self.ask(
            lambda snap: set(snap.datasets(name, where, find_first=False)["id"].tolist()),
            lambda: self.model.query(name, where),
        )
        self.ask(
            lambda snap: Counter(snap.datasets(name, where)["id"].tolist()),
            lambda: Counter(self.model.query_first(name, where)),
        )


@pytest.fixture
def registry(database: Database) -> Registry:
    """An empty registry of a small universe."""
    return database.registry(UNIVERSE)


def test_a_registry_does_what_its_model_does(registry: Registry) -> None:
    """After any changes, kept, refused or given up, a registry holds, finds and refuses what the model does."""
    machine = type("MachineHere", (_Machine,), {"registry": registry})
    run_state_machine_as_test(
        machine,
        settings=settings(
            deadline=None, max_examples=EXAMPLES, stateful_step_count=STEPS,
            suppress_health_check=list(HealthCheck), print_blob=True,
        ),
    )  # fmt: skip


BATCHES = {
    "a record without its camera before one that is there": (
        "chip",
        [(("Y", 1), ("q", 1)), (("X", 0), ("l0", 1))],
    ),
    "a record without its camera before one given twice": (
        "chip",
        [(("Y", 1), ("q", 1))] + [(("X", 7), ("p", 1))] * 2,
    ),
    "a record without its camera before a name that is taken": (
        "chip",
        [(("A", 1), ("q", 1)), (("X", 7), ("l0", 1))],
    ),
    "two datasets of one type without dimensions": ("log", [(IDS[0], ()), (IDS[1], ())]),
    "one dataset twice": ("log", [(IDS[0], ()), (IDS[0], ())]),
}


@pytest.mark.parametrize("batch", BATCHES)
def test_of_two_faults_every_database_names_the_same(registry: Registry, batch: str) -> None:
    """Which fault a refusal names follows from the rows, and not from the order in which a database meets them."""
    machine = type("MachineHere", (_Machine,), {"registry": registry})()
    machine.insert_records("cam", [(("X",), (1,))], "error")
    machine.insert_records("chip", [(("X", 0), ("l0", 1))], "error")
    machine.register("a", RUN)
    machine.register_type("log", (), calibration=False)
    name, rows = BATCHES[batch]
    for mode in ("error", "skip"):
        if name == "log":
            machine.insert(name, "a", rows, mode)
        else:
            machine.insert_records(name, rows, mode)
        machine.keeps_the_same_rows()
