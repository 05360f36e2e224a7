"""Builds on upstream and staging: records that only staging has, copies, calibrations, offline, and what it costs."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from registry.errors import ConflictError, NotFoundError, UsageError
from registry.model.collections import CollectionType
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.registry import Change, Registry
from stage.graph.building.build import build_from_view
from stage.graph.building.question import Question
from stage.graph.building.view import BuildView
from stage.graph.graph import QuantumGraph
from stage.graph.layout import Header
from sync.fsspec_store import FsspecDatastore
from sync.manifest import baseline_rows, record_digests, record_kind
from sync.repo import Repo
from tests.databases import Database, ask, sent
from tests.regions import UNIVERSE, square
from tests.split import Split
from tests.split_world import PIPELINES, TYPES, put, records, told

RECORDS = records()
LOCAL: dict[str, set[tuple[Any, ...]]] = {
    "exposure": {("I", 5)}, "group": {("I", "g5")}, "visit": {("I", 15)}, "visit_definition": {("I", 5, 15)},
    "visit_detector_region": {("I", d, 15) for d in range(3)},
}  # fmt: skip
"""The last visit, which was defined here."""


def repo_of(registry: Registry, name: str) -> Repo:
    """Return a repository that holds nothing but rows."""
    return Repo(f"/{name}", registry, FsspecDatastore(f"memory://{name}"))


def with_types(change: Change, *names: str) -> None:
    """Register dataset types."""
    for name in names:
        dims, is_calibration = TYPES[name]
        change.register_dataset_type(DatasetType(name, UNIVERSE.group(dims), "Json", is_calibration))


def with_datasets(change: Change, name: str, run: str, rows: list[tuple[Any, ...]]) -> list[bytes]:
    """Register a dataset type and a RUN, and insert datasets; return their ids."""
    with_types(change, name)
    change.register_run(run)
    return put(change, name, run, rows)


def all_of(name: str, exposures: Any = range(1, 6)) -> list[tuple[Any, ...]]:
    """Return data IDs of raws or images."""
    first = 0 if name == "raw" else 10
    return [("I", d, first + e) for e in exposures for d in range(3)]


def build(
    view: BuildView, collections: tuple[str, ...], pipeline: str = "coadd", where: str = "", **options: Any
) -> QuantumGraph:
    """Build, also if nothing comes of it."""
    header = Header(bytes(range(16)), input_collections=collections)
    with view:
        return build_from_view(
            PIPELINES[pipeline](), view, Question(where), header, **{"allow_empty": True, **options}
        )


@pytest.fixture
def split() -> Split:
    """All records of a survey, of which only staging has the last visit's."""
    return Split(RECORDS, UNIVERSE, random.Random(0), local=dict(LOCAL))


@pytest.fixture
def sides(database: Database, tmp_path: Path, split: Split) -> Iterator[tuple[Repo, Repo]]:
    """Return upstream with four visits, and staging with a fifth one and with copies of what it refers to."""
    beside = Database("sqlite", tmp_path)
    upstream, staging = database.registry(UNIVERSE), beside.registry(UNIVERSE)
    with upstream.write() as change:
        split.write_upstream(change)
        with_datasets(change, "raw", "in", all_of("raw", range(1, 5)))
        with_datasets(change, "calexp", "in", all_of("calexp", range(1, 5)))
    with staging.write() as change:
        split.write_staging(change)
        with_datasets(change, "raw", "mine", all_of("raw", [5]))
        with_datasets(change, "calexp", "mine", all_of("calexp", [5]))
    yield repo_of(upstream, "up"), repo_of(staging, "ours")
    beside.drop()


@pytest.fixture
def merged(tmp_path: Path) -> Iterator[Repo]:
    """Return one repository with all of it."""
    database = Database("sqlite", tmp_path)
    registry = database.registry(UNIVERSE)
    with registry.write() as change:
        for element in UNIVERSE.elements.values():
            if element.name in RECORDS:
                change.insert_records(element.name, RECORDS[element.name])
        for name in ("raw", "calexp"):
            with_datasets(change, name, "in", all_of(name, range(1, 5)))
            with_datasets(change, name, "mine", all_of(name, [5]))
    yield repo_of(registry, "one")
    database.drop()


