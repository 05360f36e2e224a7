"""What every registry promises, whatever database it is in."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from registry.errors import (
    AlreadyExistsError,
    BusyError,
    ConflictError,
    DataIdError,
    NotFoundError,
    StageError,
    UsageError,
)
from registry.model.collections import CollectionType
from registry.model.columns import Columns
from registry.model.refs import new_ids
from registry.registry import Change, Registry
from tests.databases import Database
from tests.registry_builders import UNIVERSE, add_camera, dataset_type, detector_rows

MakeUrl = Callable[[], str]


@pytest.fixture(params=["sqlite", "sqlite-wal", pytest.param("postgres", marks=pytest.mark.service)])
def kind(request: pytest.FixtureRequest) -> str:
    """The kind of database; another one joins the suite by another name here."""
    return str(request.param)


@pytest.fixture
def make_url(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> MakeUrl:
    """Give the URL of a database that does not exist yet, a new one each time."""
    if kind == "postgres":
        made: Database = request.getfixturevalue("postgres")
        return made.url
    return Database("sqlite", tmp_path).url


@pytest.fixture
def create(kind: str, make_url: MakeUrl) -> Iterator[Callable[[], tuple[Registry, str]]]:
    """Make empty registries, closed at the end."""
    made: list[Registry] = []

    def one() -> tuple[Registry, str]:
        url = make_url()
        made.append(Registry.create(url, UNIVERSE, wal=kind == "sqlite-wal"))
        return made[-1], url

    yield one
    for registry in made:
        registry.close()


Create = Callable[[], tuple[Registry, str]]


def fill(registry: Registry) -> Columns:
    """Insert a camera, a dataset type, two runs, a chain and datasets; return the datasets' rows."""
    rows = detector_rows(artifacts=True)
    with registry.write() as tx:
        add_camera(tx)
        tx.register_dataset_type(dataset_type("raw", "detector"))
        tx.register_run("a")
        tx.register_run("b")
        tx.set_chain("all", ["b", "a"])
        tx.insert_datasets("raw", "a", rows)
    return rows


def test_creation_happens_once(create: Create) -> None:
    """The same place twice is refused; opening gives what was made."""
    registry, url = create()
    with pytest.raises(AlreadyExistsError):
        Registry.create(url, UNIVERSE)
    with Registry.open(url) as opened:
        assert (registry.repo_id, UNIVERSE) == (opened.repo_id, opened.universe)


def test_a_place_where_nothing_is(make_url: MakeUrl) -> None:
    """Opening nothing is a NotFoundError, and makes nothing."""
    url = make_url()
    for writable in (False, True, False):
        with pytest.raises(NotFoundError):
            Registry.open(url, writable=writable)


def test_readers_cannot_write(create: Create) -> None:
    """A registry opened for reading refuses changes."""
    _, url = create()
    with Registry.open(url) as reader, pytest.raises(UsageError), reader.write():
        pass


