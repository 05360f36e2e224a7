"""A clone killed at random moments and given again ends like one that nobody killed, on either database."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

from tiny_campaign import call, make_upstream

from tests import sync_builders as made
from tests.databases import Database
from tests.processes_killed import Chance

TIMES = 110 if os.environ.get("STAGE_FAULTS") == "long" else 2
CLONE = (
    "clone", "upstream", "camp", "-p", "pipeline.yaml", "-i", "net/raw", "--artifacts", "copy", "--next-run", "u/r%n",
)  # fmt: skip
OF_ITS_OWN = ("repository", "history", "journal")
"""Tables that say which campaign this is, and when what was done."""


def outcome(camp: Path) -> tuple[set[str], list[str]]:
    """Return the names of a campaign's files, those of fetched inputs with ids, and the rows of its staging."""
    names = {name for name in made.tree(camp) if "staging.sqlite3" not in name and not name.startswith(".")}
    with contextlib.closing(sqlite3.connect(camp / "staging.sqlite3")) as database:
        lines = [line for line in database.iterdump() if line.startswith("INSERT")]
    own = tuple(f'INSERT INTO "{name}"' for name in OF_ITS_OWN)
    return names, sorted(line for line in lines if not line.startswith(own))


def test_killed_at_any_moment_and_given_again(
    tmp_path: Path, database: Database, survived: Callable[[str, str, int], None]
) -> None:
    """The same command makes the campaign, wherever the first one died; a check finds it sound, and it runs."""
    make_upstream(tmp_path, *(("--registry", database.url()) if database.name == "postgres" else ()))
    before = made.tree(tmp_path / "upstream"), made.dump(tmp_path / "upstream")
    camp, chance, n_killed = tmp_path / "camp", Chance(), 0
    call(*CLONE, cwd=tmp_path)
    calm = outcome(camp)
    for _ in range(TIMES + 1):
        shutil.rmtree(camp)
        n_killed += chance.kills(lambda: call(*CLONE, cwd=tmp_path))
        if not (camp / ".campaign.json").exists():
            call(*CLONE, cwd=tmp_path)

        assert calm == outcome(camp)
        found = json.loads(call("fsck", "--full", "--json", cwd=camp).stdout)["findings"]
        assert {f["code"] for f in found} <= {"dead-lock"}, "killed at its very end, when all was made"
    call("run", "-q", "-j0", cwd=camp)
    assert json.loads(call("get", "total", cwd=camp).stdout) == {"n": 12, "stations": 3}
    assert before == (made.tree(tmp_path / "upstream"), made.dump(tmp_path / "upstream"))
    survived("kills", f"clone at random moments, {database.name}", n_killed)
