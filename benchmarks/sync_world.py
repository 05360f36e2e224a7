"""What the benchmarks of clone and push have in common: a campaign, and a run in it whose quanta are all done.

A run of n quanta has three datasets a quantum (data, log, metadata), each a file of 200 bytes.
"""

# ruff: noqa: PTH103, PTH120, PTH123

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from benchmarks.parts import DATA, DIMS, OUTPUTS, TAGS, UNIVERSE, rows_of, survey
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.records import QUANTUM, QUANTUM_INPUT, QUANTUM_OUTPUT
from registry.model.refs import new_id, new_ids
from registry.registry import Registry
from sync.clone import execute_fetch, plan_fetch
from sync.outputs import OUTPUTS_CLAIM, OUTPUTS_IN, Claim, claim
from sync.plan import CampaignInfo, Wanted
from sync.push import PushResult, execute_push, plan_push
from sync.repo import Repo
from sync.transfer import Mode

RUN = "u/bench/run"
CAMPAIGN = CampaignInfo(bytes(16), "bench")
PER_QUANTUM = len(OUTPUTS)
PROVENANCE = ("quantum", "quantum_input", "quantum_output")
_PART = 100_000
"""Quanta at once: what makes a run must not need more memory than what pushes it."""


def outputs_upstream(root: Path) -> Path:
    """Return where outputs go that lie in upstream's storage from the start."""
    return root / "up/data/.campaigns/bench"


def campaign(root: Path, upstream: Repo, outputs: Path | None = None) -> Repo:
    """Make a staging repository, whose files lie in upstream's storage if that is said."""
    url = f"sqlite:///{root}/staging.sqlite3"
    facts = {}
    if outputs is not None:
        claim(str(outputs), Claim("bench", "bench", str(root)))
        facts = {OUTPUTS_IN: str(outputs), OUTPUTS_CLAIM: "bench"}
    Registry.create(url, upstream.registry.universe, wal=True, attributes=facts).close()
    return Repo.attach(url, outputs or root / "data", writable=True)


def make_run(staging: Repo, n: int, run: str = RUN) -> list[str]:
    """Make a run of n datasets with their files and the provenance of n/3 quanta; return the URIs."""
    n_quanta = n // PER_QUANTUM
    tables = {name: rows_of(name, run, n_quanta) for name in OUTPUTS}
    uris = [uri for _, names in tables.values() for uri in names]
    write_files(staging.datastore.root, uris)
    done, graph = time.time_ns(), new_id()
    with staging.registry.write() as tx:
        tx.register_run(run)
        raws = tx.datasets("raw", ["CAM/raw"])["id"].tolist()[:n_quanta]
        for name in OUTPUTS:
            tx.register_dataset_type(DatasetType(name, UNIVERSE.group(DIMS), "Bytes"))
            tx.insert_datasets(name, run, tables[name][0])
        for first in range(0, n_quanta, _PART):
            part = slice(first, first + _PART)
            read = raws[part]
            ids = new_ids(len(read))
            for name in OUTPUTS:
                links = zip(ids, tables[name][0]["id"][part].tolist(), [name] * len(ids), strict=True)
                tx.insert_quantum_outputs(Columns.from_rows(QUANTUM_OUTPUT, links))
            data_id = '{"instrument":"CAM","detector":1,"exposure":1}'
            quanta = [(q, run, "t", data_id, "succeeded", 0, 1, done, 3, 4, "h", "", graph) for q in ids]
            tx.insert_quanta(Columns.from_rows(QUANTUM, quanta))
            was_read = zip(ids, read, ["raw"] * len(ids), [True] * len(ids), strict=True)
            tx.insert_quantum_inputs(Columns.from_rows(QUANTUM_INPUT, was_read))
    return uris


def write_files(root: str, uris: list[str]) -> None:
    """Write the same few bytes to each."""
    for folder in {os.path.dirname(f"{root}/{uri}") for uri in uris}:
        os.makedirs(folder, exist_ok=True)
    for uri in uris:
        with open(f"{root}/{uri}", "wb") as file:
            file.write(DATA)


def raws_of(upstream: Repo) -> Wanted:
    """Say that all raws are wanted."""
    with upstream.registry.read() as snap:
        ids = snap.datasets("raw", ["CAM/raw"])["id"].tolist()
    return Wanted(ids, {}, [DatasetType("raw", UNIVERSE.group(DIMS), "Bytes")], ("CAM/raw",))


def clone_once(upstream: Repo, staging: Repo, wanted: Wanted) -> None:
    """Fetch what is wanted."""
    execute_fetch(plan_fetch(upstream, staging, wanted), staging)


def push_once(upstream: Repo, staging: Repo, mode: str, run: str = RUN) -> PushResult:
    """Push a run."""
    plan = plan_push(staging, upstream, [run], campaign=CAMPAIGN, chain="u/bench/chain")
    return execute_push(plan, staging, upstream, mode=cast("Mode", mode))


def make_survey(root: Path, n: int) -> None:
    """Make an upstream of n raws, and a campaign that has fetched nothing."""
    with survey(root, n) as upstream:
        campaign(root, upstream).close()


def make_world(root: Path, n: int, mode: str) -> tuple[str, list[str]]:
    """Make an upstream, and a campaign with a run of n quanta; return the root of its files, and their URIs."""
    outputs = outputs_upstream(root) if mode == "auto" else None
    with survey(root, n) as upstream, campaign(root, upstream, outputs) as staging:
        clone_once(upstream, staging, raws_of(upstream))
        uris = make_run(staging, PER_QUANTUM * n)
        source = staging.datastore.root
    os.sync()
    return source, uris


@contextmanager
def opened(root: Path, mode: str = "link") -> Iterator[tuple[Repo, Repo]]:
    """Open the two sides of what was made, to write."""
    data = outputs_upstream(root) if mode == "auto" else root / "data"
    url = f"sqlite:///{root}/staging.sqlite3"
    with (
        Repo.open(root / "up", writable=True) as upstream,
        Repo.attach(url, data, writable=True) as staging,
    ):
        yield upstream, staging


def of_run(run: str) -> dict[str, str]:
    """Return for each table the query for what a run has in it, but for provenance."""
    where = f"(SELECT id FROM collection WHERE name = '{run}')"
    ids = f"(SELECT id FROM dataset WHERE run_id = {where})"
    return {
        "dataset": f"SELECT * FROM dataset WHERE run_id = {where}",
        TAGS: f"SELECT * FROM {TAGS} WHERE collection_id = {where}",
        "artifact": f"SELECT * FROM artifact WHERE id IN {ids}",
    }