def test_a_copy_through_columns_is_equal(create: Create) -> None:
    """What snapshots return can be inserted into another registry, twice, and reads the same there."""
    source, _ = create()
    target, _ = create()
    fill(source)
    for new in (True, False):
        with source.read() as snap, target.write() as tx:
            for element in (e.name for e in UNIVERSE.elements.values() if e.has_table):
                rows = snap.records(element)
                assert (rows.n_rows if new else 0) == tx.insert_records(element, rows, on_existing="compare")
            for collection in snap.collections(types={CollectionType.RUN}):
                assert new is tx.register_run(collection.name, collection.doc)
            for found in snap.dataset_types():
                assert new is tx.register_dataset_type(found)
                for run in snap.search_path(["*"]):
                    datasets = snap.datasets(found.name, [run], artifacts=True)
                    rows = datasets.select([n for n in datasets.names if n != "run"])
                    assert (rows.n_rows if new else 0) == tx.insert_datasets(
                        found.name, run, rows, on_existing="skip"
                    )
            tx.set_chain("all", snap.collection("all").children)
    with source.read() as one, target.read() as other:
        assert one.collections() == other.collections()
        assert one.dataset_types() == other.dataset_types()
        assert sorted(one.datasets("raw", ["all"], artifacts=True).rows()) == sorted(
            other.datasets("raw", ["all"], artifacts=True).rows()
        )
        for element in ("instrument", "detector", "physical_filter", "band", "visit"):
            assert one.records(element).rows() == other.records(element).rows()


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (
            lambda tx: tx.insert_datasets("raw", "b", detector_rows().with_column("detector", [0, 1, 2, 9])),
            DataIdError,
        ),
        (lambda tx: tx.insert_datasets("raw", "a", detector_rows()), ConflictError),
        (lambda tx: tx.insert_datasets("raw", "a", detector_rows(), on_existing="skip"), ConflictError),
        (lambda tx: tx.insert_records("instrument", Columns({"instrument": ["New", "Cam"]})), ConflictError),
        (lambda tx: tx.set_chain("all", ["a"], expected=["a"]), ConflictError),
        (lambda tx: tx.set_chain("all", ["a", "all"]), ConflictError),
        (lambda tx: tx.remove_collection("a"), ConflictError),
        (lambda tx: tx.register_run("all"), ConflictError),
        (lambda tx: tx.register_dataset_type(dataset_type("raw", "visit")), ConflictError),
        (lambda tx: tx.insert_quanta(Columns({"id": [b"q" * 16]})), UsageError),
        (
            lambda tx: tx.insert_rows("repository", Columns({"key": ["x", "repo_id"], "value": ["", ""]})),
            AlreadyExistsError,
        ),
    ],
)
def test_a_refused_call_leaves_nothing(
    create: Create, act: Callable[[object], object], error: type[StageError]
) -> None:
    """After an error, caught inside the change, the change can go on and be kept without the refused part."""
    registry, _ = create()
    fill(registry)
    before = dump(registry)
    with registry.write() as tx, pytest.raises(error):
        act(tx)
    assert before == dump(registry)


def dump(registry: Registry) -> list[object]:
    """Everything that a snapshot tells."""
    with registry.read() as snap:
        return [
            snap.collections(),
            snap.dataset_types(),
            sorted(snap.datasets("raw", ["*"], find_first=False, artifacts=True).rows()),
            [snap.records(e.name).rows() for e in UNIVERSE.elements.values() if e.has_table],
            snap.quanta().rows(),
            snap.table("repository").rows(),
        ]


def test_nothing_is_kept_of_a_change_that_fails(create: Create) -> None:
    """An exception from the block undoes all of it."""
    registry, _ = create()
    fill(registry)
    before = dump(registry)
    with pytest.raises(RuntimeError, match="enough"), registry.write() as tx:  # noqa: PT012
        tx.register_dataset_type(dataset_type("image", "visit", "detector"))
        tx.delete_datasets(tx.datasets("raw", ["a"])["id"].tolist())
        tx.set_chain("all", [])
        raise RuntimeError("enough")
    assert before == dump(registry)


def test_numbers_of_rows_do_not_matter(create: Create) -> None:
    """Some ten thousand datasets go in, are asked for by id, by table and by path, and go out."""
    registry, _ = create()
    n = 12_000
    with registry.write() as tx:
        tx.insert_records("instrument", Columns({"instrument": ["Big"]}))
        ones = {"instrument": ["Big"] * n, "detector": list(range(n))}
        tx.insert_records("detector", Columns(ones | {"full_name": [str(i) for i in range(n)]}))
        tx.register_dataset_type(dataset_type("raw", "detector"))
        tx.register_run("a")
        rows = Columns(ones | {"id": new_ids(n)})
        assert n == tx.insert_datasets("raw", "a", rows)
    with registry.read() as snap:
        assert n == snap.datasets("raw", ["a"]).n_rows
        assert n == len(snap.existing_ids(rows["id"].tolist()))
        assert n == snap.datasets_by_id(rows["id"].tolist())["raw"].n_rows
        half = rows.take(np.arange(0, n, 2)).select(["detector"])
        assert n // 2 == snap.datasets("raw", ["a"], table=half).n_rows
        assert n // 2 == snap.data_ids(UNIVERSE.group(["detector"]), table=half).n_rows
    with registry.write() as tx:
        tx.delete_datasets(rows["id"].tolist())
        assert tx.datasets("raw", ["a"]).n_rows == 0