WHERES = ("", "visit.exposure_time > 25 AND instrument = 'I'", "skymap = 'S' AND tract = 1")


@pytest.mark.parametrize("where", WHERES)
def test_a_visit_that_only_staging_has_takes_part_in_joins_on_the_sky(sides, merged, where):
    """Its detectors are matched with upstream's patches, as if it were upstream."""
    apart = build(BuildView(*sides), ("mine", "in"), where=where)
    assert told(build(BuildView(merged), ("mine", "in"), where=where)) == told(apart)
    assert 15 in {v for _, v in apart.data_ids("warp").rows(("patch", "visit"))}


def test_a_patch_that_only_staging_has_takes_part_too(sides, merged):
    """It is matched with detectors of both sides."""
    extra = Columns(
        {
            "skymap": ["S"], "tract": [1], "patch": [99], "cell_x": [9], "cell_y": [9],
            "region": [square(14.5, 0.2, 0.9)],
        }
    )  # fmt: skip
    for repo in (sides[1], merged):
        with repo.registry.write() as change:
            for name in ("skymap", "tract"):
                change.insert_records(name, RECORDS[name], on_existing="skip")
            change.insert_records("patch", extra)
    apart = build(BuildView(*sides), ("mine", "in"))
    assert told(build(BuildView(merged), ("mine", "in"))) == told(apart)
    visits = {v for p, v in apart.data_ids("warp").rows(("patch", "visit")) if p == 99}
    assert {14, 15} <= visits


def test_datasets_of_a_type_that_upstream_does_not_know_are_joined(database, split, tmp_path):
    """Outputs of a past run were never registered upstream; upstream's records are enough."""
    split.local = {name: set() for name in split.local}
    upstream, staging = database.registry(UNIVERSE), Database("sqlite", tmp_path).registry(UNIVERSE)
    with upstream.write() as change:
        split.write_upstream(change)
    with staging.write() as change:
        split.write_staging(change, {"visit": [("I", 12)], "detector": [("I", 0)]})
        with_datasets(change, "calexp", "past", [("I", 0, 12)])
    graph = build(BuildView(repo_of(upstream, "up"), repo_of(staging, "ours")), ("past",))
    assert {v for (v,) in graph.data_ids("warp").rows(("visit",))} == {12}
    staging.close()


def test_a_record_made_on_both_sides_is_refused_if_they_differ(sides):
    """The error names the record, the column and both values."""
    upstream, staging = sides
    rows = RECORDS["visit"].take(RECORDS["visit"]["visit"] == 15)
    with upstream.registry.write() as change:
        for name in ("group", "exposure"):
            change.insert_records(name, RECORDS[name], on_existing="skip")
        change.insert_records("visit", rows.with_column("exposure_time", [77.0]))
    with pytest.raises(
        ConflictError, match=r"visit=15.*exposure_time: staging has 50.0, upstream has 77.0"
    ) as caught:
        build(BuildView(upstream, staging), ("mine", "in"))
    assert caught.value.code == "record-differs"


def test_the_same_record_made_on_both_sides_is_taken_once(sides, merged):
    """Equal records are one."""
    upstream, staging = sides
    with upstream.registry.write() as change:
        for name in (n for n in UNIVERSE.elements if n in LOCAL):
            change.insert_records(name, RECORDS[name], on_existing="skip")
    assert told(build(BuildView(merged), ("mine", "in"))) == told(
        build(BuildView(upstream, staging), ("mine", "in"))
    )


def test_of_a_copy_upstream_tells_what_it_is_now(sides, split):
    """A record that was fetched and has changed upstream since is no conflict: upstream's counts."""
    upstream, staging = sides
    with staging.registry.write() as change:
        split.write_staging(change, {"visit": [("I", 11)]})
    with upstream.registry.write():
        ask(upstream.registry, "UPDATE dim_visit SET exposure_time = 500 WHERE visit = 11")
    where = "instrument = 'I' AND visit.exposure_time > 45"
    graph = build(BuildView(upstream, staging), ("mine", "in"), where=where)
    assert {v for (v,) in graph.data_ids("warp").rows(("visit",))} == {11, 15}
    assert graph.records("visit")["exposure_time"].tolist() == [500.0, 50.0]


