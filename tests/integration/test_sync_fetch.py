"""Fetching from a real upstream into a real staging registry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.errors import ConflictError, NotFoundError
from registry.model.collections import CollectionType
from registry.model.columns import Columns
from registry.model.digest import digest_rows
from registry.model.dimensions import DimensionUniverse
from registry.model.refs import new_id
from sync.clone import execute_fetch, plan_fetch
from sync.plan import Wanted
from sync.repo import Repo
from tests import sync_builders as made
from tests.databases import Database


@pytest.fixture
def upstream(tmp_path: Path, database: Database) -> Iterator[Repo]:
    with made.make_upstream(tmp_path / "up", registry_url=database.url()) as repo:
        yield repo


@pytest.fixture
def staging(tmp_path: Path) -> Iterator[Repo]:
    with made.make_staging(tmp_path / "campaign") as repo:
        yield repo


def fetch(upstream: Repo, staging: Repo, wanted: Wanted) -> dict[str, dict[str, int]]:
    return {
        k: dict(v) for k, v in execute_fetch(plan_fetch(upstream, staging, wanted), staging).counts.items()
    }


def test_fetch_brings_records_with_all_they_refer_to(upstream: Repo, staging: Repo) -> None:
    """Visits come with filters, days and instrument; relations come where all that they relate is there."""
    fetch(upstream, staging, made.wanted(upstream, visits=(1,)))

    with staging.registry.read() as snap:
        assert snap.records("visit")["visit"].tolist() == [1]
        assert snap.records("physical_filter")["physical_filter"].tolist() == ["r-1"]
        assert snap.records("day_obs")["day_obs"].tolist() == [20260101]
        assert snap.records("visit_definition").rows() == [("CAM", 1, 1)]
        assert snap.records("visit_system_membership").n_rows == 0  # no visit system was wanted
        assert snap.records("patch").n_rows == 0


def test_values_of_a_view_bring_the_records_they_come_from(upstream: Repo, staging: Repo) -> None:
    """A wanted band, which has no table, is there because its filters are."""
    fetch(upstream, staging, Wanted(records={"band": Columns({"band": ["i"]})}))

    with staging.registry.read() as snap:
        assert snap.records("physical_filter").rows() == [("CAM", "i-1", "i")]
        assert snap.data_ids(snap.universe.group(["band"]))["band"].tolist() == ["i"]


def test_fetched_datasets_keep_id_run_and_bytes_and_point_upstream(upstream: Repo, staging: Repo) -> None:
    """A fetched dataset is in its own RUN under its own id; its bytes are read from where they are upstream."""
    fetch(upstream, staging, made.wanted(upstream))

    with upstream.registry.read() as theirs, staging.registry.read() as ours:
        a = theirs.datasets(made.RAW, ["CAM/raw/all"], artifacts=True, order_by=["exposure", "detector"])
        b = ours.datasets(made.RAW, ["CAM/raw/all"], artifacts=True, order_by=["exposure", "detector"])
    same = ("instrument", "exposure", "detector", "id", "run", "size", "checksum", "formatter")
    assert [row for row in a.rows(same) if row[1] in (1, 2)] == b.rows(same)
    assert [upstream.datastore.locate(u) for u in a["uri"].tolist()][: b.n_rows] == b["uri"].tolist()
    assert Path(b["uri"][0]).read_bytes() == b"raw ('CAM', 1, 0) "


@pytest.mark.parametrize(
    "inputs",
    [("CAM/defaults",), ("CAM/calib", "CAM/raw/all"), ("CAM/calib/old", "CAM/calib"), ("CAM/c*", "CAM/r*")],
)
def test_find_first_gives_the_same_ids_on_both_sides(
    upstream: Repo, staging: Repo, inputs: tuple[str, ...]
) -> None:
    """For every fetched input, the search over the same collections finds in staging what it finds upstream."""
    wanted = made.wanted(upstream, inputs)
    fetch(upstream, staging, wanted)

    with upstream.registry.read() as theirs, staging.registry.read() as ours:
        # A search by patterns has an order only once these are expanded, as graph building does.
        there, here = theirs.search_path(inputs), ours.search_path(inputs)
        for name in (made.RAW, made.BIAS):
            a = set(theirs.datasets(name, there).rows())
            b = set(ours.datasets(name, here).rows())
            assert b == {row for row in a if row[-2] in set(wanted.dataset_ids)}
        assert ours.datasets(made.BIAS, here).n_rows == 2


def test_chains_are_reduced_to_what_is_used(upstream: Repo, staging: Repo) -> None:
    """Of the children of an input chain only those come that lead to a used RUN; a RUN that is named comes always."""
    fetch(upstream, staging, made.wanted(upstream, ("CAM/defaults", "CAM/raw/none")))

    with staging.registry.read() as snap:
        chain = {c.name: c.children for c in snap.collections(types={CollectionType.CHAINED})}
        assert chain == {"CAM/calib": ("CAM/calib/new", "CAM/calib/old"),
                "CAM/defaults": ("CAM/raw/none", "CAM/raw/all", "CAM/calib")}  # fmt: skip
    other = Wanted([], {}, [], ("CAM/calib",))
    plan = plan_fetch(upstream, staging, other)
    assert plan.is_empty


def test_an_unused_child_stays_away(upstream: Repo, staging: Repo) -> None:
    """A chain's child that holds nothing of what is fetched is not in staging."""
    with upstream.registry.read() as snap:
        ids = snap.datasets(made.BIAS, ["CAM/calib/old"])["id"].tolist()
    fetch(upstream, staging, Wanted(ids, {}, [], ("CAM/defaults",)))

    with staging.registry.read() as snap:
        assert snap.search_path(["CAM/defaults"]) == ["CAM/calib/old"]


