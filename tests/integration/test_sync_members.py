"""Fetching the members of TAGGED and CALIBRATION collections: a lookup answers in staging as upstream."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from registry.errors import ConflictError
from registry.model.collections import CollectionType
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.refs import new_ids
from registry.registry import Change, Snapshot
from sync.clone import execute_fetch, plan_fetch
from sync.plan import FetchPlan, Wanted
from sync.repo import Repo
from tests import sync_builders as made
from tests.databases import Database

DAY = 86_400 * 10**9
N_DETECTORS, TIMED = 4, range(11, 21)
DARK = "dark"
PATH = ["CAM/certified"]
WANTED_EXPOSURES, WANTED_DETECTORS = (12, 13, 18), (0, 2)


def add_exposures(tx: Change) -> None:
    """Insert exposures of an hour each, one a day."""
    n = len(TIMED)
    begin = [e * DAY for e in TIMED]
    rows: dict[str, Any] = {
        "instrument": ["CAM"] * n, "exposure": list(TIMED), "day_obs": [20260101] * n, "group": ["g1"] * n,
        "physical_filter": ["r-1"] * n, "obs_id": [f"timed{e}" for e in TIMED],
        "timespan_begin": begin, "timespan_end": [b + DAY // 24 for b in begin],
    }  # fmt: skip
    tx.insert_records("exposure", Columns(rows))


def add_dark(tx: Change, run: str) -> list[bytes]:
    """Put a dark of each detector into a run."""
    ids = new_ids(N_DETECTORS)
    n = N_DETECTORS
    tx.register_run(run)
    rows: dict[str, Any] = {"instrument": ["CAM"] * n, "detector": list(range(n)), "id": ids}
    artifact: dict[str, Any] = {
        "uri": [f"{run}/{d}" for d in range(n)], "size": [9] * n, "checksum": [""] * n, "formatter": ["bytes"] * n,
    }  # fmt: skip
    tx.insert_datasets(DARK, run, Columns({**rows, **artifact}))
    return ids


@pytest.fixture
def upstream(tmp_path: Path, database: Database) -> Iterator[Repo]:
    """A survey with darks certified for random days in two collections, behind a chain."""
    chance = random.Random(7)
    with made.make_upstream(tmp_path / "up", n_detectors=N_DETECTORS, registry_url=database.url()) as repo:
        with repo.registry.write() as tx:
            add_exposures(tx)
            group = tx.universe.group(["detector"])
            tx.register_dataset_type(DatasetType(DARK, group, "Bytes", is_calibration=True))
            for name in ("CAM/darks", "CAM/fixed"):
                tx.register_collection(name, CollectionType.CALIBRATION)
            for i in range(5):
                ids = add_dark(tx, f"CAM/dark/{i}")
                for d in range(N_DETECTORS):
                    begin, end = sorted(chance.sample(range(10 + 3 * i, 14 + 3 * i), 2))
                    tx.certify("CAM/darks", [ids[d]], begin * DAY if i else None, end * DAY)
            ids = add_dark(tx, "CAM/dark/fixed")
            tx.certify("CAM/fixed", ids[:2], 12 * DAY, 13 * DAY)
            tx.set_chain(PATH[0], ["CAM/fixed", "CAM/darks", "CAM/raw/all"])
        yield repo


@pytest.fixture
def staging(tmp_path: Path) -> Iterator[Repo]:
    """An empty staging repository."""
    with made.make_staging(tmp_path / "campaign") as repo:
        yield repo


def wanted(
    upstream: Repo, exposures: tuple[int, ...] = WANTED_EXPOSURES, *, ids: list[bytes] | None = None
) -> Wanted:
    """What a graph of some exposures and detectors, that looks darks up, would want."""
    with upstream.registry.read() as snap:
        kind = snap.dataset_type(DARK)
    records = {
        "exposure": Columns.from_rows(("instrument", "exposure"), [("CAM", e) for e in exposures]),
        "detector": Columns.from_rows(("instrument", "detector"), [("CAM", d) for d in WANTED_DETECTORS]),
    }
    return Wanted(ids or [], records, [kind], PATH)


def fetch(upstream: Repo, staging: Repo, what: Wanted) -> FetchPlan:
    """Plan and execute a fetch; return the plan."""
    plan = plan_fetch(upstream, staging, what)
    execute_fetch(plan, staging)
    return plan


def answers(
    snap: Snapshot, exposures: tuple[int, ...] = WANTED_EXPOSURES
) -> list[tuple[int, int, bytes, str]]:
    """Return what is found for each exposure and detector."""
    rows = [("CAM", e, d) for e in exposures for d in WANTED_DETECTORS]
    table = Columns.from_rows(("instrument", "exposure", "detector"), rows)
    found = snap.find_calibrations(DARK, PATH, table)
    return [(*rows[i][1:], *rest) for i, *rest in found.rows(("ordinal", "id", "run"))]


def test_lookups_answer_as_upstream(upstream: Repo, staging: Repo) -> None:
    """For each data ID of the work the calibration that upstream finds is found here, one by one and together."""
    plan = fetch(upstream, staging, wanted(upstream))

    with upstream.registry.read() as theirs, staging.registry.read() as ours:
        expected = answers(theirs)
        assert expected == answers(ours)
        assert len(expected) > 2
        for e in WANTED_EXPOSURES:
            for d in WANTED_DETECTORS:
                data_id = {"instrument": "CAM", "exposure": e, "detector": d}
                assert theirs.find(DARK, data_id, PATH) == ours.find(DARK, data_id, PATH)
        brought = ours.validity_ranges(DARK, PATH)
    assert set(WANTED_DETECTORS) == set(brought["detector"].tolist())
    assert brought.n_rows == plan.counts["member"]["new"]


def test_only_what_can_be_met_comes(upstream: Repo, staging: Repo) -> None:
    """Of other detectors and times nothing comes; collections that hold nothing of use are left out of the chain."""
    fetch(upstream, staging, wanted(upstream, (18,)))

    with upstream.registry.read() as theirs, staging.registry.read() as ours:
        assert answers(theirs, (18,)) == answers(ours, (18,))
        assert ours.collection(PATH[0]).children == ("CAM/darks",)
        ranges = ours.validity_ranges(DARK, PATH)
        n = theirs.validity_ranges(DARK, PATH).n_rows
    time = (18 * DAY, 18 * DAY + DAY // 24)
    assert all(b < time[1] and e > time[0] for b, e in ranges.rows(("valid_begin", "valid_end")))
    assert 0 < ranges.n_rows < n // 2


def test_what_is_certified_is_there_with_its_file(upstream: Repo, staging: Repo) -> None:
    """The datasets that the ranges name come with rows and artifact records that point upstream."""
    fetch(upstream, staging, wanted(upstream))

    with staging.registry.read() as ours:
        found = ours.datasets_by_id([row[2] for row in answers(ours)], artifacts=True)[DARK]
    assert found.n_rows
    assert all(
        uri == upstream.datastore.locate(f"{run}/{d}")
        for d, run, uri in found.rows(("detector", "run", "uri"))
    )


def test_the_same_fetch_again_brings_nothing(upstream: Repo, staging: Repo) -> None:
    """A second fetch of the same finds all of it."""
    first = fetch(upstream, staging, wanted(upstream))
    again = plan_fetch(upstream, staging, wanted(upstream))

    assert again.is_empty
    assert again.counts["member"]["same"] == first.counts["member"]["new"]


def test_a_later_fetch_adds_to_what_is_there(upstream: Repo, staging: Repo) -> None:
    """What was fetched for earlier work goes on answering when more comes."""
    every = tuple(TIMED)
    fetch(upstream, staging, wanted(upstream, (12,)))
    fetch(upstream, staging, wanted(upstream, (19,)))
    with upstream.registry.read() as theirs, staging.registry.read() as ours:
        for e in (12, 19):
            assert answers(theirs, (e,)) == answers(ours, (e,))
    fetch(upstream, staging, wanted(upstream, every))
    with upstream.registry.read() as theirs, staging.registry.read() as ours:
        assert answers(theirs, every) == answers(ours, every)


def test_what_was_certified_anew_upstream_is_so_here(upstream: Repo, staging: Repo) -> None:
    """After a change upstream a fetch makes lookups answer as there again, and says that something moved."""
    fetch(upstream, staging, wanted(upstream))
    with upstream.registry.write() as tx:
        tx.decertify("CAM/darks", DARK, 12 * DAY + 10, 18 * DAY + 10)
        tx.certify("CAM/darks", add_dark(tx, "CAM/dark/better"), 12 * DAY + 10, 18 * DAY + 10)
        # Two are valid for a part of the time of exposures 12 and 18 now.
        with pytest.raises(Exception, match="more than one dark"):
            answers(tx)

    plan = fetch(upstream, staging, wanted(upstream))

    assert [note.code for note in plan.changed] == ["validity-changed"]
    with upstream.registry.read() as theirs, staging.registry.read() as ours:
        assert answers(theirs, (13,)) == answers(ours, (13,))
        assert {"CAM/dark/better"} == {row[3] for row in answers(ours, (13,))}
        with pytest.raises(Exception, match="more than one dark"):
            answers(ours)
        key = ("collection", "detector", "id", "valid_begin", "valid_end")
        assert set(ours.validity_ranges(DARK, PATH).rows(key)) <= set(
            theirs.validity_ranges(DARK, PATH).rows(key)
        )
    assert plan_fetch(upstream, staging, wanted(upstream)).is_empty


def test_tagged_members_come_as_far_as_they_are_wanted(upstream: Repo, staging: Repo) -> None:
    """Of a TAGGED collection the wanted datasets are in it here too; what was tagged anew takes the place of the old."""
    with upstream.registry.write() as tx:
        old, new = (
            tx.datasets(made.BIAS, [f"CAM/calib/{run}"], order_by=["detector"]) for run in ("old", "new")
        )
        tx.associate("CAM/best", old["id"].tolist()[:2])
    first = old["id"].tolist()[0]
    biases = Wanted([first], {}, [], ["CAM/best"])
    fetch(upstream, staging, biases)
    with staging.registry.read() as ours:
        assert [first] == ours.datasets(made.BIAS, ["CAM/best"])["id"].tolist()
        assert CollectionType.TAGGED is ours.collection("CAM/best").type
    assert plan_fetch(upstream, staging, biases).is_empty

    with upstream.registry.write() as tx:
        tx.associate("CAM/best", new["id"].tolist()[:1], replace=True)
    fetch(upstream, staging, Wanted(new["id"].tolist()[:1], {}, [], ["CAM/best"]))
    with staging.registry.read() as ours:
        assert new["id"].tolist()[:1] == ours.datasets(made.BIAS, ["CAM/best"])["id"].tolist()


def test_a_collection_of_another_type_here_is_a_conflict(upstream: Repo, staging: Repo) -> None:
    """Nothing is certified into what is no CALIBRATION collection here."""
    with staging.registry.write() as tx:
        tx.register_run("CAM/darks")
    plan = plan_fetch(upstream, staging, wanted(upstream))
    with pytest.raises(ConflictError, match="CAM/darks"):
        execute_fetch(plan, staging)