def test_a_name_that_two_records_have_is_refused(sides):
    """A visit that was defined here bears the name of another one upstream: no registry could hold both."""
    upstream, staging = sides
    row = RECORDS["visit"].take(RECORDS["visit"]["visit"] == 15).with_column("visit", [16])
    with upstream.registry.write() as change:
        change.insert_records("visit", row)
        with_datasets(change, "calexp", "in", [("I", 0, 16)])
    with pytest.raises(ConflictError, match="name=v5") as caught:
        build(BuildView(upstream, staging), ("mine", "in"))
    assert caught.value.code == "record-key-taken"


def certified(change: Change, name: str) -> None:
    """Put biases of all detectors into a CALIBRATION collection, valid always."""
    ids = with_datasets(change, "bias", f"{name}/run", [("I", d) for d in range(3)])
    change.register_collection(name, CollectionType.CALIBRATION)
    change.certify(name, ids)


def test_calibrations_of_either_side_are_found_for_exposures_of_either(sides, split):
    """Times come from the side that has the record: staging knows exposure 5 alone, upstream all others."""
    upstream, staging = sides
    with upstream.registry.write() as change:
        certified(change, "theirs")
    with staging.registry.write() as change:
        split.write_staging(change, {"detector": [("I", d) for d in range(3)]})
        certified(change, "ours")
    for calib in ("theirs", "ours"):
        graph = build(BuildView(upstream, staging), ("mine", "in", calib), "isr")
        found = {(q.data_id["exposure"], d.run) for q in graph.quanta(range(15)) for d in q.inputs["bias"]}
        assert found == {(e, f"{calib}/run") for e in range(1, 6)}


def test_offline_staging_alone_answers(sides):
    """Upstream is not opened; what staging has is enough for its own visit."""
    staging = sides[1]
    with staging.registry.write() as change:
        for name in ("skymap", "tract", "patch"):
            change.insert_records(name, RECORDS[name], on_existing="skip")
    for view in (BuildView(None, staging, offline=True), BuildView(*sides, offline=True)):
        graph = build(view, ("mine",))
        assert {v for (v,) in graph.data_ids("warp").rows(("visit",))} == {15}


def test_offline_an_error_says_that_upstream_was_not_asked(sides):
    """A collection, a dataset type, a calibration, and all data IDs that only upstream has."""

    def view() -> BuildView:
        return BuildView(None, sides[1], offline=True)

    with pytest.raises(NotFoundError, match=r"'in'.*offline"):
        build(view(), ("in",))
    with pytest.raises(NotFoundError, match=r"'template'.*offline"):
        build(view(), ("mine",), "subtract")
    with pytest.raises(UsageError, match=r"empty.*offline") as caught:
        build(view(), ("mine",), where="instrument = 'I' AND visit = 11", allow_empty=False)
    assert caught.value.code == "empty-graph"


def test_without_upstream_offline_needs_a_staging(sides):
    """There is nothing to ask."""
    with pytest.raises(UsageError):
        BuildView(sides[0], offline=True)


def many(change: Change, first: int, n: int, run: str) -> None:
    """Insert exposures with a visit each, and their raws."""
    numbers = list(range(first, first + n))
    one = {"instrument": ["I"] * n}
    change.insert_records("group", Columns({**one, "group": [f"g{i}" for i in numbers]}))
    for name, base in (("exposure", 0), ("visit", 10_000)):
        rows: dict[str, Any] = {**one, name: [base + i for i in numbers], "day_obs": [100] * n}
        rows |= {
            "physical_filter": ["r1"] * n,
            "timespan_begin": numbers,
            "timespan_end": [i + 1 for i in numbers],
        }
        rows |= (
            {"group": [f"g{i}" for i in numbers], "obs_id": [f"o{i}" for i in numbers]} if not base else {}
        )
        rows |= {"name": [f"v{i}" for i in numbers]} if base else {}
        change.insert_records(name, Columns(rows))
    change.insert_records(
        "visit_definition", Columns({**one, "exposure": numbers, "visit": [10_000 + i for i in numbers]})
    )
    with_datasets(change, "raw", run, [("I", d, i) for i in numbers for d in range(3)])


