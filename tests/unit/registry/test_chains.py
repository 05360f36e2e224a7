"""Editing what chains search, and listing collections."""

from __future__ import annotations

from multiprocessing import get_context

import pytest

from registry.errors import ConflictError, NotFoundError, UsageError
from registry.model.collections import CollectionType
from registry.registry import Registry
from tests.databases import Database
from tests.registry_builders import UNIVERSE

RUNS = ("a", "b", "c", "d")
N_WRITERS = 8


@pytest.fixture
def registry(database: Database) -> Registry:
    """A registry with four runs."""
    made = database.registry()
    with made.write() as tx:
        for name in RUNS:
            tx.register_run(name)
    return made


def test_children_go_before_and_after(registry: Registry) -> None:
    """What is prepended or appended stands at the end meant for it; what was there moves."""
    with registry.write() as tx:
        tx.prepend_chain("x", ["b"])
        tx.prepend_chain("x", ["c", "a"])
        assert tx.collection("x").children == ("c", "a", "b")
        tx.extend_chain("x", ["d", "c"])
        assert tx.collection("x").children == ("a", "b", "d", "c")
        tx.prepend_chain("x", ["c", "c"])
        assert tx.search_path(["x"]) == ["c", "a", "b", "d"]
        tx.extend_chain("y", [])
        assert tx.collection("y").children == ()


def test_children_are_taken_out(registry: Registry) -> None:
    """By name or from the front; what is not there is named."""
    with registry.write() as tx:
        tx.set_chain("x", RUNS)
        tx.remove_from_chain("x", ["b", "d"])
        assert tx.collection("x").children == ("a", "c")
        with pytest.raises(NotFoundError, match="chain 'x' does not search 'b'") as caught:
            tx.remove_from_chain("x", ["a", "b"])
        assert caught.value.code == "not-in-chain"
        with pytest.raises(NotFoundError, match="no collection 'nosuch'"):
            tx.remove_from_chain("x", ["nosuch"])
        assert tx.pop_chain("x") == ["a"]
        with pytest.raises(UsageError, match="chain 'x' searches 1 collections: 2 cannot be taken from it"):
            tx.pop_chain("x", 2)
        assert tx.pop_chain("x", 1) == ["c"]
        assert tx.collection("x").children == ()


def test_no_edit_makes_a_cycle(registry: Registry) -> None:
    """A chain cannot come to search itself, in one step or several, whatever the edit; it stays as it was."""
    with registry.write() as tx:
        tx.set_chain("x", ["a"])
        tx.set_chain("y", ["x", "b"])
        for edit in (tx.prepend_chain, tx.extend_chain, tx.set_chain):
            for child in ("x", "y"):
                with pytest.raises(ConflictError, match="chain 'x' would contain itself") as caught:
                    edit("x", ["c", child])
                assert caught.value.code == "chain-cycle"
        assert tx.collection("x").children == ("a",)


def test_only_chains_are_edited(registry: Registry) -> None:
    """A run has no children, and an edit that fails makes no chain."""
    with registry.write() as tx:
        for edit in (tx.prepend_chain, tx.extend_chain, tx.remove_from_chain):
            with pytest.raises(ConflictError, match="collection 'a' is RUN, not CHAINED"):
                edit("a", ["b"])
        with pytest.raises(NotFoundError, match="no collection 'nosuch'"):
            tx.prepend_chain("new", ["nosuch"])
        assert "new" not in [c.name for c in tx.collections()]
        with pytest.raises(NotFoundError, match="no collection 'new'"):
            tx.pop_chain("new")


def _prepend(url: str, number: int) -> None:
    """Put three runs of its own before a chain, one at a time."""
    with Registry.open(url, writable=True) as registry:
        for i in range(3):
            with registry.write(timeout_s=60) as tx:
                tx.register_run(f"w{number}/{i}")
                tx.prepend_chain("shared", [f"w{number}/{i}"])


def test_concurrent_edits_lose_nothing(database: Database) -> None:
    """Eight processes prepend to one chain at once: all that they put is there, each writer's in its own order."""
    url = database.url()
    with Registry.create(url, UNIVERSE) as registry, registry.write() as tx:
        tx.register_run("a")
        tx.set_chain("shared", ["a"])
    context = get_context("spawn")
    writers = [context.Process(target=_prepend, args=(url, n)) for n in range(N_WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
    assert [0] * N_WRITERS == [writer.exitcode for writer in writers]
    with Registry.open(url) as registry, registry.read() as snap:
        children = snap.collection("shared").children
    assert {"a"} | {f"w{n}/{i}" for n in range(N_WRITERS) for i in range(3)} == set(children)
    for n in range(N_WRITERS):
        mine = [name for name in children if name.startswith(f"w{n}/")]
        assert mine == [f"w{n}/{i}" for i in (2, 1, 0)]
    assert children[-1] == "a"


def test_collections_are_listed_in_an_order_that_means_something(registry: Registry) -> None:
    """Patterns in order of registration, then names as given; chains themselves or what they search."""
    with registry.write() as tx:
        tx.set_chain("x", ["d", "b"])
        tx.set_chain("y", ["x", "a"])
        tx.register_collection("t", CollectionType.TAGGED)
        assert tx.collection_names(["y", "a"]) == ["y", "a"]
        assert tx.collection_names("*") == ["a", "b", "c", "d", "x", "y", "t"]
        assert tx.collection_names(["y", "[xt]"]) == ["x", "t", "y"]
        assert tx.collection_names(["y", "y"], flatten_chains=True) == ["d", "b", "a"]
        every = tx.collection_names("y", flatten_chains=True, include_chains=True)
        assert every == ["y", "x", "d", "b", "a"]
        assert tx.collection_names("[xt]", flatten_chains=True) == ["t", "d", "b"]
        assert tx.collection_names("*", {CollectionType.CHAINED}, include_chains=False) == []
        assert tx.collection_names("y", {CollectionType.RUN}) == []
        assert tx.collection_names(["z*"]) == []
        with pytest.raises(NotFoundError, match="no collection 'z'"):
            tx.collection_names(["a", "z"])
