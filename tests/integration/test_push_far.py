"""A push to a PostgreSQL server that is far away: how often it asks, and who waits for it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.far_server import Far, far_server
from registry.model.columns import Columns
from registry.model.records import QUANTUM, QUANTUM_OUTPUT
from registry.model.refs import new_ids
from registry.registry import Registry
from sync.clone import execute_fetch, plan_fetch
from sync.push import execute_push, plan_push
from sync.repo import Repo
from tests.databases import Database
from tests.sync_builders import (
    CALEXP,
    CAMPAIGN,
    RAW,
    dataset_type,
    make_run,
    make_staging,
    make_upstream,
    wanted,
)

pytestmark = pytest.mark.service
N_VISITS, N_DETECTORS = 100, 50


@pytest.fixture
def far(postgres: Database) -> Iterator[Far]:
    """A server two milliseconds away."""
    with far_server(postgres.url()) as made:
        yield made


@pytest.fixture
def world(far: Far, tmp_path: Path) -> Iterator[tuple[Repo, Repo]]:
    """An upstream there, and a campaign here that has fetched from it."""
    with (
        make_upstream(
            tmp_path / "up", n_exposures=N_VISITS, n_detectors=N_DETECTORS, registry_url=far.url
        ) as upstream,
        make_staging(tmp_path / "campaign") as staging,
    ):
        asked = wanted(upstream, visits=range(1, N_VISITS + 1))
        execute_fetch(plan_fetch(upstream, staging, asked), staging)
        yield upstream, staging


def push(staging: Repo, upstream: Repo, run: str) -> None:
    plan = plan_push(staging, upstream, [run], campaign=CAMPAIGN, register_dataset_types=True)
    execute_push(plan, staging, upstream)


def rows_only(staging: Repo, name: str, n: int) -> None:
    """A run of n quanta, each with an input and an output that has no file."""
    visits, detectors = np.divmod(np.arange(n), N_DETECTORS)
    ids, quanta = new_ids(n), new_ids(n)
    rows: dict[str, Any] = {"instrument": ["CAM"] * n, "visit": visits + 1, "detector": detectors, "id": ids}
    done = [(q, name, "t", "{}", "succeeded", 0, 1, 2, 3, 4, "here", "", bytes(16)) for q in quanta]
    with staging.registry.write() as tx:
        tx.register_dataset_type(dataset_type(CALEXP))
        tx.register_run(name)
        tx.insert_datasets(CALEXP, name, Columns(rows))
        tx.insert_quanta(Columns.from_rows(QUANTUM, done))
        raws = tx.datasets(RAW, ["CAM/raw/all"])["id"].tolist()[:n]
        links: dict[str, Any] = {
            "quantum_id": quanta,
            "dataset_id": raws,
            "connection": ["raw"] * n,
            "was_read": [True] * n,
        }
        tx.insert_quantum_inputs(Columns(links))
        links |= {"dataset_id": ids, "connection": ["image"] * n}
        tx.insert_quantum_outputs(Columns({c: links[c] for c in QUANTUM_OUTPUT}))


def test_round_trips_of_a_push_do_not_grow_with_its_size(far: Far, world: tuple[Repo, Repo]) -> None:
    """Three times as many rows take no more exchanges with the server, and few do; all go over one connection."""
    upstream, staging = world
    counts = []
    for n in (10, 500, 1500, 4500):
        rows_only(staging, f"u/run{n}", n)
        far.reset()
        push(staging, upstream, f"u/run{n}")
        counts.append(far.round_trips)
        assert far.connections == 0
    few, some, many, three_times_as_many = counts
    assert few <= some <= 80
    assert three_times_as_many <= many <= 100


def test_readers_do_not_wait_for_a_push(far: Far, world: tuple[Repo, Repo]) -> None:
    """Who asks while rows are written, and not yet kept, has an answer at once: upstream as it was before."""
    upstream, staging = world
    run = make_run(staging, "u/run", (1, 2), (0, 1))
    seen: list[tuple[float, set[bytes]]] = []

    def look(step: str) -> None:
        if step == "rows-written":
            began = time.perf_counter()
            with Registry.open(far.url) as registry, registry.read() as snapshot:
                seen.append((time.perf_counter() - began, snapshot.existing_ids(run.dataset_ids)))

    plan = plan_push(staging, upstream, [run.name], campaign=CAMPAIGN, register_dataset_types=True)
    result = execute_push(plan, staging, upstream, at=look)
    with Registry.open(far.url) as registry, registry.read() as snapshot:
        after = snapshot.existing_ids(run.dataset_ids)

    ((waited_s, during),) = seen
    assert waited_s <= result.locked_s
    assert during == set()
    assert after == set(run.dataset_ids)