@pytest.mark.parametrize("path", ["upstream alone", "datasets in staging", "records in staging"])
def test_the_number_of_statements_does_not_grow_with_the_rows(database, tmp_path, path):
    """Neither upstream nor staging is asked once for each exposure, visit, dataset or quantum."""
    basis = Split(
        {n: RECORDS[n] for n in ("instrument", "physical_filter", "day_obs", "detector")},
        UNIVERSE, random.Random(0), local={"instrument": set()},
    )  # fmt: skip
    upstream, staging = database.registry(UNIVERSE), Database("sqlite", tmp_path).registry(UNIVERSE)
    with upstream.write() as change:
        basis.write_upstream(change)
        certified(change, "calib")
        with_types(change, "raw")
        change.register_run("in")
    with staging.write() as change:
        every = {n: RECORDS[n].rows(UNIVERSE.elements[n].required) for n in basis.records}
        basis.write_staging(change, every)
        with_types(change, "raw")
        change.register_run("mine")
    counts = []
    for size, first in ((5, 100), (60, 1000)):
        with upstream.write() as change:
            many(change, first, size, "in")
        with staging.write() as change:
            if path == "records in staging":
                many(change, first + size, size, "mine")
            if path == "datasets in staging":
                copied(change, upstream, first, size)
        # Opened anew: PostgreSQL's driver sends what it has sent often in another form.
        with Registry.open(upstream.url) as read, sent(read) as theirs, sent(staging) as ours:
            view = BuildView(repo_of(read, "up"), repo_of(staging, "ours"))
            graph = build(view, ("mine", "in", "calib"), "isr")
        assert graph.n_quanta >= 6 * size
        counts.append((statements(theirs), statements(ours)))
    assert counts[0] == counts[1]
    elements, types, tasks = 9, 2, 2
    assert max(counts[0]) <= 10 * (elements + types + tasks)
    staging.close()


def statements(log: list[str]) -> int:
    """Count what was asked, without the rows that are handed over."""
    return sum(text.lstrip().upper().startswith(("SELECT", "WITH")) for text in log)


def copied(change: Change, upstream: Registry, first: int, n: int) -> None:
    """Insert copies of exposures, and raws of a past run for them."""
    with upstream.read() as snapshot:
        for name in ("group", "exposure"):
            element, rows = UNIVERSE.elements[name], snapshot.records(name)
            change.insert_records(name, rows, on_existing="skip")
            kept = baseline_rows({record_kind(name): record_digests(element, rows)})
            change.insert_rows("baseline", kept, on_existing="replace")
    with_datasets(change, "raw", "mine", [("I", d, i) for i in range(first, first + n) for d in range(3)])


def test_upstream_is_only_read(tmp_path, split):
    """Not a byte below its root changes, nor the time of a file, though the overlay is needed."""
    from tests.integration.tiny_campaign import tree_digest

    root, staging = tmp_path / "up", Database("sqlite", tmp_path).registry(UNIVERSE)
    with Repo.create(str(root), UNIVERSE) as repo, repo.registry.write() as change:
        split.write_upstream(change)
        with_datasets(change, "calexp", "in", all_of("calexp", range(1, 5)))
    with staging.write() as change:
        split.write_staging(change)
        with_datasets(change, "calexp", "mine", all_of("calexp", [5]))
    before = tree_digest(root)
    with Repo.open(str(root)) as upstream:
        assert not upstream.registry.writable
        assert build(BuildView(upstream, repo_of(staging, "ours")), ("mine", "in")).n_quanta
    assert tree_digest(root) == before
    staging.close()
