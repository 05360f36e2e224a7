"""Collections: runs, chains, search paths, removal."""

from __future__ import annotations

import pytest

from registry.errors import ConflictError, NotFoundError, UsageError
from registry.model.collections import Collection, CollectionType
from registry.model.columns import Columns
from registry.registry import Registry
from tests.databases import Database, ask
from tests.registry_builders import add_camera, dataset_type, detector_rows


@pytest.fixture
def registry(database: Database) -> Registry:
    """A registry with runs a, b, c/1, c/2 and a dataset type."""
    made = database.registry()
    with made.write() as tx:
        add_camera(tx)
        tx.register_dataset_type(dataset_type("raw", "detector"))
        for name in ("a", "b", "c/1", "c/2"):
            tx.register_run(name, doc=f"about {name}")
    return made


def test_registering_again_changes_nothing(registry: Registry) -> None:
    """The first registration makes it, a second finds it, with its first text."""
    with registry.write() as tx:
        assert tx.register_run("d", "first")
        assert not tx.register_run("d", "second")
        assert Collection("d", CollectionType.RUN, "first") == tx.collection("d")


def test_a_name_has_one_type(registry: Registry) -> None:
    """Registering a name as something else says what it is."""
    with registry.write() as tx, pytest.raises(ConflictError, match="'a' is RUN, not TAGGED") as caught:
        tx.register_collection("a", CollectionType.TAGGED)
    assert caught.value.code == "collection-type-differs"


@pytest.mark.parametrize("name", ["", "a//b", "../a", "a b", "/a", "a/", "ü"])
def test_names_that_could_leave_a_root_are_refused(registry: Registry, name: str) -> None:
    """A name becomes part of paths, so only plain words joined by slashes are taken."""
    with registry.write() as tx, pytest.raises(UsageError):
        tx.register_run(name)


def test_a_chain_is_a_search_path(registry: Registry) -> None:
    """Chains are flattened depth-first, each collection once, at its first place."""
    with registry.write() as tx:
        tx.set_chain("inner", ["b", "a"])
        tx.set_chain("outer", ["c/2", "inner", "a", "c/1"])
        assert tx.search_path(["outer"]) == ["c/2", "b", "a", "c/1"]
        assert tx.search_path(["a", "outer", "b"]) == ["a", "c/2", "b", "c/1"]
        assert tx.collection("outer").children == ("c/2", "inner", "a", "c/1")
        tx.set_chain("outer", [])
        assert tx.search_path(["outer"]) == []


def test_patterns_expand_in_order_of_name(registry: Registry) -> None:
    """A pattern stands for all that matches it, perhaps nothing; a plain name must exist."""
    with registry.read() as snap:
        assert snap.search_path(["c/*", "a"]) == ["c/1", "c/2", "a"]
        assert snap.search_path(["zz*"]) == []
        assert [c.name for c in snap.collections()] == ["a", "b", "c/1", "c/2"]
        assert [c.name for c in snap.collections(["b", "zz*"], {CollectionType.RUN})] == ["b"]
        assert snap.collections(types=[CollectionType.CHAINED]) == []
        with pytest.raises(NotFoundError, match="no collection 'c/3'") as caught:
            snap.search_path(["a", "c/3"])
        assert caught.value.hint == "Did you mean 'c/2'?"


def test_a_chain_cannot_contain_itself(registry: Registry) -> None:
    """Directly or through others, a cycle is refused and nothing changes."""
    with registry.write() as tx:
        tx.set_chain("one", ["a"])
        tx.set_chain("two", ["one"])
        for children in (["one"], ["b", "two"]):
            with pytest.raises(ConflictError, match="'one' would contain itself"):
                tx.set_chain("one", children)
        assert tx.search_path(["two"]) == ["a"]


def test_a_chain_is_moved_only_from_what_was_expected(registry: Registry) -> None:
    """Compare-and-swap: with another value found, both are named and nothing changes."""
    with registry.write() as tx:
        tx.set_chain("chain", ["a"], expected=[])
        tx.set_chain("chain", ["b", "a"], expected=["a"])
        with pytest.raises(ConflictError, match=r"expected \(a\), found \(b, a\)") as caught:
            tx.set_chain("chain", ["c/1", "a"], expected=["a"])
        assert caught.value.code == "chain-changed"
        assert tx.search_path(["chain"]) == ["b", "a"]


def test_a_chain_needs_existing_children_and_a_free_name(registry: Registry) -> None:
    """A missing child, or a name that is a run's, leaves no chain behind."""
    with registry.write() as tx:
        with pytest.raises(NotFoundError, match="no collection 'nothing'") as caught:
            tx.set_chain("chain", ["a", "nothing"])
        assert caught.value.hint == "There are: a, b, c/1, c/2."
        with pytest.raises(ConflictError, match="'a' is RUN, not CHAINED"):
            tx.set_chain("a", ["b"])
        assert tx.collections(types={CollectionType.CHAINED}) == []


def test_removal_names_the_chains_that_still_search_it(registry: Registry) -> None:
    """A collection in a chain stays; out of it, it goes with its datasets."""
    with registry.write() as tx:
        rows = detector_rows(artifacts=True)
        tx.insert_datasets("raw", "a", rows)
        tx.insert_datasets("raw", "b", detector_rows())
        tx.set_chain("x", ["a", "b"])
        tx.set_chain("w", ["a"])
        with pytest.raises(ConflictError, match="'a' cannot be removed: it is searched by w, x") as caught:
            tx.remove_collection("a")
        assert caught.value.code == "collection-in-use"
        tx.set_chain("x", ["b"])
        tx.remove_collection("w")
        tx.remove_collection("a")
        assert tx.count_datasets().rows() == [("raw", "b", 4)]
        assert tx.artifact(rows["id"][0]) is None
        assert "a" not in [c.name for c in tx.collections()]


def test_removal_names_the_collections_that_hold_its_datasets(registry: Registry) -> None:
    """A run of which a TAGGED collection holds datasets stays, until that goes."""
    with registry.write() as tx:
        rows = detector_rows()
        tx.insert_datasets("raw", "a", rows)
        tx.register_collection("chosen", CollectionType.TAGGED)
        tx.associate("chosen", rows["id"].tolist())
        with pytest.raises(ConflictError, match=r"datasets of it are in chosen \(4\)"):
            tx.remove_collection("a")
        tx.remove_collection("chosen")
        tx.remove_collection("a")
        assert set() == tx.existing_ids(rows["id"].tolist())


def test_removal_of_a_run_takes_its_provenance(registry: Registry) -> None:
    """Quanta of a run, and what they read and made, go with it."""
    with registry.write() as tx:
        tx.insert_quanta(
            Columns(
                {
                    n: [None]
                    for n in (
                        "started_ns",
                        "finished_ns",
                        "cpu_ns",
                        "peak_bytes",
                        "host",
                        "message",
                        "graph_id",
                    )
                }
                | {
                    "id": [b"q" * 16],
                    "run": ["a"],
                    "task": ["t"],
                    "data_id": ["{}"],
                    "status": ["failed"],
                    "attempt": [0],
                }
            )
        )
        links = {"quantum_id": [b"q" * 16], "dataset_id": [b"d" * 16], "connection": ["c"]}
        tx.insert_quantum_outputs(Columns(links))
        tx.remove_collection("a")
        left = ask(registry, "SELECT count(*) FROM quantum_output")
        assert (tx.quanta().n_rows, left) == (0, [(0,)])