def test_a_second_fetch_brings_only_what_is_missing(upstream: Repo, staging: Repo) -> None:
    """Fetching more adds the rest, and fetching the same writes nothing at all."""
    fetch(upstream, staging, made.wanted(upstream, visits=(1,)))
    counts = fetch(upstream, staging, made.wanted(upstream, visits=(1, 2)))

    assert counts["dataset"] == {"new": 2, "same": 4, "changed-upstream": 0, "conflict": 0}
    assert plan_fetch(upstream, staging, made.wanted(upstream, visits=(1, 2))).is_empty
    assert fetch(upstream, staging, made.wanted(upstream, visits=(1, 2)))["dataset"] == {
        "new": 0,
        "same": 6,
        "changed-upstream": 0,
        "conflict": 0,
    }


def test_fetch_leaves_upstream_untouched(tmp_path: Path) -> None:
    """Not one byte of upstream changes, and a repository opened to read is enough."""
    made.make_upstream(tmp_path / "up").close()
    before = made.state(tmp_path / "up")
    with Repo.open(tmp_path / "up") as upstream, made.make_staging(tmp_path / "c") as staging:
        fetch(upstream, staging, made.wanted(upstream))

    assert before == made.state(tmp_path / "up")


def test_every_fetched_entity_has_a_baseline(upstream: Repo, staging: Repo) -> None:
    """Datasets, records, dataset types and collections have the digest of what they were upstream."""
    fetch(upstream, staging, made.wanted(upstream, visits=(1,)))

    with staging.registry.read() as snap:
        rows = snap.table("baseline")
        kinds = set(rows["kind"].tolist())
        visit = snap.records("visit")
    assert {"collection", "dataset", "dataset-type", "record:visit", "record:visit_definition"} <= kinds
    kept = dict(zip(rows["key"].tolist(), rows["digest"].tolist(), strict=True))
    assert digest_rows(visit.rows())[0] == kept[b"('CAM', 1)"] or b"('CAM', 1)" in kept


