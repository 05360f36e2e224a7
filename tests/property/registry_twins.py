"""What every machine that holds a registry beside its model does: one thing to both, and looking whether they agree."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from registry.errors import StageError
from registry.model.collections import CollectionType
from registry.registry import Change, Registry, Snapshot
from tests.databases import ask
from tests.property.registry_model import UNIVERSE, Held, Model, Refused, Span

__all__ = ["Twins"]

CHAINED = CollectionType.CHAINED
TABLES = {
    "sqlite": "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
    "postgresql": "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()",
}


class _Undo(Exception):  # noqa: N818 - no error: a way back
    """The change is given up."""


def _wipe(registry: Registry) -> None:
    """Empty all tables but what the registry tells of itself."""
    tables = {name for (name,) in ask(registry, TABLES[registry.dialect])} - {"repository", "alembic_version"}
    order = ("calibs", "tags", "dataset", "artifact", "collection_chain", "dim_chip", "dim_shot", "dim")
    with registry.write():
        for name in sorted(
            tables, key=lambda n: next((i for i, p in enumerate(order) if n.startswith(p)), len(order))
        ):
            ask(registry, f'DELETE FROM "{name}"')


class Twins(RuleBasedStateMachine):
    """Each rule does one thing to both, within a transaction that is open or in one of its own."""

    registry: Registry
    model: Model

    def __init__(self) -> None:
        super().__init__()
        _wipe(self.registry)
        self.model, self.before = Model(), Model()
        self.open = contextlib.ExitStack()
        self.tx: Change | None = None

    def teardown(self) -> None:
        """Keep what is open, and compare once more."""
        if self.tx is not None:
            self.keep()
        self.tells_the_same()

    # How things are done

    def do(self, change: Callable[[Change], Any], modelled: Callable[[], Any]) -> None:
        """Do one thing to both; they agree on its result, or on the code with which it is refused."""
        try:
            expected = ("done", modelled())
        except Refused as exc:
            expected = ("refused", str(exc))
        try:
            with contextlib.nullcontext(self.tx) if self.tx is not None else self.registry.write() as tx:
                found = ("done", change(tx))
        except StageError as exc:
            found = ("refused", exc.code)
        assert expected == found

    @contextlib.contextmanager
    def reading(self) -> Iterator[Snapshot]:
        """Read within the transaction that is open, or in one of its own."""
        with contextlib.nullcontext(self.tx) if self.tx is not None else self.registry.read() as snap:
            yield snap

    def ask(self, question: Callable[[Snapshot], Any], modelled: Callable[[], Any]) -> None:
        """Ask both."""
        try:
            expected = ("found", modelled())
        except Refused as exc:
            expected = ("refused", str(exc))
        try:
            with self.reading() as snap:
                found = ("found", question(snap))
        except StageError as exc:
            found = ("refused", exc.code)
        assert expected == found

    # Transactions

    @precondition(lambda self: self.tx is None)
    @rule()
    def begin(self) -> None:
        """Begin a change that goes on for several steps."""
        self.tx, self.before = self.open.enter_context(self.registry.write()), self.model.copy()

    @precondition(lambda self: self.tx is not None)
    @rule()
    def keep(self) -> None:
        """End it, and keep all of it."""
        self.tx = None
        self.open.close()

    @precondition(lambda self: self.tx is not None)
    @rule()
    def give_up(self) -> None:
        """End it by an exception: both go back to where it began."""
        self.tx, self.model = None, self.before
        with contextlib.suppress(_Undo), self.open:
            raise _Undo

    # What always holds

    @invariant()
    def keeps_the_same_rows(self) -> None:
        """The tables hold the rows that the model has, and no others."""
        model, kinds_there = self.model, dict(self.rows("SELECT id, name FROM dataset_type"))
        named = dict(self.rows("SELECT id, name FROM collection"))
        chains: dict[str, list[str]] = {n: [] for n, k in model.collections.items() if k is CHAINED}
        for parent, child in self.rows(
            "SELECT parent_id, child_id FROM collection_chain ORDER BY parent_id, position"
        ):
            chains[named[parent]].append(named[child])
        assert model.chains == chains
        assert sorted(model.types) == sorted(kinds_there.values())
        for element, rows in model.records.items():
            assert len(rows) == self.rows(f"SELECT count(*) FROM dim_{element}")[0][0]
        held, tags, spans = {}, {}, set()
        for i, kind, run in self.rows("SELECT id, dataset_type_id, run_id FROM dataset"):
            held[_bytes(i)] = (kinds_there[kind], named[run])
        for name in self.group_tables():
            for collection, kind, *row in self.rows(f'SELECT * FROM "{name}"'):
                where, what = named[collection], kinds_there[kind]
                if name.startswith("calibs"):
                    *values, begin, end, i = row
                    spans.add(Span(where, begin, end, _bytes(i)))
                    assert model.datasets[_bytes(i)].values == tuple(values)
                else:
                    *values, i = row
                    tags[where, what, tuple(values)] = _bytes(i)
        assert held == {i: (h.kind, h.run) for i, h in model.datasets.items()}
        assert spans == model.spans
        assert tags == model.tags | {(h.run, h.kind, h.values): i for i, h in model.datasets.items()}

    def rows(self, text: str) -> list[tuple[Any, ...]]:
        """Run SQL behind the registry's back, within its transaction if it has one."""
        return self.registry._database.query(text, ())

    def group_tables(self) -> list[str]:
        """Return the tables that were made on demand."""
        listed = (name for (name,) in self.rows(TABLES[self.registry.dialect]))
        return [name for name in listed if name.startswith(("tags_", "calibs_"))]

    @rule()
    def tells_the_same(self) -> None:
        """All that a registry tells is what the model holds."""
        with self.reading() as snap:
            found = snap.collections()
            assert self.model.collections == {c.name: c.type for c in found}
            assert self.model.chains == {c.name: list(c.children) for c in found if c.type is CHAINED}
            assert self.model.types == {kind.name: kind for kind in snap.dataset_types()}
            for element, rows in self.model.records.items():
                n = len(UNIVERSE.element(element).required)
                assert rows == {row[:n]: row[n:] for row in snap.records(element).rows()}
            held, links = _datasets(snap, list(self.model.types)), snap.associations()
            counts = {(kind, run): n for kind, run, n in snap.count_datasets().rows()}
            summary = set(snap.collection_summary().rows(("collection", "dataset_type")))
        assert self.model.datasets == held
        every = links.rows(("collection", "valid_begin", "valid_end", "id"))
        tagged = sorted((c, i) for (c, *_), i in self.model.tags.items())
        assert tagged == sorted((c, i) for c, begin, _, i in every if begin is None)
        assert sorted(self.model.spans) == sorted(Span(*row) for row in every if row[1] is not None)
        assert counts == Counter((h.kind, h.run) for h in self.model.datasets.values())
        assert summary == {(run, kind) for kind, run in counts} | {
            (c, kind) for c, kind, _ in self.model.tags
        } | {(s.collection, self.model.datasets[s.id].kind) for s in self.model.spans}


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else bytes.fromhex(str(value).replace("-", ""))


def _datasets(snap: Snapshot, kinds_there: list[str]) -> dict[bytes, Held]:
    runs = [c.name for c in snap.collections(types={CollectionType.RUN})]
    out: dict[bytes, Held] = {}
    for name in kinds_there:
        for *values, i, run in snap.datasets(name, runs, find_first=False).rows():
            assert i not in out
            out[i] = Held(name, tuple(values), run)
    return out
