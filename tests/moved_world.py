"""A campaign with copies of files that it has fetched, and an upstream that has moved on since: to pull, or to fetch again."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

from registry.model.columns import Columns
from sync.clone import execute_fetch, plan_fetch
from sync.faults import At, no_fault
from sync.fetching.artifacts import ArtifactMode, plan_artifacts
from sync.filesystem.local_files import is_aside
from sync.pull import execute_pull, plan_pull
from sync.repo import Repo
from tests import sync_builders as made
from tests.databases import Database

__all__ = ["act", "copy", "make", "outcome"]

ARTIFACT = ("id", "uri", "size", "checksum", "formatter")
MODE: ArtifactMode = "copy"


def act(verb: str, root: Path, at: At = no_fault) -> None:
    """Pull or fetch, with files."""
    with Repo.open(root / "up") as upstream, made.open_staging(root / "campaign") as staging:
        wanted = made.wanted(upstream, visits=(1, 2, 3))
        if verb == "fetch":
            plan = plan_fetch(upstream, staging, wanted)
            execute_fetch(plan, staging, plan_artifacts(plan.datasets, upstream, staging, MODE), at=at)
            return
        pull = plan_pull(upstream, staging, wanted, policies=["all=take"])
        files = plan_artifacts(pull.rows.new_datasets, upstream, staging, MODE)
        execute_pull(pull, staging, files, at=at)


def make(root: Path, database: Database | None = None) -> Path:
    """Make both, and what undisturbed commands leave (``calm-pull``, ``calm-fetch``)."""
    made.copy_world(root, database)
    act("fetch", root)
    with Repo.open(root / "up", writable=True) as upstream:
        with upstream.registry.read() as snap:
            ids = snap.datasets(made.RAW, ["CAM/raw/all"], order_by=["exposure", "detector"])["id"].tolist()
            rows = snap.datasets_by_id(ids[5:6], artifacts=True)[made.RAW].select(ARTIFACT)
        made.put_datasets(upstream, made.BIAS, "CAM/calib/newest", [("CAM", 0)])
        with upstream.registry.write() as tx:
            tx.delete_datasets(ids[4:5])
            tx.set_chain("CAM/calib", ["CAM/calib/newest", "CAM/calib/new", "CAM/calib/old"])
            tx.insert_artifacts(Columns({**rows, "checksum": ["blake3:other"], "size": [3]}))
    made.change(root / "up", "UPDATE dim_visit SET exposure_time = 99 WHERE visit = 1")
    for verb in ("pull", "fetch"):
        copy(root, root / f"calm-{verb}")
        act(verb, root / f"calm-{verb}")
    return root


def copy(source: Path, target: Path) -> None:
    """Copy an upstream and its campaign; rows on a server, which nobody changes here, are of both."""
    for name in ("up", "campaign"):
        shutil.copytree(source / name, target / name)


def outcome(root: Path) -> tuple[set[str], list[str]]:
    """Return the campaign's files, and the rows of its staging, where places are told without the folder."""
    campaign = root / "campaign"
    files = {n for n in made.tree(campaign) if not n.startswith("staging.sqlite3") and not is_aside(n)}
    with sqlite3.connect(campaign / "staging.sqlite3") as database:
        lines = [line.replace(str(root), "ROOT") for line in database.iterdump()]
    database.close()
    return files, sorted(line for line in lines if not line.startswith('INSERT INTO "repository"'))
