"""A crowd pushes to one upstream at once: it ends as if they had come one after the other, in some order."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sync.ledger import pushes
from sync.repo import Repo
from tests import sync_builders as made
from tests.databases import Database

ROOT = Path(__file__).resolve().parents[2]
LONG = os.environ.get("STAGE_FAULTS") == "long"
CROWD = 8
ROUNDS = 12 if LONG else 1
LONGEST_S = 60.0
CHAIN = "u/me/best"

Survived = Callable[[str, str, int], None]


def _world(root: Path, runs: dict[str, str], database: Database) -> Path:
    """Make an upstream, and campaigns that each have one run of their own making."""
    made.copy_world(root, database)
    for folder, run in runs.items():
        shutil.copytree(root / "campaign", root / folder)
        with made.open_staging(root / folder) as staging:
            made.make_run(staging, run, content=folder)
    return root / "up"


def _crowd(root: Path, runs: dict[str, str]) -> list[dict[str, Any]]:
    words = [f"{root / folder}={run}" for folder, run in runs.items()]
    done = subprocess.run(
        [sys.executable, "-m", "tests.sync_crowd", str(root / "up"), *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def _sets_of(upstream: Path, run: str) -> set[tuple[str, int]]:
    with Repo.open(upstream) as repo, repo.registry.read() as snap:
        return set(snap.count_datasets([run]).rows(("dataset_type", "n")))


def test_pushes_of_different_runs_into_one_chain(
    tmp_path: Path, database: Database, survived: Survived
) -> None:
    """All arrive whole; the chain holds each run once, the latest push first; nobody waits for long."""
    for number in range(ROUNDS):
        runs = {f"c{i}": f"u/{i}/run" for i in range(CROWD)}
        upstream = _world(tmp_path / str(number), runs, database)
        told = _crowd(tmp_path / str(number), runs)

        assert {t["outcome"] for t in told} == {"pushed"}
        assert max(t["seconds"] for t in told) < LONGEST_S
        with Repo.open(upstream) as repo, repo.registry.read() as snap:
            order = [push.runs[0] for push in pushes(snap)]
            assert list(snap.collection(CHAIN).children) == order
            assert sorted(order) == sorted(runs.values())
        assert {frozenset(_sets_of(upstream, run)) for run in runs.values()} == {
            frozenset({("calexp", 4), ("calexp_log", 4)})
        }
        assert made.dangling(upstream) == []
        survived("races", f"pushes of different runs, {database.name}", CROWD)


def test_pushes_of_the_same_run_from_different_campaigns(
    tmp_path: Path, database: Database, survived: Survived
) -> None:
    """Exactly one wins; each other one is refused with a conflict that names the winner, and has written nothing."""
    for number in range(ROUNDS):
        runs = {f"c{i}": "u/all/run" for i in range(CROWD)}
        upstream = _world(tmp_path / str(number), runs, database)
        told = _crowd(tmp_path / str(number), runs)

        winners = [t["campaign"] for t in told if t["outcome"] == "pushed"]
        assert len(winners) == 1
        losers = [t for t in told if t["outcome"] == "refused"]
        assert len(losers) == CROWD - 1
        assert {code for t in losers for code in t["codes"]} == {"dataset-exists"}
        assert all(f"from campaign '{winners[0]}'" in t["text"] for t in losers)
        assert max(t["seconds"] for t in told) < LONGEST_S
        assert _sets_of(upstream, "u/all/run") == {("calexp", 4), ("calexp_log", 4)}
        assert made.dangling(upstream) == []
        with made.open_staging(tmp_path / str(number) / winners[0]) as ours, ours.registry.read() as here:
            mine = set(here.datasets("calexp", ["u/all/run"])["id"].tolist())
        with Repo.open(upstream) as repo, repo.registry.read() as snap:
            assert mine == set(snap.datasets("calexp", ["u/all/run"])["id"].tolist())
            assert [push.campaign for push in pushes(snap)] == winners
        files = [p for p in (upstream / "data").rglob("*") if p.is_file() and "u/all/run" in str(p)]
        assert len(files) == 8
        survived("races", f"pushes of one run, {database.name}", CROWD)


def test_a_crowd_that_does_both(tmp_path: Path, database: Database, survived: Survived) -> None:
    """Half push runs of their own and half the same one, all into one chain: five are there at the end."""
    runs = {f"c{i}": f"u/{i}/run" if i % 2 else "u/all/run" for i in range(CROWD)}
    upstream = _world(tmp_path, runs, database)
    told = _crowd(tmp_path, runs)

    assert sum(t["outcome"] == "pushed" for t in told) == CROWD // 2 + 1
    with Repo.open(upstream) as repo, repo.registry.read() as snap:
        order = [push.runs[0] for push in pushes(snap)]
        assert list(snap.collection(CHAIN).children) == order
        assert sorted(order) == sorted(set(runs.values()))
    assert made.dangling(upstream) == []
    survived("races", f"pushes of both kinds, {database.name}", CROWD)