def _append(url: str, number: int, n: int) -> None:
    """Add `n` runs, each to the front of one chain, retrying as a pusher does."""
    for i in range(n):
        with Registry.open(url, writable=True) as registry:
            run = f"run/{number}/{i}"
            while True:
                try:
                    with registry.read() as snap:
                        chain = snap.collection("all").children
                    with registry.write() as tx:
                        tx.register_run(run)
                        tx.set_chain("all", [run, *chain], expected=chain)
                    break
                except (ConflictError, BusyError):
                    continue


def test_writers_of_several_processes_lose_nothing(create: Create) -> None:
    """Chains moved by compare-and-swap at the same time end with everybody's runs, each once."""
    registry, url = create()
    with registry.write() as tx:
        tx.set_chain("all", [])
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_append, args=(url, k, 5)) for k in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    with registry.read() as snap:
        children = snap.collection("all").children

    assert [w.exitcode for w in workers] == [0, 0, 0]
    assert sorted(f"run/{k}/{i}" for k in range(3) for i in range(5)) == sorted(children)
    for k in range(3):
        own = [c for c in children if c.startswith(f"run/{k}/")]
        assert [f"run/{k}/{i}" for i in reversed(range(5))] == own


BAD_ROWS: dict[str, tuple[Callable[[Change], object], str]] = {
    "a key that is too long": (
        lambda tx: tx.insert_records("instrument", Columns({"instrument": ["x" * 300]})),
        "300 characters, where 32 fit",
    ),
    "a null character in a key": (
        lambda tx: tx.insert_records("instrument", Columns({"instrument": ["x\0"]})),
        "null character",
    ),
    "a null character": (
        lambda tx: tx.insert_records("instrument", Columns({"instrument": ["X"], "class_name": ["a\0"]})),
        "'class_name' cannot hold 'a.x00'",
    ),
    "half a character": (
        lambda tx: tx.insert_records("instrument", Columns({"instrument": ["X"], "class_name": ["\ud800"]})),
        "'class_name' cannot hold",
    ),
    "an integer beyond 64 bits": (
        lambda tx: tx.insert_records("instrument", Columns({"instrument": ["X"], "visit_max": [2**63]})),
        "'visit_max' cannot hold 9223372036854775808: it is beyond",
    ),
    "a text for an integer": (
        lambda tx: tx.insert_records("instrument", Columns({"instrument": ["X"], "visit_max": ["many"]})),
        "'visit_max' cannot hold 'many': expected an integer",
    ),
    "a fraction for an integer": (
        lambda tx: tx.insert_records("instrument", Columns({"instrument": ["X"], "visit_max": [1.5]})),
        "'visit_max' cannot hold 1.5: expected an integer",
    ),
    "an integer for a text": (
        lambda tx: tx.insert_records("instrument", Columns({"instrument": ["X"], "class_name": [5]})),
        "'class_name' cannot hold 5: expected a text",
    ),
    "a text that is too long": (
        lambda tx: tx.insert_datasets(
            "raw", "b", detector_rows(artifacts=True).with_column("formatter", ["f" * 65] * 4)
        ),
        "'formatter' cannot hold .* 65 characters, and 64 fit",
    ),
    "a null character in a doc": (lambda tx: tx.register_run("new", "a\0"), "'doc' cannot hold 'a.x00'"),
    "a storage class that is too long": (
        lambda tx: tx.register_dataset_type(dataset_type("new", "detector", storage_class="s" * 99)),
        "'storage_class' cannot hold .* 99 characters, and 64 fit",
    ),
}