def test_a_record_changed_upstream_is_reported_and_kept_as_fetched(
    upstream: Repo, staging: Repo, tmp_path: Path
) -> None:
    """What was fetched stays as it was; the plan says that upstream has moved on."""
    fetch(upstream, staging, made.wanted(upstream))
    made.change(tmp_path / "up", "UPDATE dim_visit SET exposure_time = 99 WHERE visit = 1")

    plan = plan_fetch(upstream, staging, made.wanted(upstream))
    execute_fetch(plan, staging)

    assert [note.code for note in plan.changed] == ["record-changed"]
    assert plan.counts["record"]["changed-upstream"] == 1
    with staging.registry.read() as snap:
        assert snap.records("visit")["exposure_time"].tolist() == [30.0, 30.0]


def test_a_record_made_on_both_sides_refuses_the_fetch(upstream: Repo, staging: Repo) -> None:
    """A record that staging has with other values and never fetched is a conflict that names both."""
    with staging.registry.write() as tx:
        tx.insert_records("instrument", Columns({"instrument": ["CAM"], "detector_max": [7]}))

    plan = plan_fetch(upstream, staging, made.wanted(upstream))
    with pytest.raises(ConflictError, match=r"detector_max=7.*detector_max=2") as caught:
        execute_fetch(plan, staging)

    assert caught.value.code == "record-differs"
    with staging.registry.read() as snap:
        assert snap.dataset_types() == []


def test_an_input_that_upstream_lost_is_an_error_until_it_is_here(upstream: Repo, staging: Repo) -> None:
    """A wanted dataset on neither side is named; one that was fetched before is only reported as gone."""
    wanted = made.wanted(upstream)
    fetch(upstream, staging, wanted)
    with upstream.registry.write() as tx:
        tx.delete_datasets(list(wanted.dataset_ids[:1]))

    assert [note.code for note in plan_fetch(upstream, staging, wanted).changed] == ["dataset-gone"]
    with pytest.raises(NotFoundError, match="1 of 1 datasets"):
        plan_fetch(upstream, staging, Wanted([new_id()]))


def test_what_only_staging_has_is_left_alone(upstream: Repo, staging: Repo) -> None:
    """Inputs from the campaign's own runs, and its own collections among the inputs, need nothing of upstream."""
    fetch(upstream, staging, made.wanted(upstream))
    run = made.make_run(staging, "u/me/1")

    plan = plan_fetch(upstream, staging, Wanted(run.dataset_ids, {}, [], ("u/me/1", "CAM/defaults")))

    assert plan.is_empty
    assert not plan.conflicts


def test_an_unknown_input_collection_is_named(upstream: Repo, staging: Repo) -> None:
    """A collection that neither side has is an error which offers the nearest name."""
    with pytest.raises(NotFoundError, match="CAM/default") as caught:
        plan_fetch(upstream, staging, Wanted(collections=["CAM/default"]))

    assert "CAM/defaults" in caught.value.hint


def test_a_chain_that_grew_upstream_grows_here_in_upstreams_order(upstream: Repo, staging: Repo) -> None:
    """A RUN put in front of an input chain is found first in staging too, once something of it is fetched."""
    fetch(upstream, staging, made.wanted(upstream))
    newest = made.put_datasets(upstream, made.BIAS, "CAM/calib/newest", [("CAM", 0)])
    with upstream.registry.write() as tx:
        tx.set_chain("CAM/calib", ["CAM/calib/newest", "CAM/calib/new", "CAM/calib/old"])

    plan = plan_fetch(upstream, staging, made.wanted(upstream))
    execute_fetch(plan, staging)

    assert [note.code for note in plan.changed] == ["collection-changed"]
    with staging.registry.read() as snap:
        found = snap.find(made.BIAS, {"instrument": "CAM", "detector": 0}, ["CAM/defaults"])
    assert found is not None
    assert newest == [found.id]


def test_another_universe_is_refused(upstream: Repo, tmp_path: Path) -> None:
    """A staging registry of another universe fetches nothing."""
    weather = {
        "name": "w",
        "version": 1,
        "elements": {"station": {"key": {"name": "name", "type": "string"}}},
    }
    with made.make_staging(tmp_path / "w", DimensionUniverse.from_document(weather)) as other:
        plan = plan_fetch(upstream, other, Wanted())
        with pytest.raises(ConflictError) as caught:
            execute_fetch(plan, other)

    assert caught.value.code == "universe-differs"