def test_values_that_one_database_could_not_hold_are_refused_by_all(create: Create) -> None:
    """Type, length and range of values are checked before any database sees them; the column and the value are named."""
    registry, _ = create()
    fill(registry)
    for what, (insert, words) in BAD_ROWS.items():
        with registry.write() as tx:
            with pytest.raises(UsageError, match=words):
                insert(tx)
            assert (tx.count_datasets().rows(), what) == ([("raw", "a", 4)], what)
            assert (tx.records("instrument").n_rows, what) == (1, what)


def test_texts_are_in_order_of_code_points(create: Create) -> None:
    """Capitals come before small letters and accents after both, whatever the locale of a server says."""
    names = ["a", "B", "_", "Z", "é", "aé", "az"]
    registry, _ = create()
    with registry.write() as tx:
        tx.insert_records("instrument", Columns({"instrument": names}))
        assert sorted(names) == tx.records("instrument")["instrument"].tolist()
        found = tx.records("instrument", where="instrument > 'Z' AND instrument < 'aé'")
        assert found["instrument"].tolist() == ["_", "a", "az"]
        found = tx.records("instrument", where="GLOB(instrument, 'a*')")
        assert found["instrument"].tolist() == ["a", "az", "aé"]


CONDITIONS: list[tuple[str, list[int]]] = [
    ("detector IN (" + ", ".join(map(str, range(1, 60))) + ")", [1, 2, 3]),
    ("detector NOT IN (" + ", ".join(map(str, range(1, 60))) + ")", [0]),
    ("detector.purpose IN (" + ", ".join(f"'p{i}'" for i in range(60)) + ", 'GUIDE')", [3]),
    ("detector / 2 = 1.5", [3]),
    ("-detector % 2 = -1", [1, 3]),
    ("detector / 0 = 1", []),
    ("detector * 9223372036854775807 > 9223372036854775807", [2, 3]),
    ("detector IN (0..3:2)", [0, 2]),
    ("detector.raft = NULL AND GLOB(detector.full_name, 'S?')", [0, 1, 2, 3]),
]


def test_conditions_mean_the_same(create: Create) -> None:
    """Long lists, division, remainders of negatives, large numbers and patterns are alike in all databases."""
    registry, _ = create()
    fill(registry)
    with registry.read() as snap:
        for where, detectors in CONDITIONS:
            found = snap.datasets("raw", ["a"], where=f"instrument = 'Cam' AND {where}")
            assert (where, detectors) == (where, sorted(found["detector"].tolist()))


def test_numbers_that_are_none_are_null_and_infinite_ones_stay(create: Create) -> None:
    """NaN is what no database can compare: it is kept as null; infinity is a number."""
    registry, _ = create()
    fill(registry)
    times = [float("nan"), float("inf"), -0.5, None]
    n = len(times)
    rows = {
        "instrument": ["Cam"] * n,
        "visit": list(range(n)),
        "physical_filter": ["g1"] * n,
        "day_obs": [20240101] * n,
    }
    with registry.write() as tx:
        tx.insert_records(
            "visit", Columns(rows | {"name": [f"n{i}" for i in range(n)], "exposure_time": times})
        )
        found = tx.records("visit", where=f"instrument = 'Cam' AND visit < {n}")
    assert [None, float("inf"), -0.5, None] == found["exposure_time"].tolist()


def test_rows_given_twice_to_be_replaced_are_replaced_by_the_last(create: Create) -> None:
    """Of rows with one key in one batch the last one stays."""
    registry, _ = create()
    rows = {
        "id": [b"c" * 16] * 3,
        "name": ["x", "y", "z"],
        "doc": [""] * 3,
        "document": [""] * 3,
        "at_ns": [1, 2, 3],
    }
    with registry.write() as tx:
        tx.insert_rows("campaign", Columns(rows), on_existing="replace")
        tx.insert_rows("campaign", Columns(rows).take(np.array([2, 0])), on_existing="replace")
        assert [(r[1], r[4]) for r in tx.table("campaign").rows()] == [("x", 1)]
